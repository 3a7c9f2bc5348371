import type { DiscoverOptions } from "../executors/fmf/mod.ts";
import { type Call, type Option, UsageError } from "./_command.ts";

/** The options of the commands that look for tests. */
export const DISCOVERY_OPTIONS: readonly Option[] = [
  {
    name: "plan",
    value: "NAME",
    about: "the tests that this plan chooses; default: all",
  },
  {
    name: "test",
    short: "t",
    value: "RE",
    many: true,
    about: "only tests whose name holds a match",
  },
  {
    name: "exclude",
    value: "RE",
    many: true,
    about: "no tests whose name holds a match",
  },
  {
    name: "filter",
    value: "EXPR",
    many: true,
    about: 'only tests that the filter fits: "tag: fast"',
  },
  {
    name: "condition",
    value: "EXPR",
    many: true,
    about: "only tests whose metadata meet it: \"level > 1 and 'net' in tag\"",
  },
  {
    name: "context",
    short: "c",
    value: "KEY=VALUE",
    many: true,
    about: "what adjust rules are decided by",
  },
];

/** What these options say, for `discover()`. */
export function discoverOptions(call: Call): DiscoverOptions {
  const plan = call.get("plan");
  const context = pairs(call, "context");
  return {
    ...(plan !== undefined && { plan }),
    ...list("names", call.all("test")),
    ...list("excludes", call.all("exclude")),
    ...list("filters", call.all("filter")),
    ...list("conditions", call.all("condition")),
    ...(Object.keys(context).length > 0 && { context }),
  };
}

function list<K extends string>(
  key: K,
  values: readonly string[],
): { [key in K]?: readonly string[] } {
  return (values.length > 0 ? { [key]: values } : {}) as {
    [key in K]?: readonly string[];
  };
}

/** The values `KEY=VALUE` of an option as an object; the last of a key wins. */
export function pairs(call: Call, option: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const text of call.all(option)) {
    const at = text.indexOf("=");
    if (at < 1) {
      throw new UsageError(
        `Cannot use "--${option} ${text}": KEY=VALUE would be right`,
      );
    }
    result[text.slice(0, at)] = text.slice(at + 1);
  }
  return result;
}
