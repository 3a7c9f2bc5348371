/** What `docs/timeouts.md` says, compared with the doc comments of the options and with the code. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = [
  "connections",
  "provisioners",
  "executors",
  "aggregators",
  "orchestrators",
];

interface Row {
  file: string;
  name: string;
  value: number;
  /** Whether the value may be more, with other options. */
  isLeast: boolean;
}

const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

/** Without what is in comments. */
const codeOf = (path: string) =>
  read(path).replaceAll(/\/\*[\s\S]*?\*\/|^ *\/\/.*$/gm, "");

/** The rows of a table, by the heading before it. */
function rowsOf(heading: string): Row[] {
  const text = read("docs/timeouts.md");
  const [section = ""] = text.split(`\n## ${heading}\n`)[1]?.split("\n## ") ??
    [];
  return [...section.matchAll(
    /^\|[^|]*\(\.\.\/([^)]+)\)[^|]*\| *`(\w+)` *\| *(at least )?([\w]+) *\|([^|]+)\|([^|]+)\|$/gm,
  )].map(([, file, name, least, value, limits, after]) => {
    ok(limits.trim() && after.trim(), `${file} ${name}`);
    return {
      file,
      name,
      value: Number(value.replaceAll("_", "")),
      isLeast: least !== undefined,
    };
  });
}

function* filesIn(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) yield* filesIn(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

/** The options of a file that are numbers, with their defaults as documented. */
function optionsOf(file: string): Map<string, string | undefined> {
  const options = new Map<string, string | undefined>();
  const member =
    /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(\w+)\?: number \| undefined;/g;
  for (const [, comment, name] of read(file).matchAll(member)) {
    const written = /@default (?:\{([^}]*)\}|`([^`]*)`)/.exec(comment);
    options.set(name, written?.[1] ?? written?.[2]);
  }
  return options;
}

/** A product of numbers, or the name of a constant of a file; NaN if it is something else. */
function evaluate(expression: string, text: string): number {
  if (/^[A-Z_]+$/.test(expression)) {
    const value = new RegExp(`const ${expression} = ([\\d_* ]+);`).exec(text);
    return value ? evaluate(value[1], text) : NaN;
  }
  if (expression === "Infinity") return Infinity;
  return expression.split("*").map((part) => Number(part.replaceAll("_", "")))
    .reduce((a, b) => a * b);
}

/** What the code of the same folder takes where an option is not given. */
function defaultsInCode({ file, name, isLeast }: Row): number[] {
  const folder = file.slice(0, file.lastIndexOf("/"));
  const given = new RegExp(
    `\\b${name}(?:: \\w+)?(?: =|:| \\?\\?) ${
      isLeast ? "Math\\.max\\(" : ""
    }([\\d_]+(?: \\* [\\d_]+)*|Infinity|[A-Z_]{4,})[,;)\\s]`,
    "g",
  );
  const own = codeOf(file);
  // files of other blocks may have an option of the same name
  const files = own.search(given) >= 0 ? [file] : [...filesIn(folder)];
  return files.flatMap((one) => {
    const text = codeOf(one);
    return [...text.matchAll(given)]
      .map(([, expression]) => evaluate(expression, text))
      .filter((value) => !Number.isNaN(value));
  });
}

Deno.test("docs/timeouts.md tells the options and defaults that there are", () => {
  const rows = rowsOf("To be changed");
  ok(rows.length > 35, `${rows.length} rows`);
  for (const row of rows) {
    const { file, name, value } = row;
    const documented = optionsOf(file).get(name);
    ok(documented !== undefined, `${file} has no option ${name}`);
    strictEqual(
      evaluate(documented, ""),
      value,
      `${file}: @default of ${name}`,
    );
    const found = new Set(defaultsInCode(row));
    ok(found.has(value), `${file}: ${name} is ${[...found]}, not ${value}`);
  }
});

Deno.test("docs/timeouts.md names the constants that there are", () => {
  const rows = rowsOf("Fixed");
  ok(rows.length > 10, `${rows.length} rows`);
  for (const { file, name, value } of rows) {
    strictEqual(evaluate(name, read(file)), value, `${file}: ${name}`);
  }
});

/** Options of files that only others of their folder use. */
const INTERNAL = new Set([
  "connections/_child.ts",
  "executors/fmf/_launch.ts",
  "executors/fmf/metadata/_git.ts",
  "provisioners/_pool.ts",
  "provisioners/_program.ts",
  "provisioners/_virt_helper.ts",
]);

Deno.test("every option that is a time limit is in docs/timeouts.md", () => {
  const known = new Set(
    rowsOf("To be changed").map(({ file, name }) => `${file} ${name}`),
  );
  const missing: string[] = [];
  for (const file of FOLDERS.flatMap((folder) => [...filesIn(folder)])) {
    if (INTERNAL.has(file)) continue;
    for (const name of optionsOf(file).keys()) {
      if (
        !/timeout|grace|retryFor|(retry|release|life)Time|Limit$/i.test(name)
      ) {
        continue;
      }
      if (!known.has(`${file} ${name}`)) missing.push(`${file} ${name}`);
    }
  }
  deepStrictEqual(missing, []);
});
