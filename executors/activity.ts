/** What an executor has under way. */
export class Activity {
  #active:
    | { what: string; cancel: AbortController; over: Promise<void> }
    | undefined;
  #stopping: Promise<void> | undefined;

  /**
   * Does one thing at a time, with a signal that `stop()` aborts, too.
   *
   * @throws {TypeError} if something else is under way
   */
  async run<T>(
    what: string,
    signal: AbortSignal | undefined,
    act: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const obstacle = this.#active
      ? `${this.#active.what} is running`
      : this.#stopping && "the executor is being stopped";
    if (obstacle) throw new TypeError(`Cannot run ${what}: ${obstacle}`);
    const cancel = new AbortController();
    const { promise: over, resolve } = Promise.withResolvers<void>();
    this.#active = { what, cancel, over };
    try {
      return await act(
        signal ? AbortSignal.any([signal, cancel.signal]) : cancel.signal,
      );
    } finally {
      this.#active = undefined;
      resolve();
    }
  }

  /** Ends what is under way, waits for that, then cleans up. */
  stop(cleanUp?: () => Promise<void>): Promise<void> {
    return this.#stopping ??= this.#stop(cleanUp).finally(() => {
      this.#stopping = undefined;
    });
  }

  async #stop(cleanUp?: () => Promise<void>): Promise<void> {
    this.#active?.cancel.abort(
      new DOMException("the executor was stopped", "AbortError"),
    );
    await this.#active?.over;
    await cleanUp?.();
  }
}
