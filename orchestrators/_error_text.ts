import { printableLines } from "./_text.ts";

const LIBRARY = new URL("../", import.meta.url).href;
const MAX_CAUSES = 10;
const MAX_OUTPUT_LINES = 20;

/**
 * An error as a message for people: what happened, each cause on a line of its
 * own, the end of what a failed command printed, and the line of the script
 * from which it came. Where a clean-up failed after that, both are told, in order.
 */
export function errorText(error: unknown): string {
  const [first, ...later] = inOrder(error);
  const lines = [...chain(first, "")];
  const place = first instanceof Error ? scriptLine(first) : undefined;
  if (place) lines.push(`  at ${place}`);
  for (const one of later) lines.push(...chain(one, ""));
  return printableLines(lines.join("\n"));
}

/** What `await using` puts together when the end of a block fails after the block itself. */
function inOrder(error: unknown): unknown[] {
  return error instanceof SuppressedError
    ? [error.suppressed, error.error].flatMap(inOrder)
    : [error];
}

function* chain(error: unknown, indent: string): Generator<string> {
  const seen = new Set<unknown>();
  let said = "";
  for (
    let current = error;
    current !== undefined && current !== null && seen.size < MAX_CAUSES;
    current = current instanceof Error ? current.cause : undefined
  ) {
    if (seen.has(current)) return;
    seen.add(current);
    const text = current instanceof Error ? named(current) : String(current);
    // A message often ends with that of its cause.
    if (!said.includes(messageOf(current))) {
      yield indent + (said === "" ? "" : "  because: ") + text;
      said += `${text}\n`;
    }
    yield* output(current, indent, said);
    if (current instanceof AggregateError) {
      for (const one of current.errors) yield* chain(one, `${indent}  `);
    }
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)) || "\n\n";
}

/** Our own messages speak for themselves; a foreign one says more with its class. */
function named(error: Error): string {
  const ours = error.name === "FmfError" || /^Cannot /.test(error.message);
  return ours || error.name === "Error"
    ? error.message || error.name
    : `${error.name}: ${error.message}`;
}

function* output(
  error: unknown,
  indent: string,
  said: string,
): Generator<string> {
  const { output: text } = error as { output?: unknown };
  if (typeof text !== "string" || said.includes(text.trim())) return;
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
