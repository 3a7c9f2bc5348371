/** What happened to the tests of a run, as lines of JSON that outlive it. */
import type { TestOutcome } from "./orchestrator.ts";

/** Where lines are kept; tests have another one. */
export interface JournalStore {
  /** What was there when it was opened. */
  readonly text: string;
  /** Leaves only so much of the beginning, in UTF-16 units of `text`. */
  cut(length: number): void;
  /** Appends by one write. After a failure nothing of it is there. */
  append(text: string): void;
  /** Waits until everything is on the disk. */
  sync(): Promise<void>;
  close(): void;
}

/** A process that ran tests of the run. */
export interface Session {
  /** The directory below which its artifacts are. */
  artifacts: string;
  /** The start of the host that it ran on, if that is known. */
  boot?: string | undefined;
}

/** An attempt of an earlier process. */
export interface PastAttempt {
  test: string;
  attempt: number;
  artifacts: string;
  session: Session;
  /** What came of it; absent if it was interrupted. */
  ended?: Ended;
  /** Whether an aggregator was given its results. */
  given: boolean;
  /** Whether it took them, if it said so. */
  stored?: boolean;
}

/** The end of an attempt. */
export interface Ended {
  outcome: TestOutcome;
  attributes: Readonly<Record<string, string>>;
  /** Whether the test was to run again. */
  rerun: boolean;
}

/** What earlier processes did. */
export interface Past {
  sessions: Session[];
  /** Attempts of each test, in their order. */
  attempts: Map<string, PastAttempt[]>;
}

type Entry =
  | { type: "opened"; at: number; boot?: string; artifacts: string }
  | { type: "started"; test: string; attempt: number; artifacts: string }
  | {
    type: "ended";
    test: string;
    attempt: number;
    exitCode?: number;
    error?: { name: string; message: string };
    remote: string;
    attributes: Readonly<Record<string, string>>;
    startedAt: number;
    finishedAt: number;
    rerun: boolean;
  }
  | {
    type: "storing" | "stored" | "not-stored";
    test: string;
    attempt: number;
  };

const VERSION = 1;
const MARK = '{"atex-journal":';
const REMEDY =
  "; to begin anew, remove it and what was stored, or give other paths";

/** What a journal belongs to. */
export interface Subject {
  /** The path of the journal, for messages. */
  path: string;
  platform: string;
  tests: readonly string[];
}

/** What a journal tells about a process that opens it. */
export interface Opening extends Session {
  /** In milliseconds since 1970. */
  at: number;
  /** Is told once, when a line cannot be written. */
  onFailure: (error: Error) => void;
}

/**
 * The lines that a run writes. Each is one write, so that a process that is killed
 * leaves whole lines, or part of the last one. What must not be forgotten when
 * the host goes down is flushed: the head, before anything is run, and the
 * outcome of a test before its results are handed to an aggregator, since these
 * may be there for good when the journal is not. A lost line of a test that runs,
 * or was stored, does no harm: the test runs again, or the aggregator knows it.
 */
export class Journal {
  readonly #store: JournalStore;
  readonly #path: string;
  readonly #onFailure: (error: Error) => void;
  /** Lines that could not be written yet. */
  #pending = "";
  /** The flush that is under way, or was the last one. */
  #flushing?: Promise<void>;
  /** The one after it. */
  #next?: Promise<void>;
  #failure?: Error;

  private constructor(
    store: JournalStore,
    path: string,
    onFailure: (error: Error) => void,
  ) {
    this.#store = store;
    this.#path = path;
    this.#onFailure = onFailure;
  }

  /**
   * Begins a journal, or goes on with one.
   *
   * @throws {Error} if it is of another run or version, or damaged
   */
  static async open(
    store: JournalStore,
    subject: Subject,
    opening: Opening,
  ): Promise<{ journal: Journal; past: Past }> {
    const head = await headOf(subject);
    const { past, length } = readJournal(store.text, subject.path, head);
    if (length < store.text.length) store.cut(length);
    const { at, artifacts, boot, onFailure } = opening;
    const lines = [
      ...length === 0 ? [head] : [],
      { type: "opened", at, ...(boot !== undefined && { boot }), artifacts },
    ];
    const journal = new Journal(store, subject.path, onFailure);
    const error = journal.#append(lines.map(lineOf).join(""));
    if (error) throw error;
    await store.sync();
    return { journal, past };
  }

  /** Why not everything could be written at once. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Notes that a test is about to run.
   *
   * @throws {Error} if that cannot be noted; then it must not run
   */
  started(test: string, attempt: number, artifacts: string): void {
    const entry = { type: "started", test, attempt, artifacts } as const;
    const error = this.#append(lineOf(entry));
    if (error) throw error;
  }

  /** Notes an end. */
  ended({ outcome, attributes, rerun }: Ended): void {
    const { error, ...others } = outcome;
    this.#note({
      type: "ended",
      ...others,
      ...(error && { error: { name: error.name, message: error.message } }),
      attributes,
      rerun,
    });
  }

  /** Notes that an aggregator is about to get results; resolves when that is on the disk. */
  async storing({ test, attempt }: TestOutcome): Promise<void> {
    this.#note({ type: "storing", test, attempt });
    await this.#flush();
  }

  /** Notes whether it took them. */
  stored({ test, attempt }: TestOutcome, taken: boolean): void {
    this.#note({ type: taken ? "stored" : "not-stored", test, attempt });
  }

  /** Writes what is left to write, and closes. */
  async close(): Promise<void> {
    if (this.#pending !== "") this.#append("");
    await this.#flush();
    this.#store.close();
  }

  /** Writes, now or later. */
  #note(entry: Entry): void {
    const line = lineOf(entry);
    if (this.#append(line)) this.#pending += line;
  }

  #append(line: string): Error | undefined {
    try {
      this.#store.append(this.#pending + line);
      this.#pending = "";
    } catch (thrown) {
      return this.#failed(thrown);
    }
  }

  /** Waits for a flush that begins after the last line; one serves all who wait. */
  #flush(): Promise<void> {
    return this.#next ??= (async () => {
      await this.#flushing;
      this.#next = undefined;
      this.#flushing = this.#store.sync()
        .catch((thrown) => void this.#failed(thrown));
      await this.#flushing;
    })();
  }

  #failed(cause: unknown): Error {
    const why = cause instanceof Error ? cause.message : cause;
    const message = `the journal "${this.#path}" cannot be written: ${why}`;
    const error = new Error(message, { cause });
    if (!this.#failure) {
      this.#failure = error;
      this.#onFailure(error);
    }
    return error;
  }
}

function lineOf(entry: object): string {
  return `${JSON.stringify(entry)}\n`;
}

interface Head {
  "atex-journal": number;
  platform: string;
  tests: number;
  digest: string;
}

/** Who a journal belongs to: the order of the tests does not matter. */
async function headOf({ platform, tests }: Subject): Promise<Head> {
  const names = new TextEncoder().encode(JSON.stringify([...tests].sort()));
  const digest = await crypto.subtle.digest("SHA-256", names);
  return {
    "atex-journal": VERSION,
    platform,
    tests: tests.length,
    digest: new Uint8Array(digest).toHex(),
  };
}

/**
 * Reads a journal; `length` is that of its whole lines.
 *
 * @throws {Error} if it is of another run or version, or damaged
 */
function readJournal(
  text: string,
  path: string,
  head: Head,
): { past: Past; length: number } {
  const past: Past = { sessions: [], attempts: new Map() };
  const length = text.lastIndexOf("\n") + 1;
  if (length === 0) {
    // a process that was killed at the very beginning leaves a part of the head
    const begun = text.slice(0, MARK.length);
    if (MARK.startsWith(begun)) return { past, length };
    throw refusal(path, "it is no journal; give another path");
  }
  const [first, ...lines] = text.slice(0, length - 1).split("\n");
  checkHead(first, path, head);
  for (const [index, line] of lines.entries()) {
    try {
      take(past, JSON.parse(line));
    } catch (cause) {
      const why = `line ${index + 2} cannot be understood${REMEDY}`;
      throw refusal(path, why, cause);
    }
  }
  return { past, length };
}

function checkHead(line: string, path: string, head: Head): void {
  let found: Partial<Head>;
  try {
    found = JSON.parse(line);
    if (!Object.hasOwn(found, "atex-journal")) throw new Error("no head");
  } catch (cause) {
    throw refusal(path, "it is no journal; give another path", cause);
  }
  const version = found["atex-journal"];
  if (version !== VERSION) {
    throw refusal(
      path,
      `it is of version ${version}, this one can go on with version ${VERSION}${REMEDY}`,
    );
  }
  const { platform, tests, digest } = head;
  if (found.platform !== platform) {
    const why = `it is of platform "${found.platform}", not of "${platform}"`;
    throw refusal(path, why + REMEDY);
  }
  if (found.digest !== digest) {
    const why = found.tests === tests
      ? `it is of ${tests} tests with other names`
      : `it is of ${found.tests} tests, not of these ${tests}`;
    throw refusal(path, why + REMEDY);
  }
}

function refusal(path: string, why: string, cause?: unknown): Error {
  return new Error(`the journal "${path}" cannot be used: ${why}`, { cause });
}

function take({ sessions, attempts }: Past, entry: Entry): void {
  if (entry.type === "opened") {
    const { artifacts, boot } = entry;
    sessions.push({ artifacts, boot });
    return;
  }
  const { test, attempt } = entry;
  const list = attempts.get(test) ?? [];
  if (entry.type === "started") {
    const session = sessions.at(-1);
    if (!session) throw new Error("a test was started by nobody");
    const { artifacts } = entry;
    list.push({ test, attempt, artifacts, session, given: false });
    attempts.set(test, list);
    return;
  }
  const found = list.findLast((one) => one.attempt === attempt);
  if (!found) throw new Error(`attempt ${attempt} of ${test} was not started`);
  switch (entry.type) {
    case "ended":
      found.ended = endOf(entry);
      break;
    case "storing":
      found.given = true;
      delete found.stored; // it may have been refused before
      break;
    case "stored":
    case "not-stored":
      found.stored = entry.type === "stored";
      break;
    default:
      throw new Error("its type is unknown");
  }
}

function endOf(entry: Entry & { type: "ended" }): Ended {
  const { type: _, error, attributes, rerun, ...others } = entry;
  const outcome = error
    ? {
      ...others,
      error: Object.assign(new Error(error.message), { name: error.name }),
    }
    : others;
  return { outcome, attributes, rerun };
}
