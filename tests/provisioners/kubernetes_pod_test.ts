import assert from "node:assert/strict";
import {
  judgePod,
  lossOf,
  podSchema,
} from "../../provisioners/_kubernetes_pod.ts";

const metadata = { name: "p" };
const scheduled = { type: "PodScheduled", status: "True" };
const waiting = (reason: string, name = "main") => [
  { name, state: { waiting: { reason, message: "m" } } },
];

Deno.test("judgePod() tells what a pod is up to", () => {
  const judge = (status: unknown, more = {}) => {
    const pod = podSchema.parse({ metadata: { ...metadata, ...more }, status });
    return judgePod(pod, "main");
  };
  const unsaid = { is: "unscheduled" };
  assert.deepEqual(judge(undefined), unsaid);
  assert.deepEqual(judge({ phase: "Pending", conditions: null }), unsaid);
  assert.deepEqual(
    judge({
      conditions: [{
        type: "PodScheduled",
        status: "False",
        message: "0/3 nodes",
      }],
    }),
    { is: "unscheduled", why: "0/3 nodes" },
  );
  assert.deepEqual(judge({ conditions: [scheduled] }), { is: "coming" });
  assert.deepEqual(
    judge({ conditions: [scheduled, { type: "Ready", status: "False" }] }),
    { is: "coming" },
  );
  assert.deepEqual(
    judge({
      phase: "Running",
      conditions: [scheduled, { type: "Ready", status: "True" }],
    }),
    { is: "ready" },
  );
  for (
    const reason of ["ErrImagePull", "ImagePullBackOff", "CreateContainerError"]
  ) {
    assert.deepEqual(judge({ containerStatuses: waiting(reason) }), {
      is: "troubled",
      why: `${reason}: m`,
    });
  }
  assert.deepEqual(
    judge({
      conditions: [scheduled],
      initContainerStatuses: waiting("ErrImagePull", "first"),
      containerStatuses: waiting("PodInitializing"),
    }),
    { is: "troubled", why: 'the container "first": ErrImagePull: m' },
  );
  // a pod is ready if all of its containers are
  assert.deepEqual(
    judge({
      conditions: [scheduled],
      containerStatuses: waiting("SomethingNew", "side"),
    }),
    { is: "troubled", why: 'the container "side": SomethingNew: m' },
  );
  assert.deepEqual(
    judge({
      containerStatuses: [
        ...waiting("ErrImagePull"),
        ...waiting("ErrImageNeverPull", "side"),
      ],
    }),
    {
      is: "failed",
      why: 'the container "side": ErrImageNeverPull: m',
      fatal: false,
    },
  );
  assert.deepEqual(judge({ containerStatuses: waiting("ErrImageNeverPull") }), {
    is: "failed",
    why: "ErrImageNeverPull: m",
    fatal: false,
  });
  assert.deepEqual(judge({ containerStatuses: waiting("InvalidImageName") }), {
    is: "failed",
    why: "InvalidImageName: m",
    fatal: true,
  });
  assert.deepEqual(
    judge({ phase: "Failed", reason: "Evicted", message: "disk" }),
    {
      is: "failed",
      why: 'it is in phase "Failed": Evicted: disk',
      fatal: false,
    },
  );
  assert.deepEqual(
    judge(
      { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
      { deletionTimestamp: "2026-01-01T00:00:00Z" },
    ),
    { is: "failed", why: "it is being deleted", fatal: false },
  );
});

Deno.test("judgePod() tells of containers that ended, or run and are not ready", () => {
  const judge = (restartPolicy: string, containers: object[], more = {}) => {
    const containerStatuses = containers.map((container, index) => ({
      name: ["main", "side"][index],
      ...container,
    }));
    const conditions = [scheduled];
    const status = { conditions, containerStatuses, ...more };
    return judgePod(
      podSchema.parse({ metadata, spec: { restartPolicy }, status }),
      "main",
    );
  };
  const runs = { state: { running: { startedAt: "now" } } };
  const ended = (exitCode: number) => ({
    terminated: { exitCode, reason: exitCode ? "Error" : "Completed" },
  });
  const why = 'the container "main" ended with exit code 1';
  const failed = { is: "failed", why, fatal: false };
  const troubled = { is: "troubled", why };
  const both = [{ state: ended(1) }, { ...runs, ready: true }];
  assert.deepEqual(judge("Never", both), failed);
  assert.deepEqual(judge("OnFailure", both), troubled);
  assert.deepEqual(judge("Always", both), troubled);
  assert.deepEqual(
    judge("OnFailure", [{ ...runs, ready: true }, { state: ended(0) }]),
    {
      is: "failed",
      why: 'the container "side" ended with exit code 0',
      fatal: false,
    },
  );
  const state = { waiting: { reason: "CrashLoopBackOff", message: "10s" } };
  assert.deepEqual(
    judge("Always", [{ state, lastState: ended(1), restartCount: 1 }]),
    { is: "troubled", why: `CrashLoopBackOff: 10s: ${why}` },
  );
  assert.deepEqual(judge("Always", [{ ...runs, ready: false }]), {
    is: "coming",
    why: 'the container "main" runs, but is not ready',
  });
  for (const [restartCount, times] of [[1, "once"], [2, "2 times"]] as const) {
    assert.deepEqual(
      judge("Always", [{ ...runs, ready: false, restartCount }]),
      {
        is: "coming",
        why: `the container "main" runs, restarted ${times}, but is not ready`,
      },
    );
  }
  const message = "the status of its gate is unknown";
  const ready = { type: "Ready", status: "False", message };
  assert.deepEqual(
    judge("Never", [{ ...runs, ready: true }], {
      conditions: [scheduled, ready],
    }),
    { is: "coming", why: message },
  );
});

Deno.test("lossOf() tells that the container ended in which commands run", () => {
  const loss = (container: object, restarts = 0) =>
    lossOf(
      podSchema.parse({
        metadata,
        status: {
          phase: "Running",
          containerStatuses: [
            { name: "side", restartCount: 7, state: { terminated } },
            { name: "main", ...container },
          ],
        },
      }),
      "main",
      restarts,
    );
  const terminated = { exitCode: 137, reason: "OOMKilled" };
  const why = 'the container "main" ended with exit code 137: OOMKilled';
  assert.equal(loss({ state: { running: {} }, restartCount: 0 }), undefined);
  assert.equal(loss({ state: { terminated } }), why);
  const again = { state: { running: {} }, restartCount: 2 };
  assert.equal(loss(again, 2), undefined);
  assert.equal(loss(again, 1), 'the container "main" was started again');
  assert.equal(loss({ ...again, lastState: { terminated } }, 1), why);
});

Deno.test("lossOf() tells why a pod that ran is lost", () => {
  const loss = (status: unknown, more = {}) =>
    lossOf(
      podSchema.parse({ metadata: { ...metadata, ...more }, status }),
      "main",
      0,
    );
  assert.equal(loss({ phase: "Running" }), undefined);
  assert.equal(loss({}), undefined);
  assert.equal(
    loss({ phase: "Failed", reason: "Evicted" }),
    'it is in phase "Failed": Evicted',
  );
  assert.equal(
    loss({ phase: "Running" }, { deletionTimestamp: "2026-01-01T00:00:00Z" }),
    "it is being deleted",
  );
  const ended = (...ends: unknown[]) =>
    loss({
      phase: "Failed",
      containerStatuses: ends.map((terminated, index) => ({
        name: `c${index}`,
        state: { terminated },
      })),
    });
  assert.equal(
    ended(
      { exitCode: 137, reason: "OOMKilled" },
      { exitCode: 0, reason: "Completed" },
      { exitCode: 1, reason: "Error", message: "m" },
    ),
    'it is in phase "Failed": the container "c0" ended with exit code 137: OOMKilled; the container "c2" ended with exit code 1: m',
  );
  assert.equal(ended(undefined), 'it is in phase "Failed"');
  const terminated = { exitCode: 3, reason: "Error", message: "no disk" };
  assert.equal(
    loss({
      phase: "Failed",
      initContainerStatuses: [{ name: "init", state: { terminated } }],
      containerStatuses: waiting("PodInitializing"),
    }),
    'it is in phase "Failed": the container "init" ended with exit code 3: no disk',
  );
});
