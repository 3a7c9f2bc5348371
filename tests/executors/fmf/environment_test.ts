/** The variables that a test finds, on this machine. */
import assert from "node:assert/strict";
import { LocalConnection } from "../../../connections/local.ts";
import type { RunTestOptions } from "../../../executors/executor.ts";
import { FmfExecutor } from "../../../executors/fmf/mod.ts";

/** What a test prints. */
async function printed(
  data: Record<string, unknown>,
  options: RunTestOptions = {},
): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    await Deno.mkdir(`${directory}/root`);
    await Deno.mkdir(`${directory}/artifacts`);
    await using here = await LocalConnection.open();
    await using executor = await new FmfExecutor(here, {
      tests: {
        plan: {},
        data: new Map([["/t", data]]),
        sources: new Map(),
        root: `${directory}/root`,
      },
    }).start();
    const artifacts = `${directory}/artifacts`;
    assert.equal(await executor.runTest("/t", artifacts, options), 0);
    return await Deno.readTextFile(`${artifacts}/files/output.txt`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("runTest() tells the test which attempt it is", async (t) => {
  const test = 'echo "$ATEX_TEST_ATTEMPT"';
  await t.step("the first one", async () => {
    assert.equal(await printed({ test }), "1\n");
  });
  await t.step("a later one", async () => {
    assert.equal(await printed({ test }, { attempt: 12 }), "12\n");
  });
  await t.step("unless the environment says otherwise", async () => {
    const environment = { ATEX_TEST_ATTEMPT: "mine" };
    assert.equal(
      await printed({ test, environment }, { attempt: 2 }),
      "mine\n",
    );
    assert.equal(
      await printed({ test, environment }, {
        attempt: 2,
        env: { ATEX_TEST_ATTEMPT: "the caller's" },
      }),
      "the caller's\n",
    );
  });
});
