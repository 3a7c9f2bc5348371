/** Commands of tests that are functions, on every kind of connection: what is left of them. */
import assert from "node:assert/strict";
import { FunctionExecutor } from "../../executors/function.ts";
import { processesWith } from "../executors/fmf/_wrapped.ts";
import { until } from "../_wait.ts";
import { transports } from "./_transports.ts";

for (const { name, ignore, open } of transports) {
  Deno.test({
    name: `exec() leaves nothing running on the system: ${name}`,
    ignore,
    async fn(t) {
      await using system = await open();
      const mark = crypto.randomUUID();
      const env = { ATEX_TEST_MARK: mark };
      const left = () => processesWith(`ATEX_TEST_MARK=${mark}`);
      const slow = ["sh", "-c", "sleep 1000 & wait"];
      await using executor = await new FunctionExecutor(system.connection, {
        tests: {
          "over time": {
            timeout: 500,
            test: ({ exec }) => exec(slow, { env }),
          },
          "not waited for": async ({ exec }) => {
            void exec(slow, { env });
            await until(() => left().length > 0);
          },
          "given up": async ({ exec }) => {
            // more than a server of ssh lets run at once
            for (let round = 0; round < 2; round++) {
              const end = new AbortController();
              const outcomes = Array.from(
                { length: 6 },
                () => exec(slow, { env, signal: end.signal }),
              );
              await until(() => left().length >= 6);
              end.abort();
              for (const outcome of outcomes) await assert.rejects(outcome);
              await until(() => left().length === 0);
            }
            await exec(["true"]);
          },
          "ended": ({ exec }) => exec(["sh", "-c", "echo out; echo err >&2"]),
        },
      }).start();
      for (
        const [test, expected] of Object.entries({
          "over time": "timeout",
          "not waited for": 0,
          "given up": 0,
          "ended": 0,
        })
      ) {
        await t.step(test, async () => {
          const artifacts = await Deno.makeTempDir({ prefix: "atex-test-" });
          try {
            const end = await executor.runTest(test, artifacts)
              .catch((error) => error.reason);
            assert.equal(end, expected);
            await until(() => left().length === 0);
            if (test !== "ended") return;
            const output = `${artifacts}/files/output.txt`;
            assert.equal(await Deno.readTextFile(output), "out\nerr\n");
          } finally {
            await Deno.remove(artifacts, { recursive: true });
          }
        });
      }
    },
  });
}
