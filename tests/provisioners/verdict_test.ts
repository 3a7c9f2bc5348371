import assert from "node:assert/strict";
import { formatOwner, type Owner } from "../../connections/ownership.ts";
import { type Facts, isAbandoned } from "../../provisioners/_verdict.ts";

const me: Owner = {
  hostname: "lab1",
  bootId: "b00t",
  pid: "100",
  startTime: "5000",
  directory: "d1",
  pidNamespace: "4026531836",
  machine: "m1",
};

const NOW = 1_000_000;

/** An object's owner, as it differs from us, and the facts as they differ from the usual ones. */
async function verdict(
  owner: Partial<Owner> | string,
  facts: Partial<Facts> = {},
  until?: number,
  at = me,
): Promise<boolean> {
  const label = typeof owner === "string"
    ? owner
    : formatOwner({ ...at, pid: "77", ...owner });
  return await isAbandoned({ run: "r", owner: label, until }, at, {
    now: () => NOW,
    runFile: () => Promise.resolve("missing"),
    startTimeOf: () => Promise.resolve(undefined),
    seesAll: () => Promise.resolve(true),
    ...facts,
  });
}

const file = (state: "locked" | "free" | "missing") => ({
  runFile: () => Promise.resolve(state),
});
const process = (startTime?: string) => ({
  startTimeOf: (pid: string) =>
    Promise.resolve(pid === "77" ? startTime : undefined),
});
const never = (): never => assert.fail("must not be asked");

Deno.test("isAbandoned(): a locked run file means alive, a free one dead", async () => {
  assert.equal(await verdict({}, { ...file("locked"), ...process() }), false);
  assert.equal(await verdict({}, file("free")), true);
  // even if a process has that number
  assert.equal(
    await verdict({}, { ...file("free"), ...process("5000") }),
    true,
  );
  assert.equal(await verdict({}, file("locked"), 1), false); // overdue is its own affair
});

Deno.test("isAbandoned(): without a run file the process decides", async () => {
  assert.equal(await verdict({}, process("5000")), false);
  assert.equal(await verdict({}, process("5001")), true); // the number was used again
  assert.equal(await verdict({}, process(undefined)), true);
  assert.equal(await verdict({ bootId: "other" }, process("5000")), true);
});

Deno.test("isAbandoned(): processes that are numbered differently tell nothing", async () => {
  const facts = { startTimeOf: never };
  assert.equal(await verdict({ pidNamespace: "1" }, facts), false);
  assert.equal(await verdict({ pidNamespace: "1" }, facts, NOW - 601), true);
  assert.equal(await verdict({ startTime: "-" }, facts), false);
});

Deno.test("isAbandoned(): the run file of another directory is not looked for", async () => {
  const owner = { directory: "d2" };
  const facts = { runFile: never };
  assert.equal(await verdict(owner, { ...facts, ...process("5000") }), false);
  assert.equal(await verdict(owner, { ...facts, ...process() }), true);
  assert.equal(await verdict({ ...owner, bootId: "x" }, facts), true);
  const hidden = { ...facts, seesAll: () => Promise.resolve(false) };
  assert.equal(await verdict(owner, hidden), false);
  assert.equal(await verdict(owner, hidden, NOW - 601), true);
});

Deno.test("isAbandoned(): what is another machine's stays until it is overdue", async () => {
  const facts = { runFile: never, startTimeOf: never, seesAll: never };
  for (const owner of [{ hostname: "lab2" }, { machine: "m2" }]) {
    assert.equal(await verdict({ ...owner, bootId: "x" }, facts), false);
    assert.equal(await verdict(owner, facts, NOW - 599), false); // clocks differ
    assert.equal(await verdict(owner, facts, NOW - 601), true);
  }
});

Deno.test("isAbandoned(): systems without an id that have the same name may be two", async () => {
  const at = { ...me, machine: "-" };
  assert.equal(await verdict({}, process(), undefined, at), true);
  assert.equal(await verdict({ bootId: "x" }, {}, undefined, at), false);
  assert.equal(await verdict({ bootId: "x" }, {}, NOW - 601, at), true);
});

Deno.test("isAbandoned(): an owner that cannot be read stays until it is overdue", async () => {
  for (const owner of ["", "lab1/b00t/77", "a/b/c/d/e/f/g/h"]) {
    assert.equal(await verdict(owner, file("free")), false);
    assert.equal(await verdict(owner, file("free"), NOW - 601), true);
  }
  assert.equal(await verdict("", {}, NaN), false);
});
