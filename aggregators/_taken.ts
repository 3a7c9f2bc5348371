/** Which of several aggregators took artifacts, noted beside these until all have. */
import type { Aggregator } from "./aggregator.ts";

/** The name of the note. */
const NOTE = "taken-by";

/**
 * A note in a directory of artifacts: a later process that is given them again finds out
 * who has them, of those that cannot tell themselves.
 */
export class Taken {
  readonly #path: string;
  readonly #names: readonly string[];
  /** Is not noted. */
  readonly #before: ReadonlySet<string>;

  /** Reads what is noted of these aggregators; others may have been given the same artifacts. */
  constructor(artifacts: string, children: readonly Aggregator[]) {
    this.#path = `${artifacts}/${NOTE}`;
    this.#names = children.map(({ constructor }) => constructor?.name);
    this.#before = new Set(readLines(this.#path));
  }

  /** Whether it is noted that one has them. */
  has(index: number): boolean {
    return this.#before.has(this.#line(index));
  }

  /** Notes that one has them. */
  add(index: number): void {
    try {
      Deno.writeTextFileSync(this.#path, `${this.#line(index)}\n`, {
        append: true,
      });
    } catch {
      // it has them all the same; at worst it gets them twice
    }
  }

  /** Forgets it. */
  clear(): void {
    removeIfThere(this.#path);
  }

  #line(index: number): string {
    return JSON.stringify([index, ...this.#names]);
  }
}

/** Removes a note that came along with a copy: whoever gets that is asked for the first time. */
export function removeNote(artifacts: string): void {
  removeIfThere(`${artifacts}/${NOTE}`);
}

function readLines(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n").slice(0, -1);
  } catch {
    return []; // there is none
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // there is none
  }
}
