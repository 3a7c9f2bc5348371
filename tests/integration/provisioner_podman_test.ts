/** PodmanProvisioner with real containers. */
import assert from "node:assert/strict";
import { Semaphore } from "@std/async/unstable-semaphore";
import { output, run } from "../../connections/process.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  PodmanProvisioner,
  type PodmanProvisionerOptions,
} from "../../provisioners/podman.ts";
import { getRunId } from "../../provisioners/_run.ts";
import {
  cannotRun,
  imageName,
  podman,
  podmanMissing,
  volumesLeft,
  volumesOf,
} from "../_podman.ts";

const ignore = cannotRun("integration/provisioner_podman", podmanMissing());
const ignoreDebian = ignore ||
  cannotRun("integration/provisioner_podman rsync", podmanMissing(["debian"]));

async function started(options: Partial<PodmanProvisionerOptions> = {}) {
  const events: ProvisionerEvent[] = [];
  const pool = await new PodmanProvisioner({
    image: imageName("tiny"),
    runOptions: ["--network=none"],
    onEvent: (event) => events.push(event),
    ...options,
  }).start();
  return { pool, events };
}

/** Names of the containers that the run has, in any state. */
async function containersOf(run = getRunId()): Promise<string[]> {
  const list = () =>
    podman(
      ...["ps", "-a", "--external", "--format={{.Names}}"],
      `--filter=name=^atex-${run}-`,
    );
  // It fails also because a container of anybody's is removed at the moment.
  const names = await list().catch(list).catch(list);
  // It also lists what is made or removed at the moment, whosever it is.
  return names.split("\n").filter((name) => name.startsWith(`atex-${run}-`));
}

Deno.test({
  name:
    "PodmanProvisioner lends containers in which commands run, and removes them",
  ignore,
  fn: async () => {
    const { pool, events } = await started();
    pool.provision(2);
    const [one, two] = [await pool.getRemote(), await pool.getRemote()];
    const hosts = [
      await run(one, ["hostname"]),
      await run(two, ["hostname"]),
    ];
    assert.notEqual(hosts[0], hosts[1]);
    assert.equal(one.canReboot, false);
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7 % 256);
    const { stdout } = await output(one, ["cat"], { stdin: bytes });
    assert.deepEqual(stdout, bytes);
    const containers = [one, two].map(({ attributes }) => attributes.container);
    assert.deepEqual((await containersOf()).sort(), containers.sort());
    const labels = JSON.parse(
      await podman("inspect", "-f", "{{json .Config.Labels}}", containers[0]),
    );
    assert.equal(labels["atex.run"], getRunId());
    assert.equal(labels["atex.kind"], "podman");
    assert.ok(labels["atex.owner"].startsWith(`${Deno.hostname()}/`));
    await one.release();
    await one.release();
    assert.deepEqual(await containersOf(), [two.attributes.container]);
    await pool.stop();
    assert.deepEqual(await containersOf(), []);
    assert.deepEqual(
      events.map(({ type }) => type).filter((type) =>
        /lost|fail|warn/.test(type)
      ),
      [],
    );
    await pool.start(); // again
    pool.provision();
    assert.equal(await run(await pool.getRemote(), ["echo", "hi"]), "hi\n");
    await pool.stop();
  },
});

Deno.test({
  name: "PodmanProvisioner with one place serves requests one after the other",
  ignore,
  fn: async () => {
    const { pool } = await started({ maxRemotes: 1 });
    await using _ = pool;
    pool.provision(2);
    const first = await pool.getRemote();
    const second = pool.getRemote();
    assert.equal((await containersOf()).length, 1);
    await first.release();
    assert.notEqual((await second).id, first.id);
    assert.equal((await containersOf()).length, 1);
  },
});

Deno.test({
  name: "provision(Infinity) goes on until clear()",
  ignore,
  fn: async () => {
    const { pool } = await started({ maxRemotes: 2 });
    await using _ = pool;
    pool.provision(Infinity);
    for (let i = 0; i < 3; i++) await (await pool.getRemote()).release();
    pool.clear();
    for (let i = 0; i < 2; i++) { // what was under way
      await (await pool.getRemote()).release();
    }
    const abort = new AbortController();
    const waiting = pool.getRemote({ signal: abort.signal });
    assert.deepEqual(await containersOf(), []);
    abort.abort(new Error("none left"));
    await assert.rejects(waiting, { message: "none left" });
  },
});

Deno.test({
  name:
    "two provisioners of one script with a common limit do not disturb each other",
  ignore,
  fn: async () => {
    const limit = new Semaphore(2);
    const one = await started({ limit });
    const two = await started({ limit });
    one.pool.provision(2);
    const a = await one.pool.getRemote();
    const b = await one.pool.getRemote();
    two.pool.provision(1);
    assert.equal((await containersOf()).length, 2);
    await a.release();
    const c = await two.pool.getRemote();
    assert.equal((await containersOf()).length, 2);
    await one.pool.stop();
    await assert.rejects(run(b, ["true"]), { name: "NotConnectedError" });
    assert.equal(await run(c, ["echo", "there"]), "there\n");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.deepEqual(await containersOf(), [c.attributes.container]);
    await two.pool.stop();
    assert.deepEqual(await containersOf(), []);
  },
});

Deno.test({
  name: "rsync goes through the remote",
  ignore: ignoreDebian,
  fn: async () => {
    const { pool } = await started({
      image: imageName("debian"),
      command: ["sleep", "infinity"],
    });
    await using _ = pool;
    pool.provision();
    const remote = await pool.getRemote();
    const file = await Deno.makeTempFile({ prefix: "atex-test-" });
    try {
      await Deno.writeTextFile(file, "content");
      const { success } = await remote.rsync([file, "remote:/root/copy"])
        .output();
      assert.ok(success);
      assert.equal(await run(remote, ["cat", "/root/copy"]), "content");
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test({
  name: "start() refuses an image that is not there, at once",
  ignore,
  fn: async () => {
    const image = "localhost/atex-test-no-such-image";
    const pool = new PodmanProvisioner({ image });
    await assert.rejects(pool.start(), {
      name: "ProvisionError",
      fatal: true,
      message:
        `Cannot use the image "${image}": it is not on this system; build it with "podman build -t ${image} DIRECTORY"`,
    });
    await assert.rejects(
      new PodmanProvisioner({ image: "NOT::valid" }).start(),
      /^ProvisionError: Cannot look for the image "NOT::valid": .*reference/,
    );
  },
});

Deno.test({
  name:
    "getRemote() fails for good when the image vanished, the command is missing, or an option is wrong",
  ignore,
  fn: async () => {
    const image = "localhost/atex-test-vanishing";
    await podman("tag", imageName("tiny"), image);
    const { pool } = await started({ image });
    await using _ = pool;
    await podman("untag", image, image); // the other name stays
    pool.provision();
    await assert.rejects(pool.getRemote(), {
      fatal: true,
      message: /^Cannot use the image "localhost\/atex-test-vanishing": /,
    });
    for (
      const [options, message] of [
        [{ command: ["no-such-program"], init: false }, /no-such-program/],
        [{ command: ["/etc/passwd"], init: false }, /permission denied/],
        [{ runOptions: ["--no-such-option"] }, /: unknown flag: --no-such-/],
      ] as const
    ) {
      const { pool } = await started(options);
      await using _ = pool;
      pool.provision();
      await assert.rejects(pool.getRemote(), { fatal: true, message });
    }
    assert.deepEqual(await containersOf(), []);
  },
});

Deno.test({
  name: "a container whose command ends at once is no system",
  ignore,
  fn: async () => {
    const { pool } = await started({ command: ["true"] });
    await using _ = pool;
    pool.provision();
    await assert.rejects(pool.getRemote(), {
      fatal: false,
      message: /it ended at once, .*: true$/,
    });
  },
});

Deno.test({
  name: "lost resolves when a container is killed, and when it is removed",
  ignore,
  fn: async () => {
    const { pool } = await started();
    await using _ = pool;
    pool.provision(2);
    const [one, two] = [await pool.getRemote(), await pool.getRemote()];
    await podman("kill", one.attributes.container);
    assert.match((await one.lost).message, /ended by itself/);
    await podman("rm", "-f", "-t", "0", two.attributes.container);
    assert.match((await two.lost).message, /ended by itself/);
    await one.release();
  },
});

Deno.test({
  name: "containers given back together go, also if one is gone already",
  ignore,
  fn: async () => {
    const { pool } = await started();
    await using _ = pool;
    pool.provision(4);
    const remotes = [];
    for (let n = 0; n < 4; n++) remotes.push(await pool.getRemote());
    await podman("rm", "-f", "-t", "0", remotes[1].attributes.container);
    await Promise.all(remotes.map((remote) => remote.release()));
    assert.deepEqual(await containersOf(), []);
  },
});

Deno.test({
  name: "a container goes with its volumes that have no name, however it ends",
  ignore,
  fn: async () => {
    const name = `atex-test-${crypto.randomUUID().slice(0, 13)}`;
    const { pool } = await started({
      runOptions: ["--network=none", "--volume=/one", `--volume=${name}:/two`],
    });
    await using undo = new AsyncDisposableStack();
    undo.defer(async () => void await podman("volume", "rm", "-f", name));
    undo.use(pool);
    // two containers that are made at once would both make it, and one fail
    await podman("volume", "create", name);
    pool.provision(5);
    const remotes = await Promise.all(
      Array.from({ length: 5 }, () => pool.getRemote()),
    );
    const volumes = await Promise.all(
      remotes.map(({ attributes }) => volumesOf(attributes.container)),
    );
    const own = volumes.flat().filter((volume) => volume !== name);
    assert.equal(own.length, 5);
    const [one, two, three, ended] = remotes;
    await one.release(); // by itself
    await Promise.all([two.release(), three.release()]);
    await podman("kill", ended.attributes.container);
    await ended.lost;
    await ended.release();
    await pool.stop();
    assert.deepEqual(await volumesLeft(own), []);
    assert.deepEqual(await volumesLeft([name]), [name]);
  },
});

Deno.test({
  name: "maxLifetime is kept by podman itself",
  ignore,
  fn: async () => {
    const { pool } = await started({ maxLifetime: 1000 });
    await using _ = pool;
    pool.provision();
    const remote = await pool.getRemote();
    await remote.lost;
  },
});

Deno.test({
  name: "stop() at any moment of a reservation leaves nothing",
  ignore,
  fn: async () => {
    for (const ms of [0, 15, 40, 80, 130, 200, 300]) {
      const { pool } = await started({ parallel: 2 });
      pool.provision(3);
      await new Promise((resolve) => setTimeout(resolve, ms));
      await pool.stop();
      assert.deepEqual(await containersOf(), [], `after ${ms} ms`);
    }
  },
});

Deno.test({
  name: "many systems over few places, one after the other, come and go",
  ignore,
  fn: async () => {
    const { pool, events } = await started({ maxRemotes: 6 });
    await using _ = pool;
    pool.provision(24);
    const hosts = new Set<string>();
    let left = 24;
    const worker = async () => {
      while (left-- > 0) {
        const remote = await pool.getRemote();
        hosts.add(await run(remote, ["hostname"]));
        await remote.release();
      }
    };
    await Promise.all(Array.from({ length: 6 }, worker));
    await pool.stop();
    assert.equal(hosts.size, 24);
    assert.deepEqual(events.filter(({ type }) => /fail|lost/.test(type)), []);
    assert.deepEqual(await containersOf(), []);
  },
});
