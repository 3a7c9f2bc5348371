/** Somebody who waits for an item. */
interface Waiter<T> {
  resolve(item: T): void;
  reject(reason: unknown): void;
}

/**
 * Brings items and those who wait for them together, both in the order in which
 * they came. Items come before failures; each failure is told to one caller. A
 * waiter who leaves takes nothing along.
 */
export class Delivery<T> {
  readonly #items = new Set<T>();
  readonly #failures: Error[] = [];
  readonly #waiters = new Set<Waiter<T>>();
  readonly #onTaken: (item: T) => void;
  #end?: Error;

  /** `onTaken` is called for each item that somebody gets, just before. */
  constructor(onTaken: (item: T) => void) {
    this.#onTaken = onTaken;
  }

  /** Items that nobody has taken. */
  get items(): ReadonlySet<T> {
    return this.#items;
  }

  /** Failures that nobody was told. */
  get failures(): number {
    return this.#failures.length;
  }

  /** The error that everybody gets who comes and finds nothing. */
  get end(): Error | undefined {
    return this.#end;
  }

  next(signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    // While an item is being delivered, those who wait already come first.
    if (this.#waiters.size === 0) {
      for (const item of this.#items) {
        this.#take(item);
        return Promise.resolve(item);
      }
      const failure = this.#failures.shift() ?? this.#end;
      if (failure) return Promise.reject(failure);
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", abort);
      };
      const waiter: Waiter<T> = {
        resolve: (item) => (leave(), resolve(item)),
        reject: (reason) => (leave(), reject(reason)),
      };
      const abort = () => waiter.reject(signal!.reason);
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** Gives the item to whoever waits longest, or keeps it. */
  offer(item: T, announce: () => void): void {
    this.#items.add(item);
    announce();
    const [waiter] = this.#waiters;
    if (!waiter || !this.#items.has(item)) return;
    this.#take(item);
    waiter.resolve(item);
  }

  /** False if the item was taken or never offered. */
  withdraw(item: T): boolean {
    return this.#items.delete(item);
  }

  /** Tells one caller, now or later. */
  fail(error: Error): void {
    const [waiter] = this.#waiters;
    if (waiter) waiter.reject(error);
    else this.#failures.push(error);
  }

  /** Tells all callers, from now on. The first call counts. */
  finish(error: Error): void {
    this.#end ??= error;
    for (const waiter of [...this.#waiters]) waiter.reject(this.#end);
  }

  /** Forgets all failures. */
  reset(): void {
    this.#failures.length = 0;
    this.#end = undefined;
  }

  #take(item: T): void {
    this.#items.delete(item);
    this.#onTaken(item);
  }
}
