/** What is left of scripts that lend containers and do not get to clean up. */
import assert from "node:assert/strict";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import { openRunDirectory } from "../../provisioners/_run.ts";
import { run } from "../../connections/process.ts";
import {
  cannotRun,
  containersOfRun,
  imageName,
  podman,
  podmanMissing,
  volumesLeft,
  volumesOf,
} from "../_podman.ts";
import { exists } from "../_wait.ts";

const ignore = cannotRun(
  "integration/provisioner_podman_killed",
  podmanMissing(),
);

/** Milliseconds that a removal may take on a busy machine. */
const PATIENCE = 60_000;

/** One line that the script printed. */
interface Told {
  type: string;
  run?: string;
  container?: string;
  name?: string;
}

/** A user's script in a process of its own. */
class Script implements AsyncDisposable {
  readonly told: Told[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #news = Promise.withResolvers<void>();

  constructor(count: number, then: "wait" | "end") {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
        new URL("_pool_script.ts", import.meta.url).pathname,
        imageName("tiny"),
        String(count),
        then,
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    let rest = "";
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of text) {
      const lines = (rest + part).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.told.push(JSON.parse(line));
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    }
    this.#news.resolve();
  }

  /** Waits until it told so many things of that kind. */
  async tells(type: string, count = 1): Promise<Told> {
    for (;;) {
      const told = this.told.filter((told) => told.type === type);
      if (told.length >= count) return told[count - 1];
      const ended = this.#reading.then(() => "ended");
      if (await Promise.race([this.#news.promise, ended]) === "ended") {
        assert.fail(`The script ended without ${count} "${type}"`);
      }
    }
  }

  get run(): string {
    return this.told.find(({ type }) => type === "started")!.run!;
  }

  get pid(): number {
    return this.#child.pid;
  }

  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Ended already.
    }
    await this.#child.status;
    await this.#reading;
  }
}

/** Processes whose arguments name the run. */
async function processesOf(run: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() =>
      ""
    );
    if (text.includes(`atex-${run}`)) found.push(Number(name));
  }
  return found;
}

const childrenOf = async (pid: number): Promise<number[]> => {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    if (stat.slice(stat.lastIndexOf(")")).split(" ")[2] === String(pid)) {
      found.push(Number(name));
    }
  }
  return found;
};

const alive = (pids: number[]): Promise<number[]> =>
  Promise.all(
    pids.map((pid) => Deno.stat(`/proc/${pid}`).then(() => [pid], () => [])),
  ).then((lists) => lists.flat());

async function eventually(
  what: () => Promise<boolean>,
  ms: number,
  message: string,
): Promise<void> {
  const end = performance.now() + ms;
  while (!await what()) {
    if (performance.now() > end) assert.fail(message);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

for (
  const [when, type, count] of [
    ["while some of its containers are still being made", "reserving", 5],
    ["as soon as it has one of them", "taken", 1],
    ["when it has all of them", "taken", 8],
  ] as const
) {
  Deno.test({
    name:
      `a script that is killed ${when} leaves nothing, and disturbs no other`,
    ignore,
    fn: async () => {
      await using other = await new PodmanProvisioner({
        image: imageName("tiny"),
        runOptions: ["--network=none"],
      }).start();
      other.provision();
      const remote = await other.getRemote();

      await using script = new Script(8, "wait");
      await script.tells(type, count);
      let children: Awaited<ReturnType<typeof childrenOf>> = [];
      await eventually(
        async () => (children = await childrenOf(script.pid)).length >= 2,
        PATIENCE,
        "there are not even the watchdog and podman events",
      );
      const taken = script.told.flatMap(({ container }) => container ?? []);
      const volumes = (await Promise.all(taken.map(volumesOf))).flat();
      await script.kill();
      const { run: name } = script;
      await eventually(
        async () => (await containersOfRun(name)).length === 0,
        PATIENCE,
        "containers are left",
      );
      // Nothing comes after that, and what it started ends.
      await eventually(
        async () =>
          (await processesOf(name)).length === 0 &&
          (await alive(children)).length === 0,
        PATIENCE,
        "processes are left",
      );
      assert.deepEqual(await containersOfRun(name), []);
      assert.deepEqual(await volumesLeft(volumes), []);
      const runFile = `${await openRunDirectory()}/${name}`;
      await assert.rejects(Deno.stat(runFile), Deno.errors.NotFound);

      assert.equal(await run(remote, ["echo", "still here"]), "still here\n");
      assert.deepEqual(
        await podman(
          "inspect",
          "-f",
          "{{.State.Status}}",
          remote.attributes.container,
        ),
        "running",
      );
    },
  });
}

Deno.test({
  name: "a script that ends without stop() leaves nothing",
  ignore,
  fn: async () => {
    await using script = new Script(2, "end");
    assert.equal((await script.status).code, 0);
    const { run } = script;
    await eventually(
      async () =>
        (await containersOfRun(run)).length === 0 &&
        (await processesOf(run)).length === 0,
      PATIENCE,
      "something is left",
    );
  },
});

Deno.test({
  name:
    "what a script leaves whose watchdog was killed, too, the next start removes, and nothing else",
  ignore,
  fn: async () => {
    await using living = new Script(1, "wait");
    const { container } = await living.tells("taken");
    await using foreign = await makeContainer([]);
    await using inherited = await makeContainer([
      "--label=atex.run=aaaaaaaaaa",
    ]);

    await using dead = new Script(4, "wait");
    await dead.tells("taken", 4);
    const left = await containersOfRun(dead.run);
    assert.equal(left.length, 4);
    const watchdogs = (await childrenOf(dead.pid)).filter((pid) =>
      Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("atex-")
    );
    assert.equal(watchdogs.length, 1);
    Deno.kill(watchdogs[0], "SIGKILL");
    await dead.kill();
    const runFile = `${await openRunDirectory()}/${dead.run}`;
    await Deno.stat(runFile);
    assert.deepEqual((await containersOfRun(dead.run)).sort(), left.sort());

    const events: ProvisionerEvent[] = [];
    await using pool = new PodmanProvisioner({
      image: imageName("tiny"),
      onEvent: (event) => events.push(event),
    });
    await pool.start();
    assert.deepEqual(await containersOfRun(dead.run), []);
    const reaped = events.flatMap((event) =>
      event.type === "reaped" && left.includes(event.name) ? [event] : []
    );
    assert.deepEqual(reaped.map(({ name }) => name).sort(), left.sort());
    assert.ok(
      reaped.every(({ kind, owner }) =>
        kind === "podman" && owner.startsWith(`${Deno.hostname()}/`)
      ),
    );
    await assert.rejects(Deno.stat(runFile), Deno.errors.NotFound);
    for (const name of [container!, foreign.name, inherited.name]) {
      const status = await podman("inspect", "-f", "{{.State.Status}}", name);
      assert.equal(status, "running");
    }
    await living.kill();
    await eventually(
      async () => (await containersOfRun(living.run)).length === 0,
      PATIENCE,
      "containers are left",
    );
  },
});

/** A runtime that makes containers, and says so only when it may. */
const SLOW_RUNTIME = `#!/bin/sh
runc "$@" || exit
case " $* " in *" create "*)
  touch "$0.made"
  until [ -e "$0.go" ]; do sleep 0.1; done
esac
`;

/** Kills podman while it makes a container; what podman knows is the name. */
async function killPodman(name: string, runtime: string): Promise<void> {
  const child = new Deno.Command("podman", {
    args: [
      ...["--runtime", runtime, "run", "--detach", "--pull=never"],
      ...["--name", name, imageName("tiny"), "sleep", "600"],
    ],
    stdin: "null",
    stderr: "null",
    stdout: "null",
  }).spawn();
  await eventually(
    () => exists(`${runtime}.made`),
    PATIENCE,
    "no container is made",
  );
  child.kill("SIGKILL");
  await child.status;
  await Deno.writeTextFile(`${runtime}.go`, "");
}

for (
  const [whom, forget] of [
    ["podman has made half", false],
    ["podman has made half, and has then forgotten", true],
  ] as const
) {
  Deno.test({
    name: `the next start ends a container that ${whom}`,
    ignore,
    fn: async () => {
      const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
      const run = crypto.randomUUID().replaceAll("-", "").slice(0, 10);
      const name = `atex-${run}-1-1`;
      const runFile = `${await openRunDirectory()}/${run}`;
      try {
        await Deno.writeTextFile(`${directory}/runtime`, SLOW_RUNTIME, {
          mode: 0o700,
        });
        await killPodman(name, `${directory}/runtime`);
        if (forget) await podman("rm", "-f", "-t", "0", name);
        assert.deepEqual(await containersOfRun(run), [name]);

        await Deno.writeTextFile(runFile, "{}\npodman\n");
        await using _pool = await new PodmanProvisioner({
          image: imageName("tiny"),
        }).start();
        await eventually(
          async () => (await containersOfRun(run)).length === 0,
          PATIENCE,
          "it is left",
        );
        await assert.rejects(Deno.stat(runFile), Deno.errors.NotFound);
      } finally {
        await Deno.remove(runFile).catch(() => {});
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

/** A container that is not ours to remove. */
async function makeContainer(
  args: string[],
): Promise<AsyncDisposable & { name: string }> {
  const name = `atex-test-${crypto.randomUUID().slice(0, 8)}`;
  await podman(
    "run",
    "-d",
    "--rm",
    "--pull=never",
    "--network=none",
    `--name=${name}`,
    ...args,
    imageName("tiny"),
    "sleep",
    "600",
  );
  return {
    name,
    [Symbol.asyncDispose]: async () => {
      await podman("rm", "-f", "-t", "0", name);
    },
  };
}
