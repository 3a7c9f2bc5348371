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
    { is: "troubled", why: "ErrImagePull: m" },
  );
  assert.deepEqual(
    judge({
      conditions: [scheduled],
      containerStatuses: waiting("ErrImagePull", "side"),
    }),
    { is: "coming" },
  );
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

Deno.test("lossOf() tells why a pod that ran is lost", () => {
  const loss = (status: unknown, more = {}) =>
    lossOf(podSchema.parse({ metadata: { ...metadata, ...more }, status }));
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
