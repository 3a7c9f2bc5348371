import assert from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { output } from "../../connections/process.ts";

/** Directories of executors, and processes that use them, on a system. */
export async function workOn(connection: Connection): Promise<string[]> {
  const { stdout } = await output(connection, [
    "sh",
    "-c",
    `ls -d /var/atex-?????????? /var/tmp/atex-?????????? /tmp/atex-?????????? 2>/dev/null
    for process in /proc/[0-9]*; do
      tr '\\0' ' ' <$process/cmdline 2>/dev/null | grep -o '[a-z]*sh /var.*/atex-[A-Za-z0-9]*/wrapper.*'
    done`,
  ]);
  return new TextDecoder().decode(stdout).split("\n").filter(Boolean);
}

/** Checks that no executor left anything on a system that nobody else uses. */
export async function assertNoWork(connection: Connection): Promise<void> {
  assert.deepEqual(await workOn(connection), []);
}
