import type { DiscoverOptions } from "../executors/fmf/mod.ts";

/** What the command line asks for. */
export interface Wish {
  readonly directory: string;
  readonly discover: DiscoverOptions;
  readonly on: string;
  readonly parallel?: number;
  readonly reruns: number;
  readonly results: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The script that does what `atex run` does with these options. */
export function scriptFor(wish: Wish): string {
  const { directory, discover, on, parallel, reruns, results, env } = wish;
  const jsonl = literal({ results, files: `${results}.files` });
  const pool = parallel === undefined
    ? ""
    : `, ${literal({ maxRemotes: parallel })}`;
  const executor = Object.keys(env).length === 0
    ? "{ tests }"
    : `{ tests, env: ${literal(env)} }`;
  return `\
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
import { runMain } from "jsr:@atex/atex/main";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import {
  byPriority,
  destructiveTag,
  longestFirst,
  reruns,
} from "jsr:@atex/atex/orchestrators/policies";
import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
import { provisionerFromString } from "jsr:@atex/atex/provisioners/from-string";

await runMain(async (signal) => {
  await using tests = await discover(${literal(directory)}, ${
    literal({ ...discover })
  });
  const provisioner = await provisionerFromString(${literal(on)}${pool});
  await using pool = await provisioner.start({ signal });
  await using results = await new JsonLinesAggregator(${jsonl}).start();
  await using run = new AdHocOrchestrator({
    platform: ${literal(on)},
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) => new FmfExecutor(remote, ${executor}),
    aggregator: results,
    next: [byPriority(tests), longestFirst(tests)],
    destructive: destructiveTag(tests),
    rerun: reruns(${reruns}),
  }).run({ signal });
  await showProgress(run);
  return (await run.finished).failed === 0 ? 0 : 1;
});`;
}

/** A value as TypeScript: JSON, with keys bare where they can be. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, item]) =>
    `${/^[A-Za-z_]\w*$/.test(key) ? key : JSON.stringify(key)}: ${
      literal(item)
    }`
  );
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}
