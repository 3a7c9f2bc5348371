import assert from "node:assert/strict";
import { Semaphore } from "@std/async/unstable-semaphore";
import { run } from "../../connections/process.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import type { Provisioner } from "../../provisioners/provisioner.ts";

Deno.test("LocalProvisioner lends this system to one at a time", async () => {
  const events: ProvisionerEvent[] = [];
  const pool: Provisioner = new LocalProvisioner({
    onEvent: (event) => events.push(event),
  });
  assert.deepEqual([pool.name, pool.maxRemotes], ["local", 1]);
  assert.equal(await pool.start(), pool);
  pool.provision(2);
  const first = await pool.getRemote();
  assert.equal(await run(first, ["echo", "here"]), "here\n");
  assert.match(first.id, /^local:\d+$/);
  assert.deepEqual(first.attributes, { host: Deno.hostname() });
  assert.equal(first.reusable, true);
  assert.equal(first.canReboot, false);
  const abort = new AbortController();
  const waiting = pool.getRemote({ signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(waiting, { message: "enough" });
  await first.release();
  const second = await pool.getRemote();
  assert.notEqual(second.id, first.id);
  await pool.stop();
  assert.deepEqual(events.map(({ type }) => type), [
    ...["reserving", "ready", "lent", "released"],
    ...["reserving", "ready", "lent", "released"],
  ]);
});

Deno.test("LocalProvisioner lends as many systems as maxRemotes and limit allow", async () => {
  const limit = new Semaphore(3);
  await using pool = await new LocalProvisioner({ maxRemotes: 4, limit })
    .start();
  pool.provision(Infinity);
  const remotes = [];
  for (let i = 0; i < 3; i++) remotes.push(await pool.getRemote());
  const fourth = pool.getRemote();
  await remotes[1].release();
  const ids = [...remotes, await fourth].map(({ id }) => id);
  assert.equal(new Set(ids).size, 4);
});

Deno.test("LocalProvisioner passes on the options of the connection", async () => {
  await using pool = await new LocalProvisioner({
    cwd: "/",
    env: { GREETING: "hello" },
    clearEnv: true,
  }).start();
  pool.provision();
  const remote = await pool.getRemote();
  assert.equal(
    await run(remote, ["/bin/sh", "-c", 'echo "$PWD $GREETING $HOME"']),
    "/ hello \n",
  );
});

Deno.test("LocalProvisioner refuses an endless request without a bound", async () => {
  await using pool = await new LocalProvisioner({ maxRemotes: Infinity })
    .start();
  assert.throws(() => pool.provision(Infinity), {
    name: "RangeError",
    message:
      'Cannot provision without an end: "maxRemotes" of "local" is Infinity, too',
  });
  pool.provision(20);
  for (let i = 0; i < 20; i++) await pool.getRemote();
});
