/** What happened to the tests of a run, as lines of JSON that outlive it. */
import type { TestOutcome } from "./orchestrator.ts";
import {
  type Ended,
  type Entry,
  headOf,
  type Past,
  readJournal,
  type Session,
  type Subject,
} from "./_journal_format.ts";

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
 * may be there for good when the journal is not. Other lines may be lost with the
 * host without harm: a test of which nothing is stored runs again, perhaps under the
 * same number, and of one that is stored the aggregator knows.
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
  started(
    test: string,
    attempt: number,
    artifacts: string,
    storedBefore?: number,
  ): void {
    const entry: Entry = {
      type: "started",
      test,
      attempt,
      artifacts,
      storedBefore,
    };
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

  /** Notes whether it took them, and where the output of a test that failed is now. */
  stored(outcome: TestOutcome, taken: boolean, output?: string): void {
    const { test, attempt, exitCode } = outcome;
    this.#note({
      type: taken ? "stored" : "not-stored",
      test,
      attempt,
      output: exitCode === 0 ? undefined : output,
    });
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
