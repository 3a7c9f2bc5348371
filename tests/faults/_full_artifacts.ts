/** Runs tests whose output fills the disk of their artifacts; prints what came of each. */
import { run } from "../../connections/process.ts";
import { LocalConnection } from "../../connections/local.ts";
import { CommandExecutor } from "../../executors/command.ts";
import { type Executor, TestAbortedError } from "../../executors/executor.ts";
import { FmfExecutor } from "../../executors/fmf/mod.ts";
import { FunctionExecutor } from "../../executors/function.ts";

const [disk] = Deno.args as [string];
const FILL = "head -c 2000000 /dev/zero";
const REPORT =
  `atex-report-result part PASS; until [ -s ${disk}/artifacts/results ]; do sleep 0.01; done; set +e`;

await using here = await LocalConnection.open();
const fmf: Record<string, string> = {
  // in the same block there is room for one more result
  "a test that passes": `${REPORT}; ${FILL}; exit 0`,
  "a test that fails by it": `${REPORT}; ${FILL} || exit 1; exit 1`,
  "a test that stands still": `${REPORT}; ${FILL}; sleep 60`,
};
const root = `${disk}/tests`;
Deno.mkdirSync(root);
const executors: [Executor, string[]][] = [
  [
    new FmfExecutor(here, {
      tests: {
        root,
        plan: {},
        sources: new Map(),
        data: new Map(
          Object.entries(fmf).map(([name, test]) => [name, {
            test,
            duration: name.includes("still") ? "1s" : "1m",
          }]),
        ),
      },
    }),
    Object.keys(fmf),
  ],
  [
    new CommandExecutor(here, {
      tests: { "a command": ["sh", "-c", `${FILL}; exit 0`] },
    }),
    ["a command"],
  ],
  [
    new FunctionExecutor(here, {
      tests: {
        "a function that knows": async ({ exec }) => {
          await exec(["sh", "-c", FILL]);
        },
        "a function that does not care": async ({ exec, report }) => {
          report({ name: "part", status: "pass" });
          await exec(["sh", "-c", FILL]).catch(() => {});
        },
        "a function that reports a file": ({ report }) => {
          report({ name: "part", status: "pass" });
          report({ name: "large", files: { log: "x".repeat(2_000_000) } });
        },
      },
    }),
    [
      "a function that knows",
      "a function that does not care",
      "a function that reports a file",
    ],
  ],
];
const seen: Record<string, unknown> = {};
for (const [executor, names] of executors) {
  await using _ = await executor.start();
  for (const name of names) {
    const artifacts = `${disk}/artifacts`;
    await Deno.mkdir(artifacts);
    const ended = await executor.runTest(name, artifacts).catch((error) =>
      error
    );
    const results = (await Deno.readTextFile(`${artifacts}/results`)).trim();
    seen[name] = {
      reason: ended instanceof TestAbortedError ? ended.reason : String(ended),
      says: /^Cannot store .*No space left/.test(ended.message),
      statuses: results.split("\n").filter(Boolean).map((line) =>
        JSON.parse(line).status
      ),
      left: [...Deno.readDirSync(artifacts)].map(({ name }) => name).sort(),
    };
    await run(here, ["rm", "-r", artifacts]);
  }
}
console.log(JSON.stringify(seen));
