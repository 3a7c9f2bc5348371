/**
 * A run with a journal, on local systems, in a place where something is scarce: prints
 * what came of it as JSON.
 *
 *     _scarce_run.ts DIRECTORY ARTIFACTS [FILE BYTES]
 *
 * A file of so many bytes fills a disk first; it is removed when the run has ended, which
 * then goes on.
 */
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { FmfExecutor } from "../../executors/fmf/executor.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import {
  OrchestratorError,
  type RunSummary,
} from "../../orchestrators/orchestrator.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";

const [directory, artifacts, ballast, bytes] = Deno.args as string[];
const tree = `${artifacts}/tree`;
await Deno.mkdir(tree, { recursive: true });
const names = Array.from({ length: 24 }, (_, i) => `/t${i}`);
const tests = {
  plan: {},
  root: tree,
  // each prints 16 KiB
  data: new Map(names.map((name) => [name, {
    test: `head -c 16384 /dev/zero | tr '\\0' x; echo; echo ${name}`,
    duration: "30",
  }])),
  sources: new Map(names.map((name) => [name, "."])),
};

async function once(): Promise<
  { kind?: string; why?: string; stored: number }
> {
  await using aggregator = await new JsonLinesAggregator({
    results: `${directory}/results.jsonl`,
    files: `${directory}/files`,
    existing: "continue",
  }).start();
  await using pool = await new LocalProvisioner({ maxRemotes: 8 }).start();
  let summary: RunSummary;
  let error: OrchestratorError | undefined;
  try {
    summary = await new AdHocOrchestrator({
      platform: "here",
      tests: names,
      provisioners: [pool],
      executor: (remote) => new FmfExecutor(remote, { tests, exitGrace: 1000 }),
      aggregator,
      artifacts: `${artifacts}/runs`,
      journal: `${directory}/run.journal`,
    }).run().finished;
  } catch (thrown) {
    if (!(thrown instanceof OrchestratorError)) throw thrown;
    error = thrown;
    summary = thrown.summary;
  }
  const failed = [
    ...summary.ingested.values().map(({ error }) => error?.message),
    ...summary.ingestErrors.map(({ error }) => error.message),
  ].find((message) => message);
  return {
    stored: summary.ingested.size,
    ...(error && { kind: error.kind }),
    why: [error?.message, error?.cause, failed].join("; "),
  };
}

if (ballast) {
  await Deno.writeFile(ballast, new Uint8Array(Number(bytes)));
}
const first = await once();
if (ballast) await Deno.remove(ballast);
const second = ballast || first.kind ? await once() : undefined;
const lines = (await Deno.readTextFile(`${directory}/results.jsonl`))
  .trimEnd().split("\n").map((line) => JSON.parse(line));
const outputs = names.filter((name) => {
  try {
    const output = `${directory}/files/here${name}/output.txt`;
    return Deno.readTextFileSync(output).endsWith(`\n${name}\n`);
  } catch {
    return false;
  }
});
const pieces = lines.map(([, , test]) => test as string);
console.log(JSON.stringify({
  first,
  second,
  tests: names.length,
  stored: pieces.filter((name, index) => name !== pieces[index - 1]).length,
  distinct: new Set(pieces).size,
  outputs: outputs.length,
  left: [...Deno.readDirSync(`${artifacts}/runs`)].length,
}));
