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
import { countIo, measure, sizeOf } from "./_once.ts";
import { openConnection, type Way } from "./_systems.ts";

const [way, system, tree, artifacts] = Deno.args as [Way, ...string[]];
await using tests = await discover(tree);
await using connection = await openConnection(way, system);
await using executor = await new FmfExecutor(connection, { tests }).start();

const [test] = tests.data.keys();
const ioSince = countIo();
const cost = measure();
await executor.runTest(test, artifacts);
const measured = cost();
const io = ioSince();

const results = Deno.readTextFileSync(`${artifacts}/results`)
  .split("\n").length - 1;
const { files, bytes } = sizeOf(`${artifacts}/files`);
console.log(JSON.stringify({
  ...measured,
  reads: io.syscr,
  writes: io.syscw,
  read_bytes: io.rchar,
  check: `${results} results, ${files} files, ${bytes} bytes`,
}));
