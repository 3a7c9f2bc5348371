/**
 * Measures what tests that do nothing for a while cost the controller:
 *
 *     bench/executor_idle.ts [--tests K] [--seconds N] [--against COMMAND] [--pairs N]
 *
 * Without options: 100 sleeping tests on this system, watched for 10 s.
 */
import { limited } from "./_goals.ts";
import { writeHundred } from "./_hundred.ts";
import { measureOnce } from "./_once.ts";
import { benchmark } from "./_program.ts";

await benchmark({
  name: "executor_idle",
  defaults: { tests: 100, seconds: 10 },
  prepare({ tests, seconds }, { directory }) {
    const tree = `${directory}/tree`;
    writeHundred(tree, "sleep 600", 1);
    const run = (tests: number) =>
      measureOnce("./_executor_idle_once.ts", [
        tree,
        directory,
        tests,
        seconds,
      ]);
    return {
      warm: false,
      theirs: ["--tree", tree],
      ours: async () => ({ n: tests, ...await run(tests) }),
      async goals(measured) {
        const none = await run(0);
        return {
          goals: [
            limited(2, {
              what: "wake-ups in a second, beyond those of no test",
              value: (measured.wakeups_per_s as number) -
                (none.wakeups_per_s as number),
              unit: "",
            }),
          ],
        };
      },
    };
  },
});
