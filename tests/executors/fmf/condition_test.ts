/** Conditions as text: their meaning is Python's, and nothing in them is run. */
import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { FmfError, Tree } from "../../../executors/fmf/metadata/mod.ts";
import { parseYaml } from "../../../executors/fmf/metadata/yaml.ts";
import type { FmfMap } from "../../../executors/fmf/metadata/value.ts";

const DATA = parseYaml(
  `
level: 2
ratio: 2.0
big: 9007199254740993
on: true
none:
empty: ""
name: net-ping
tag: [net, fast]
deep: [1, [2, 3]]
env: {KEY: one, 5: five}
day: 2024-02-03
null-key: {~: nothing}
`,
  {},
) as FmfMap;

const TREE = Tree.fromData(DATA);

function holds(condition: string): boolean {
  return [...TREE.prune({ conditions: [condition] })].length === 1;
}

Deno.test("a condition has the meaning that it has in Python", () => {
  const table: Record<"true" | "false", string[]> = {
    true: [
      "level == 2",
      "level == 2.0 and ratio == level",
      "level != '2'",
      "1 < level <= 2 < 3",
      "not 1 < level < 2",
      "big == 9007199254740993 and big != 9007199254740992",
      "big > level > -1",
      "on == 1 and on == True",
      "none == None",
      "not none and not empty and not 0 and not 0.0 and not [] and name",
      "'net' in tag and 'slow' not in tag",
      "'ping' in name and '' in name",
      '"KEY" in env and 5 in env and 5.0 in env',
      "env['KEY'] == 'one' and env[5] == \"five\"",
      "tag[0] == 'net' and tag[-1] == 'fast' and name[0] == 'n'",
      "deep[1][0] == 2 and deep == [1, [2, 3]] and [1, [2, 2]] < deep",
      "[] == [] and [1,] == [1] and [1, 2] > [1]",
      "'b' > 'a' and 'a' < 'aa'",
      "day == day",
      "'level' in locals() and locals()['level'] == 2",
      "'missing' not in locals() or missing == 2",
      "('' or name) == 'net-ping'",
      "(level and on) == True",
      "not (level == 1) and not not on",
      "'a\\tb' == \"a\\x09b\" and '\\'' == \"'\" and '\\q' == '\\\\q'",
      "1e3 == 1000 and .5 < 1 and 5. == 5",
      "  level==2 and on  ",
      "locals()['null-key'][None] == 'nothing'",
    ],
    false: [
      "level == 1",
      "missing",
      "missing == None",
      "not missing", // no key that is needed may be missing
      "env['missing'] == 1 or True",
      "none",
      "empty",
      "'2' == level",
      "[1, 2] == [2, 1]",
      "level == [2]",
    ],
  };
  for (const [expected, conditions] of Object.entries(table)) {
    for (const condition of conditions) {
      strictEqual(String(holds(condition)), expected, condition);
    }
  }
});

Deno.test("a condition that cannot be decided is an error that says why, for which node", () => {
  for (
    const [condition, reason] of [
      ["tag[2]", "a list has no item 2"],
      ["tag['x']", "an item of a list has a number, not text"],
      ["level[0]", "an integer has no items"],
      ["name < level", "text is neither less nor greater than an integer"],
      ["none < 1", "null is neither less nor greater than an integer"],
      ["'a' in level", "nothing is in an integer"],
      ["1 in name", "text is in text, an integer is not"],
      ["[] in env", "a list cannot be a key"],
    ]
  ) {
    throws(() => holds(condition), {
      name: "FmfError",
      kind: "filter",
      node: "/",
      message: `/: ${
        JSON.stringify(condition)
      }: cannot decide the condition: ${reason}`,
    });
  }
});

Deno.test("a condition that cannot be understood is an error that says where, before any node is looked at", () => {
  for (
    const [condition, reason] of [
      ["", "it ends too early"],
      ["level >", "it ends too early"],
      ["level = 1", "what is at character 7 is not understood"],
      ["level 1", "1 at character 7 has no place there"],
      ["(level", '")" is missing, it ends too early'],
      ["tag[0", '"]" is missing, it ends too early'],
      ["not", "it ends too early"],
      ["a not b", '"in" is missing, b at character 7 has no place there'],
      ["name.upper() == 'X'", "what is at character 5 is not understood"],
      ["len(tag)", "( at character 4 has no place there"],
      ["locals(1)", '")" is missing, 1 at character 8 has no place there'],
      ["lambda: 1", "what is at character 7 is not understood"],
      ["import", "import at character 1 has no place there"],
      ["'open", "what is at character 1 is not understood"],
      ["007 == 7", "007 at character 1 has no place there"],
      ["12a", "what is at character 1 is not understood"],
      ["a if b else c", "if at character 3 has no place there"],
      ["a is None", "is at character 3 has no place there"],
      ["(".repeat(5000), "it is nested too deeply"],
      ["not ".repeat(5000) + "a", "it is nested too deeply"],
    ]
  ) {
    throws(() => TREE.prune({ conditions: [condition] }), (error: unknown) => {
      const { kind, message } = error as FmfError;
      strictEqual(kind, "filter");
      strictEqual(
        message.endsWith(`cannot parse the condition: ${reason}`),
        true,
        message,
      );
      return true;
    });
  }
});

Deno.test("a condition of any text holds, does not, or is an error of its kind; nothing else happens", () => {
  const words = fc.constantFrom(
    ..."level tag env name ( ) [ ] , == != < <= in not and or 1 -2 3.5 'x' \"K\" locals() True None . = \\ ' \n __proto__ constructor"
      .split(" "),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(words, { maxLength: 12 }).map((list) => list.join(" ")),
        fc.string({ unit: "binary" }),
      ),
      (condition) => {
        try {
          deepStrictEqual(typeof holds(condition), "boolean");
        } catch (error) {
          if (!(error instanceof FmfError)) throw error;
          strictEqual(error.kind, "filter");
        }
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("names that every object has are names as any other in a condition", () => {
  for (
    const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]
  ) {
    strictEqual(holds(name), false);
    strictEqual(holds(`'${name}' in locals()`), false);
    strictEqual(holds(`env['${name}']`), false);
  }
});

Deno.test("a long condition is decided in time and without an end of the stack", () => {
  const many = 5000;
  strictEqual(holds(Array(many).fill("level == 2").join(" and ")), true);
  strictEqual(holds(Array(many).fill("level == 1").join(" or ")), false);
  strictEqual(holds(`level${" == 2".repeat(many)}`), true);
  throws(() => holds(`deep${"[0]".repeat(many)}`), { kind: "filter" });
});
