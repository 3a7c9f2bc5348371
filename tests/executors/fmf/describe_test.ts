import { deepStrictEqual, throws } from "node:assert/strict";
import { describe } from "../../../executors/fmf/describe.ts";
import { discover } from "../../../executors/fmf/discover.ts";

Deno.test("describe() tells what the tests of a tree are", async () => {
  const suite = new URL("../../../examples/suite", import.meta.url);
  await using tests = await discover(suite, { plan: "/plans/demo" });
  const { tests: described, duration, require, warnings } = describe(tests);
  deepStrictEqual(described.map(({ name }) => name), [...tests.data.keys()]);
  deepStrictEqual(described.find(({ name }) => name === "/slow/long"), {
    name: "/slow/long",
    summary: "Takes longest, so it had better start early",
    directory: ".",
    duration: 600_000,
    priority: 0,
    tags: [],
    require: [],
    recommend: [],
    libraries: [],
    tty: false,
  });
  deepStrictEqual(
    described.find(({ name }) => name === "/smoke")?.priority,
    10,
  );
  deepStrictEqual(
    described.find(({ name }) => name === "/system/destructive")?.tags,
    ["destructive"],
  );
  deepStrictEqual(
    duration,
    described.reduce((sum, { duration }) => sum + duration, 0),
  );
  deepStrictEqual([require, warnings], [[], []]);
});

Deno.test("describe() tells packages and libraries of tests and plan", () => {
  const suite = describe({
    plan: {
      prepare: [{ how: "install", package: ["gcc", "make"] }, {
        how: "shell",
        script: "x",
      }],
    },
    data: new Map([
      ["/a", {
        require: [
          "make",
          { type: "file", pattern: ["x"] },
          { url: "https://token@example.com/r", name: "/lib" },
          { type: "library", nick: "n", name: "/l" },
          { name: "/here" },
        ],
        recommend: "gdb",
        tag: "one",
        duration: "*2",
        tty: true,
      }],
    ]),
    sources: new Map(),
    warnings: [{ message: "odd" }],
  });
  deepStrictEqual(suite, {
    tests: [{
      name: "/a",
      directory: ".",
      duration: 600_000,
      priority: 0,
      tags: ["one"],
      require: ["make"],
      recommend: ["gdb"],
      libraries: ["https://***@example.com/r/lib", "n/l", "/here"],
      tty: true,
    }],
    duration: 600_000,
    require: ["gcc", "make"],
    recommend: ["gcc", "gdb", "make"],
    warnings: ["odd"],
  });
});

Deno.test("describe() names the test whose duration it cannot understand", () => {
  throws(
    () =>
      describe({
        plan: {},
        data: new Map([["/a", { duration: "long" }]]),
        sources: new Map(),
      }),
    /Cannot describe test "\/a": "long" is no duration/,
  );
});
