import assert from "node:assert/strict";
import { inLanes } from "../../dev/_lanes.ts";

/** Runs paths of which some fail so many times. */
async function runLanes(
  paths: string[],
  failures: Record<string, number>,
  mayTryAgain = true,
) {
  const ran: string[] = [];
  let running = 0;
  const results = await inLanes(paths, async (path) => {
    ran.push(path);
    running++;
    const isAlone = running === 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
    const failed = failures[path]-- > 0 ? 1 : 0;
    if (ran.length > paths.length) assert.ok(isAlone);
    return { passed: 1 - failed, failed, skipped: 0, ignored: [] };
  }, () => mayTryAgain);
  return {
    ran,
    failed: results.filter(({ run }) => run.failed).map(({ path }) => path)
      .sort(),
    flaky: results.filter(({ isFlaky }) => isFlaky).map(({ path }) => path)
      .sort(),
  };
}

Deno.test("what failed beside others is tried once more", async () => {
  const { ran, failed, flaky } = await runLanes(["a", "b", "c", "d"], {
    b: 1,
    c: 2,
  });
  assert.deepEqual(ran.slice(0, 4).sort(), ["a", "b", "c", "d"]);
  assert.deepEqual(ran.slice(4).sort(), ["b", "c"]);
  assert.deepEqual(failed, ["c"]);
  assert.deepEqual(flaky, ["b"]);
});

Deno.test("what may not be tried again is not", async () => {
  const { ran, failed, flaky } = await runLanes(["a", "b"], { b: 1 }, false);
  assert.equal(ran.length, 2);
  assert.deepEqual(failed, ["b"]);
  assert.deepEqual(flaky, []);
});

Deno.test("nothing is tried again if much failed", async () => {
  const paths = ["a", "b", "c", "d", "e", "f"];
  const { ran, failed } = await runLanes(
    paths,
    Object.fromEntries(paths.map((path) => [path, 1])),
  );
  assert.equal(ran.length, paths.length);
  assert.deepEqual(failed, paths);
});
