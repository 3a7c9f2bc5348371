/** Reaping: what a start does about what dead scripts left. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Owner, temporaryPrefix } from "../../connections/ownership.ts";
import type { Candidate } from "../../provisioners/_leftover.ts";
import { Reaping } from "../../provisioners/_reaping.ts";
import { holdRun, openRunDirectory } from "../../provisioners/_run.ts";
import { exists } from "../_wait.ts";

/** A temporary directory for all that looks for one. */
async function temporary() {
  const former = Deno.env.get("TMPDIR");
  const path = await Deno.makeTempDir({ prefix: "atex-test-" });
  Deno.env.set("TMPDIR", path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (former === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", former);
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Reaps once; gives what was removed, and what was told. */
async function reap(
  kind: string,
  find: () => Promise<Candidate[]>,
): Promise<{ reaped: string[]; told: string[] }> {
  const reaped: string[] = [];
  const told: string[] = [];
  await using reaping = new Reaping({
    kind,
    find,
    onReaped: ({ name }) => reaped.push(name),
    onTrouble: ({ message }) => told.push(message),
  });
  await reaping.wait(new AbortController().signal);
  return { reaped: reaped.sort(), told };
}

Deno.test("Reaping removes all that can be removed, and forgets a dead script when nothing of it is left", async () => {
  await using tmp = await temporary();
  const run = crypto.randomUUID().replaceAll("-", "").slice(0, 10);
  const kind = `test-${run}`;
  const runFile = join(await openRunDirectory(), run);
  await Deno.writeTextFile(runFile, `{}\n${kind}\n`);
  const dead = temporaryPrefix().replace(`-${Deno.pid}-`, "-4194305-");
  const directory = join(tmp.path, `${dead}x`);
  await Deno.mkdir(directory);
  const busy = new Set(["b"]);
  const candidates = [..."abcdefg"].map((name): Candidate => ({
    kind: "container",
    name,
    run,
    age: 0,
    verdict: name === "d" ? "unknown" : name === "e" ? "alive" : "dead",
    remove: () =>
      busy.has(name)
        ? Promise.reject(new Error(`"${name}" is busy`))
        : Promise.resolve(),
  }));
  assert.deepEqual(await reap(kind, () => Promise.resolve(candidates)), {
    reaped: ["a", "c", "f", "g"],
    told: ['"b" is busy'],
  });
  assert.ok(!await exists(directory));
  assert.ok(await exists(runFile)); // it tells that the owner of "b" is dead

  await Deno.mkdir(directory);
  const failing = () => Promise.reject(new Error("no answer"));
  assert.deepEqual(await reap(kind, failing), {
    reaped: [],
    told: ["no answer"],
  });
  assert.ok(!await exists(directory));
  assert.ok(await exists(runFile));

  busy.clear();
  await reap(kind, () => Promise.resolve(candidates));
  assert.ok(!await exists(runFile));
});

Deno.test("Reaping that is disposed of removes no more, and tells of no trouble", async () => {
  await using _ = await temporary();
  const begun = Promise.withResolvers<void>();
  const told: Error[] = [];
  let count = 0;
  const reaping = new Reaping({
    kind: "test",
    find: () =>
      Promise.resolve(Array.from({ length: 9 }, (_, index): Candidate => ({
        kind: "container",
        name: `${index}`,
        age: 0,
        verdict: "dead",
        remove: (signal) => {
          count++;
          begun.resolve();
          return new Promise((_, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason))
          );
        },
      }))),
    onTrouble: (error) => told.push(error),
  });
  await begun.promise;
  await reaping[Symbol.asyncDispose]();
  assert.ok(count < 9);
  assert.deepEqual(told, []);
});

/** Writes the run file of a script that is dead; gives its path. */
async function leaveRunFile(
  kinds: readonly string[],
  owner: Partial<Owner> = {},
): Promise<string> {
  await using me = await holdRun("test");
  const run = crypto.randomUUID().replaceAll("-", "").slice(0, 10);
  const path = join(me.directory, run);
  const dead = { ...me.owner, pid: "1", startTime: "1", ...owner };
  const text = [JSON.stringify({ run, ...dead }), ...kinds, ""].join("\n");
  await Deno.writeTextFile(path, text);
  return path;
}

const finding = () => Promise.resolve([]);

Deno.test("Reaping forgets a dead script of several kinds when the last of them has found nothing", async () => {
  await using _ = await temporary();
  const [a, b] = [`a-${crypto.randomUUID()}`, `b ${crypto.randomUUID()}`];
  const path = await leaveRunFile([a, "hosts", b]);
  await reap(a, finding);
  assert.ok(await exists(path));
  await reap(a, finding);
  assert.ok(await exists(path));
  await reap(b, () => Promise.reject(new Error("no answer")));
  assert.ok(await exists(path));
  await reap(b, finding);
  assert.ok(!await exists(path));

  const other = await leaveRunFile([a, b]);
  await Promise.all([reap(a, finding), reap(b, finding)]);
  assert.ok(!await exists(other));
});

Deno.test("Reaping signs off nothing of a script that lives", async () => {
  await using _ = await temporary();
  const kind = `test-${crypto.randomUUID()}`;
  const path = await leaveRunFile([kind, "other"]);
  const text = await Deno.readTextFile(path);
  using file = await Deno.open(path);
  assert.ok(await file.tryLock(true));
  await reap(kind, finding);
  assert.equal(await Deno.readTextFile(path), text);
  await Deno.remove(path);
});

Deno.test("Reaping forgets a script that is long dead, whatever it made, unless only the file says so", async () => {
  await using _ = await temporary();
  const kind = `test-${crypto.randomUUID()}`;
  const gone = async (...args: Parameters<typeof leaveRunFile>) => {
    const path = await leaveRunFile(...args);
    const old = new Date(Date.now() - 7_200_000);
    await Deno.utime(path, old, old);
    await reap(kind, finding);
    const isGone = !await exists(path);
    if (!isGone) await Deno.remove(path);
    return isGone;
  };
  const foreign = { pidNamespace: "7" };
  assert.ok(await gone(["testing-farm", "kubernetes"]));
  assert.ok(!await gone(["testing-farm", "kubernetes"], foreign));
  assert.ok(!await gone(["testing-farm", "podman"]));
  assert.ok(await gone(["hosts", "reap"], foreign));
});
