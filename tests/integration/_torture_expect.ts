/** What the metadata of a tortured test expects to come of it, and whether that is so. */
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

/** The contents of a file. */
type Content = string | { base64: string } | { size: number; sha256?: string };

/** The key `expect`; see `tests/torture/main.fmf`. */
export interface Expect {
  exitCode?: number | string;
  error?: string;
  reason?: string;
  results?: unknown[];
  last?: { lines: number | string; result: unknown };
  files?: Record<string, Content>;
  survivors?: string[];
  warnings?: string[];
  restarts?: number;
  /** How a test ends that comes next, as a pattern. */
  next?: string;
}

/** What came of it. */
export interface Outcome {
  exitCode?: number;
  error?: Error & { reason?: string };
  /** Directory of artifacts. */
  artifacts: string;
  warnings: string[];
  restarts: number;
  /** Command lines of processes that are still there. */
  survivors: string[];
}

/** Everything that is not as expected. */
export async function faultsOf(
  expect: Expect,
  outcome: Outcome,
): Promise<string[]> {
  const faults: string[] = [];
  const check = (what: string, actual: unknown, expected: unknown) => {
    if (!matches(actual, expected)) {
      faults.push(`${what} ${show(actual)} in place of ${show(expected)}`);
    }
  };
  const { error } = outcome;
  if (expect.error !== error?.name) {
    check("error", error?.stack ?? null, expect.error ?? null);
  }
  if (expect.error === undefined) {
    check("exit code", outcome.exitCode, expect.exitCode ?? 0);
  }
  if (expect.reason !== undefined) {
    check("reason", error?.reason, expect.reason);
  }
  const results = (await Deno.readTextFile(`${outcome.artifacts}/results`))
    .split("\n").slice(0, -1).map((line) => JSON.parse(line));
  if (expect.last) {
    check("number of results", results.length, expect.last.lines);
    check("last result", results.at(-1), expect.last.result);
  } else {
    const status = expect.exitCode ? "fail" : "pass";
    check(
      "results",
      results,
      expect.results ?? [{ status, files: ["output.txt"] }],
    );
  }
  faults.push(
    ...await fileFaults(
      outcome.artifacts,
      expect.files ?? { "output.txt": "" },
    ),
  );
  check("survivors", outcome.survivors, expect.survivors ?? []);
  for (const warning of expect.warnings ?? []) {
    if (!outcome.warnings.some((text) => matches(text, warning))) {
      faults.push(`no warning ${warning} in ${show(outcome.warnings)}`);
    }
  }
  if (!expect.warnings) check("warnings", outcome.warnings, []);
  check("restarts", outcome.restarts, expect.restarts ?? 0);
  return faults;
}

async function fileFaults(
  artifacts: string,
  expected: Record<string, Content>,
): Promise<string[]> {
  const faults: string[] = [];
  const entries = Array.from(Deno.readDirSync(artifacts), ({ name }) => name);
  if (!isDeepStrictEqual(entries.sort(), ["files", "results"])) {
    faults.push(`artifacts are ${entries}`);
  }
  const met = new Set<string>();
  for (const path of filesBelow(`${artifacts}/files`)) {
    const key = Object.keys(expected).find((key) => matches(path, key));
    if (key === undefined) {
      faults.push(`a file ${show(path)} that is not expected`);
      continue;
    }
    met.add(key);
    const fault = await contentFault(
      `${artifacts}/files/${path}`,
      expected[key]!,
    );
    if (fault) faults.push(`the file ${show(path)} ${fault}`);
  }
  for (const key of Object.keys(expected)) {
    if (!met.has(key)) faults.push(`no file ${show(key)}`);
  }
  return faults;
}

function filesBelow(root: string, below = ""): string[] {
  return Array.from(Deno.readDirSync(`${root}/${below}`)).flatMap((
    { name, isDirectory },
  ) =>
    isDirectory ? filesBelow(root, `${below}${name}/`) : [`${below}${name}`]
  );
}

async function contentFault(
  path: string,
  expected: Content,
): Promise<string | undefined> {
  if (typeof expected === "string") {
    const text = await Deno.readTextFile(path);
    return matches(text, expected)
      ? undefined
      : `has ${show(text)} in place of ${show(expected)}`;
  }
  if ("base64" in expected) {
    const content = (await Deno.readFile(path)).toBase64();
    return content === expected.base64 ? undefined : `has ${content}`;
  }
  const { size } = await Deno.stat(path);
  if (size !== expected.size) {
    return `has ${size} bytes in place of ${expected.size}`;
  }
  if (expected.sha256 === undefined) return undefined;
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1024 * 1024);
  for (let read; (read = await file.read(buffer)) !== null;) {
    hash.update(buffer.subarray(0, read));
  }
  const sum = hash.digest("hex");
  return sum === expected.sha256 ? undefined : `has the sum ${sum}`;
}

/** Whether a value is as expected, where a text that begins with `re:` stands for whatever its pattern finds. */
function matches(actual: unknown, expected: unknown): boolean {
  if (typeof expected === "string" && expected.startsWith("re:")) {
    const text = typeof actual === "string" ? actual : JSON.stringify(actual);
    return new RegExp(expected.slice(3), "u").test(text);
  }
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length &&
      expected.every((item, index) => matches(actual[index], item));
  }
  if (typeof expected === "object" && expected !== null) {
    if (typeof actual !== "object" || actual === null) return false;
    const keys = Object.keys(expected);
    return keys.length === Object.keys(actual).length &&
      keys.every((key) =>
        Object.hasOwn(actual, key) &&
        matches(
          (actual as Record<string, unknown>)[key],
          (expected as Record<string, unknown>)[key],
        )
      );
  }
  return Object.is(actual, expected);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 1500 ? `${text.slice(0, 1500)}…` : text;
}
