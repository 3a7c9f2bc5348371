/** What scripts keep of their runs. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { encodeEvent } from "../../../orchestrators/_event_json.ts";
import { decodeEvent } from "../../../orchestrators/_event_schema.ts";
import {
  headOf,
  type Past,
  readJournal,
} from "../../../orchestrators/_journal_format.ts";
import { readEventLog } from "../../../orchestrators/event_log.ts";
import { printable, printableLines } from "../../../orchestrators/_text.ts";
import { ONE_OF_EACH } from "../../orchestrators/_events.ts";
import { like, mutated, texts } from "../mutation.ts";
import { bytesOf, outcomeOf, target, utf8 } from "../target.ts";

const subject = { path: "out/run.journal", platform: "p", tests: ["/a", "/b"] };
const head = await headOf(subject);

const entries = [
  { type: "opened", at: 1, boot: "b", artifacts: "/tmp/x" },
  { type: "started", test: "/a", attempt: 1, artifacts: "/tmp/x/1" },
  {
    type: "ended",
    test: "/a",
    attempt: 1,
    exitCode: 1,
    error: { name: "E", message: "m" },
    remote: "r",
    attributes: { a: "b" },
    startedAt: 1,
    finishedAt: 2,
    rerun: true,
  },
  { type: "storing", test: "/a", attempt: 1 },
  { type: "not-stored", test: "/a", attempt: 1 },
  { type: "stored", test: "/a", attempt: 1 },
  { type: "started", test: "/a", attempt: 2, artifacts: "/tmp/x/2" },
];
const lines = [head, ...entries].map((entry) => `${JSON.stringify(entry)}\n`);

const journals = fc.oneof(
  mutated([lines.join("")], lines),
  // lines that are well-formed, with fields of any kind
  fc.array(fc.oneof(...entries.map(like)), { maxLength: 8 }).map((made) =>
    [lines[0], ...made.map((one) => `${JSON.stringify(one)}\n`)].join("")
  ),
  fc.array(fc.constantFrom(...lines), { maxLength: 8 })
    .map((made) => [lines[0], ...made].join("")),
);

export const journal = target({
  name: "journal",
  oracle:
    "a journal is taken, with attempts whose fields are what they should be, or refused with its path; if it is taken, so is each of its beginnings",
  inputs: fc.record({
    text: journals,
    place: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  async check({ text, place }) {
    const read = (text: string) =>
      outcomeOf(
        () => readJournal(text, subject.path, head),
        ({ message }) =>
          message.startsWith('the journal "out/run.journal" cannot be used: '),
      ) as Promise<{ value?: { past: Past; length: number }; error?: Error }>;
    const { value } = await read(text);
    if (!value) return;
    ok(value.length <= text.length);
    for (const [test, list] of value.past.attempts) {
      strictEqual(typeof test, "string");
      for (const { attempt, artifacts, session, ended } of list) {
        ok(Number.isSafeInteger(attempt) && attempt > 0, `attempt ${attempt}`);
        strictEqual(typeof artifacts, "string");
        strictEqual(typeof session.artifacts, "string");
        if (!ended) continue;
        strictEqual(typeof ended.rerun, "boolean");
        ok(Object.values(ended.attributes).every((v) => typeof v === "string"));
        const { exitCode, error } = ended.outcome;
        ok(exitCode === undefined || Number.isInteger(exitCode));
        ok(error === undefined || error instanceof Error);
      }
    }
    const beginning = await read(
      text.slice(0, Math.floor(text.length * place)),
    );
    ok(!beginning.error, beginning.error?.message);
  },
});

const events = ONE_OF_EACH.map((event) => encodeEvent(event));

export const eventLog = target({
  name: "event-log",
  oracle:
    "a log is a list of events, which are written as they were read, or a SyntaxError tells file and line",
  inputs: fc.oneof(
    { weight: 2, arbitrary: texts(events, events.map((one) => `${one}\n`)) },
    {
      weight: 3,
      arbitrary: fc.array(
        fc.oneof(...events.map((one) => like(JSON.parse(one)))),
        { maxLength: 3 },
      ).map((made) => made.map((one) => `${JSON.stringify(one)}\n`).join("")),
    },
    fc.constantFrom(500, 5000).map((depth) =>
      '{"type":"aborting","time":1,"reason":' +
      '{"name":"E","message":"m","cause":'.repeat(depth) + '"x"' +
      "}".repeat(depth + 1) + "\n"
    ),
  ).map(utf8),
  cost: 3,
  async check(text, directory) {
    const path = `${directory}/events.jsonl`;
    Deno.writeFileSync(path, bytesOf(text));
    const { value, error } = await outcomeOf(
      () => Array.fromAsync(readEventLog(path)),
      (error) => error instanceof SyntaxError,
    ) as {
      value?: Awaited<ReturnType<typeof decodeEvent>>[];
      error?: Error;
    };
    if (error) {
      ok(
        error.message.startsWith(`Cannot read the event log "${path}": line `),
        error.message,
      );
      return;
    }
    for (const event of value!) {
      const line = encodeEvent(event);
      strictEqual(encodeEvent(decodeEvent(line)), line);
    }
  },
});

export const terminal = target({
  name: "terminal",
  oracle:
    "what is shown on a terminal has nothing in it that would change how the rest is shown",
  inputs: texts(["/a\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\rb"], [
    "\x1b[2J",
    "\x9b",
    "\u202e",
    "\u2028",
    "\x07",
    "\b",
    "\n",
    "a",
  ]),
  check(text) {
    const shown = printable(text);
    ok(!/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(shown), shown);
    const many = printableLines(text);
    ok(!/[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u.test(many), many);
    deepStrictEqual(printable(shown), shown);
  },
});
