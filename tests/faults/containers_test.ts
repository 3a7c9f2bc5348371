/** What happens to containers in real labs: they are killed, they hang, their client is killed. */
import { deepStrictEqual, match, ok } from "node:assert/strict";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import {
  cannotRun,
  freeze,
  imageName,
  podman,
  podmanMissing,
} from "../_podman.ts";
import { firstError, suffer } from "./_suffer.ts";

const ignore = cannotRun("faults of containers", podmanMissing());

const FAULTS: [
  what: string,
  fault: (container: string) => Promise<unknown>,
  said: RegExp,
  duration: string,
][] = [
  [
    "is killed",
    (container) => podman("kill", "--signal=KILL", container),
    /wrapper unexpectedly exited|vanish|cancel requested/,
    "30",
  ],
  [
    "hangs",
    freeze,
    /test duration timeout reached/,
    "4",
  ],
  [
    "has all of its processes stopped",
    async (container) => {
      const pids = await podman("top", container, "hpid");
      for (const pid of pids.split("\n").slice(1)) {
        Deno.kill(Number(pid), "SIGSTOP");
      }
    },
    /test duration timeout reached/,
    "4",
  ],
];

Deno.test({
  name:
    "a test whose container is killed or hangs is run again, and nothing is lost",
  ignore,
  async fn() {
    const outcomes = await Promise.allSettled(
      FAULTS.map(async ([what, fault, said, duration]) => {
        await using pool = await new PodmanProvisioner({
          image: imageName("tiny"),
          maxRemotes: 2,
          runOptions: ["--network=none"],
        }).start();
        const hit: string[] = [];
        const outcome = await suffer({
          provisioners: [pool],
          duration,
          fault: async (_remote, { container }) => {
            hit.push(container);
            await fault(container);
          },
        }).catch((error) => {
          throw new Error(`it ${what}: ${Deno.inspect(error)}`);
        });
        match(firstError(outcome), said, what);
        await pool.stop();
        const left = await podman("ps", "-a", "--format={{.Names}}");
        deepStrictEqual(
          left.split("\n").filter((name) => hit.includes(name)),
          [],
          what,
        );
      }),
    );
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
    ok(outcomes.length === FAULTS.length);
  },
});
