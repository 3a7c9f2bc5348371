/**
 * A frame for the main function of a script: signals end it in good order,
 * errors become one readable message, and the exit status tells what happened.
 *
 * @example
 * ```ts no-run
 * import { runMain } from "jsr:@atex/atex/main";
 *
 * await runMain(async (signal) => {
 *   // open blocks with `await using`, hand `signal` to what waits
 *   const summary = await doTheWork(signal);
 *   return summary.failed === 0 ? 0 : 1;
 * });
 *
 * declare function doTheWork(signal: AbortSignal): Promise<{ failed: number }>;
 * ```
 *
 * @module
 */
import { errorText } from "./_error_text.ts";

/** Exit status of a script that could not do what it was to do. */
const STATUS_ERROR = 2;
/** A third signal within this time of the one before ends the process. */
const INSISTING_MS = 2000;

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type SignalName = keyof typeof SIGNALS;

/** The reason with which {@linkcode runMain} aborts its signal. */
export class InterruptedError extends Error {
  /** The signal that the process got. */
  readonly signal: "SIGHUP" | "SIGINT" | "SIGTERM";

  /** Creates the error. */
  constructor(signal: "SIGHUP" | "SIGINT" | "SIGTERM") {
    super(`Interrupted by ${signal}`);
    this.name = "InterruptedError";
    this.signal = signal;
  }
}

/** Options of {@linkcode runMain}. */
export interface RunMainOptions {
  /**
   * Where messages go: a line or more, without the last newline.
   *
   * @default {console.error}
   */
  write?: (text: string) => void;
}

/**
 * Runs the main function of a script and sets `Deno.exitCode`:
 *
 * | status | when |
 * | --- | --- |
 * | what `main` returned | it returned a number |
 * | 2 | it threw, or a promise was rejected that nobody waited for (which also aborts `signal`); the error and its causes are written as one message |
 * | 128 + n | the process got signal n: SIGINT, SIGTERM or SIGHUP |
 *
 * The first such signal aborts `signal`, with an {@linkcode InterruptedError} as
 * reason, and `main` is waited for, so that it can give back what it holds. A
 * second one is answered with what is going on. A third one within 2 seconds ends
 * the process at once; what it still held is then left to watchdogs and reapers.
 *
 * Never rejects.
 */
export async function runMain(
  main: (signal: AbortSignal) => Promise<number | void> | number | void,
  options: RunMainOptions = {},
): Promise<void> {
  const { write = console.error } = options;
  const controller = new AbortController();
  let interrupted: SignalName | undefined;
  let last = -Infinity;
  let times = 0;

  const listeners = (Object.keys(SIGNALS) as SignalName[]).map((name) => {
    const listener = () => {
      const now = performance.now();
      times += 1;
      if (interrupted === undefined) {
        interrupted = name;
        write(`${name}: ending what runs and giving back systems`);
        controller.abort(new InterruptedError(name));
      } else if (times >= 3 && now - last < INSISTING_MS) {
        write(`${name}: ended before everything was given back`);
        Deno.exit(128 + SIGNALS[name]);
      } else {
        write(
          `${name}: still giving back systems; twice more within ${
            INSISTING_MS / 1000
          } s ends the process at once`,
        );
      }
      last = now;
    };
    Deno.addSignalListener(name, listener);
    return { name, listener };
  });

  let stray = false;
  const onStray = (event: PromiseRejectionEvent | ErrorEvent) => {
    event.preventDefault();
    const error = "reason" in event ? event.reason : event.error;
    write(`Nobody waited for what failed: ${errorText(error)}`);
    stray = true;
    controller.abort(error);
  };
  globalThis.addEventListener("unhandledrejection", onStray);
  globalThis.addEventListener("error", onStray);

  try {
    const status = await main(controller.signal);
    if (typeof status === "number") Deno.exitCode = status;
    if (stray) Deno.exitCode = STATUS_ERROR;
  } catch (error) {
    if (interrupted === undefined || !isInterruption(error)) {
      write(errorText(error));
    }
    Deno.exitCode = STATUS_ERROR;
  } finally {
    globalThis.removeEventListener("unhandledrejection", onStray);
    globalThis.removeEventListener("error", onStray);
    for (const { name, listener } of listeners) {
      Deno.removeSignalListener(name, listener);
    }
    if (interrupted !== undefined) {
      Deno.exitCode = 128 + SIGNALS[interrupted];
    }
  }
}

/** Whether an error only says that the interruption took effect. */
function isInterruption(error: unknown): boolean {
  for (let depth = 0; error instanceof Error && depth < 10; depth++) {
    if (error instanceof InterruptedError) return true;
    error = error.cause;
  }
  return false;
}
