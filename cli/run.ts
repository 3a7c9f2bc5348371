/** `atex run`: trying tests out. */
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { discover, FmfExecutor } from "../executors/fmf/mod.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import {
  byPriority,
  destructiveTag,
  longestFirst,
  reruns,
} from "../orchestrators/policies.ts";
import { showProgress } from "../orchestrators/progress.ts";
import { provisionerFromString } from "../provisioners/from_string.ts";
import { type Call, type Command, UsageError } from "./_command.ts";
import { discoverOptions, DISCOVERY_OPTIONS, pairs } from "./_discovery.ts";
import { scriptFor, type Wish } from "./_script.ts";

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
      about: "local (default), podman:IMAGE, ssh:HOST,HOST",
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
        "results as JSON lines, with a directory PATH.files beside it; default: results.jsonl",
    },
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
  permissions: "-A",
  example: "atex run ./suite --on podman:fedora:42 --parallel 4 --reruns 1",
  async run(call) {
    const wish = wishOf(call);
    if (call.has("print-script")) {
      console.log(scriptFor(wish));
      return 0;
    }
    const { signal } = call;
    await using tests = await discover(wish.directory, {
      ...wish.discover,
      signal,
    });
    for (const { message } of tests.warnings) {
      console.error(`warning: ${message}`);
    }
    const provisioner = await provisionerFromString(wish.on, {
      ...(wish.parallel !== undefined && { maxRemotes: wish.parallel }),
    });
    await using pool = await provisioner.start({ signal });
    await using results = await new JsonLinesAggregator({
      results: wish.results,
      files: `${wish.results}.files`,
    }).start();
    await using testing = new AdHocOrchestrator({
      platform: wish.on,
      tests: tests.data.keys(),
      provisioners: [pool],
      executor: (remote) => new FmfExecutor(remote, { tests, env: wish.env }),
      aggregator: results,
      next: [byPriority(tests), longestFirst(tests)],
      destructive: destructiveTag(tests),
      rerun: reruns(wish.reruns),
    }).run({ signal });
    await showProgress(testing);
    return (await testing.finished).failed === 0 ? 0 : 1;
  },
};

function wishOf(call: Call): Wish {
  const parallel = number(call, "parallel", 1);
  return {
    directory: call.operands[0] ?? ".",
    discover: discoverOptions(call),
    on: call.get("on") ?? "local",
    ...(parallel !== undefined && { parallel }),
    reruns: number(call, "reruns", 0) ?? 0,
    results: call.get("results") ?? "results.jsonl",
    env: pairs(call, "env"),
  };
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
