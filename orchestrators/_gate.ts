/** A semaphore that costs no promises: at most so many are inside, and all enter in the order in which they come. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Calls back as soon as a place is free; the place is taken until `leave()`. */
  enter(call: () => void): void {
    if (this.#free > 0) {
      this.#free--;
      call();
    } else this.#waiting.push(call);
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}
