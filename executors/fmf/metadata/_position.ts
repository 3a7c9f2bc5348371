/** Where in a source something is. */

/** Line and column of an offset, both from 1. */
export function position(
  source: string,
  offset: number,
): { line: number; column: number } {
  const before = source.slice(0, offset).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

/** The offset of an error of the YAML parser. */
export function errorOffset(
  error: unknown,
  source: string,
): number | undefined {
  if (!(error instanceof SyntaxError)) return undefined;
  if ("offset" in error && typeof error.offset === "number") {
    return error.offset;
  }
  const where = / at line (\d+), column (-?\d+)/.exec(error.message);
  if (!where) return undefined;
  const [line, column] = where.slice(1).map(Number);
  const before = source.split("\n", line - 1).join("\n").length;
  return before + (line > 1 ? 1 : 0) + Math.max(column, 1) - 1;
}

/** The key that a parser's error is about: in a block it starts there, in a flow its value ends there. */
export function keyAt(source: string, offset: number): string | undefined {
  const match =
    /[{,]\s*("[^"]*"|'[^']*'|[^\s,:{}[\]][^\n,:{}[\]]*)\s*:[^,{}[\]]*$/.exec(
      /^[,}]/.test(source.slice(offset)) ? source.slice(0, offset) : "",
    ) ?? /^("[^"]*"|'[^']*'|[^\n,:}\]]+)/.exec(source.slice(offset));
  return match?.[1].replace(/^(["'])(.*)\1$/, "$2").trim();
}
