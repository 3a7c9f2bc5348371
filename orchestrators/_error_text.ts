import { printableLines } from "./_text.ts";

const LIBRARY = new URL("../", import.meta.url).href;
const MAX_CAUSES = 10;
const MAX_OUTPUT_LINES = 20;

/**
 * An error as a message for people: what happened, each cause on a line of its
 * own, the end of what a failed command printed, and the line of the script
 * from which it came.
 */
export function errorText(error: unknown): string {
  const lines = [...chain(error, "")];
  const place = error instanceof Error ? scriptLine(error) : undefined;
  if (place) lines.push(`  at ${place}`);
  return printableLines(lines.join("\n"));
}

function* chain(error: unknown, indent: string): Generator<string> {
  const seen = new Set<unknown>();
  let prefix = "";
  for (
    let current = error;
    current !== undefined && current !== null && seen.size < MAX_CAUSES;
  ) {
    if (seen.has(current)) return;
    seen.add(current);
    const said = current instanceof Error ? current.message : undefined;
    yield indent + prefix +
      (said === undefined ? String(current) : named(current as Error));
    yield* output(current, indent);
    if (current instanceof AggregateError) {
      for (const one of current.errors) yield* chain(one, `${indent}  `);
    }
    prefix = "  because: ";
    current = current instanceof Error ? current.cause : undefined;
  }
}

/** Our own messages speak for themselves; a foreign one says more with its class. */
function named(error: Error): string {
  const foreign = !/^Cannot /.test(error.message);
  return foreign && error.name !== "Error"
    ? `${error.name}: ${error.message}`
    : error.message || error.name;
}

function* output(error: unknown, indent: string): Generator<string> {
  const text = (error as { output?: unknown }).output;
  if (typeof text !== "string" || text.trim() === "") return;
  const lines = text.trimEnd().split("\n");
  if (lines.length > MAX_OUTPUT_LINES) yield `${indent}    | […]`;
  for (const line of lines.slice(-MAX_OUTPUT_LINES)) {
    yield `${indent}    | ${line}`;
  }
}

/** The first line of the stack that is in neither this package nor the runtime. */
function scriptLine(error: Error): string | undefined {
  for (const line of error.stack?.split("\n") ?? []) {
    const place = /(file:\/\/\S+?:\d+:\d+)\)?$/.exec(line)?.[1];
    if (place && !place.startsWith(LIBRARY)) return place;
  }
}
