import {
  type Connection,
  ConnectionError,
  type RemoteCommandOptions,
  type SignalOptions,
} from "../connections/connection.ts";
import { CommandError, start } from "../connections/process.ts";
import { checkKind, checkOptions, type Known, wrongKind } from "../options.ts";
import type { FunctionArtifacts } from "./_function_artifacts.ts";
import { LEASH, LEASH_GRACE, STOP } from "./leash.ts";

/** Options of {@linkcode TestContext.exec}. */
export interface ExecOptions extends RemoteCommandOptions, SignalOptions {}

const OPTIONS: Known<ExecOptions> = {
  env: "optional",
  cwd: "optional",
  signal: "optional",
};

/** A command that a test runs. */
interface Running {
  readonly argv: readonly string[];
  readonly signal: AbortSignal;
}

/** The commands of a test that is a function: none outlives it. */
export class FunctionCommands {
  readonly #remote: Connection;
  readonly #store: FunctionArtifacts;
  readonly #over = new AbortController();
  readonly #running = new Map<Promise<void>, Running>();
  /** Commands that failed while the test ran, and their outcomes. */
  readonly #failures: { error: unknown; outcome: Outcome }[] = [];

  constructor(remote: Connection, store: FunctionArtifacts) {
    this.#remote = remote;
    this.#store = store;
  }

  /** Runs a command whose output is part of that of the test. */
  run(
    argv: readonly string[],
    options: ExecOptions & { signal: AbortSignal },
  ): Promise<void> {
    const over = this.#over.signal;
    if (over.aborted) {
      const error = new Error("Cannot run a command: the test has ended");
      return new Outcome((_, reject) => reject(error));
    }
    const signal = AbortSignal.any([options.signal, over]);
    const work = execute(this.#remote, argv, this.#store, {
      ...options,
      signal,
    });
    const outcome = new Outcome((resolve, reject) => {
      work.then(() => {
        this.#running.delete(work);
        resolve();
      }, (error) => {
        this.#running.delete(work);
        // Whoever would wait now belongs to a test that has ended, and an error that
        // none of them catches would end the whole run.
        if (over.aborted) return;
        if (!signal.aborted) this.#failures.push({ error, outcome });
        reject(error);
      });
    });
    this.#running.set(work, { argv, signal });
    return outcome;
  }

  /**
   * Ends what still runs when the test has ended, and waits for it. The output tells of
   * what the test did not wait for.
   */
  async end(): Promise<void> {
    const running = [...this.#running];
    for (const [, { argv, signal }] of running) {
      if (signal.aborted) continue; // the test wanted that, or had to end itself
      this.#store.tell(
        `The test did not wait for ${Deno.inspect(argv)}: it was ended with it`,
      );
    }
    this.#over.abort(new DOMException("the test has ended", "AbortError"));
    await Promise.allSettled(running.map(([work]) => work));
    for (const { message } of this.#unseen()) this.#store.tell(message);
  }

  /**
   * Checks that no command failed without the test's knowledge.
   *
   * @throws {Error} if one did
   */
  check(): void {
    for (const error of this.#unseen()) throw error;
  }

  #unseen(): Error[] {
    return this.#failures.filter(({ outcome }) => !outcome.awaited)
      .map(({ error }) => asUnseen(error));
  }
}

/** The error of a command that a test did not wait for. */
function asUnseen(cause: unknown): Error {
  if (cause instanceof ConnectionError) return cause;
  return new Error(
    `A command failed that the test did not wait for: ${
      (cause as Error).message
    }`,
    { cause },
  );
}

/** What a command comes to, and whether anybody waits for that. */
class Outcome extends Promise<void> {
  #awaited = false;

  /** What is made of it is an ordinary promise. */
  static override get [Symbol.species]() {
    return Promise;
  }

  constructor(
    settle: (resolve: () => void, reject: (error: unknown) => void) => void,
  ) {
    super(settle);
    super.then(undefined, () => {}); // one that nobody waits for ends no program
  }

  get awaited(): boolean {
    return this.#awaited;
  }

  override then<A = void, B = never>(
    fulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#awaited = true;
    return super.then(fulfilled, rejected);
  }
}

/**
 * Becomes a command, whose standard error is its standard output: what it prints stays in
 * order. The leash ends it where that takes more than the end of the client here.
 */
export const MERGED = `exec 2>&1\n${LEASH}`;

const OUTPUT_KEPT = 64 * 1024;

async function execute(
  remote: Connection,
  argv: readonly string[],
  store: FunctionArtifacts,
  options: ExecOptions & { signal: AbortSignal },
): Promise<void> {
  checkOptions("exec()", options, OPTIONS);
  checkCommand(argv);
  const { signal, ...surroundings } = options;
  signal.throwIfAborted();
  await using process = start(remote, ["sh", "-c", MERGED, "sh", ...argv], {
    ...surroundings,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped", // what the client says
  });
  const leash = process.stdin.getWriter();
  leash.closed.catch(() => {});
  const readers = [process.stdout.getReader(), process.stderr.getReader()];
  let end = "";
  const copy = async (
    reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  ) => {
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      store.write(value);
      end = (end + decoder.decode(value, { stream: true })).slice(-OUTPUT_KEPT);
    }
  };
  const letGo = () =>
    Promise.allSettled(readers.map((reader) => reader.cancel()));
  let late: ReturnType<typeof setTimeout> | undefined;
  const abort = () => {
    leash.write(STOP).catch(() => {});
    late = setTimeout(
      () => void process.terminate().catch(() => {}),
      LEASH_GRACE,
    );
    // What the command leaves running may hold its pipes open.
    void process.status.then(letGo);
  };
  signal.addEventListener("abort", abort);
  try {
    await Promise.all(readers.map(copy));
    const status = await process.status;
    signal.throwIfAborted(); // some clients end with 0 when they are terminated
    if (!status.success) throw new CommandError(argv, status, end);
  } finally {
    signal.removeEventListener("abort", abort);
    clearTimeout(late);
    await letGo();
    await leash.close().catch(() => {}); // it may be broken
  }
}

/** Checks what would be told of the shell around the command. */
function checkCommand(argv: readonly string[]): void {
  if (!Array.isArray(argv)) throw wrongKind("exec()", "argv", argv, "a list");
  for (const [index, argument] of argv.entries()) {
    checkKind("exec()", `argv[${index}]`, argument, "a string");
    if (!argument.includes("\0")) continue;
    throw new TypeError(
      `Cannot use "argv[${index}]" of exec(): it holds a NUL character`,
    );
  }
  // "exec" of a shell does nothing without a command, and takes options
  if (/^[^-]/.test(argv[0] ?? "")) return;
  throw new TypeError(
    `Cannot run ${
      Deno.inspect(argv)
    } by exec(): a program and its arguments would be right`,
  );
}
