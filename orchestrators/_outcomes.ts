import type { TestOutcome } from "./orchestrator.ts";

/** Start, end, exit code. */
const NUMBERS = 3;

/**
 * Outcomes by test. Most tests come to their end at the first attempt: of those
 * only what is not the same for all is kept, in a few bytes.
 */
export class Outcomes {
  /** The place of what is kept of a test; the whole outcome if there is more to tell. */
  readonly #kept = new Map<string, number | TestOutcome>();
  readonly #numbers: Float64Array;
  /** Places among `#remotes`. */
  readonly #systems: Uint32Array;
  readonly #remotes: string[] = [];
  readonly #placeOf = new Map<string, number>();
  #places = 0;

  /** Takes the outcomes of at most so many tests. */
  constructor(most: number) {
    this.#numbers = new Float64Array(NUMBERS * most);
    this.#systems = new Uint32Array(most);
  }

  has(test: string): boolean {
    return this.#kept.has(test);
  }

  /** Takes the outcome of a test, of which there is none yet. */
  add(outcome: TestOutcome): void {
    const { test, attempt, exitCode, remote, startedAt, finishedAt } = outcome;
    // an executor of somebody else may give anything as an exit code
    if (attempt !== 1 || typeof exitCode !== "number") {
      this.#kept.set(test, outcome);
      return;
    }
    const place = this.#places++;
    this.#kept.set(test, place);
    const numbers = this.#numbers;
    numbers[NUMBERS * place] = startedAt;
    numbers[NUMBERS * place + 1] = finishedAt;
    numbers[NUMBERS * place + 2] = exitCode;
    this.#systems[place] = this.#systemOf(remote);
  }

  #systemOf(remote: string): number {
    const known = this.#placeOf.get(remote);
    if (known !== undefined) return known;
    this.#placeOf.set(remote, this.#remotes.length);
    return this.#remotes.push(remote) - 1;
  }

  /** All of them, in the order in which they came. */
  toMap(): Map<string, TestOutcome> {
    const outcomes = new Map<string, TestOutcome>();
    this.#kept.forEach((kept, test) =>
      outcomes.set(
        test,
        typeof kept === "number" ? this.#outcomeAt(kept, test) : kept,
      )
    );
    return outcomes;
  }

  #outcomeAt(place: number, test: string): TestOutcome {
    const numbers = this.#numbers;
    return {
      test,
      attempt: 1,
      exitCode: numbers[NUMBERS * place + 2],
      remote: this.#remotes[this.#systems[place]],
      startedAt: numbers[NUMBERS * place],
      finishedAt: numbers[NUMBERS * place + 1],
    };
  }
}
