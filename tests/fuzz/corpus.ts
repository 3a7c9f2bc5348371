/** Valid inputs: what the conformance cases hold. */

/** Cases of a file below `tests/conformance/cases`, without its suffix. */
// deno-lint-ignore no-explicit-any -- the caller knows the schema
export function casesOf(name: string): any[] {
  const file = new URL(`../conformance/cases/${name}.json`, import.meta.url);
  const content = JSON.parse(Deno.readTextFileSync(file));
  return Array.isArray(content) ? content : content.cases;
}

/** The texts in all of these, none twice, none too long to change at random. */
export function textsIn(values: readonly unknown[]): string[] {
  const found = values.filter((value): value is string =>
    typeof value === "string" && value.length < 4000
  );
  return [...new Set(found)];
}
