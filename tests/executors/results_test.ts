import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { rejected, thrown } from "../_thrown.ts";
import {
  ArtifactsWriter,
  BadResultsError,
  ensureOwnResult,
  normaliseFileName,
  normalisePath,
  placeOf,
  readArtifacts,
  type Result,
} from "../../executors/results.ts";

/** A directory for one test, with a file `results` if its content is given. */
async function artifacts(results?: string | Uint8Array<ArrayBuffer>) {
  const path = await Deno.makeTempDir({ prefix: "atex-test-" });
  if (results !== undefined) {
    await Deno.writeFile(
      `${path}/results`,
      typeof results === "string" ? new TextEncoder().encode(results) : results,
    );
  }
  return {
    path,
    results: () => Deno.readTextFile(`${path}/results`),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const read = (path: string) => Array.fromAsync(readArtifacts(path));

Deno.test("normalisePath() drops what leads away and replaces what cannot be printed", () => {
  const cases: [string, string][] = [
    ["", ""],
    ["..", ""],
    ["/", ""],
    ["a", "a"],
    ["/a//b/./c", "a/b/c"],
    ["../p//x/.", "p/x"],
    ["/a/../../b/./c\t", "a/b/c_"],
    ["a\n\tb\u0085c\u007f", "a__b_c_"],
    [".\0.", "._."],
    ["...", "..."],
    ["x\ud800y/\udc00", "x_y/_"],
    ["\ud83d\udc0e", "\ud83d\udc0e"],
    ["..\\x", "..\\x"],
  ];
  for (const [text, path] of cases) deepStrictEqual(normalisePath(text), path);
});

Deno.test("normalisePath() gives a relative path without dots whatever the text, and the same again", () => {
  fc.assert(fc.property(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({
        unit: fc.constantFrom(".", "/", "a", "\0", "\ud800", "\udc00"),
      }),
    ),
    (text) => {
      const path = normalisePath(text);
      ok(!path.startsWith("/"));
      const parts = path === "" ? [] : path.split("/");
      ok(parts.every((part) => !["", ".", ".."].includes(part)));
      ok(path.isWellFormed());
      deepStrictEqual(normalisePath(path), path);
    },
  ));
});

Deno.test("placeOf() is the normalised name, and empty for the test itself", () => {
  deepStrictEqual(placeOf({}), "");
  deepStrictEqual(placeOf({ name: "" }), "");
  deepStrictEqual(placeOf({ name: "/../up/./x" }), "up/x");
});

Deno.test("normaliseFileName() refuses names that are absolute, climb, are empty or too long", () => {
  for (const name of ["/etc/passwd", "../x", "a/../b", "a/..", "..", "", "."]) {
    thrown(() => normaliseFileName(name), TypeError);
  }
  deepStrictEqual(normaliseFileName("./a//b/./c"), "a/b/c");
  deepStrictEqual(normaliseFileName("..a/b.."), "..a/b..");
  deepStrictEqual(normaliseFileName("a\n"), "a_");
  deepStrictEqual(normaliseFileName("x".repeat(255)), "x".repeat(255));
  thrown(
    () => normaliseFileName("x".repeat(256)),
    TypeError,
    "255 bytes",
  );
  deepStrictEqual(normaliseFileName("ž".repeat(127)), "ž".repeat(127));
  thrown(() => normaliseFileName("ž".repeat(128)), TypeError);
  deepStrictEqual(
    normaliseFileName("x/".repeat(500)),
    "x/".repeat(500).slice(0, -1),
  );
});

Deno.test("readArtifacts() skips blank lines, white space, carriage returns and nulls", async () => {
  await using directory = await artifacts(
    '  {"status":"pass","name":null,"note":null,"files":null}\r\n\n \t\n' +
      '{"name":"","extra":null,"__proto__":1}',
  );
  const [first, second, ...rest] = await read(directory.path);
  deepStrictEqual(first, { status: "pass", files: [] });
  deepStrictEqual(
    JSON.stringify(second),
    '{"name":"","extra":null,"__proto__":1}',
  );
  deepStrictEqual(rest, []);
});

Deno.test("readArtifacts() takes an empty file and a URL", async () => {
  await using directory = await artifacts("");
  const url = new URL(`file://${directory.path}/`);
  deepStrictEqual(await Array.fromAsync(readArtifacts(url)), []);
});

Deno.test("readArtifacts() names the file and the line that cannot be understood", async () => {
  const good = '{"status":"pass"}\n';
  const bad: [string | number[], string][] = [
    ["nonsense\n", "is not JSON"],
    ['\ufeff{"status":"pass"}\n', "is not JSON"],
    ['{"status":"pass"}\ufeff\n', "is not JSON"],
    ["\ufeff\n", "is not JSON"],
    ['{"status":', "is not JSON"],
    ["[1]\n", "is not a JSON object"],
    ["null\n", "is not a JSON object"],
    ['"pass"\n', "is not a JSON object"],
    ['{"status":3}\n', '"status"'],
    ['{"name":[]}\n', '"name"'],
    ['{"note":{}}\n', '"note"'],
    ['{"files":"a"}\n', '"files"'],
    ['{"files":[1]}\n', '"files"'],
    [[0x7b, 0xff, 0x7d, 10], "is not UTF-8"],
    [[0xc5], "is not UTF-8"],
  ];
  for (const [line, reason] of bad) {
    const bytes = typeof line === "string"
      ? new TextEncoder().encode(line)
      : new Uint8Array(line);
    await using directory = await artifacts(
      new Uint8Array([
        ...new TextEncoder().encode(good + good),
        ...bytes,
        ...(bytes.at(-1) === 10 ? new TextEncoder().encode(good) : []),
      ]),
    );
    const error = await rejected(read(directory.path), BadResultsError, reason);
    deepStrictEqual(error.line, 3);
    deepStrictEqual(error.path, `${directory.path}/results`);
    ok(error.message.includes(error.path));
  }
});

Deno.test("readArtifacts() says which file is missing", async () => {
  await using directory = await artifacts();
  await rejected(
    read(directory.path),
    Deno.errors.NotFound,
    `${directory.path}/results`,
  );
});

Deno.test("readArtifacts() gives every line of a large file, also lines longer than a block", async () => {
  const long = "ž".repeat(1_500_000);
  const results: Result[] = [];
  for (let i = 0; i < 40_000; i++) results.push({ name: `číslo ${i}` });
  results.splice(7, 0, { note: long });
  results.push({ note: long });
  await using directory = await artifacts(
    results.map((result) => JSON.stringify(result)).join("\n"),
  );
  let count = 0;
  for await (const result of readArtifacts(directory.path)) {
    deepStrictEqual(result, results[count++]);
  }
  deepStrictEqual(count, results.length);
});

Deno.test("ArtifactsWriter writes what readArtifacts() reads", async () => {
  await using directory = await artifacts();
  const results: Result[] = [
    {},
    { status: "pass", name: "a/b", note: "\u2028\n\ud800", files: ["x"] },
    { rerun: 3, deep: { x: [null] } },
  ];
  {
    using writer = ArtifactsWriter.open(new URL(`file://${directory.path}`));
    writer.write(results[0]!);
    deepStrictEqual(await directory.results(), "{}\n");
    writer.write(results.slice(1));
    writer.write([]);
    deepStrictEqual(writer.files, `${directory.path}/files`);
  }
  deepStrictEqual(await read(directory.path), results);
});

Deno.test("ArtifactsWriter.open() touches nothing if there are artifacts already", async () => {
  for (const entry of ["results", "files"]) {
    await using directory = await artifacts();
    await Deno.writeTextFile(`${directory.path}/${entry}`, "mine");
    thrown(
      () => ArtifactsWriter.open(directory.path),
      Deno.errors.AlreadyExists,
      `"${entry}"`,
    );
    deepStrictEqual(
      await Array.fromAsync(Deno.readDir(directory.path), ({ name }) => name),
      [entry],
    );
    deepStrictEqual(
      await Deno.readTextFile(`${directory.path}/${entry}`),
      "mine",
    );
  }
  thrown(
    () => ArtifactsWriter.open("/nonexistent/artifacts"),
    Deno.errors.NotFound,
    "/nonexistent/artifacts",
  );
});

Deno.test("readArtifacts() gives what is before a last line that was cut off", async () => {
  const bytes = new TextEncoder().encode(
    '{"name":"a"}\n{"name":"b"}\n{"name":"é"}',
  );
  for (const cut of [1, 3]) { // behind a character, and inside of it
    await using directory = await artifacts(bytes.slice(0, -cut));
    const names: unknown[] = [];
    const reading = async () => {
      for await (const { name } of readArtifacts(directory.path)) {
        names.push(name);
      }
    };
    await rejected(reading(), BadResultsError, "line 3 is not");
    deepStrictEqual(names, ["a", "b"]);
  }
});

Deno.test("ArtifactsWriter.pathFor() makes the directories of a file and refuses to leave them", async () => {
  await using directory = await artifacts();
  using writer = ArtifactsWriter.open(directory.path);
  const path = writer.pathFor("logs/df.txt", { name: "/../disk/root" });
  deepStrictEqual(path, `${directory.path}/files/disk/root/logs/df.txt`);
  await Deno.writeTextFile(path, "x");
  deepStrictEqual(writer.pathFor("a"), `${directory.path}/files/a`);
  thrown(() => writer.pathFor("../a"), TypeError, "..");
});

Deno.test("ArtifactsWriter can be closed twice", async () => {
  await using directory = await artifacts();
  const writer = ArtifactsWriter.open(directory.path);
  writer.close();
  writer.close();
});

Deno.test("ensureOwnResult() adds an infra result only if the test has none of its own", async () => {
  const note = "Error(no route)";
  const infra = { status: "infra", note };
  const cases: [string | undefined, Result[]][] = [
    [undefined, [infra]],
    ["", [infra]],
    ['{"name":"a"}', [{ name: "a" }, infra]],
    ['{"name":"a"}\n', [{ name: "a" }, infra]],
    ['{"status":"pass"}\n', [{ status: "pass" }]],
    ['{"name":""}\n', [{ name: "" }]],
    ['{"name":null}\n{"name":"a"}\n', [{}, { name: "a" }]],
  ];
  for (const [text, results] of cases) {
    await using directory = await artifacts(text);
    await ensureOwnResult(directory.path, new Error("no route"));
    deepStrictEqual(await read(directory.path), results);
    ok((await Deno.stat(`${directory.path}/files`)).isDirectory);
    await ensureOwnResult(directory.path, new Error("again"));
    deepStrictEqual(await read(directory.path), results);
  }
});

Deno.test("ensureOwnResult() rejects when the results cannot be understood, and leaves them", async () => {
  await using directory = await artifacts("nonsense\n");
  await rejected(ensureOwnResult(directory.path, "lost"), BadResultsError);
  deepStrictEqual(await directory.results(), "nonsense\n");
});
