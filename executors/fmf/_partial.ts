/** Results that a test reports piece by piece. */
import { isObject, type JsonObject, setKey } from "./_json.ts";
import type { Report } from "./_report.ts";

/** What is known so far of an unfinished result. */
export interface Chain {
  /** What was reported, without `partial`, `testout` and `files`. */
  values: JsonObject;
  /** Names of its files, if there is a list of them. */
  files: Set<string> | undefined;
  /** File name for the output of the test. */
  testout: string | undefined;
}

/** Keys that have a meaning of their own in a result. */
const SPECIAL = new Set(["partial", "testout", "files"]);

/** The unfinished results of a run, in the order in which they appeared. */
export class Chains {
  readonly #chains = new Map<string, Chain>();

  /** How many there are. */
  get size(): number {
    return this.#chains.size;
  }

  /** The chain of a name. */
  get(name: string): Chain | undefined {
    // even an empty map computes a hash of the name
    return this.#chains.size === 0 ? undefined : this.#chains.get(name);
  }

  /** The chain of a name; a new one, at the end, if there is none. */
  ensure(name: string): Chain {
    let chain = this.#chains.get(name);
    if (!chain) {
      chain = { values: {}, files: undefined, testout: undefined };
      this.#chains.set(name, chain);
    }
    return chain;
  }

  /** Forgets the chain of a name. */
  delete(name: string): void {
    this.#chains.delete(name);
  }

  /** All chains with their names. */
  [Symbol.iterator](): IterableIterator<[string, Chain]> {
    return this.#chains.entries();
  }
}

/** Adds what a report says to a chain. */
export function extend(chain: Chain, report: Report): void {
  merge(chain.values, report.values, SPECIAL);
  if (report.files === null) chain.files = undefined;
  else if (report.files) {
    chain.files ??= new Set();
    for (const { name } of report.files) chain.files.add(name);
  }
  if (report.testout !== undefined) chain.testout = report.testout ?? undefined;
}

/** Merges `source` into `target`: null deletes, objects merge, lists append, all else replaces. */
export function merge(
  target: JsonObject,
  source: JsonObject,
  except?: ReadonlySet<string>,
): void {
  for (const key of Object.keys(source)) {
    if (except?.has(key)) continue;
    const value = source[key];
    const old = Object.hasOwn(target, key) ? target[key] : undefined;
    if (value === null) delete target[key];
    else if (isObject(old) && isObject(value)) merge(old, value);
    else if (Array.isArray(old) && Array.isArray(value)) {
      for (const item of value) old.push(item);
    } else setKey(target, key, value);
  }
}
