/** Lets so many in at once, in the order in which they come: a semaphore that costs no promises. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Calls as soon as a place is free, which is the caller's until it leaves. */
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
