/** The variables that plans, tests and callers give to scripts and tests. */
import { fromPlain, textOf } from "./metadata/value.ts";

/** Variables by name; a Map, because names are whatever somebody wrote. */
export type Environment = Map<string, string>;

/**
 * Reads a key `environment`: a mapping, or a list of mappings of which later ones
 * win. Values become text as in the metadata: 1.50 is `1.5`, true is `True`, null
 * is `None`.
 *
 * @throws {TypeError} if it is something else, or cannot be an environment
 */
export function readEnvironment(value: unknown): Environment {
  const environment: Environment = new Map();
  if (value === undefined || value === null) return environment;
  for (const mapping of Array.isArray(value) ? value : [value]) {
    if (
      typeof mapping !== "object" || mapping === null || Array.isArray(mapping)
    ) {
      throw new TypeError(
        'Cannot use "environment": a mapping or a list of mappings would be right',
      );
    }
    const entries = mapping instanceof Map ? mapping : Object.entries(mapping);
    for (const [key, item] of entries) {
      set(environment, textOf(fromPlain(key)), textOf(fromPlain(item)));
    }
  }
  return environment;
}

/**
 * Variables from several sources, of which later ones win.
 *
 * @throws {TypeError} if one of them cannot be in an environment
 */
export function mergeEnvironments(
  ...sources: readonly (Environment | Readonly<Record<string, string>>)[]
): Environment {
  const environment: Environment = new Map();
  for (const source of sources) {
    const entries = source instanceof Map ? source : Object.entries(source);
    for (const [name, value] of entries) set(environment, name, value);
  }
  return environment;
}

/** The entries as `NAME=value`. */
export function entriesOf(environment: Environment): string[] {
  return Array.from(environment, ([name, value]) => `${name}=${value}`);
}

function set(environment: Environment, name: string, value: string): void {
  const reason = name === ""
    ? "it has no name"
    : /[=\0]/.test(name)
    ? 'its name holds "=" or NUL'
    : value.includes("\0")
    ? "its value holds NUL"
    : undefined;
  if (reason) {
    throw new TypeError(
      `Cannot set the variable ${JSON.stringify(name)}: ${reason}`,
    );
  }
  // the one that was said last is also the last in order
  environment.delete(name);
  environment.set(name, value);
}
