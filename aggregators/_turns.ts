/** Who has to wait for whom. */

/** A turn; disposing lets the next one come. */
export class Turn implements Disposable {
  /** Resolves when it has come; absent if it has. */
  readonly comes: Promise<void> | undefined;
  readonly #turns: Map<string, Turn>;
  readonly #key: string;
  /** Made only if somebody waits. */
  #over: PromiseWithResolvers<void> | undefined;

  /** `turns` are the last ones of each key. */
  constructor(turns: Map<string, Turn>, key: string) {
    const before = turns.get(key);
    this.comes = before && before.#end();
    this.#turns = turns;
    this.#key = key;
    turns.set(key, this);
  }

  #end(): Promise<void> {
    return (this.#over ??= Promise.withResolvers<void>()).promise;
  }

  [Symbol.dispose](): void {
    if (this.#turns.get(this.#key) === this) this.#turns.delete(this.#key);
    this.#over?.resolve();
  }
}

/** Lets things of the same key happen one after the other, in the order of their calls. */
export class Turns {
  readonly #last = new Map<string, Turn>();

  /** A turn behind all earlier ones of this key. */
  take(key: string): Turn {
    return new Turn(this.#last, key);
  }
}
