/** Files of results: what tests leave behind, and what aggregators stored. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { findLines } from "../../../aggregators/_continued_lines.ts";
import { findDocuments } from "../../../aggregators/_continued_yaml.ts";
import { cutPartial } from "../../../aggregators/_cut_partial.ts";
import { readResults } from "../../../aggregators/reader.ts";
import {
  BadResultsError,
  ensureOwnResult,
  normaliseFileName,
  placeOf,
  readArtifacts,
  type Result,
} from "../../../executors/results.ts";
import { which } from "../../_parts.ts";
import { casesOf, textsIn } from "../corpus.ts";
import { mutated, texts } from "../mutation.ts";
import { bytesOf, latin1, outcomeOf, target, utf8 } from "../target.ts";

const isBadResults = (error: Error) => error instanceof BadResultsError;

const ARTIFACTS_TOKENS = [
  '{"status": "pass"}\n',
  '"name": "a/../b"',
  '"files": ["x", "../y"]',
  '"files": [1]',
  '"note": null',
  '"__proto__": {"status": "fail"}',
  "{",
  "}",
  "\n",
  "[1]\n",
  "null\n",
];

const steps = ["jsonl", "yaml", "multi", "jsonl-compressed"]
  .flatMap((name) => casesOf(`aggregator/${name}`))
  .flatMap(({ steps }) => steps ?? []);

export const artifacts = target({
  name: "artifacts",
  oracle:
    "results of a test are read, or a BadResultsError tells the line; names in them lead nowhere else; with an error added they have a result for the test itself",
  inputs: texts(
    textsIn(steps.map(({ artifacts }) => artifacts?.results)),
    ARTIFACTS_TOKENS,
  ).map(utf8),
  cost: 3,
  async check(input, directory) {
    Deno.writeFileSync(`${directory}/results`, bytesOf(input));
    const read = () =>
      outcomeOf(() => Array.fromAsync(readArtifacts(directory)), isBadResults);
    const { value, error } = await read() as {
      value?: Result[];
      error?: BadResultsError;
    };
    if (error) {
      ok(error.line >= 1 && error.line <= input.split("\n").length);
      return;
    }
    for (const result of value!) {
      for (const path of [placeOf(result), ...(result.files ?? []).map(safe)]) {
        ok(!path.startsWith("/") && !path.split("/").includes(".."), path);
        // deno-lint-ignore no-control-regex -- that is what must not be there
        ok(!/[\0-\x1f]/.test(path));
      }
    }
    await ensureOwnResult(directory, new Error("lost"));
    const after = (await read() as { value: Result[] }).value;
    deepStrictEqual(after.slice(0, value!.length), value);
    ok(after.some(({ name }) => !name));
  },
});

/** A name as aggregators take it; those that they refuse count for nothing. */
function safe(name: string): string {
  try {
    return normaliseFileName(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return "";
  }
}

const stored = ["jsonl", "yaml"].flatMap((name) =>
  casesOf(`aggregator/${name}`)
);
const jsonLines = textsIn(stored.map(({ expect }) => expect?.target));
const yamlDocuments = textsIn(stored.map(({ upstreamText }) => upstreamText));
const continued =
  ' ["9.5@x86_64","pass","/a",null,[],null]\n["9.5@x86_64","pass","/a","s",[],null] \n';

const STORED_TOKENS = [
  '["9.5@x86_64", "pass", "/t", null, [], null]\n',
  ' ["p","pass","/t",null,[],null] \n',
  "---\n",
  "--- \nplatform: p\nname: /t\n...\n",
  "--- {platform: p, name: /t}\n",
  "platform: p\nname: /t\n",
  "subtests:\n- name: s\n",
  "files:\n- f\n",
  "__proto__: {status: fail}\n",
  "[",
  "]",
  "null",
  ", ",
  "\n",
];

const storedText = texts(
  [...jsonLines, ...yamlDocuments, continued, "platform: p\nname: /t\n"],
  STORED_TOKENS,
).map(utf8);

/** What is said of a file that is not to be continued, behind its path. */
const isMisplaced = ({ message }: Error) =>
  /^(line \d+ is not where|it was not written with|(line|the document that ends at line) \d+ cannot be understood)/
    .test(message);

/** Checks what a reader gives of a file. */
async function checkReading(
  path: string,
  isExpected: (error: Error) => boolean,
): Promise<unknown[] | undefined> {
  const { value } = await outcomeOf(
    () => Array.fromAsync(readResults(path)),
    isExpected,
  ) as { value?: Awaited<ReturnType<typeof Array.fromAsync>> };
  for (const result of value ?? []) {
    const { platform, test, files } = result as Record<string, unknown>;
    ok(typeof platform === "string" && typeof test === "string");
    ok(Array.isArray(files) && files.every((file) => typeof file === "string"));
  }
  return value;
}

export const storedResults = target({
  name: "stored",
  oracle:
    "stored results are read, or a BadResultsError tells the line; when a partial end is cut off, what was read before is still read",
  inputs: storedText,
  cost: 3,
  async check(input, directory) {
    const path = `${directory}/stored`;
    Deno.writeFileSync(path, bytesOf(input));
    const before = await checkReading(path, isBadResults);
    {
      using file = Deno.openSync(path, { read: true, write: true });
      for (const find of [findLines, findDocuments]) {
        const { value } = await outcomeOf(() => find(file), isMisplaced) as {
          value?: { length: number };
        };
        ok(!value || value.length <= input.length);
      }
      cutPartial(file);
      const after = latin1(Deno.readFileSync(path));
      ok(after === "" || after.endsWith("\n"));
      ok(input.startsWith(after) || after === `${input}\n`);
    }
    // what no aggregator wrote is none to repair; of what can be continued, only whole tests stay
    const isOurs = /^(---\n|\[)/.test(input) && !/^---[^\n]/m.test(input);
    if (!before?.length || !isOurs) return;
    deepStrictEqual(await checkReading(path, isBadResults), before);
  },
});

const plain = bytesOf(jsonLines.find((text) => text.length > 100)!);

function xz(bytes: Uint8Array): Uint8Array[] {
  if (!which("xz")) return [];
  const path = Deno.makeTempFileSync({ prefix: "atex-fuzz-" });
  try {
    Deno.writeFileSync(path, bytes);
    const args = ["--stdout", path];
    return [new Deno.Command("xz", { args }).outputSync().stdout];
  } finally {
    Deno.removeSync(path);
  }
}

/** Bytes of compressed results with some of them changed. */
const damaged = (seeds: readonly Uint8Array[]) =>
  mutated(seeds.map(latin1), ["\x28\xb5\x2f\xfd", "\x1f\x8b", "\xff\xff\xff"])
    .map((text) => text.replaceAll(/[^\0-\xff]/g, "?"));

const isUnreadable = (error: Error) =>
  isBadResults(error) || error.message.startsWith("Cannot read results from ");

export const compressed = target({
  name: "compressed",
  oracle:
    "compressed results are read, or an error tells that the file cannot be read",
  inputs: fc.oneof(
    damaged([gzipSync(plain)]),
    damaged([zstdCompressSync(plain)]),
  ),
  cost: 8,
  async check(input, directory) {
    Deno.writeFileSync(`${directory}/compressed`, bytesOf(input));
    await checkReading(`${directory}/compressed`, isUnreadable);
  },
});

export const compressedXz = target({
  name: "compressed-xz",
  oracle: "the same of xz, which another program reads",
  inputs: damaged(xz(plain).concat(bytesOf("\xfd7zXZ\0"))),
  cost: 100,
  async check(input, directory) {
    Deno.writeFileSync(`${directory}/compressed.xz`, bytesOf(input));
    await checkReading(`${directory}/compressed.xz`, isUnreadable);
  },
});
