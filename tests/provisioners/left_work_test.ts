/** removeLeftWork(): which directories of tests are removed from a host. */
import assert from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import { formatOwner } from "../../connections/ownership.ts";
import { removeLeftWork } from "../../provisioners/_left_work.ts";
import { holdRun } from "../../provisioners/_run.ts";
import { exists } from "../_wait.ts";

Deno.test("removeLeftWork() takes no directory for another whose path is a line of its own", async () => {
  const base = await Deno.makeTempDir({ prefix: "atex-test-" });
  await using me = await holdRun("test");
  await using connection = new LocalConnection();
  await connection.connect();
  const dead = formatOwner({ ...me.owner, pid: "4194305", directory: "-" });
  const work = async (parent: string, owner: string) => {
    const path = `${parent}/atex-aaaaaaaaaa`;
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeTextFile(`${path}/owner`, `${owner}\n`);
    return path;
  };
  const TMPDIR = Deno.env.get("TMPDIR");
  const { signal } = new AbortController();
  try {
    const alive = await work(`${base}/alive`, formatOwner(me.owner));
    const odd = await work(`${base}/odd\n${base}/alive`, dead);
    const left = await work(`${base}/left`, dead);
    for (const temporary of [`${base}/odd\n${base}/alive`, `${base}/left`]) {
      Deno.env.set("TMPDIR", temporary);
      await removeLeftWork(connection, me, signal);
    }
    assert.ok(await exists(alive));
    assert.ok(await exists(odd));
    assert.ok(!await exists(left));
  } finally {
    if (TMPDIR === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", TMPDIR);
    await Deno.remove(base, { recursive: true });
  }
});
