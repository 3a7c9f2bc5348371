/** KubernetesProvisioner with the real kubectl, and an API server of ours. */
import assert from "node:assert/strict";
import { KubernetesConnection } from "../../connections/kubernetes.ts";
import { formatOwner } from "../../connections/ownership.ts";
import { run } from "../../connections/process.ts";
import { holdRun } from "../../provisioners/_run.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  KubernetesProvisioner,
  type KubernetesProvisionerOptions,
} from "../../provisioners/kubernetes.ts";
import type { ProvisionError } from "../../provisioners/provisioner.ts";
import { reap } from "../../provisioners/reap.ts";
import {
  cannotRun,
  type Json,
  kubectlMissing,
  KubernetesServer,
  type Pod,
  refuse,
} from "../_kubernetes.ts";
import { rejected } from "../_thrown.ts";
import { processesWith, until } from "../_wait.ts";
import { runHello } from "./_hello.ts";

const ignore = cannotRun(
  "integration/provisioner_kubernetes",
  kubectlMissing(),
);

function poolOn(
  server: KubernetesServer,
  options: Partial<KubernetesProvisionerOptions> = {},
): KubernetesProvisioner {
  return new KubernetesProvisioner({
    image: "fedora:42",
    ...server.options,
    ...options,
  });
}

/** A test with a server, after which no kubectl and no object is left. */
function test(
  name: string,
  fn: (server: KubernetesServer, events: ProvisionerEvent[]) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      await using server = await KubernetesServer.start();
      await fn(server, []);
      assert.deepEqual([...server.leases.keys()], []);
      assert.deepEqual([...server.configMaps.keys()], []);
      assert.deepEqual([...server.pods.keys()], []);
      assert.deepEqual(
        await processesWith(`--kubeconfig=${server.kubeconfig}`),
        [],
      );
    },
  });
}

test("a pod is lent, runs fmf tests, and is gone when it is given back", async (server) => {
  await using pool = await poolOn(server, {
    resources: { requests: { cpu: "1" } },
  }).start();
  pool.provision(1);
  const remote = await pool.getRemote();
  const [pod] = server.pods.values();
  const [lease] = server.leases.values();
  assert.match(remote.id, /^kubernetes:\d+$/);
  assert.deepEqual(remote.attributes, {
    image: "fedora:42",
    pod: pod.metadata.name,
  });
  assert.deepEqual([remote.reusable, remote.canReboot], [false, false]);
  assert.match(pod.metadata.name, /^atex-[a-z0-9]{10}-\d+$/);
  assert.deepEqual(pod.metadata.ownerReferences, [{
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    name: lease.metadata.name,
    uid: lease.metadata.uid,
  }]);
  assert.deepEqual(pod.spec, {
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    activeDeadlineSeconds: 86400,
    containers: [{
      name: "main",
      image: "fedora:42",
      command: [
        "sh",
        "-c",
        "while :; do sleep 86400 & wait $! || [ $? -gt 128 ] || exit; done",
      ],
      resources: { requests: { cpu: "1" } },
    }],
  });
  assert.equal(lease.spec.leaseDurationSeconds, 120);

  await runHello(remote);
  await remote.release();
  assert.deepEqual([...server.pods.keys()], []);
});

test("as many pods as maxRemotes allows, all gone after stop()", async (server) => {
  const pool = await poolOn(server, { maxRemotes: 3 }).start();
  pool.provision(Infinity);
  const remotes = [await pool.getRemote(), await pool.getRemote()];
  assert.equal(await run(remotes[0], ["echo", "x"]), "x\n");
  await remotes[0].release();
  await pool.getRemote();
  await pool.stop();
  assert.ok(server.most <= 3);
});

test("what keeps a container alive ends where there is no sleep", async (server) => {
  await using pool = await poolOn(server).start();
  pool.provision();
  await using _remote = await pool.getRemote();
  const [pod] = server.pods.values();
  const [, ...args] = pod.spec.containers[0].command;
  const { code } = await new Deno.Command("/bin/sh", {
    args,
    env: { PATH: server.directory },
    signal: AbortSignal.timeout(10_000),
  }).output();
  assert.equal(code, 1);
});

test("a template is used, with what the provisioner adds", async (server) => {
  await using pool = await poolOn(server, {
    image: undefined,
    maxLifetime: Infinity,
    template: {
      metadata: { labels: { team: "a" }, annotations: { note: "b" } },
      spec: {
        restartPolicy: "Always",
        containers: [
          { name: "side", image: "proxy" },
          { name: "main", image: "own", command: ["init"] },
        ],
      },
    },
  }).start();
  assert.equal(pool.name, "kubernetes:own");
  pool.provision();
  await pool.getRemote();
  const [{ metadata, spec }] = server.pods.values();
  assert.equal(metadata.labels.team, "a");
  assert.equal(metadata.labels["app.kubernetes.io/managed-by"], "atex");
  assert.deepEqual(metadata.annotations, { note: "b" });
  assert.equal(spec.restartPolicy, "Always");
  assert.equal("activeDeadlineSeconds" in spec, false);
  assert.deepEqual(spec.containers, [
    { name: "side", image: "proxy" },
    { command: ["init"], name: "main", image: "own" },
  ]);
});

const waiting = (reason: string, message: string) => ({
  phase: "Pending",
  conditions: [{ type: "PodScheduled", status: "True" }],
  containerStatuses: [{
    name: "main",
    state: { waiting: { reason, message } },
  }],
});

const failures: [string, unknown, RegExp, boolean][] = [
  [
    "a name that is none",
    waiting("InvalidImageName", "no such name"),
    /: InvalidImageName: no such name$/,
    true,
  ],
  [
    "a missing secret",
    waiting("CreateContainerConfigError", "secret x"),
    /: CreateContainerConfigError: secret x$/,
    false,
  ],
  [
    "an image that is not there and must not be pulled",
    waiting("ErrImageNeverPull", "x"),
    /: ErrImageNeverPull: x$/,
    false,
  ],
  [
    "a command that ends again and again",
    waiting("CrashLoopBackOff", "back-off 10s"),
    /: CrashLoopBackOff: back-off 10s$/,
    false,
  ],
  [
    "a probe that fails",
    {
      phase: "Running",
      conditions: [{ type: "PodScheduled", status: "True" }],
      containerStatuses: [{
        name: "main",
        ready: false,
        state: { running: {} },
      }],
    },
    /: it is not ready after 1 s, the container "main" runs, but is not ready$/,
    false,
  ],
  [
    "an image that cannot be pulled",
    waiting("ErrImagePull", "denied"),
    /: ErrImagePull: denied$/,
    false,
  ],
  [
    "a command that ended",
    { phase: "Succeeded" },
    /: it is in phase "Succeeded"$/,
    false,
  ],
  [
    "an eviction",
    { phase: "Failed", reason: "Evicted", message: "disk" },
    /: it is in phase "Failed": Evicted: disk$/,
    false,
  ],
  [
    "no place",
    {
      phase: "Pending",
      conditions: [{
        type: "PodScheduled",
        status: "False",
        message: "0/3 nodes",
      }],
    },
    /it is not ready after 0 s, it was not scheduled: 0\/3 nodes$/,
    false,
  ],
  [
    "silence",
    {
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "True" }],
    },
    /it is not ready after 1 s$/,
    false,
  ],
];

for (const [name, status, message, fatal] of failures) {
  test(`a pod fails early because of ${name}`, async (server) => {
    server.onCreate = (pod) =>
      server.later(5, () => server.update(pod, status));
    await using pool = await poolOn(server, {
      scheduleTimeout: 300,
      troubleTimeout: 300,
      reserveTimeout: 1000,
    }).start();
    pool.provision();
    const error = await rejected(pool.getRemote(), Error, "Cannot use the pod");
    assert.match(error.message, message);
    assert.equal((error as ProvisionError).fatal, fatal);
  });
}

test("why a pod is not there yet is told when it begins or changes", async (server) => {
  const unscheduled = (message?: string) => ({
    phase: "Pending",
    conditions: [{ type: "PodScheduled", status: "False", message }],
  });
  const statuses = [
    unscheduled(),
    unscheduled("0/3 nodes"),
    unscheduled("0/3 nodes"),
    unscheduled("0/4 nodes"),
    waiting("ErrImagePull", "denied"),
  ];
  server.onCreate = (pod) => {
    statuses.forEach((status, index) =>
      server.later(50 * index, () => server.update(pod, status))
    );
    server.later(50 * statuses.length, () => server.ready(pod));
  };
  const events: ProvisionerEvent[] = [];
  await using pool = await poolOn(server, {
    onEvent: (event) => events.push(event),
  }).start();
  pool.provision();
  const { id } = await pool.getRemote();
  assert.deepEqual(
    events.filter(({ type }) => type === "waiting"),
    [
      "it was not scheduled: 0/3 nodes",
      "it was not scheduled: 0/4 nodes",
      "ErrImagePull: denied",
    ].map((reason) => ({ type: "waiting", id, reason })),
  );
});

test("a pod that is deleted before it is ready is a failure", async (server) => {
  server.onCreate = (pod) =>
    server.later(5, () => server.remove("pods", pod.metadata.name));
  await using pool = await poolOn(server).start();
  pool.provision();
  const error = await rejected(pool.getRemote(), Error);
  assert.match(
    error.message,
    /^Cannot use the pod "atex-[a-z0-9]{10}-\d+": it was deleted$/,
  );
  assert.equal((error as ProvisionError).fatal, false);
});

test("trouble that passes is no failure", async (server) => {
  server.onCreate = (pod) => {
    const steps = ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"];
    steps.forEach((reason, index) =>
      server.later(20 * index, () => server.update(pod, waiting(reason, "x")))
    );
    server.later(200, () => server.ready(pod));
  };
  await using pool = await poolOn(server).start();
  pool.provision();
  await run(await pool.getRemote(), ["true"]);
});

test("what the cluster refuses is fatal if the pod itself is wrong", async (server) => {
  const refused = [
    [403, "Forbidden", "exceeded quota: pods", false],
    [422, "Invalid", 'Pod "x" is invalid: spec', true],
    [400, "BadRequest", 'unknown field "spec.x"', true],
    [401, "Unauthorized", "Unauthorized", true],
  ] as const;
  for (const [code, reason, text, fatal] of refused) {
    await using pool = await poolOn(server).start();
    server.fail("POST", "/pods", refuse(code, reason, text));
    pool.provision();
    const error = await rejected(
      pool.getRemote(),
      Error,
      "Cannot make the pod",
    );
    assert.equal((error as ProvisionError).fatal, fatal, error.message);
    await pool.stop();
  }
});

test("start() says what is wrong with kubectl or the cluster", async (server) => {
  await assert.rejects(
    poolOn(server, { kubectl: ["no-such-kubectl"] }).start(),
    { fatal: true, message: /the program "no-such-kubectl" is not installed/ },
  );
  await assert.rejects(
    poolOn(server, { context: "other" }).start(),
    {
      fatal: true,
      message: /^Cannot use Kubernetes: .*context .*other/,
    },
  );
  await assert.rejects(
    poolOn(server, { namespace: "elsewhere" }).start(),
    { fatal: true, message: /^Cannot make an owner for pods: .*NotFound/ },
  );
  assert.ok(server.calls.some((call) => call.includes("/elsewhere/leases")));
  server.fail("POST", "/leases", refuse(500, "InternalError", "broken"));
  await assert.rejects(
    poolOn(server).start(),
    { fatal: true, message: /^Cannot make an owner for pods: .*broken/ },
  );
});

test("a ConfigMap owns the pods where leases are forbidden", async (server) => {
  server.fail("GET", "/leases", refuse(403, "Forbidden", "no leases"));
  server.fail("POST", "/leases", refuse(403, "Forbidden", "no leases"));
  await using pool = await poolOn(server, { renewInterval: 100 }).start();
  pool.provision();
  await pool.getRemote();
  const [map] = server.configMaps.values();
  const [pod] = server.pods.values();
  assert.equal(pod.metadata.ownerReferences[0].kind, "ConfigMap");
  const first = map.metadata.annotations["atex.renewed"];
  await until(() => map.metadata.annotations["atex.renewed"] !== first);
  await pool.stop();
  assert.equal(server.configMaps.size, 0);
});

test("the lease is renewed every 40 seconds if nothing else is said", async (server) => {
  const { setTimeout } = globalThis;
  const times: unknown[] = [];
  globalThis.setTimeout = ((callback: () => void, ms?: number) => {
    times.push(ms);
    return setTimeout(callback, ms);
  }) as typeof setTimeout;
  try {
    await using _pool = await poolOn(server).start();
    assert.ok(times.includes(40_000), `${times}`);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

test("the lease is renewed", async (server) => {
  await using pool = await poolOn(server, { renewInterval: 100 }).start();
  const [lease] = server.leases.values();
  const first = lease.spec.renewTime;
  assert.match(first, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  server.fail("PATCH", "/leases", refuse(500, "InternalError", "x"));
  await until(() => lease.spec.renewTime !== first);
  await pool.stop();
});

for (const kind of ["leases", "configmaps"] as const) {
  test(
    `an owner in ${kind} that somebody deletes is told of, and another takes its place`,
    async (server, events) => {
      if (kind === "configmaps") {
        const text = "leases is forbidden: User cannot create resource";
        server.fail("POST", "/leases", refuse(403, "Forbidden", text));
      }
      const owners = kind === "leases" ? server.leases : server.configMaps;
      const onEvent = (event: ProvisionerEvent) => void events.push(event);
      await using pool = await poolOn(server, { renewInterval: 100, onEvent })
        .start();
      const [[name, deleted]] = owners;
      pool.provision();
      const remote = await pool.getRemote();
      server.remove(kind, name);
      await remote.lost;
      await until(() => events.some(({ type }) => type === "warning"));
      // By now leases may be allowed.
      const [owner] = [
        ...server.leases.values(),
        ...server.configMaps.values(),
      ];
      pool.provision();
      const { attributes } = await pool.getRemote();
      const { metadata } = server.pods.get(attributes.pod!)!;
      assert.equal(metadata.ownerReferences[0].uid, owner.metadata.uid);
      assert.deepEqual(
        events.flatMap((event) =>
          event.type === "warning" ? [event.error.message] : []
        ),
        [`The ${deleted.kind} "${name}" was deleted, and its pods are deleted with it: another takes its place`],
      );
    },
  );
}

const losses: [string, (server: KubernetesServer, pod: Pod) => void, RegExp][] =
  [
    [
      "deleted",
      (server, pod) => server.remove("pods", pod.metadata.name),
      /: it was deleted$/,
    ],
    [
      "evicted",
      (server, pod) =>
        server.update(pod, { phase: "Failed", reason: "Evicted" }),
      /: it is in phase "Failed": Evicted$/,
    ],
    [
      "deleted while nobody watches",
      (server, pod) => {
        server.endWatches();
        server.remove("pods", pod.metadata.name);
      },
      /: it was deleted$/,
    ],
  ];

for (const [name, lose, message] of losses) {
  test(`a pod that is ${name} is lost`, async (server) => {
    await using pool = await poolOn(server).start();
    pool.provision();
    const remote = await pool.getRemote();
    const [pod] = server.pods.values();
    lose(server, pod);
    assert.match((await remote.lost).message, message);
    await remote.release({ reason: "destroyed" });
  });
}

test("a watch that ends goes on, and nothing is missed", async (server) => {
  await using pool = await poolOn(server).start();
  await until(() => server.watches === 1);
  server.onCreate = (pod) => {
    server.endWatches();
    server.later(5, () => server.ready(pod));
  };
  pool.provision();
  const remote = await pool.getRemote();
  server.endWatches();
  await remote.release();
  assert.equal(server.pods.size, 0);
});

test("pods are seen although they cannot be watched", async (server) => {
  const { kubectl } = server.options;
  const script = 'case " $* " in *" --watch "*) exit 1;; esac; exec "$0" "$@"';
  await using pool = await poolOn(server, {
    kubectl: ["sh", "-c", script, ...kubectl],
    reserveTimeout: 20_000,
  }).start();
  pool.provision();
  const remote = await pool.getRemote();
  await remote.release();
});

test("a kubeconfig may be a URL", async (server) => {
  const kubeconfig = new URL(`file://${server.kubeconfig}`);
  await using pool = await poolOn(server, { kubeconfig }).start();
  pool.provision();
  await using remote = await pool.getRemote();
  assert.equal(await run(remote, ["echo", "there"]), "there\n");
  await using connection = await KubernetesConnection.open({
    ...server.options,
    kubeconfig,
    pod: remote.attributes.pod!,
  });
  assert.equal(await run(connection, ["echo", "too"]), "too\n");
});

test("a kubeconfig may be relative to the script's directory", async (server) => {
  const before = Deno.cwd();
  Deno.chdir(server.directory);
  try {
    await using pool = await poolOn(server, { kubeconfig: "./config" }).start();
    await until(() => server.watches === 1);
    await pool.stop();
  } finally {
    Deno.chdir(before);
  }
});

test("a pod that does not go away keeps its place, and is told", async (server) => {
  const pool = await poolOn(server, { deleteTimeout: 300, maxRemotes: 1 })
    .start();
  pool.provision();
  const remote = await pool.getRemote();
  server.deletion = Infinity;
  const { name } = server.pods.values().next().value!.metadata;
  await assert.rejects(remote.release(), {
    message: `Cannot delete the pod "${name}": it is still there after 0.3 s`,
  });
  pool.provision();
  await rejected(pool.getRemote(), Error, "could not be given back");
  await pool.stop();
  assert.equal(server.pods.size, 0); // with their owner
});

/** Adds an owner with a pod, renewed so many seconds ago by the clock of the server. */
function addOwner(
  server: KubernetesServer,
  run: string,
  owner: string,
  age: number,
  kind: "leases" | "configmaps" = "leases",
): Json {
  const lease = server.add(kind, {
    metadata: {
      name: `atex-${run}-1`,
      labels: { "app.kubernetes.io/managed-by": "atex", "atex.run": run },
      annotations: { "atex.owner": owner },
    },
    ...(kind === "leases" && {
      spec: {
        leaseDurationSeconds: 120,
        renewTime: new Date(Date.now() - age * 1000).toISOString(),
      },
    }),
  });
  lease.metadata.managedFields[0].time = server.time(age * 1000);
  server.add("pods", {
    metadata: {
      name: `atex-${run}-2`,
      ownerReferences: [{ uid: lease.metadata.uid }],
    },
    spec: {},
  });
  return lease;
}

/** Of owners, by run. */
async function verdicts(
  server: KubernetesServer,
): Promise<Record<string, string>> {
  const looked = await reap({
    kinds: ["lease"],
    kubernetes: server.options,
    dryRun: true,
  });
  return Object.fromEntries(
    looked.map(({ run, verdict }) => [run, verdict]),
  );
}

test("start() removes what dead scripts own, and no more", async (server) => {
  await using me = await holdRun("test");
  const dead = formatOwner({ ...me.owner, pid: "1", startTime: "1" });
  const elsewhere = dead.replace(/[^/]*$/, "other");
  addOwner(server, "deadhere00", dead, 0);
  addOwner(server, "deadthere0", elsewhere, 250);
  addOwner(server, "alivethere", elsewhere, 200);
  addOwner(server, "deadmap000", elsewhere, 250, "configmaps");
  addOwner(server, "alivemap00", elsewhere, 200, "configmaps");
  addOwner(server, me.id, formatOwner(me.owner), 9999);
  server.add("leases", { metadata: { name: "somebody-elses" }, spec: {} });
  assert.deepEqual(await verdicts(server), {
    deadhere00: "dead",
    deadthere0: "dead",
    alivethere: "alive",
    deadmap000: "dead",
    alivemap00: "alive",
    [me.id]: "alive",
  });
  assert.equal(server.leases.size, 5);
  const [removed] = await reap({
    kinds: ["lease"],
    kubernetes: server.options,
    run: "deadhere00",
  });
  assert.equal(removed.removed, true);
  assert.equal(server.leases.size, 4);
  addOwner(server, "deadhere00", dead, 0);
  const events: ProvisionerEvent[] = [];
  await using pool = await poolOn(server, { onEvent: (e) => events.push(e) })
    .start();
  await pool.stop();
  assert.deepEqual(
    [...server.leases.keys()].sort(),
    ["atex-alivethere-1", `atex-${me.id}-1`, "somebody-elses"].sort(),
  );
  assert.deepEqual(
    events.map((event) => event.type === "reaped" && event.name).sort(),
    ["atex-deadhere00-1", "atex-deadmap000-1", "atex-deadthere0-1"],
  );
  assert.deepEqual([...server.configMaps.keys()], ["atex-alivemap00-1"]);
  assert.equal(server.pods.size, 3);
  server.remove("configmaps", "atex-alivemap00-1");
  for (const name of [...server.leases.keys()]) server.remove("leases", name);
});

test("what owners elsewhere have is judged by the clock of the cluster only", async (server) => {
  await using me = await holdRun("test");
  const owner = formatOwner({ ...me.owner, bootId: "b", machine: "other" });
  const fromNow = (ms: number) => new Date(Date.now() + ms).toISOString();
  for (const ahead of [-7_200_000, 7_200_000]) { // of ours
    server.ahead = ahead;
    const alive = addOwner(server, "alive00000", owner, 200);
    alive.spec.renewTime = fromNow(-9_000_000); // its clock is behind
    const dead = addOwner(server, "dead000000", owner, 250);
    dead.spec.renewTime = fromNow(9_000_000);
    const silent = addOwner(server, "silent0000", owner, 250);
    delete silent.metadata.managedFields;
    assert.deepEqual(await verdicts(server), {
      alive00000: "alive",
      dead000000: "dead",
      silent0000: "unknown",
    });
  }
  // Where we may not ask for the time, what is old is not known to be.
  const forbidden = refuse(403, "Forbidden", "no");
  for (const part of ["/leases", "/configmaps"]) {
    server.fail("POST", part, forbidden);
  }
  assert.equal((await verdicts(server)).dead000000, "unknown");
  for (const name of [...server.leases.keys()]) server.remove("leases", name);
});

/** The `kubectl create` that is under way. */
async function creating(server: KubernetesServer): Promise<number> {
  const ours = await processesWith(`--kubeconfig=${server.kubeconfig}`);
  const [pid] = (await processesWith("create"))
    .filter((pid) => ours.includes(pid));
  return pid;
}

test("a pod that comes after its kubectl create was killed is deleted", async (server) => {
  const late = Promise.withResolvers<void>();
  server.fail("POST", "/pods", async (request) => {
    const pod = await request.json();
    Deno.kill(await creating(server), "SIGKILL");
    await late.promise;
    return Response.json(server.add("pods", pod), { status: 201 });
  });
  await using pool = await poolOn(server).start();
  pool.provision();
  await rejected(pool.getRemote(), Error, "Cannot make the pod");
  assert.equal(server.pods.size, 0);
  late.resolve(); // nothing was there to be deleted
  await until(() => server.most === 1);
  await until(() => server.pods.size === 0);
  assert.equal(server.leases.size, 1);
  pool.provision();
  await pool.getRemote();
  await pool.stop();
});

test("an owner that comes after its kubectl create was killed is deleted", async (server) => {
  let made = false;
  server.fail("POST", "/leases", async (request) => {
    const lease = await request.json();
    server.fail("DELETE", "/leases/", (request) => {
      server.later(50, () => made = server.add("leases", lease));
      return refuse(404, "NotFound", "it is not there yet")(request);
    });
    Deno.kill(await creating(server), "SIGKILL");
    return new Response();
  });
  await assert.rejects(poolOn(server).start(), {
    message: "Cannot make an owner for pods: exit code 137",
  });
  assert.ok(made);
  assert.equal(server.leases.size, 0);
});

test("stop() at any moment leaves nothing", async (server) => {
  for (let round = 0; round < 12; round++) {
    const pool = poolOn(server, { maxRemotes: 3 });
    const outcome = pool.start().then(async () => {
      pool.provision(3);
      for (;;) await pool.getRemote();
    }).catch(({ name }) => name);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1200));
    await pool.stop();
    assert.equal(await outcome, "ProvisionerStoppedError");
    await until(() => server.pods.size === 0);
    assert.equal(server.leases.size, 0);
  }
});

Deno.test("KubernetesProvisioner refuses options that cannot be used", () => {
  const make = (options: KubernetesProvisionerOptions) => () =>
    new KubernetesProvisioner(options);
  const two = [{ name: "a" }, { name: "b" }];
  for (
    const [options, error] of [
      [{}, /^TypeError: .*"image" must be the name/],
      [{ image: "" }, /^TypeError: .*"image"/],
      [{ image: "x", command: [] }, /^TypeError: .*"command"/],
      [{ image: "x", kubectl: [] }, /^TypeError: .*"kubectl"/],
      [
        { image: "x", template: { spec: { containers: two } } },
        /^TypeError: .*named "main"/,
      ],
      [{ image: "x", maxRemotes: -1 }, /^RangeError: .*"maxRemotes"/],
      [{ image: "x", maxLifetime: 0 }, /^RangeError: .*"maxLifetime"/],
      [
        { image: "x", deleteTimeout: "1" as unknown as number },
        /^TypeError: Cannot use a string as "deleteTimeout": a positive number/,
      ],
      [
        { image: "x", renewInterval: 120_001 },
        /^RangeError: .*"renewInterval": .* at most 120000/,
      ],
    ] as const
  ) assert.throws(make(options), error);
  const pool = make({ image: "x" })();
  assert.deepEqual([pool.name, pool.maxRemotes], ["kubernetes:x", 20]);
});
