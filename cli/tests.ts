/** `atex tests`: what tests there are. */
import { describe, discover } from "../executors/fmf/mod.ts";
import { printable, span } from "../orchestrators/progress.ts";
import type { Command } from "./_command.ts";
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
    { name: "requires", about: "only the packages that they need, sorted" },
    { name: "json", about: "a JSON object a line" },
  ],
  permissions: "--allow-read; for libraries and repositories -A",
  example:
    "atex tests ./suite --plan /plans/nightly --context distro=fedora-42 --long",
  async run(call) {
    await using found = await discover(call.operands[0] ?? ".", {
      ...discoverOptions(call),
      signal: call.signal,
    });
    const suite = describe(found);
    for (const warning of suite.warnings) {
      console.error(`warning: ${printable(warning)}`);
    }
    if (call.has("requires")) {
      for (
        const name of new Set([...suite.require, ...suite.recommend].sort())
      ) {
        console.log(call.has("json") ? JSON.stringify(name) : printable(name));
      }
    } else if (call.has("metadata")) {
      const { stringify } = await import("@std/yaml/stringify");
      for (const [name, data] of found.data) {
        console.log(
          call.has("json")
            ? JSON.stringify({ name, ...data })
            : stringify({ [name]: { ...data } }, { skipInvalid: true })
              .trimEnd(),
        );
      }
    } else {
      for (const test of suite.tests) {
        console.log(
          call.has("json")
            ? JSON.stringify(test)
            : call.has("long")
            ? longLine(test)
            : printable(test.name),
        );
      }
    }
    return 0;
  },
};

function longLine(
  { name, duration, priority, tags, summary }: ReturnType<
    typeof describe
  >["tests"][number],
): string {
  const parts = [
    name,
    span(duration),
    ...(priority === 0 ? [] : [`priority ${priority}`]),
    ...(tags.length > 0 ? [`[${tags.join(" ")}]`] : []),
    ...(summary ? [summary] : []),
  ];
  return printable(parts.join("  "));
}
