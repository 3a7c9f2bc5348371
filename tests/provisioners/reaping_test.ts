/** Reaping: what a start does about what dead scripts left. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Candidate } from "../../provisioners/_leftover.ts";
import { Reaping } from "../../provisioners/_reaping.ts";
import { openRunDirectory } from "../../provisioners/_run.ts";
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
  const directory = join(tmp.path, `atex-${run}-x`);
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
