/** Under which names tests are kept. */
import { DuplicateResultError } from "./aggregator.ts";
import { Turns } from "./_turns.ts";

/** A test whose turn it is; disposing lets the next one of the same name go on. */
export interface NameTurn extends Disposable {
  /** The name that it is kept under. */
  readonly name: string;
  /** Uses up the name: the test was stored. */
  keep(): void;
}

/** Lets a test of a platform in once, or under a new name each time. */
export class Names {
  readonly #allowDuplicate: boolean;
  readonly #turns = new Turns();
  /** How often each platform and test was stored. */
  readonly #counts: Map<string, number>;

  /** `counts` is how often each was stored before. */
  constructor(allowDuplicate: boolean, counts = new Map<string, number>()) {
    this.#allowDuplicate = allowDuplicate;
    this.#counts = counts;
  }

  /** How often a test was stored. */
  count(platform: string, test: string): number {
    return this.#counts.get(JSON.stringify([platform, test])) ?? 0;
  }

  /**
   * Waits for all earlier ones of the same platform and test.
   *
   * @throws {DuplicateResultError} if it was stored before, and may not be again
   */
  async take(platform: string, test: string): Promise<NameTurn> {
    const key = JSON.stringify([platform, test]);
    const turn = this.#turns.take(key);
    if (turn.comes) await turn.comes;
    const count = this.#counts.get(key) ?? 0;
    if (count > 0 && !this.#allowDuplicate) {
      turn[Symbol.dispose]();
      throw new DuplicateResultError(platform, test);
    }
    return {
      name: count > 0 ? `${test} (${count})` : test,
      keep: () => void this.#counts.set(key, count + 1),
      [Symbol.dispose]: () => turn[Symbol.dispose](),
    };
  }
}
