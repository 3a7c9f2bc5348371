/** A counting semaphore; waiters are served in the order in which they came. */
export class Semaphore {
  readonly #max: number;
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(max: number = 1) {
    if (!Number.isInteger(max) || max < 1) {
      throw new TypeError(
        `Cannot create semaphore as 'max' must be a positive integer: received ${max}`,
      );
    }
    this.#max = max;
    this.#free = max;
  }

  async acquire(): Promise<Disposable> {
    const permit = this.tryAcquire();
    if (permit) return permit;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
    return this.#permit();
  }

  tryAcquire(): Disposable | undefined {
    if (this.#free === 0) return undefined;
    this.#free--;
    return this.#permit();
  }

  release(): void {
    const [next] = this.#waiting;
    if (next) {
      this.#waiting.delete(next);
      next();
    } else if (this.#free < this.#max) {
      this.#free++;
    }
  }

  #permit(): Disposable {
    return { [Symbol.dispose]: () => this.release() };
  }
}
