/** `atex run`: trying tests out. */
import { resolve } from "@std/path/posix/resolve";
import type { Aggregator } from "../aggregators/aggregator.ts";
import type { HtmlReportAggregator } from "../aggregators/html.ts";
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { discover, FmfExecutor } from "../executors/fmf/mod.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import {
  OrchestratorError,
  type RunSummary,
} from "../orchestrators/orchestrator.ts";
import {
  byPriority,
  destructiveTag,
  longestFirst,
  reruns,
} from "../orchestrators/policies.ts";
import { showProgress } from "../orchestrators/progress.ts";
import {
  PROVISIONER_FORMS,
  provisionerFromString,
} from "../provisioners/from_string.ts";
import { type Call, type Command, UsageError } from "./_command.ts";
import { discoverOptions, DISCOVERY_OPTIONS, pairs } from "./_discovery.ts";
import { describeEvent } from "./_events.ts";
import { runOf } from "./_results.ts";
import { FIELDS, filesOf, linkTo, scriptFor, type Wish } from "./_script.ts";
import { optionsFor, teller } from "./_system.ts";

/** What a SYSTEM begins with. */
const KINDS = PROVISIONER_FORMS.map((form) => form.split(":")[0]);

/** What looks like a SYSTEM. */
const SYSTEM = new RegExp(`^(${KINDS.join("|")})(:|$)`);

/** Runs the tests of a tree. */
export const run: Command = {
  name: "run",
  purpose:
    "Runs the tests of an fmf tree. For anything serious, write a script.",
  operands: "[DIR]",
  arity: [0, 1],
  options: [
    ...DISCOVERY_OPTIONS,
    {
      name: "on",
      value: "SYSTEM",
      about: "where to run them; default: local",
      like: SYSTEM,
    },
    {
      name: "platform",
      value: "NAME",
      about: "what the results call that; default: SYSTEM as it is",
    },
    {
      name: "parallel",
      value: "N",
      about: "most systems at once; default: what SYSTEM allows",
    },
    {
      name: "reruns",
      value: "N",
      about: "how often a test that failed runs again; default: 0",
    },
    {
      name: "results",
      value: "PATH",
      about:
        "results as JSON lines, with a directory PATH.files beside it; default: results.jsonl, or if that is there results-2.jsonl, and so on",
    },
    { name: "junit", value: "PATH", about: "also as JUnit XML" },
    { name: "html", value: "PATH", about: "also as an HTML page" },
    {
      name: "env",
      value: "KEY=VALUE",
      many: true,
      about: "variable for all tests",
    },
    {
      name: "print-script",
      about: "print the script that does the same, and run nothing",
    },
  ],
  details: `SYSTEM is ${PROVISIONER_FORMS.join(", ")}.
With -q only the exit status tells whether tests passed.`,
  permissions: "-A",
  example: "atex run ./suite --on podman:fedora:42 --parallel 4 --reruns 1",
  async run(call) {
    const [directory] = call.operands;
    if (
      directory !== undefined && SYSTEM.test(directory) &&
      !await isThere(directory)
    ) {
      throw new UsageError(
        `Cannot run tests of "${directory}": it does not exist; did you mean "--on ${directory}"?`,
      );
    }
    if (call.has("print-script")) {
      const results = call.get("results") ?? RESULTS;
      console.log(scriptFor(wishOf(call, results)));
      return 0;
    }
    const given = call.get("results");
    const { results, inTheWay }: Place = given === undefined
      ? await freeResults()
      : { results: given };
    return await carryOut(wishOf(call, results), call, inTheWay);
  },
};

async function carryOut(
  wish: Wish,
  call: Call,
  inTheWay?: string,
): Promise<number> {
  const { signal } = call;
  const { on, parallel } = wish;
  await using tests = await discover(wish.directory, {
    ...wish.discover,
    signal,
  });
  for (const { message } of tests.warnings) call.note(`warning: ${message}`);
  if (tests.data.size === 0) {
    throw new Error(
      `Cannot run tests of "${wish.directory}": ${whyNone(wish)}`,
    );
  }
  const provisioner = await provisionerFromString(on, {
    ...(parallel !== undefined && { maxRemotes: parallel }),
    ...optionsFor(on),
    onEvent: teller(call),
  });
  await using pool = await provisioner.start({ signal });
  const { aggregator, page } = await aggregatorFor(wish);
  await using results = await opened(aggregator, wish);
  if (inTheWay !== undefined) {
    call.note(`${inTheWay} is there already: results go to ${wish.results}`);
  }
  await using testing = new AdHocOrchestrator({
    platform: wish.platform,
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) =>
      new FmfExecutor(remote, {
        tests,
        env: wish.env,
        onEvent: (event) => call.detail(2, describeEvent(event)),
      }),
    aggregator: results,
    next: [byPriority(tests), longestFirst(tests)],
    destructive: destructiveTag(tests),
    rerun: reruns(wish.reruns),
  }).run({ signal });
  page?.follow(testing);
  if (!call.has("quiet")) await showProgress(testing);
  const ranNone = await testing.finished.then(isWithoutTests, isWithoutTests);
  await results.stop().catch(() => {}); // told when it is disposed of
  if (ranNone && await isEmptyFile(wish.results)) {
    await removeOutputs(wish, call);
  } else await tellOutputs(wish, call);
  return (await testing.finished).failed === 0 ? 0 : 1;
}

/** Whether a run came to its end, or failed, before any test did. */
function isWithoutTests(end: RunSummary | Error): boolean {
  const summary = end instanceof OrchestratorError ? end.summary : end;
  return !(summary instanceof Error) && summary.earlier.length === 0 &&
    summary.notRun.length === summary.tests;
}

/** One that is not there may hold results elsewhere. */
async function isEmptyFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ size }) => size === 0, () => false);
}

async function tellOutputs(wish: Wish, call: Call): Promise<void> {
  for (const { title, path } of outputsOf(wish)) {
    if (await isThere(path)) call.note(`${`${title}:`.padEnd(9)}${path}`);
  }
}

/** Nothing is in them, and they would be in the way of the next try. */
async function removeOutputs(wish: Wish, call: Call): Promise<void> {
  for (const { path } of outputsOf(wish).toReversed()) {
    await Deno.remove(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return;
      call.note(`warning: Cannot remove "${path}": ${error.message}`);
    });
  }
}

/** What a run writes. */
function outputsOf(wish: Wish): { title: string; path: string }[] {
  const { results, junit, html } = wish;
  return [
    { title: "Results", path: results },
    { title: "Files", path: filesOf(wish) },
    ...(junit === undefined ? [] : [{ title: "JUnit", path: junit }]),
    ...(html === undefined ? [] : [{ title: "Report", path: html }]),
  ];
}

/** Why there is nothing to run. */
function whyNone({ directory, discover }: Wish): string {
  return Object.keys(discover).length === 0
    ? "none was found"
    : `none fits the options; "atex tests ${directory}" shows all that there are`;
}

/** Options that say where results go. */
const OUTPUTS = ["results", "junit", "html"] as const;

/** Whoever tries something again has the results of the first time in the way. */
async function opened(
  aggregator: Aggregator,
  wish: Wish,
): Promise<Aggregator> {
  // all of them before any is begun, or there would be more in the way next time
  for (const option of OUTPUTS) {
    const path = wish[option];
    if (path === undefined || !await isThere(path)) continue;
    throw new Deno.errors.AlreadyExists(
      `Cannot write results to "${path}": it is there already; choose another path or remove it; "--${option} PATH" chooses it`,
    );
  }
  const part = `${wish.junit}.part`;
  if (wish.junit !== undefined && await isThere(part)) {
    throw new Deno.errors.AlreadyExists(
      `Cannot write results to "${wish.junit}": "${part}" of an earlier run is there; finish it with "atex results junit PART", or remove it`,
    );
  }
  try {
    return await aggregator.start();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { message, cause } = error;
    const option = OUTPUTS.find((name) => message.includes(`"${wish[name]}"`));
    if (option === undefined) throw error;
    throw new Error(`${message}; "--${option} PATH" chooses it`, { cause });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** What collects results, and the page that is among it. */
async function aggregatorFor(wish: Wish): Promise<
  { aggregator: Aggregator; page: HtmlReportAggregator | undefined }
> {
  const { results, junit, html } = wish;
  const files = filesOf(wish);
  const all: Aggregator[] = [
    new JsonLinesAggregator({ results, files, fields: FIELDS }),
  ];
  if (junit !== undefined) {
    const { JUnitAggregator } = await import("../aggregators/junit.ts");
    all.push(new JUnitAggregator({ target: junit, attachments: files }));
  }
  let page: HtmlReportAggregator | undefined;
  if (html !== undefined) {
    const { HtmlReportAggregator } = await import("../aggregators/html.ts");
    const link = linkTo(files, html);
    page = new HtmlReportAggregator({ report: html, files: link });
    all.push(page);
  }
  if (all.length === 1) return { aggregator: all[0]!, page };
  const { MultiAggregator } = await import("../aggregators/multi.ts");
  return { aggregator: new MultiAggregator(all), page };
}

const RESULTS = "results.jsonl";

/** Where results go. */
interface Place {
  results: string;
  /** Why they do not go to where they would otherwise. */
  inTheWay?: string;
}

/**
 * A name for results after all that are there, so that the highest number is that of the
 * last run, and what was there; nothing may be in the way of another try.
 */
async function freeResults(): Promise<Place> {
  const taken = new Map<number, string>();
  for await (const { name } of Deno.readDir(".")) {
    const results = name.replace(/\.files$/, "");
    const run = results.endsWith(".jsonl") ? runOf(results) : undefined;
    if (run !== undefined && taken.get(run) !== results) taken.set(run, name);
  }
  if (taken.size === 0) return { results: RESULTS };
  const last = Math.max(...taken.keys());
  return {
    results: RESULTS.replace(".", `-${last + 1}.`),
    inTheWay: taken.get(last)!,
  };
}

function wishOf(call: Call, results: string): Wish {
  const parallel = number(call, "parallel", 1);
  const on = call.get("on") ?? "local";
  const wish = {
    directory: call.operands[0] ?? ".",
    discover: discoverOptions(call),
    on,
    platform: call.get("platform") ?? on,
    ...(parallel !== undefined && { parallel }),
    reruns: number(call, "reruns", 0) ?? 0,
    results,
    ...path(call, "junit"),
    ...path(call, "html"),
    env: pairs(call, "env"),
  };
  refuseSamePath(wish);
  return wish;
}

/** Nothing may take the place of what another one writes. */
function refuseSamePath(wish: Wish): void {
  const taken = new Map([[resolve(filesOf(wish)), 'the files of "--results"']]);
  for (const option of OUTPUTS) {
    const path = wish[option];
    if (path === undefined) continue;
    const other = taken.get(resolve(path));
    if (other !== undefined) {
      throw new UsageError(
        `Cannot write both ${other} and "--${option}" to "${path}": give each a path of its own`,
      );
    }
    taken.set(resolve(path), `"--${option}"`);
  }
}

function number(call: Call, option: string, least: number): number | undefined {
  const text = call.get(option);
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least) return value;
  throw new UsageError(
    `Cannot use "--${option} ${text}": a whole number from ${least} would be right`,
  );
}

function path<K extends string>(
  call: Call,
  option: K,
): { [key in K]?: string } {
  const value = call.get(option);
  return (value === undefined ? {} : { [option]: value }) as {
    [key in K]?: string;
  };
}
