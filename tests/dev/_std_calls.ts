/**
 * One table of calls of everything that the project uses of `@std`, printed as JSON: `{ call: outcome }`.
 * `std_parity_test.ts` runs it over the stand-ins and over the real packages.
 */
import { abortable } from "@std/async/abortable";
import { Channel, ChannelClosedError } from "@std/async/channel";
import { deadline } from "@std/async/deadline";
import { delay } from "@std/async/delay";
import { Semaphore } from "@std/async/unstable-semaphore";
import { parseArgs } from "@std/cli/parse-args";
import { unicodeWidth } from "@std/cli/unicode-width";
import { basename } from "@std/path/posix/basename";
import { dirname } from "@std/path/posix/dirname";
import { extname } from "@std/path/posix/extname";
import { fromFileUrl } from "@std/path/posix/from-file-url";
import { isAbsolute } from "@std/path/posix/is-absolute";
import { join } from "@std/path/posix/join";
import { normalize } from "@std/path/posix/normalize";
import { relative } from "@std/path/posix/relative";
import { resolve } from "@std/path/posix/resolve";
import { toFileUrl } from "@std/path/posix/to-file-url";
import { parse } from "@std/yaml/parse";
import { stringify } from "@std/yaml/stringify";
import { YamlSyntaxError } from "@std/yaml/types";

const outcomes: Record<string, string> = {};

const show = (value: unknown) =>
  Deno.inspect(value, {
    depth: 20,
    sorted: true,
    breakLength: Infinity,
    compact: true,
  });

/** Records what a call gives, or the class and the message of what it throws. */
async function call(name: string, action: () => unknown): Promise<void> {
  try {
    outcomes[name] = show(await action());
  } catch (error) {
    const { name: kind, message } = error as Error;
    const syntax = error instanceof YamlSyntaxError
      ? ` [${error.line}:${error.column} @${error.offset}, ${
        error instanceof SyntaxError
      }]`
      : "";
    outcomes[name] = `throws ${kind}: ${message}${syntax}`;
  }
}

// ---- path ----

const PATHS = [
  "",
  ".",
  "..",
  "/",
  "//",
  "a",
  "a/",
  "a//",
  "/a",
  "/a/",
  "//a//b//",
  "a/b",
  "./a",
  "../a",
  "a/..",
  "a/../..",
  "/..",
  "/a/./b/../c",
  "a.txt",
  ".a",
  "a.",
  "a.b.c",
  "/a.b/c",
  "a b",
  "é/ü",
  "a\\b",
  "a%20b",
  "a?b#c",
  " ",
  "a/.b",
  "a/.b.c/",
];
for (const path of PATHS) {
  const arg = JSON.stringify(path);
  await call(`basename(${arg})`, () => basename(path));
  await call(`basename(${arg}, ".c")`, () => basename(path, ".c"));
  await call(`dirname(${arg})`, () => dirname(path));
  await call(`extname(${arg})`, () => extname(path));
  await call(`isAbsolute(${arg})`, () => isAbsolute(path));
  await call(`normalize(${arg})`, () => normalize(path));
  await call(`join(${arg}, "x")`, () => join(path, "x"));
  await call(`join("x", ${arg})`, () => join("x", path));
  await call(`resolve("/base", ${arg})`, () => resolve("/base", path));
  await call(
    `relative("/a/b", ${arg})`,
    () => relative("/a/b", resolve("/a", path)),
  );
  await call(
    `relative(${arg}, "/a/b")`,
    () => relative(resolve("/", path), "/a/b"),
  );
  if (!path.includes("//")) {
    await call(`toFileUrl(${arg})`, () => toFileUrl(path).href);
  }
}
await call(
  "resolve() is the working directory",
  () => resolve() === Deno.cwd() && resolve("a") === join(Deno.cwd(), "a"),
);
await call("join() skips empty parts", () => join("a", "", "b", "../c", "/d"));
for (
  const url of [
    "file:///a/b",
    "file:///a%20b",
    "file:///a%25b",
    "file:///%E0%A4%A",
    "file:///a%2Fb",
    "file:///a?x#y",
    "file://host/a",
    "file:///",
    "https://example.org/a",
    "nonsense",
  ]
) {
  await call(`fromFileUrl("${url}")`, () => fromFileUrl(url));
  await call(`join(new URL("${url}"), "..")`, () => join(new URL(url), ".."));
  await call(`basename(new URL("${url}"))`, () => basename(new URL(url)));
  await call(`dirname(new URL("${url}"))`, () => dirname(new URL(url)));
}
// ---- async ----

/** Keeps a promise that rejects before it is looked at from ending the program. */
function held<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** How a promise stands once everything that is due has run. */
async function settled(promise: Promise<unknown>): Promise<string> {
  let state = "pending";
  promise.then(
    (value) => state = `resolved ${show(value)}`,
    (error) => state = `rejected ${error}`,
  );
  await new Promise((done) => setTimeout(done, 0));
  return state;
}

for (const max of [0, -1, 1.5, NaN]) {
  await call(`new Semaphore(${max})`, () => new Semaphore(max));
}
await call("Semaphore serves waiters in order", async () => {
  const semaphore = new Semaphore(2);
  const order: number[] = [];
  const permits = [1, 2, 3, 4].map((n) =>
    semaphore.acquire().then((permit) => (order.push(n), permit))
  );
  await settled(permits[0]);
  const before = [...order];
  (await permits[1])[Symbol.dispose]();
  await settled(permits[2]);
  const between = [...order];
  semaphore.release();
  await settled(permits[3]);
  return [before, between, order, semaphore.tryAcquire() === undefined];
});
await call("Semaphore never holds more than its permits", () => {
  const semaphore = new Semaphore();
  semaphore.release();
  semaphore.release();
  return [semaphore.tryAcquire(), semaphore.tryAcquire()].map((permit) =>
    permit !== undefined
  );
});

await call("Channel hands over", async () => {
  const channel = new Channel<number>();
  const sent = channel.send(1);
  const before = await settled(sent);
  const got = [
    await channel.receive(),
    channel.tryReceive(),
    channel.trySend(2),
  ];
  const waiting = channel.receive();
  return [
    before,
    await settled(sent),
    got,
    channel.trySend(3),
    await waiting,
    channel.capacity,
    channel.size,
  ];
});
await call("Channel buffers up to its capacity", async () => {
  const channel = new Channel<number>({ capacity: 2 });
  const sends = [1, 2, 3].map((n) => channel.send(n));
  const states = [
    await settled(sends[1]),
    await settled(sends[2]),
    channel.size,
  ];
  return [
    states,
    await channel.receive(),
    await settled(sends[2]),
    channel.size,
    channel.tryReceive(),
    channel.tryReceive(),
  ];
});
await call("Channel closed: what is buffered still comes", async () => {
  const channel = new Channel<number>({ capacity: 4 });
  channel.trySend(1);
  channel.trySend(2);
  channel.close();
  channel.close("again");
  return [
    await Array.fromAsync(channel),
    channel.closed,
    channel.trySend(3),
    channel.tryReceive(),
    await settled(channel.receive()),
  ];
});
await call("Channel closed: senders get their value back", async () => {
  const channel = new Channel<number>();
  const sent = channel.send(7).catch((
    error,
  ) => [
    error instanceof ChannelClosedError,
    error.name,
    error.message,
    error.value,
  ]);
  channel.close("reason");
  return [await sent, await channel.send(8).catch((error) => error.value)];
});
await call("Channel closed with a reason: receivers get it", async () => {
  const channel = new Channel<number>();
  const waiting = channel.receive();
  const state = settled(waiting);
  channel.close(new Error("why"));
  return [
    await state,
    await settled(channel.receive()),
    await settled(Array.fromAsync(channel)),
  ];
});
await call("Channel: an aborted receive takes nothing", async () => {
  const channel = new Channel<number>();
  const abort = new AbortController();
  const first = channel.receive({ signal: abort.signal });
  const second = channel.receive();
  abort.abort(new Error("enough"));
  const state = await settled(first);
  channel.trySend(1);
  return [
    state,
    await second,
    await settled(channel.receive({ signal: abort.signal })),
  ];
});
await call("Channel: an aborted send leaves nothing", async () => {
  const channel = new Channel<number>();
  const abort = new AbortController();
  const first = channel.send(1, { signal: abort.signal });
  const second = channel.send(2);
  abort.abort(new Error("enough"));
  return [
    await settled(first),
    await channel.receive(),
    await settled(second),
    channel.tryReceive(),
  ];
});
await call("Channel as a stream, and disposed", async () => {
  const channel = new Channel<number>({ capacity: 2 });
  channel.trySend(1);
  channel.trySend(2);
  channel[Symbol.dispose]();
  return [await Array.fromAsync(channel.toReadableStream()), channel.closed];
});
await call(
  "new Channel({ capacity: -1 })",
  () => new Channel({ capacity: -1 }),
);

await call(
  "delay() ends, aborts with the reason, and does not start",
  async () => {
    const abort = new AbortController();
    const waiting = held(delay(1e9, { signal: abort.signal }));
    abort.abort("reason");
    return [
      await delay(1),
      await settled(waiting),
      await settled(delay(0, { signal: abort.signal })),
      await settled(delay(NaN)),
    ];
  },
);
await call("abortable() with a promise", async () => {
  const abort = new AbortController();
  const never = held(abortable(new Promise(() => {}), abort.signal));
  const done = abortable(Promise.resolve(1), abort.signal);
  const value = await done;
  abort.abort(new Error("enough"));
  return [
    value,
    await settled(never),
    await settled(abortable(Promise.resolve(1), abort.signal)),
  ];
});
await call("abortable() with an iterable", async () => {
  const abort = new AbortController();
  const log: unknown[] = [];
  async function* numbers() {
    try {
      yield 1;
      yield 2;
      yield 3;
    } finally {
      log.push("closed");
    }
  }
  try {
    for await (const n of abortable(numbers(), abort.signal)) {
      log.push(n);
      if (n === 2) abort.abort(new Error("enough"));
    }
  } catch (error) {
    log.push(String(error));
  }
  return log;
});
await call("deadline()", async () => [
  await deadline(Promise.resolve(1), 1e6, {
    signal: new AbortController().signal,
  }),
  await deadline(new Promise(() => {}), 1).catch((error) => error.name),
  await settled(
    deadline(new Promise(() => {}), 1e6, {
      signal: AbortSignal.abort("reason"),
    }),
  ),
]);
// ---- cli ----

const ARGS = [
  [],
  ["a", "5", "b"],
  ["--on", "x"],
  ["--on=x"],
  ["--on="],
  ["--on"],
  ["--on", "--flag"],
  ["--on", "1"],
  ["--other", "1"],
  ["--other", "x", "y"],
  ["--other"],
  ["--flag"],
  ["--flag", "x"],
  ["--flag=false"],
  ["--flag", "false"],
  ["-f"],
  ["-f", "x"],
  ["--many", "a", "--many", "b"],
  ["--on", "a", "--on", "b"],
  ["--no-flag"],
  ["--no-other"],
  ["--no-neg"],
  ["a", "--", "--flag", "5"],
  ["--", "a"],
  ["-"],
  ["--on", "-5"],
  ["--count", "5"],
  ["x", "--flag", "y"],
];
for (const args of ARGS) {
  const text = JSON.stringify(args);
  await call(`parseArgs(${text})`, () => parseArgs(args));
  await call(`parseArgs(${text}, everything)`, () =>
    parseArgs(args, {
      string: ["on", "many", "plain"],
      boolean: ["flag", "neg"],
      collect: ["many"],
      negatable: ["neg"],
      alias: { f: "flag" },
      default: { on: "here", count: 1 },
    }));
  await call(`parseArgs(${text}, "--", unknown)`, () => {
    const unknown: unknown[] = [];
    const result = parseArgs(args, {
      "--": true,
      boolean: ["flag"],
      unknown: (...call) => (unknown.push(call), false),
    });
    return [result, unknown];
  });
  await call(
    `parseArgs(${text}, stopEarly)`,
    () => parseArgs(args, { stopEarly: true, boolean: ["flag"] }),
  );
}
for (
  const text of [
    "",
    "abc",
    "é",
    "e\u0301",
    "日本語",
    "ｆｕｌｌ",
    "🦕",
    "\x1b[31m",
    "\t\n\0",
    "\u200b",
    "\u00ad",
    "한글",
    "a\u200db",
    "→…✓",
  ]
) {
  await call(`unicodeWidth(${JSON.stringify(text)})`, () => unicodeWidth(text));
}

// ---- yaml ----

const DOCUMENTS = [
  "",
  " ",
  "\n",
  "#c",
  "a",
  "a: 1",
  "a: 1\nb: [1, 2.0, x]\n",
  "- 1\n- a: b\n  c: d\n-\n",
  "a:\n- b\n- c\n",
  "~",
  "null",
  "a:",
  "a: ~",
  "yes",
  "True",
  "1.5",
  "1:30",
  "0x1f",
  "017",
  "0o17",
  "+12",
  "1_000",
  "1e3",
  ".5",
  "+.5",
  ".inf",
  "-.INF",
  ".nan",
  "0b11",
  "-0",
  "2024-05-06",
  "2024-05-06T07:08:09Z",
  "2024-5-6 7:08:09.5 +2",
  "'1'",
  '"1"',
  '"a\\tb\\x41\\u00e9"',
  "'it''s'",
  '"\\q"',
  '"\\xg"',
  "'a",
  '"a',
  "|\n a\n  b\n",
  ">\n a\n b\n\n c\n",
  "|-\n a\n",
  "|+\n a\n\n",
  "|2\n   a\n",
  "|0\n a",
  ">--\n a",
  "a: |\n b\nc: d",
  "{a: 1, b: {c: [d]}}",
  "[a, b",
  "{a",
  "{a: b c: d}",
  "[a b, ]",
  "[,]",
  "[a]]",
  "a: b: c",
  "a\nb: c",
  "a: 1\n b: 2",
  "  a: 1\n b: 2",
  "- a\n b",
  "a: 1\na: 2",
  "{a: 1, a: 2}",
  "? a\n: b\n",
  "? [a, b]\n: c",
  "? {a: b}\n: c",
  "[[a]]: b",
  "? a\n? b",
  ": a",
  "a: &x 1\nb: *x",
  "a: &x {k: 1}\nb: *x",
  "*x",
  "a: *",
  "&",
  "&x &y a",
  "a: &x\nb: *x",
  "&x [*x]",
  "<<: {a: 1}\nb: 2",
  "a: 1\n<<: {a: 2, b: 3}",
  "<<: [{a: 1}, {a: 2, b: 3}]",
  "<<: 1",
  "<<: [1]",
  "base: &b {x: 1}\nd:\n  <<: *b\n  y: 2\n",
  "<<: {a: 1}\n<<: {b: 2}",
  "'<<': {a: 1}",
  "!!str 1",
  "!!int '1'",
  "!!int a",
  "!custom a",
  "!!python/object a",
  "!<tag:yaml.org,2002:str> 1",
  "!!seq a",
  "!!map [a]",
  "! a",
  "!x!y a",
  "!a!b!c d",
  "!!str !!str a",
  "!!float 1",
  "!!bool yes",
  "%TAG ! tag:x,2000:\n---\n!a b",
  "!!null ''",
  "%YAML 1.2\n---\na",
  "%YAML 2.0\n---\na",
  "%YAML 1\n---",
  "%YAML 1.1 x\n---",
  "%FOO x\n---\na",
  "%\n---",
  "%YAML 1.1\n%YAML 1.1\n---\na",
  "%YAML 1.1\na",
  "---\na\n---\nb\n",
  "---\na\n...\n",
  "a\n...\nb\n",
  "---\n---\n",
  "a: 1\n---\nb: [",
  "...\na",
  "# c\n---\na\n... # d\n",
  "\ta: 1",
  "a:\t1",
  "a: 1\n\tb: 2",
  "a: b\tc",
  "a\u0007b",
  "'a\u0007b'",
  "a: @b",
  "a: `b",
  "a: %b",
  "%",
  "@",
  "a: }",
  "a: ]",
  "a: ,",
  "- - a\n  - b",
  "a: 'b\n  c'",
  "a: b\n  c\n",
  "a: b #c",
  "a: b#c",
  "a:b",
  "a: -",
  "- ",
  "-a",
  "?a",
  "\ufeffa: 1",
  "a: 1\r\nb: 2\r\n",
  "a: 1\rb: 2",
  "__proto__: 1",
  "constructor: 1",
  "toString: {}",
  "a: 'x\n\n  y'",
  "? |\n  a\n: b",
  "é: ü",
  "🦕: 1",
  "a: \u0085",
  "a: \u2028b",
  "test: ./run.sh\nframework: shell\nrequire+:\n  - a\nadjust:\n  - when: distro == fedora\n    enabled: false\nextra-x: {y: 1}\n",
];
for (const text of DOCUMENTS) {
  const arg = JSON.stringify(text);
  await call(`parse(${arg})`, () => parse(text));
}
for (
  const text of [
    "a: 1\na: 2",
    "a\n---\nb",
    "a: 012\nb: 0x10",
    "--- a\n--- b\n...\n",
    "--- a\n--- [",
  ]
) {
  const arg = JSON.stringify(text);
  await call(
    `parse(${arg}, allowDuplicateKeys)`,
    () => parse(text, { allowDuplicateKeys: true }),
  );
  await call(`parse(${arg}, json)`, () => parse(text, { schema: "json" }));
  await call(
    `parse(${arg}, failsafe)`,
    () => parse(text, { schema: "failsafe" }),
  );
}
const shared = { k: [1] };
const DATA = [
  null,
  true,
  1,
  -1.5,
  1e21,
  NaN,
  Infinity,
  "",
  "a",
  "yes",
  "1",
  "a: b",
  "a #b",
  "- a",
  "a\nb\n",
  " a",
  "'",
  '"',
  "~",
  "é",
  "x ".repeat(60),
  [],
  {},
  [[], {}],
  [1, [2, [3]]],
  { a: 1, b: { c: [1, { d: null }] } },
  { "a b": "c", "": 1, "?": 2 },
  [shared, shared],
  new Date(0),
];
for (const data of DATA) {
  await call(`stringify(${show(data)})`, () => stringify(data));
  await call(
    `stringify(${show(data)}, options)`,
    () =>
      stringify(data, {
        indent: 4,
        flowLevel: 1,
        sortKeys: true,
        lineWidth: 40,
        useAnchors: false,
        arrayIndent: false,
      }),
  );
}
console.log(JSON.stringify(outcomes, null, 2));
