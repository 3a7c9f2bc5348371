/**
 * KubernetesProvisioner on a real cluster, with real pods:
 *
 *     dev/kubernetes.sh deno task test tests/integration/kubernetes_cluster_test.ts
 */
import assert from "node:assert/strict";
import { readResults } from "../../aggregators/reader.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { download, upload } from "../../connections/copy.ts";
import { formatOwner } from "../../connections/ownership.ts";
import { output, run } from "../../connections/process.ts";
import { CommandExecutor } from "../../executors/command.ts";
import { discover, FmfExecutor } from "../../executors/fmf/mod.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { reruns } from "../../orchestrators/policies.ts";
import { holdRun } from "../../provisioners/_run.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  type KubernetesPodTemplate,
  KubernetesProvisioner,
  type KubernetesProvisionerOptions,
} from "../../provisioners/kubernetes.ts";
import { ProvisionError, type Remote } from "../../provisioners/provisioner.ts";
import { reap } from "../../provisioners/reap.ts";
import { clusterOptions, hasCluster, kubectl, objectsOf } from "../_cluster.ts";
import { printed } from "../_printed.ts";
import { Script } from "../_script.ts";
import { rejected } from "../_thrown.ts";
import { until } from "../_wait.ts";
import { checkSuite, TRANSPORT } from "./_executor_suite.ts";
import { assertNoWork } from "./_executor_work.ts";
import { processesOf, untilNone } from "./_scratch.ts";

if (!hasCluster) {
  console.error(
    "integration/kubernetes_cluster: not asked for (dev/kubernetes.sh runs it)",
  );
}

/** Milliseconds: it may take half a minute until a node tells that a pod is gone, on a machine that is busy longer. */
const PATIENCE = 120_000;

/** A test with a directory here, after which nothing is left in the cluster. */
function test(
  name: string,
  fn: (directory: string, t: Deno.TestContext) => Promise<void>,
): void {
  if (!hasCluster) return;
  Deno.test(name, async (t) => {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      await fn(directory, t);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
    await untilNone("left in the cluster", objectsOf, PATIENCE);
  });
}

async function poolWith(
  options: Partial<KubernetesProvisionerOptions> = {},
): Promise<KubernetesProvisioner> {
  return new KubernetesProvisioner({ ...await clusterOptions(), ...options });
}

/** Arguments that somebody on the way could misunderstand. */
const WORDS = [
  "",
  " ",
  "'",
  "$HOME",
  "a\nb",
  "*",
  "ä",
  "--",
  "x".repeat(100_000),
];

/** More than fits in a buffer on the way. */
const BYTES = new Uint8Array(5_000_000).map((_, index) => index * index >> 8);

/** Arguments, exit codes and input arrive, and what a command prints. */
async function checkCommands(remote: Remote): Promise<void> {
  assert.equal(
    await run(remote, ["printf", "%s|", ...WORDS]),
    WORDS.map((word) => `${word}|`).join(""),
  );
  const { stdout } = await output(remote, ["cat"], { stdin: BYTES });
  assert.deepEqual(stdout, BYTES);
  const script = "echo out; echo err >&2; exit 42";
  const failed = await output(remote, ["sh", "-c", script]);
  const [out, err] = [failed.stdout, failed.stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  assert.deepEqual([failed.code, out], [42, "out\n"]);
  assert.match(err, /^err\n/);
  assert.equal((await output(remote, ["no-such-program"])).code, 127);
}

/** Files arrive, and come back with what was added there. */
async function checkCopies(remote: Remote, directory: string): Promise<void> {
  await Deno.mkdir(`${directory}/here`, { recursive: true });
  await Deno.writeTextFile(`${directory}/here/a b`, "content");
  await upload(remote, `${directory}/here`, "/tmp/there");
  await run(remote, ["sh", "-c", "hostname >>'/tmp/there/a b'"]);
  await download(remote, "/tmp/there", `${directory}/back`);
  assert.equal(
    await Deno.readTextFile(`${directory}/back/a b`),
    `content${remote.attributes.pod}\n`,
  );
}

test("three pods run commands, take files and give them back", async (directory) => {
  await using pool = await (await poolWith({ maxRemotes: 3 })).start();
  pool.provision(3);
  const remotes = await Promise.all([1, 2, 3].map(() => pool.getRemote()));
  await Promise.all(remotes.map(async (remote) => {
    assert.equal(remote.attributes.node, "node");
    await checkCommands(remote);
    await checkCopies(remote, `${directory}/${remote.attributes.pod}`);
  }));
  assert.equal((await objectsOf()).length, 4); // and their lease
});

test(
  "what a suite expects of every system, it finds in a pod",
  async (_, t) => {
    await using pool = await (await poolWith()).start();
    pool.provision();
    const remote = await pool.getRemote();
    // Of a test that is ended, kubectl itself says so in its output.
    const ended = ["/garbage", "/flood"];
    const names = TRANSPORT.filter((name) => !ended.includes(name));
    await checkSuite(t, remote, names);
    await assertNoWork(remote);
  },
);

/** For three pods: the first two tests wait until the pod of the third was replaced. */
const SUITE = `
/0/long: { test: 'until [ -e /tmp/replaced ]; do sleep 0.1; done' }
/1/long: { test: 'until [ -e /tmp/replaced ]; do sleep 0.1; done' }
/2/victim: { test: 'test "$ATEX_TEST_ATTEMPT" -gt 1 || sleep 600' }
/3/file: { test: test -f main.fmf }
/4/host: { test: hostname }
`;

test("a run on three pods replaces one that is deleted, and repeats its test", async (directory) => {
  const suite = `${directory}/suite`;
  await Deno.mkdir(`${suite}/.fmf`, { recursive: true });
  await Deno.writeTextFile(`${suite}/.fmf/version`, "1\n");
  await Deno.writeTextFile(`${suite}/main.fmf`, SUITE);
  await using tests = await discover(suite);
  await using pool = await (await poolWith({ maxRemotes: 3 })).start();
  const results = `${directory}/results.jsonl`;
  await using aggregator = await new JsonLinesAggregator({
    results,
    files: `${directory}/files`,
  }).start();
  const remotes = new Map<string, Remote>();
  await using running = new AdHocOrchestrator({
    platform: "pods",
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) => {
      remotes.set(remote.id, remote);
      return new FmfExecutor(remote, { tests });
    },
    aggregator,
    rerun: reruns(1),
  }).run();
  const lost: string[] = [];
  for await (const event of running) {
    const isVictim = event.type === "test-started" &&
      event.test === "/2/victim" && event.attempt === 1;
    if (isVictim) {
      const { pod } = remotes.get(event.remote)!.attributes;
      await kubectl([
        "delete",
        "pod",
        pod!,
        "--wait=false",
        "--grace-period=1",
      ]);
    } else if (event.type === "remote-lost") {
      lost.push(event.error.message);
      remotes.delete(event.remote);
    } else if (event.type === "setup-finished" && lost.length > 0) {
      await Promise.all(
        remotes.values().map((remote) =>
          run(remote, ["touch", "/tmp/replaced"])
        ),
      );
    }
  }
  const { passed, flaky, earlier, handedOut, released, releaseErrors } =
    await running.finished;
  assert.deepEqual(
    { passed, flaky, handedOut, released, releaseErrors },
    { passed: 5, flaky: 1, handedOut: 4, released: 4, releaseErrors: [] },
  );
  assert.match(
    lost.join(),
    /^The pod "[^"]*" is lost: it (is being|was) deleted$/,
  );
  assert.ok(earlier[0]?.error);
  await aggregator.stop();
  const stored = await Array.fromAsync(readResults(results));
  assert.deepEqual(
    stored.map(({ test, status }) => `${test} ${status}`).sort(),
    [...tests.data.keys()].map((test) => `${test} pass`),
  );
});

/** A user's script that has so many pods, with a test running on each. */
class PodsScript extends Script {
  readonly mark: string;

  constructor(options: object, count: number) {
    const mark = `atex-mark-${crypto.randomUUID()}`;
    super("integration/_kind_script.ts", [
      "kubernetes",
      JSON.stringify(options),
      String(count),
      mark,
    ]);
    this.mark = mark;
  }

  get run(): string {
    return JSON.parse(this.lines[0]).run;
  }

  /** The processes of its tests, here and in pods. */
  processes(): Promise<number[]> {
    return processesOf(this.mark, ["cmdline"]);
  }

  /** Waits until there is nothing of it, neither there nor here. */
  async untilGone(): Promise<void> {
    await untilNone("left in the cluster", () => objectsOf(this.run), PATIENCE);
    await untilNone("processes are left", () => this.processes(), PATIENCE);
  }
}

test("pods of a killed script are shown, and go with its lease", async () => {
  const options = await clusterOptions();
  await using dying = new PodsScript(options, 2);
  await using living = new PodsScript(options, 1);
  for (const script of [dying, living]) {
    await until(script.has('{"type":"all"'), PATIENCE);
  }
  const kubernetes = { context: options.context };
  const look = async () =>
    Object.fromEntries(
      (await reap({ kinds: ["lease"], kubernetes, dryRun: true })).map((
        { run, verdict },
      ) => [run, verdict]),
    );
  assert.deepEqual(await look(), {
    [dying.run]: "alive",
    [living.run]: "alive",
  });

  await dying.kill();
  assert.deepEqual(await look(), {
    [dying.run]: "dead",
    [living.run]: "alive",
  });
  assert.equal((await objectsOf(dying.run)).length, 3);
  const { out } = await printed("systems", "k8s:");
  assert.deepEqual(
    out.map((line) => [line.split(" ")[0], / run (\S+) /.exec(line)?.[1]])
      .sort(),
    [["dead", dying.run], ["ours", living.run]],
  );

  const removed = await reap({ kinds: ["lease"], kubernetes });
  assert.deepEqual(
    removed.filter(({ removed }) => removed).map(({ run }) => run),
    [dying.run],
  );
  await dying.untilGone();
  assert.equal((await objectsOf(living.run)).length, 2);
  assert.notDeepEqual(await living.processes(), []);

  await living.kill();
  const events: ProvisionerEvent[] = [];
  await using pool =
    await (await poolWith({ onEvent: (event) => events.push(event) })).start();
  assert.deepEqual(events.map(({ type }) => type), ["reaped"]);
  await living.untilGone();
  await pool.stop();
});

test("a script elsewhere is dead when its lease was not written for long, by the clock of the cluster", async () => {
  await using me = await holdRun("test");
  const { context } = await clusterOptions();
  const look = () =>
    reap({ kinds: ["lease"], kubernetes: { context }, dryRun: true });
  const lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: "atex-elsewhere0-1",
      labels: {
        "app.kubernetes.io/managed-by": "atex",
        "atex.run": "elsewhere0",
      },
      annotations: {
        "atex.owner": formatOwner({ ...me.owner, hostname: "elsewhere" }),
      },
    },
    // Its clock is wrong, and twice ten seconds without a renewal are long.
    spec: {
      leaseDurationSeconds: 10,
      renewTime: "2001-01-01T00:00:00.000000Z",
    },
  };
  await kubectl(["create", "-f-"], JSON.stringify(lease));
  assert.equal((await look())[0].verdict, "alive");
  await until(async () => (await look())[0].verdict === "dead", PATIENCE);
  const patch = JSON.stringify({
    spec: { renewTime: "2001-01-01T00:00:01.000000Z" },
  });
  await kubectl([
    "patch",
    "lease",
    lease.metadata.name,
    "--type=merge",
    `--patch=${patch}`,
  ]);
  assert.equal((await look())[0].verdict, "alive");
  await until(async () => (await look())[0].verdict === "dead", PATIENCE);
  const [{ removed }] = await reap({
    kinds: ["lease"],
    kubernetes: { context },
  });
  assert.equal(removed, true);
});

/** What is wrong, with which options, what is said about it, and whether it is fatal. */
const troubles: [
  string,
  Partial<KubernetesProvisionerOptions>,
  RegExp,
  boolean,
][] = [
  [
    "no place",
    { resources: { requests: { cpu: "1000" } } },
    /it was not scheduled: .*Insufficient cpu/,
    false,
  ],
  [
    "no such image",
    { image: "localhost/no-such:1" },
    /: (ErrImagePull|ImagePullBackOff): /,
    false,
  ],
  ["no name of an image", { image: "A B" }, /: InvalidImageName: /, true],
  [
    "a command that ends",
    { command: ["true"] },
    /it is in phase "Succeeded"/,
    false,
  ],
  [
    "no such command",
    { command: ["/no/such"] },
    /it is in phase "Failed": the container "main" ended with exit code 128: StartError: .*no such file/,
    false,
  ],
  [
    "an image that must not be pulled, of a container beside",
    {
      template: {
        spec: {
          containers: [{ name: "main" }, {
            name: "side",
            image: "localhost/no-such:1",
            imagePullPolicy: "Never",
          }],
        },
      },
    },
    /: the container "side": ErrImageNeverPull: /,
    false,
  ],
  [
    "a command that fails and is started again",
    {
      command: ["false"],
      template: {
        spec: { restartPolicy: "Always", containers: [{ name: "main" }] },
      },
    },
    /: CrashLoopBackOff: .*: the container "main" ended with exit code 1$/,
    false,
  ],
  [
    "a probe that fails",
    {
      reserveTimeout: 10_000,
      template: {
        spec: {
          containers: [{
            name: "main",
            readinessProbe: { exec: { command: ["false"] }, periodSeconds: 1 },
          }],
        },
      },
    },
    /: it is not ready after \d+ s, the container "main" runs, but is not ready$/,
    false,
  ],
  [
    "no quantity",
    { resources: { requests: { cpu: "x" } } },
    /Cannot make the pod/,
    true,
  ],
];

test("a pod that cannot be used is told with its reason", async () => {
  await Promise.all(troubles.map(async ([trouble, options, message, fatal]) => {
    await using pool = await (await poolWith({
      scheduleTimeout: 5000,
      troubleTimeout: 5000,
      ...options,
    })).start();
    pool.provision();
    const error = await rejected(pool.getRemote(), ProvisionError);
    assert.match(error.message, message, trouble);
    assert.equal(error.fatal, fatal, error.message);
  }));
});

/** A command that ends when there is a certain file. */
const UNTIL_TOLD = ["sh", "-c", "until [ -e /tmp/end ]; do sleep 0.1; done"];

/** Pods that go on when the container ends in which commands run. */
const goingOn: [string, KubernetesPodTemplate][] = [
  ["another container", {
    spec: {
      containers: [{ name: "main" }, {
        name: "side",
        image: Deno.env.get("ATEX_TEST_KUBERNETES_IMAGE"),
        command: ["sleep", "1000"],
      }],
    },
  }],
  ["a new one in its place", {
    spec: { restartPolicy: "Always", containers: [{ name: "main" }] },
  }],
];

for (const [what, template] of goingOn) {
  test(`the end of the container in which commands run is a loss, though there is ${what}`, async () => {
    await using pool = await (await poolWith({
      template,
      command: UNTIL_TOLD,
    })).start();
    pool.provision();
    const remote = await pool.getRemote();
    await run(remote, ["touch", "/tmp/end"]);
    assert.match(
      (await remote.lost).message,
      /is lost: the container "main" ended with exit code 0$/,
    );
    await remote.release({ reason: "destroyed" });
  });
}

test("tests whose container ends did not fail, nor do those that come next", async (directory) => {
  const results = { results: `${directory}/r.jsonl`, files: `${directory}/f` };
  await using pool = await (await poolWith({ command: UNTIL_TOLD })).start();
  {
    await using aggregator = await new JsonLinesAggregator(results).start();
    await using run = new AdHocOrchestrator({
      platform: "x",
      tests: ["/before", "/ends", "/after"],
      provisioners: [pool],
      executor: (remote) =>
        new CommandExecutor(remote, {
          tests: {
            "/before": ["true"],
            "/ends": ["sh", "-c", "touch /tmp/end; sleep 1000"],
            "/after": ["sh", "-c", "exit 1"],
          },
          timeout: 60_000,
        }),
      aggregator,
      destructive: () => false,
    }).run();
    await run.finished;
  }
  const statuses: Record<string, string> = {};
  for await (const { test, status } of readResults(results.results)) {
    statuses[test] = `${status}`;
  }
  assert.deepEqual(statuses, {
    "/before": "pass",
    "/ends": "infra",
    "/after": "fail",
  });
});

test("the cluster ends a pod after maxLifetime, and that is a loss", async () => {
  await using pool = await (await poolWith({ maxLifetime: 5000 })).start();
  pool.provision();
  const remote = await pool.getRemote();
  assert.match(
    (await remote.lost).message,
    /it is in phase "Failed": DeadlineExceeded/,
  );
  await remote.release({ reason: "destroyed" });
});

test("stop() at any moment leaves nothing", async () => {
  await Promise.all([0, 500, 2000, 5000].map(async (ms) => {
    const pool = await poolWith({ maxRemotes: 2 });
    const outcome = pool.start().then(async () => {
      pool.provision(2);
      for (;;) await pool.getRemote();
    }).catch(({ name }) => name);
    await new Promise((resolve) => setTimeout(resolve, ms));
    await pool.stop();
    assert.equal(await outcome, "ProvisionerStoppedError");
  }));
});
