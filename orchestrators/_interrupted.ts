/** The reason with which {@linkcode runMain} aborts its signal. */
export class InterruptedError extends Error {
  /** The signal that the process got. */
  readonly signal: "SIGHUP" | "SIGINT" | "SIGTERM";
  /**
   * Aborted by a second signal. Orchestrators then wait for nothing any more but for
   * systems to be given back: not for tests to end, clean-ups, or results that are being
   * stored.
   */
  readonly insisted: AbortSignal;

  /** Creates the error; without `insisted` nobody ever insists. */
  constructor(
    signal: "SIGHUP" | "SIGINT" | "SIGTERM",
    insisted: AbortSignal = new AbortController().signal,
  ) {
    super(`Interrupted by ${signal}`);
    this.name = "InterruptedError";
    this.signal = signal;
    this.insisted = insisted;
  }
}

/** Whether an error only says that the interruption took effect. */
export function isInterruption(error: unknown): boolean {
  for (let depth = 0; error instanceof Error && depth < 10; depth++) {
    if (error instanceof InterruptedError) return true;
    error = error.cause;
  }
  return false;
}
