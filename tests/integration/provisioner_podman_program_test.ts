/**
 * Other programs than podman itself, with real containers. Each has a storage of
 * its own: a call that leaves out an argument does not find what the others made.
 */
import assert from "node:assert/strict";
import { PodmanConnection } from "../../connections/podman.ts";
import { run } from "../../connections/process.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import { buildImage } from "../../provisioners/podman_image.ts";
import { reap } from "../../provisioners/reap.ts";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";
import { processesWith, until } from "../_wait.ts";
import { processesOf, Scratch, untilNone } from "./_scratch.ts";

const ignore = cannotRun(
  "integration/provisioner_podman_program",
  podmanMissing(),
);

/** Milliseconds that a removal may take on a busy machine. */
const PATIENCE = 60_000;

/** A storage of containers, and programs that look in there. */
class Storage implements AsyncDisposable {
  private constructor(
    readonly scratch: Scratch,
    private readonly directory: string,
    private readonly stack: AsyncDisposableStack,
  ) {}

  static async open(): Promise<Storage> {
    await using stack = new AsyncDisposableStack();
    const scratch = stack.use(await Scratch.open());
    const directory = await Deno.makeTempDir({
      dir: "/tmp", // paths of sockets are short
      prefix: "atex-test-",
    });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    // podman mounts its storage onto itself, and leaves it so
    stack.defer(() => unmountBelow(directory));
    // what looks after a command of "podman exec" would make it all anew, five minutes later
    stack.defer(async () => {
      for (const pid of await processesWith(`${directory}/root`)) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // It has ended meanwhile.
        }
      }
    });
    const storage = new Storage(scratch, directory, stack.move());
    const archive = `${directory}/image.tar`;
    await podman("save", "--quiet", `--output=${archive}`, imageName("tiny"));
    await storage.podman("load", "--quiet", `--input=${archive}`);
    return storage;
  }

  /** Podman itself, with arguments. */
  get local(): string[] {
    const { directory } = this;
    return [
      "podman",
      `--root=${directory}/root`,
      `--runroot=${directory}/run`,
      `--tmpdir=${directory}/tmp`,
      "--log-level=error",
    ];
  }

  /** Podman behind another program. */
  get wrapped(): string[] {
    return ["env", "ATEX_TEST=1", ...this.local];
  }

  /** A client of a service. */
  async remote(): Promise<string[]> {
    const url = `unix://${this.directory}/socket`;
    const [program, ...args] = this.local;
    const service = new Deno.Command(program, {
      args: [...args, "system", "service", "--time=0", url],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.stack.defer(async () => {
      service.kill("SIGTERM");
      await service.status;
    });
    const client = ["podman", "--remote", `--url=${url}`];
    await until(async () =>
      (await new Deno.Command(client[0], {
        args: [...client.slice(1), "version"],
        stdout: "null",
        stderr: "null",
      }).output()).success
    );
    return client;
  }

  async podman(...args: string[]): Promise<string> {
    const [program, ...first] = this.local;
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: [...first, ...args],
    }).output();
    const decoder = new TextDecoder();
    assert.ok(success, decoder.decode(stderr));
    return decoder.decode(stdout).trim();
  }

  get containers(): Promise<string[]> {
    return this.podman("ps", "-a", "--external", "--format={{.Names}}")
      .then((names) => names.split("\n").filter((name) => name !== ""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.podman("rm", "--all", "--force", "--time=0");
    await this.podman("rmi", "--all", "--force");
    await this.stack.disposeAsync();
  }
}

/** Unmounts what is mounted below a directory. */
async function unmountBelow(directory: string): Promise<void> {
  const mounts = await Deno.readTextFile("/proc/self/mounts");
  const targets = mounts.split("\n").map((line) => line.split(" ")[1] ?? "")
    .filter((target) => target.startsWith(`${directory}/`));
  for (const target of targets.reverse()) {
    const { success } = await new Deno.Command("umount", { args: [target] })
      .output();
    assert.ok(success, target);
  }
}

/** A script that lends a container. */
class Script implements AsyncDisposable {
  private constructor(
    readonly run: string,
    private readonly mark: string,
    private readonly child: Deno.ChildProcess,
  ) {}

  static async start(program: readonly string[]): Promise<Script> {
    const mark = `atex-mark-${crypto.randomUUID()}`;
    const options = {
      image: imageName("tiny"),
      runOptions: ["--network=none"],
      podman: program,
    };
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-qA", "--no-check"],
        `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
        new URL("_kinds_script.ts", import.meta.url).pathname,
        JSON.stringify([["podman", options]]),
      ],
      env: { ATEX_TEST_MARK: mark },
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return new Script(new TextDecoder().decode(value).trim(), mark, child);
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.status;
  }

  /** With its watchdog. */
  async killAll(): Promise<void> {
    this.child.kill("SIGSTOP"); // or it would start more
    for (const pid of await processesOf(this.mark)) Deno.kill(pid, "SIGKILL");
    await this.child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.kill();
    } catch {
      // It is dead.
    }
  }
}

for (const kind of ["local", "wrapped", "remote"] as const) {
  const open = async () => {
    const storage = await Storage.open();
    try {
      const program = kind === "remote"
        ? await storage.remote()
        : storage[kind];
      return { storage, program };
    } catch (error) {
      await storage[Symbol.asyncDispose]();
      throw error;
    }
  };

  Deno.test({
    name: `PodmanProvisioner lends containers by a ${kind} program`,
    ignore,
    fn: async () => {
      const { storage, program } = await open();
      await using _ = storage;
      const image = await buildImage(imageName("tiny"), {
        packages: [],
        files: { "/greeting": "hello" },
        runOptions: ["--network=none"],
        podman: program,
      });
      await using pool = await new PodmanProvisioner({
        image,
        runOptions: ["--network=none"],
        podman: program,
      }).start();
      pool.provision(2);
      const [one, two] = [await pool.getRemote(), await pool.getRemote()];
      assert.equal(await run(one, ["cat", "/greeting"]), "hello");
      const { container } = one.attributes;
      await using plain = await PodmanConnection.open({
        container,
        direct: false,
        podman: program,
      });
      assert.equal(await run(plain, ["cat", "/greeting"]), "hello");
      const { argv } = plain.local(["sh"], { terminal: true });
      assert.deepEqual(argv.slice(0, program.length), program);
      await storage.podman("kill", container);
      assert.match((await one.lost).message, /ended by itself/);
      await one.release();
      assert.deepEqual(await storage.containers, [two.attributes.container]);
      await pool.stop();
      assert.deepEqual(await storage.containers, []);
      const images = await reap({ kinds: ["image"], podman: program });
      assert.deepEqual(
        images.map(({ name }) => name.replace(/:latest$/, "")),
        [image],
      );
    },
  });

  Deno.test({
    name:
      `watchdog and reap() find what a killed script lent by a ${kind} program`,
    ignore,
    fn: async () => {
      const { storage, program } = await open();
      await using _ = storage;
      const { scratch } = storage;
      await using guarded = await Script.start(program);
      assert.equal((await storage.containers).length, 1);
      await guarded.kill();
      await untilNone("containers", () => storage.containers, PATIENCE);
      await untilNone("run files", () => scratch.runs, PATIENCE);

      await using unguarded = await Script.start(program);
      await unguarded.killAll();
      const kinds = ["container", "directory"] as const;
      const found = await reap({ kinds, podman: program, run: unguarded.run });
      assert.deepEqual(found.map(({ removed }) => removed), [true]);
      assert.deepEqual(await storage.containers, []);
      assert.deepEqual(await scratch.runs, []);
    },
  });
}
