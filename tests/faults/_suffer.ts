/** A run in which something real happens to the system of a test, and what must come of it nevertheless. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { FmfExecutor } from "../../executors/fmf/executor.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { reruns } from "../../orchestrators/policies.ts";
import type { Provisioner } from "../../provisioners/provisioner.ts";
import { pidsWith, processesWith } from "../executors/fmf/_wrapped.ts";
import { until } from "../_wait.ts";
import {
  checkOutcome,
  follow,
  namesIn,
  type Outcome,
  storedIn,
  temporary,
} from "./_checks.ts";

export interface Suffering {
  /** At least two systems, or one that can be had again. */
  provisioners: readonly Provisioner[];
  /** Makes the fault, while the test `/long` runs on that system for the first time. */
  fault: (
    remote: string,
    attributes: Readonly<Record<string, string>>,
  ) => Promise<void> | void;
  /** Undoes it when the run is over, so that what was cut off can end. */
  mend?: () => Promise<void> | void;
  /**
   * How long `/long` may take.
   *
   * @default {"30"}
   */
  duration?: string;
  /** What is uploaded beside the tests, by path. */
  files?: Readonly<Record<string, Uint8Array>>;
  /**
   * When the fault is made: while the test runs, or while the first system is set up.
   *
   * @default {"test"}
   */
  when?: "test" | "setup";
}

const SHORT = Array.from({ length: 6 }, (_, i) => `/short/${i}`);
const NAMES = ["/long", ...SHORT];
const CONCURRENCY = { setup: 10, ingest: 4, release: 10 };

/**
 * Runs tests to their end, across a fault. Each must be stored exactly once, with all that
 * it reported, and no process of them may be left.
 */
export async function suffer(
  { provisioners, fault, mend, duration = "30", files = {}, when = "test" }:
    Suffering,
): Promise<Outcome> {
  await using directory = await temporary();
  const { path } = directory;
  const mark = crypto.randomUUID();
  const root = `${path}/tree`;
  await Deno.mkdir(root);
  for (const [name, content] of Object.entries(files)) {
    await Deno.writeFile(`${root}/${name}`, content);
  }
  const report = (text: string) =>
    `say '${text}'; printf '%s\\n' 'result 15' >&$ATEX_TEST_CONTROL; ` +
    `printf '%s' '{"name":"part"}' >&$ATEX_TEST_CONTROL`;
  const data = new Map<string, { test: string; duration: string }>([
    ["/long", {
      test: `echo begun
        [ "$ATEX_TEST_ATTEMPT" != 1 ] || sleep 987`,
      duration,
    }],
    ...SHORT.map((name) =>
      [name, {
        test: `say() { echo "$@"; }; ${report(name)}; sleep 0.2`,
        duration: "1m",
      }] as const
    ),
  ]);
  const tests = {
    plan: {},
    data,
    root,
    sources: new Map(NAMES.map((name) => [name, "."])),
  };
  let outcome: Outcome;
  {
    await using aggregator = await new JsonLinesAggregator({
      results: `${path}/results.jsonl`,
      files: `${path}/files`,
      existing: "continue",
    }).start();
    const attributes = new Map<string, Readonly<Record<string, string>>>();
    let made: Promise<void> | undefined;
    const make = (remote: string) =>
      made ??= (async () => {
        if (when === "test") {
          await until(() =>
            processesWith(`ATEX_TEST_MARK=${mark}`)
              .some((line) => line.includes("sleep 987"))
          );
        }
        await fault(remote, attributes.get(remote)!);
      })();
    await using run = new AdHocOrchestrator({
      platform: "here",
      tests: NAMES,
      provisioners,
      executor: (remote) =>
        new FmfExecutor(remote, {
          tests,
          env: { ATEX_TEST_MARK: mark },
          exitGrace: 1000,
          // a test that is cut off ends itself
          heartbeat: 1000,
          heartbeatLimit: 8000,
        }),
      aggregator,
      rerun: reruns(2),
      journal: `${path}/run.journal`,
      cancelGrace: 5000,
      releaseTimeout: 20_000,
      setupTimeout: 60_000,
    }).run({ signal: AbortSignal.timeout(240_000) });
    outcome = await follow(run, {
      longest: 300_000,
      onEvent: (event) => {
        if (event.type === "remote-ready") {
          attributes.set(event.remote, event.attributes);
        }
        if (
          when === "setup" && event.type === "setup-started" ||
          event.type === "test-started" && event.test === "/long"
        ) make(event.remote).catch(() => {});
      },
    });
    ok(made, `nothing happened: ${outcome.error} ${outcome.error?.cause}`);
    await made;
  }
  const { summary, error } = outcome;
  strictEqual(error, undefined, `${error?.message}: ${error?.cause}`);
  checkOutcome(outcome, NAMES, { reruns: 2, concurrency: CONCURRENCY });
  strictEqual(summary.passed, NAMES.length);
  deepStrictEqual(storedIn(`${path}/results.jsonl`).sort(), NAMES.toSorted());
  for (const name of SHORT) {
    const output = `${path}/files/here${name}/output.txt`;
    strictEqual(await Deno.readTextFile(output), `${name}\n`);
  }
  deepStrictEqual(namesIn(path), [
    "files",
    "results.jsonl",
    "run.journal",
    "tree",
  ]);
  await mend?.();
  await until(() => pidsWith(`ATEX_TEST_MARK=${mark}`).length === 0);
  return outcome;
}

/** Why the first attempt of `/long` did not come to its end, with all causes. */
export function firstError({ summary }: Outcome): string {
  const first = summary.earlier.find(({ test }) => test === "/long");
  ok(first?.error, Deno.inspect(summary.earlier));
  const said: string[] = [];
  for (
    let error: unknown = first.error;
    error instanceof Error;
    error = error.cause
  ) {
    said.push(`${error.name}: ${error.message}`);
  }
  return said.join("\n");
}
