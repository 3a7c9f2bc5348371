/**
 * The plan, and what its `discover` sections ask for.
 */
import { FmfError, type FmfErrorPlace, quote } from "./metadata/errors.ts";
import type { FmfNode } from "./metadata/node.ts";
import { placeOf } from "./metadata/node.ts";
import type { FmfWarning, Tree } from "./metadata/tree.ts";
import {
  type FmfMap,
  type FmfValue,
  isMap,
  textOf,
  typeName,
} from "./metadata/value.ts";

/** One section, checked. */
export interface Section {
  /** Name, or nothing. */
  name: string | undefined;
  url: string | undefined;
  ref: string | undefined;
  path: string | undefined;
  /** Patterns for names. */
  names: readonly string[];
  filters: readonly string[];
  excludes: readonly string[];
  /** What messages say about a key of it. */
  place: (key: string) => FmfErrorPlace;
}

const KNOWN: readonly string[] = [
  "how",
  "name",
  "url",
  "ref",
  "path",
  "test",
  "filter",
  "exclude",
];

/**
 * Finds the plan.
 *
 * @throws {FmfError} of kind `discover` if there is no such node, or it is not a plan
 */
export function findPlan(tree: Tree, name: string): FmfNode {
  const node = tree.find(name);
  const { root } = tree;
  if (!node) {
    const plans = planNames(tree).join(", ");
    throw new FmfError(
      "discover",
      `there is no such plan in the tree at ${root}: ${
        plans ? `choose one of ${plans}` : "it has none"
      }`,
      { node: name },
    );
  }
  if (node.data.has("test")) {
    throw new FmfError(
      "discover",
      `cannot use a test as a plan: it has the key "test", in the tree at ${root}`,
      placeOf(node),
    );
  }
  if (node.children.size > 0) {
    const names = Array.from(node.children.values(), (child) => child.name);
    throw new FmfError(
      "discover",
      `cannot use a node with children as a plan, in the tree at ${root}: choose one of ${
        names.join(", ")
      }`,
      placeOf(node),
    );
  }
  return node;
}

/** What looks like plans: leaves that say what to discover or how to execute it. */
function planNames(tree: Tree): string[] {
  return Array.from(tree.climb())
    .filter(({ data, children }) =>
      children.size === 0 && !data.has("test") &&
      (data.has("discover") || data.has("execute"))
    )
    .map(({ name }) => name);
}

/** What is used when no plan is given. */
export function defaultSection(): Section {
  return {
    name: undefined,
    url: undefined,
    ref: undefined,
    path: undefined,
    names: [],
    filters: [],
    excludes: [],
    place: () => ({}),
  };
}

/**
 * The sections of a plan that are about metadata.
 *
 * @throws {FmfError} of kind `discover`
 */
export function sectionsOf(plan: FmfNode, warnings: FmfWarning[]): Section[] {
  const wrong = (reason: string) =>
    new FmfError("discover", reason, { ...placeOf(plan), key: "discover" });
  const value = plan.data.get("discover") ?? [];
  const items = Array.isArray(value) ? value : [value];
  const maps = items.map((item) => {
    if (isMap(item)) return item;
    throw wrong(
      `must be a mapping or a list of mappings, not ${typeName(item)}`,
    );
  });
  const sections: Section[] = [];
  for (const [index, map] of maps.entries()) {
    const reader = new SectionReader(
      plan,
      map,
      maps.length > 1 ? `section ${index + 1}: ` : "",
    );
    const how = reader.text("how") ?? "fmf";
    if (how === "fmf") sections.push(reader.read(warnings));
    else {
      warnings.push({
        message: `left out a discover section: how: ${
          quote(how)
        } is not supported`,
        node: plan.name,
        key: "discover",
      });
    }
  }
  if (sections.length === 0) {
    throw wrong("there is no section with how: fmf");
  }
  if (sections.length > 1) {
    const names = new Set<string>();
    for (const { name } of sections) {
      if (name === undefined) {
        throw wrong(
          'each of several sections needs a "name" that is not empty',
        );
      }
      if (names.has(name)) {
        throw wrong(
          `each of several sections needs a "name" of its own, ${
            quote(name)
          } is used twice`,
        );
      }
      names.add(name);
    }
  }
  return sections;
}

class SectionReader {
  readonly #plan: FmfNode;
  readonly #map: FmfMap;
  readonly #label: string;

  constructor(plan: FmfNode, map: FmfMap, label: string) {
    this.#plan = plan;
    this.#map = map;
    this.#label = label;
  }

  read(warnings: FmfWarning[]): Section {
    for (const key of this.#map.keys()) {
      if (typeof key === "string" && KNOWN.includes(key)) continue;
      this.#warn(warnings, `ignored the key ${quote(textOf(key))}`, key);
    }
    const url = this.text("url");
    // "ref:" with nothing behind it is the default branch
    const ref = this.#map.get("ref") === null ? undefined : this.text("ref");
    const path = this.text("path");
    if (url === undefined) {
      if (ref !== undefined) {
        this.#warn(warnings, 'ignored the key "ref": it needs "url"', "ref");
      }
      if (path !== undefined && !path.startsWith("/")) {
        throw this.#wrong(
          "path",
          `${
            quote(path)
          } needs "url", or must be the absolute path of a directory`,
        );
      }
    }
    return {
      name: this.#name(),
      url,
      ref: url === undefined ? undefined : ref,
      path,
      names: this.#texts("test"),
      filters: this.#texts("filter"),
      excludes: this.#texts("exclude"),
      place: (key) => this.#place(key),
    };
  }

  /** A text; nothing for an absent key. */
  text(key: string): string | undefined {
    const value = this.#map.get(key);
    if (value === undefined || typeof value === "string") return value;
    const shown = value === null ? "" : ` (${quote(textOf(value))})`;
    throw this.#wrong(key, `must be text, not ${typeName(value)}${shown}`);
  }

  #texts(key: string): string[] {
    const value: FmfValue = this.#map.get(key) ?? [];
    const list = Array.isArray(value) ? value : [value];
    return list.map((item) => {
      if (typeof item === "string") return item;
      throw this.#wrong(
        key,
        `must be text or a list of text, not ${typeName(item)}`,
      );
    });
  }

  #name(): string | undefined {
    const name = this.text("name");
    if (name === undefined || name === "") return undefined;
    if (
      name === "." || name === ".." || name === ".git" || /[/\0]/.test(name)
    ) {
      throw this.#wrong(
        "name",
        `${
          quote(name)
        } is no name for a section: it becomes that of a directory`,
      );
    }
    return name;
  }

  #warn(warnings: FmfWarning[], message: string, key: unknown): void {
    warnings.push({
      message: `${this.#label}${message}`,
      node: this.#plan.name,
      key: `discover.${key}`,
    });
  }

  #wrong(key: string, reason: string): FmfError {
    return new FmfError(
      "discover",
      `${this.#label}${reason}`,
      this.#place(key),
    );
  }

  #place(key: string): FmfErrorPlace {
    return { ...placeOf(this.#plan), key: `discover.${key}` };
  }
}
