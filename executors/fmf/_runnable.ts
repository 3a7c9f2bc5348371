/**
 * Which nodes are tests, where they run, and whether packages are all that they require.
 */
import { parseDuration } from "./duration.ts";
import { FmfError } from "./metadata/errors.ts";
import { type FmfNode, placeOf } from "./metadata/node.ts";
import { relativeTo } from "./metadata/paths.ts";
import { type FmfValue, isTrue, typeName } from "./metadata/value.ts";

/**
 * Whether a node is a test that is to be run.
 *
 * @throws {FmfError} of kind `discover` if it is one, and says so in a wrong way
 */
export function isTest(node: FmfNode): boolean {
  const { data } = node;
  const test = data.get("test");
  if (test === undefined) return false;
  if (!flag(node, "enabled", true) || flag(node, "manual", false)) return false;
  if (isTrue(data.get("story") ?? null)) return false;
  if (typeof test !== "string") {
    const quoted = typeof test === "boolean" ? `; quote it: "${test}"` : "";
    throw wrong(node, "test", `must be text, not ${typeName(test)}${quoted}`);
  }
  if (node.name.includes("\0")) {
    throw wrong(
      node,
      "test",
      "the name of a test must not hold a NUL character",
    );
  }
  const duration = data.get("duration");
  if (duration !== undefined) {
    try {
      parseDuration(duration);
    } catch (error) {
      throw wrong(
        node,
        "duration",
        error instanceof Error ? error.message : String(error),
      );
    }
  }
  return true;
}

function flag(node: FmfNode, key: string, otherwise: boolean): boolean {
  const value = node.data.get(key) ??
    (node.data.has(key) ? null : otherwise);
  if (typeof value === "boolean") return value;
  throw wrong(
    node,
    key,
    `must be true or false, not ${
      typeof value === "string"
        ? `the text ${JSON.stringify(value)}`
        : typeName(value)
    }`,
  );
}

function wrong(node: FmfNode, key: string, reason: string): FmfError {
  return new FmfError("discover", reason, { ...placeOf(node), key });
}

/** What a node requires or recommends. */
export function listed(
  node: FmfNode,
  key: "require" | "recommend",
): FmfValue[] {
  const value = node.data.get(key) ?? [];
  return Array.isArray(value) ? value : [value];
}

/** Whether a node requires nothing but packages, so that there is nothing to resolve. */
export function requiresOnlyPackages(node: FmfNode): boolean {
  return listed(node, "recommend").every((item) => typeof item === "string") &&
    listed(node, "require").every((item) =>
      typeof item === "string" && !item.startsWith("library(")
    );
}

/** The directory of the file that had the last word about a node, relative to the tree. */
export function sourceOf(node: FmfNode): string {
  const file = node.sources.at(-1);
  if (file === undefined) return ".";
  const relative = relativeTo(node.root!, file);
  const end = relative.lastIndexOf("/");
  return end < 0 ? "." : relative.slice(0, end);
}

/** Whether the key `path`, which is not used, names another directory than `source`. */
export function isElsewhere(path: unknown, source: string): boolean {
  if (typeof path !== "string") return false;
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return (parts.join("/") || ".") !== source;
}
