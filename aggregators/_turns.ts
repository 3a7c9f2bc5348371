/** Who has to wait for whom. */

/** Lets things of the same key happen one after the other, in the order of their calls. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Waits for all earlier ones of this key; disposing lets the next one go on. */
  async take(key: string): Promise<Disposable> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    await before;
    return {
      [Symbol.dispose]: () => {
        if (this.#last.get(key) === promise) this.#last.delete(key);
        resolve();
      },
    };
  }
}

/** The same for paths: equal ones, and one within the other, happen one after the other. */
export class PathTurns {
  readonly #waiting = new Map<symbol, { path: string; done: Promise<void> }>();

  /** Waits for all earlier ones that overlap; disposing lets later ones go on. */
  async take(path: string): Promise<Disposable> {
    const before = [...this.#waiting.values()]
      .filter((other) => overlap(other.path, path))
      .map(({ done }) => done);
    const id = Symbol(path);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(id, { path, done: promise });
    if (before.length > 0) await Promise.all(before);
    return {
      [Symbol.dispose]: () => {
        this.#waiting.delete(id);
        resolve();
      },
    };
  }
}

function overlap(a: string, b: string): boolean {
  return `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`);
}
