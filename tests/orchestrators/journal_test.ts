import {
  deepStrictEqual as equal,
  match,
  ok,
  rejects,
} from "node:assert/strict";
import { Journal, type JournalStore } from "../../orchestrators/_journal.ts";
import type { Past } from "../../orchestrators/_journal_format.ts";
import { JournalFile } from "../../orchestrators/_journal_file.ts";
import type { TestOutcome } from "../../orchestrators/orchestrator.ts";

const SUBJECT = { path: "run.journal", platform: "here", tests: ["/b", "/ä"] };

/** A store in memory, which can be full. */
class Memory implements JournalStore {
  text: string;
  full = false;
  synced = 0;
  closed = 0;

  constructor(text = "") {
    this.text = text;
  }

  cut(length: number): void {
    this.text = this.text.slice(0, length);
  }

  append(text: string): void {
    if (this.full) throw new Error("disk full");
    this.text += text;
  }

  sync(): Promise<void> {
    this.synced++;
    return Promise.resolve();
  }

  close(): void {
    this.closed++;
  }
}

function open(
  store: JournalStore,
  subject: Partial<typeof SUBJECT> = {},
  failures: Error[] = [],
): Promise<{ journal: Journal; past: Past }> {
  return Journal.open(store, { ...SUBJECT, ...subject }, {
    at: 7,
    artifacts: "/out/atex-1",
    boot: "b1",
    onFailure: (error) => failures.push(error),
  });
}

function outcome(test: string, attempt: number, error?: Error): TestOutcome {
  return {
    test,
    attempt,
    ...(error ? { error } : { exitCode: 3 }),
    remote: "r1",
    startedAt: 1,
    finishedAt: 2,
  };
}

/** Writes what a run with one rerun and one test that was interrupted writes. */
async function written(store: JournalStore): Promise<void> {
  const { journal } = await open(store);
  const attributes = { arch: "ö" };
  const first = outcome("/ä", 1, new TypeError("cut\noff"));
  journal.started("/ä", 1, "/out/atex-1/1");
  journal.started("/b", 1, "/out/atex-1/2");
  journal.ended({ outcome: first, attributes, rerun: true });
  await journal.storing(first);
  journal.stored(first, true, "out/ä");
  const second = outcome("/ä", 2);
  journal.started("/ä", 2, "/out/atex-1/3");
  journal.ended({ outcome: second, attributes, rerun: false });
  await journal.storing(second);
  journal.stored(second, false);
  await journal.close();
}

Deno.test("Journal tells a later process what happened", async () => {
  const store = new Memory();
  await written(store);
  const { past } = await open(new Memory(store.text));
  const session = { artifacts: "/out/atex-1", boot: "b1" };
  equal(past.sessions, [session]);
  equal([...past.attempts.keys()].sort(), ["/b", "/ä"]);
  equal(past.attempts.get("/b"), [{
    test: "/b",
    attempt: 1,
    artifacts: "/out/atex-1/2",
    session,
    given: false,
  }]);
  const [first, second, ...more] = past.attempts.get("/ä")!;
  equal(more, []);
  const { error } = first.ended!.outcome;
  equal([error?.name, error?.message], ["TypeError", "cut\noff"]);
  equal([first.given, first.stored, first.ended?.rerun], [true, true, true]);
  equal([first.output, second.output], ["out/ä", undefined]);
  equal(second.ended, {
    outcome: outcome("/ä", 2),
    attributes: { arch: "ö" },
    rerun: false,
  });
  equal([second.given, second.stored], [true, false]);
});

Deno.test("Journal needs neither the order of tests nor the names of platforms to be plain", async () => {
  const store = new Memory();
  await open(store, { platform: "ä\n\ud800" });
  await open(store, { platform: "ä\n\ud800", tests: ["/ä", "/b"] });
});

Deno.test("Journal goes on from a file that was cut at any byte", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const path = `${directory}/below/run.journal`;
  const file = await JournalFile.open(path);
  await written(file);
  const bytes = await Deno.readFile(path);
  let most = 0;
  for (let length = 0; length <= bytes.length; length++) {
    await Deno.writeFile(path, bytes.subarray(0, length));
    const { journal, past } = await open(await JournalFile.open(path));
    const attempts = [...past.attempts.values()].flat().length;
    ok(attempts >= most, "more bytes, more attempts");
    most = attempts;
    journal.started("/b", 9, "/x");
    await journal.close();
    const again = await JournalFile.open(path);
    const { past: later } = await open(again);
    equal(later.sessions.length, past.sessions.length + 1);
    equal(later.attempts.get("/b")?.at(-1)?.attempt, 9);
    again.close();
  }
  equal(most, 3);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("Journal refuses what is not its own, each with one message that says what to do", async () => {
  const store = new Memory();
  await written(store);
  const { text } = store;
  const remedy =
    "; to begin anew, remove it and what was stored, or give other paths";
  const table: [string, Partial<typeof SUBJECT>, string][] = [
    [
      text,
      { platform: "there" },
      `it is of platform "here", not of "there"${remedy}`,
    ],
    [
      text,
      { tests: ["/b", "/c"] },
      `it is of 2 tests with other names${remedy}`,
    ],
    [text, { tests: ["/b"] }, `it is of 2 tests, not of these 1${remedy}`],
    [
      text.replace('"atex-journal":1', '"atex-journal":2'),
      {},
      `it is of version 2, this one can go on with version 1${remedy}`,
    ],
    ["a letter\n", {}, "it is no journal; give another path"],
    ["a letter", {}, "it is no journal; give another path"],
    ["{}\n", {}, "it is no journal; give another path"],
    ["null\n", {}, "it is no journal; give another path"],
    [
      text.replace('{"type":"started"', "x"),
      {},
      `line 3 cannot be understood${remedy}`,
    ],
    [
      text.replace('"type":"opened"', '"type":"odd"'),
      {},
      `line 2 cannot be understood${remedy}`,
    ],
    [
      text.replace('"type":"stored"', '"type":"odd"'),
      {},
      `line 7 cannot be understood${remedy}`,
    ],
    ...Object.entries({
      '"attempt":1': '"attempt":"1"',
      '"attempt":1,': '"attempt":0,',
      '"test":': '"tset":',
      '"artifacts":"/out/atex-1/1"': '"artifacts":["/out/atex-1/1"]',
    }).map(([part, other]): [string, Partial<typeof SUBJECT>, string] => [
      text.replace(part, other),
      {},
      `line 3 cannot be understood${remedy}`,
    ]),
  ];
  for (const [text, subject, why] of table) {
    const store = new Memory(text);
    await rejects(open(store, subject), {
      message: `the journal "run.journal" cannot be used: ${why}`,
    });
    equal(store.text, text, "it is left as it was");
  }
});

Deno.test("Journal keeps what it cannot write, and writes it as soon as it can", async () => {
  const store = new Memory();
  const failures: Error[] = [];
  const { journal } = await open(store, {}, failures);
  journal.started("/b", 1, "/x");
  store.full = true;
  journal.ended({ outcome: outcome("/b", 1), attributes: {}, rerun: false });
  await journal.storing(outcome("/b", 1));
  let thrown: unknown;
  try {
    journal.started("/ä", 1, "/y");
  } catch (error) {
    thrown = error;
  }
  match(String(thrown), /"run\.journal" cannot be written: disk full/);
  store.full = false;
  journal.stored(outcome("/b", 1), true);
  await journal.close();
  equal(failures.length, 1, "it tells once");
  equal(journal.failure, failures[0]);
  const { past } = await open(new Memory(store.text));
  equal([...past.attempts.keys()], ["/b"], "what did not start is not noted");
  equal(past.attempts.get("/b")?.[0].stored, true);
});

Deno.test("Journal flushes before results are stored, once for all who wait", async () => {
  const store = new Memory();
  const { journal } = await open(store);
  equal(store.synced, 1);
  const tests = Array.from({ length: 50 }, (_, i) => outcome(`/${i}`, 1));
  await Promise.all(tests.map((one) => journal.storing(one)));
  equal(store.synced, 2);
  await journal.close();
  equal([store.synced, store.closed], [3, 1]);
});

Deno.test("Journal tells when it cannot be flushed", async () => {
  const store = new Memory();
  const failures: Error[] = [];
  const { journal } = await open(store, {}, failures);
  store.sync = () => Promise.reject(new Error("input/output error"));
  await journal.storing(outcome("/b", 1));
  equal(failures.map(({ message }) => message), [
    'the journal "run.journal" cannot be written: input/output error',
  ]);
  await journal.close();
});

Deno.test("JournalFile belongs to one process at a time", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const path = `${directory}/run.journal`;
  const file = await JournalFile.open(path);
  await rejects(JournalFile.open(path), {
    name: "Busy",
    message:
      `the journal "${path}" cannot be used: the run that writes to it has not ended`,
  });
  file.close();
  (await JournalFile.open(path)).close();
  await Deno.remove(directory, { recursive: true });
});
