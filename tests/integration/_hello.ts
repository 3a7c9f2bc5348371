/** A small test in fmf, for systems of any kind. */
import assert from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { FmfExecutor } from "../../executors/fmf/mod.ts";

/** Runs a test that prints and ends with 7: all that an executor needs is there. */
export async function runHello(remote: Connection): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    await using executor = await new FmfExecutor(remote, {
      tests: {
        plan: {},
        root,
        data: new Map([["/hello", { test: "echo hello; exit 7" }]]),
        sources: new Map([["/hello", ""]]),
      },
    }).start();
    await Deno.mkdir(`${root}/artifacts`);
    assert.equal(await executor.runTest("/hello", `${root}/artifacts`), 7);
    await executor.stop();
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}
