import type { Environment } from "./_environment.ts";

/** How long a turn may last before what can wait waits for the next, in milliseconds. */
const LONG = 10;

/**
 * The turns of the event loop. Work that waits for nothing from outside could go on for
 * ever within one turn, and timers and signals would never get theirs.
 */
export class Turns {
  readonly #environment: Environment;
  #number = 0;
  #next: Promise<void> | undefined;
  #began = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The number of this turn. */
  get number(): number {
    this.#next ??= this.#wait(); // without that, nobody would notice its end
    return this.#number;
  }

  /** Resolves in the next one. */
  get next(): Promise<void> {
    return this.#next ??= this.#wait();
  }

  async #wait(): Promise<void> {
    this.#began = this.#environment.now();
    await this.#environment.pause();
    this.#number++;
    this.#next = undefined;
  }

  /** Whether this turn lasts for long, counted from the first call of this object in it. */
  get isLong(): boolean {
    this.#next ??= this.#wait();
    const ms = this.#environment.now() - this.#began;
    return ms >= LONG || ms < 0; // clocks can be set back
  }

  /** Resolves when no next one is waited for any more. */
  async end(): Promise<void> {
    await this.#next;
  }
}
