/** `atex tests`: what tests there are. */
import { describe, discover, type FmfTests } from "../executors/fmf/mod.ts";
import { formatDuration } from "../orchestrators/progress.ts";
import { type Call, type Command, print, UsageError } from "./_command.ts";
import { discoverOptions, DISCOVERY_OPTIONS } from "./_discovery.ts";

/** Lists the tests of a tree. */
export const tests: Command = {
  name: "tests",
  purpose:
    "Lists the tests of an fmf tree, in the order in which they are found.",
  operands: "[DIR]",
  arity: [0, 1],
  options: [
    ...DISCOVERY_OPTIONS,
    {
      name: "long",
      short: "l",
      about: "with duration, priority, tags and summary",
    },
    { name: "metadata", about: "everything that is known of each, as YAML" },
    {
      name: "requires",
      about: "only the packages that they and the plan need, sorted",
    },
    { name: "library", about: "with --requires: the libraries instead" },
    { name: "exit-code", about: "exit with 1 if there is no test" },
    { name: "json", about: "a JSON object a line" },
  ],
  permissions:
    "--allow-read; for --requires of tests with libraries, and for plans with tests of other repositories, -A",
  example:
    "atex tests ./suite --plan /plans/nightly --context distro=fedora-42 --long",
  async run(call) {
    const packages = call.has("requires") && !call.has("library");
    if (call.has("library") && !call.has("requires")) {
      throw new UsageError(
        'Cannot run "atex tests": "--library" goes with "--requires"',
      );
    }
    await using found = await discover(call.operands[0] ?? ".", {
      ...discoverOptions(call),
      // Only whoever wants to know what they require in turn has to fetch them.
      libraries: packages,
      signal: call.signal,
    });
    for (const { message } of found.warnings) call.note(`warning: ${message}`);
    if (found.data.size === 0) call.note("no test was found");
    if (call.has("requires")) listRequirements(call, found);
    else if (call.has("metadata")) await listMetadata(call, found);
    else listTests(call, found);
    return call.has("exit-code") && found.data.size === 0 ? 1 : 0;
  },
};

function listTests(call: Call, found: FmfTests): void {
  const { tests } = describe(found);
  const names = widest(tests.map(({ name }) => name));
  const times = widest(tests.map(({ duration }) => formatDuration(duration)));
  for (const test of tests) {
    const { name, duration, priority, tags, summary } = test;
    const parts = call.has("long")
      ? [
        name.padEnd(names),
        formatDuration(duration).padEnd(times),
        ...(priority === 0 ? [] : [`priority ${priority}`]),
        ...(tags.length > 0 ? [`[${tags.join(" ")}]`] : []),
        ...(summary ? [summary] : []),
      ]
      : [name];
    print(call, test, parts.join("  ").trimEnd());
  }
}

const widest = (texts: string[]) =>
  texts.reduce((most, { length }) => Math.max(most, length), 0);

function listRequirements(call: Call, found: FmfTests): void {
  const { require, recommend, tests } = describe(found);
  const [key, names] = call.has("library")
    ? ["library", tests.flatMap(({ libraries }) => libraries)] as const
    : ["package", [...require, ...recommend]] as const;
  for (const name of new Set([...names].sort())) {
    print(call, { [key]: name }, name);
  }
}

async function listMetadata(call: Call, { data }: FmfTests): Promise<void> {
  const { stringify } = await import("@std/yaml/stringify");
  for (const [name, metadata] of data) {
    console.log(
      call.has("json")
        ? JSON.stringify({ name, ...metadata })
        : stringify({ [name]: { ...metadata } }, { skipInvalid: true })
          .trimEnd(),
    );
  }
}
