/**
 * A frame for the main function of a script: signals end it in good order,
 * errors become one readable message, and the exit status tells what happened.
 * Needs no permission of its own.
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
import { checkKind, checkOptions, type Known } from "../options.ts";
import { errorText } from "./_error_text.ts";
import { InterruptedError, isInterruption } from "./_interrupted.ts";

export { InterruptedError } from "./_interrupted.ts";

/** Exit status of a script that could not do what it was to do. */
const STATUS_ERROR = 2;
/** A third signal within this time of the one before ends the process. */
const INSISTING_MS = 2000;
/** After a second signal, what still holds the process when `main` has ended gets this time. */
const LAST_MS = 1000;

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type SignalName = keyof typeof SIGNALS;

/** Options of {@linkcode runMain}. */
export interface RunMainOptions {
  /**
   * Where messages go: a line or more, without the last newline. What it throws is ignored.
   *
   * @default {console.error}
   */
  write?: ((text: string) => void) | undefined;
}

const OPTIONS: Known<RunMainOptions> = {
  write: "optional",
};

/**
 * Runs the main function of a script and sets `Deno.exitCode`:
 *
 * | status | when |
 * | --- | --- |
 * | what `main` returned | it returned a whole number from 0 to 255 |
 * | 1 | it returned another number: how many tests failed, for example, of which 256 would otherwise be 0 |
 * | 2 | it threw, or a promise was rejected that nobody waited for (which also aborts `signal`); the error and its causes are written as one message |
 * | 128 + n | the process got signal n: SIGINT, SIGTERM or SIGHUP |
 *
 * Each such signal is answered with what goes on:
 *
 * 1. The first one aborts `signal`, with an {@linkcode InterruptedError} as reason, and
 *    `main` is waited for, so that it can end what runs, store what has ended, and give
 *    back what it holds.
 * 2. The second one aborts the signal `insisted` of that reason: from then on only
 *    systems are still given back.
 * 3. A third one within 2 seconds ends the process at once; what it still held is then
 *    left to watchdogs and reapers.
 *
 * Never rejects.
 */
export async function runMain(
  main: (signal: AbortSignal) => Promise<number | void> | number | void,
  options: RunMainOptions = {},
): Promise<void> {
  checkKind("runMain()", "main", main, "a function");
  checkOptions("runMain()", options, OPTIONS);
  const write = (text: string) => {
    try {
      (options.write ?? console.error)(text);
    } catch {
      // The disk of a log is full, for example: the exit status still tells what happened.
    }
  };
  const controller = new AbortController();
  const insisted = new AbortController();
  let interrupted: SignalName | undefined;
  let last = -Infinity;
  let times = 0;

  const listeners = (Object.keys(SIGNALS) as SignalName[]).map((name) => {
    const listener = () => {
      const now = performance.now();
      times += 1;
      if (interrupted === undefined) {
        interrupted = name;
        write(
          `${name}: ending what runs, storing what has ended, giving back systems`,
        );
        controller.abort(new InterruptedError(name, insisted.signal));
      } else if (times >= 3 && now - last < INSISTING_MS) {
        write(`${name}: ended before everything was given back`);
        Deno.exit(128 + SIGNALS[name]);
      } else {
        write(
          `${name}: only giving back systems; once more within ${
            INSISTING_MS / 1000
          } s ends the process at once`,
        );
        insisted.abort();
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
    if (typeof status === "number") Deno.exitCode = asStatus(status);
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
    if (insisted.signal.aborted) {
      // what was given up may hold the process, for example a child that does not end
      Deno.unrefTimer(setTimeout(() => Deno.exit(), LAST_MS));
    }
  }
}

/** What fits into the byte that an exit status is. */
function asStatus(number: number): number {
  return Number.isInteger(number) && number >= 0 && number <= 255 ? number : 1;
}
