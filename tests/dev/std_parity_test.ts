/**
 * Holds the stand-ins of `dev/std/` against what the real packages gave (`std_calls.json`), and, with `ATEX_STD=DIR`
 * or a reachable registry, the real packages themselves. After a change of the table:
 *
 *     ATEX_STD=DIR deno run -A tests/dev/std_parity_test.ts
 */
import assert from "node:assert/strict";
import { type RegistryOptions, startRegistry } from "../../dev/registry.ts";

const recorded = new URL("std_calls.json", import.meta.url);
const std = Deno.env.get("ATEX_STD");

async function runCalls(options: RegistryOptions): Promise<string> {
  await using registry = await startRegistry(options);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", new URL("_std_calls.ts", import.meta.url).pathname],
    env: { JSR_URL: registry.url, NO_COLOR: "1", TZ: "UTC" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

async function assertParity(options: RegistryOptions): Promise<void> {
  const want = JSON.parse(await Deno.readTextFile(recorded));
  const have = JSON.parse(await runCalls(options));
  assert.ok(Object.keys(want).length > 500);
  assert.deepEqual(have, want);
}

if (import.meta.main) {
  if (!std) throw new Error("ATEX_STD: want a checkout of denoland/std");
  await Deno.writeTextFile(recorded, await runCalls({ std }));
} else {
  Deno.test("the stand-ins of @std do what the real packages did", () =>
    assertParity({ jsr: "standin" }));
  if (std) {
    Deno.test("the real packages in ATEX_STD do what they did", () =>
      assertParity({ std }));
  }
}
