/**
 * Checks an option that names a program, with arguments that come before all others.
 *
 * @throws {TypeError} if it is no list of words
 */
export function checkProgram(name: string, argv: readonly string[]): void {
  const given: unknown = argv;
  if (Array.isArray(given) && given.length > 0 && given.every(isWord)) return;
  const words = isWord(given) ? given.trim().split(/\s+/) : [name];
  const right = words.map((word) => JSON.stringify(word)).join(", ");
  throw new TypeError(
    `Cannot use ${
      Deno.inspect(given)
    } as "${name}": a list of words such as [${right}] would be right`,
  );
}

function isWord(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}
