/**
 * Runs a test that writes to its control channel or to its standard error, in a
 * process of its own:
 *
 *     _control_once.ts WAY SYSTEM TREE ARTIFACTS
 *
 * prints what it cost and what came of it.
 */
import { discover } from "../executors/fmf/discover.ts";
import { FmfExecutor } from "../executors/fmf/executor.ts";
import { io, measure, sizeOf } from "./_once.ts";
import { openConnection, type Way } from "./_systems.ts";

const [way, system, tree, artifacts] = Deno.args as [Way, ...string[]];
await using tests = await discover(tree);
await using connection = await openConnection(way, system);
await using executor = await new FmfExecutor(connection, { tests }).start();

const [test] = tests.data.keys();
const before = io();
const cost = measure();
await executor.runTest(test, artifacts);
const measured = cost();
const after = io();

const results = Deno.readTextFileSync(`${artifacts}/results`)
  .split("\n").length - 1;
const { files, bytes } = sizeOf(`${artifacts}/files`);
console.log(JSON.stringify({
  ...measured,
  reads: after.syscr - before.syscr,
  writes: after.syscw - before.syscw,
  read_bytes: after.rchar - before.rchar,
  check: `${results} results, ${files} files, ${bytes} bytes`,
}));
