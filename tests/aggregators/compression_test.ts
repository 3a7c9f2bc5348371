import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import {
  type Compression,
  type CompressionFormat,
  finishResults,
  JsonLinesAggregator,
  readJsonLines,
} from "../../aggregators/jsonl.ts";
import { BadResultsError } from "../../executors/results.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { rejected, thrown } from "../_thrown.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";
import { decompressed, dictionaryOf } from "./_decompressed.ts";
import { Place } from "./_place.ts";

const noXz = cannotRun("compression by xz", missingPrograms("xz"));
const FORMATS: [CompressionFormat, suffix: string, ignore: boolean][] = [
  ["gzip", ".gz", false],
  ["zstd", ".zst", false],
  ["xz", ".xz", noXz],
];

/** Starts an aggregator of a place. */
function start(
  place: Place,
  compression: Compression,
): Promise<JsonLinesAggregator> {
  return place.start(
    new JsonLinesAggregator({ ...place.paths(), compression }),
  );
}

/** Ingests artifacts with a shell script in place of the program; returns the error of each step. */
function ingestWith(
  place: Place,
  script: string,
  env: Record<string, string> = {},
): unknown {
  const bin = `${place.root}/bin`;
  Deno.mkdirSync(bin);
  Deno.writeTextFileSync(`${bin}/xz`, `#!/bin/sh\n${script}\n`, {
    mode: 0o755,
  });
  return ingestIn(place, { ...env, PATH: `${bin}:${Deno.env.get("PATH")}` });
}

/** Ingests artifacts in an environment; returns the error of each step. */
function ingestIn(place: Place, env: Record<string, string>): unknown {
  const { stdout } = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-qA",
      "--no-check",
      new URL("_ingest_by_xz.ts", import.meta.url).pathname,
      place.root,
    ],
    env,
    stderr: "inherit",
  }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (const [format, suffix, ignore] of FORMATS) {
  Deno.test({
    name: `compression by ${format}: results at the end, files with a suffix`,
    ignore,
    async fn() {
      await using place = new Place();
      const aggregator = await start(place, { format });
      const log = "a line of a log\n".repeat(1000);
      const artifacts = place.artifacts([
        { name: "s", status: "pass", files: ["x"] },
        { status: "fail", files: ["./log/output.txt", "ghost"] },
      ], { "s/x": "X", "log/output.txt": log, "empty": "" });
      Deno.chmodSync(`${artifacts}/files/s/x`, 0o640);
      Deno.utimeSync(`${artifacts}/files/s/x`, 1000, 2000);
      const stored = await aggregator.ingest("p", "/t", artifacts);

      const { results, files } = place.paths();
      deepStrictEqual(stored, {
        directory: `${files}/p/t`,
        output: `${files}/p/t/log/output.txt${suffix}`,
      });
      deepStrictEqual(contents(artifacts), {});
      deepStrictEqual(place.entries(), ["files", "results.jsonl.part"]);
      const lines = [
        ["p", "pass", "/t", "s", [`x${suffix}`], null],
        ["p", "fail", "/t", null, [`./log/output.txt${suffix}`, "ghost"], null],
      ].map((line) => `${JSON.stringify(line)}\n`).join("");
      strictEqual(Deno.readTextFileSync(`${results}.part`), lines);

      await Promise.all([aggregator.stop(), aggregator.stop()]);
      deepStrictEqual(place.entries(), ["files", "results.jsonl"]);
      strictEqual(decompressed(results, format), lines);
      deepStrictEqual(Object.keys(contents(files)), [
        `p/t/empty${suffix}`,
        `p/t/log/output.txt${suffix}`,
        `p/t/s/x${suffix}`,
      ]);
      strictEqual(
        decompressed(`${files}/p/t/log/output.txt${suffix}`, format),
        log,
      );
      strictEqual(decompressed(`${files}/p/t/empty${suffix}`, format), "");
      const { mode, mtime } = Deno.statSync(`${files}/p/t/s/x${suffix}`);
      deepStrictEqual([mode! & 0o777, mtime?.getTime()], [0o640, 2_000_000]);
    },
  });

  Deno.test({
    name:
      `compression by ${format} of files that are larger than memory should be`,
    ignore,
    async fn() {
      await using place = new Place();
      const aggregator = await start(place, {
        format,
        level: 1,
        suffix: "",
        exclude: ["keep"],
      });
      const block = crypto.getRandomValues(new Uint8Array(32768)).toHex();
      const artifacts = place.artifacts([{ files: ["large", "keep"] }], {
        keep: block,
      });
      {
        using file = Deno.openSync(`${artifacts}/files/large`, {
          write: true,
          createNew: true,
        });
        const bytes = new TextEncoder().encode(block);
        for (let i = 0; i < 256; i++) file.writeSync(bytes);
      }
      await aggregator.ingest("p", "/t", artifacts);
      await aggregator.stop();
      const { results, files } = place.paths();
      ok(decompressed(`${files}/p/t/large`, format) === block.repeat(256));
      strictEqual(Deno.readTextFileSync(`${files}/p/t/keep`), block);
      strictEqual(
        decompressed(results, format),
        '["p",null,"/t",null,["large","keep"],null]\n',
      );
    },
  });
}

Deno.test("compression of an option that is none is refused before anything is made", async () => {
  await using place = new Place();
  const make = (compression: Partial<Compression>) => () =>
    new JsonLinesAggregator({
      ...place.paths(),
      compression: compression as Compression,
    });
  thrown(
    make({ format: "bzip2" as "gzip" }),
    TypeError,
    '"bzip2": the formats are gzip, zstd, xz',
  );
  thrown(make({}), TypeError, "the formats are");
  for (
    const [format, level] of [["gzip", 10], ["gzip", -1], ["xz", 1.5], [
      "zstd",
      0,
    ], ["zstd", 23]] as const
  ) thrown(make({ format, level }), RangeError, `level ${level}: it has`);
  for (const suffix of ["/x", "a\n", "\0"]) {
    thrown(make({ format: "gzip", suffix }), TypeError, "suffix");
  }
  deepStrictEqual(place.entries(), []);
});

Deno.test("compression: start() refuses what another run left, and says how to finish it", async () => {
  await using place = new Place();
  const { results } = place.paths();
  const aggregator = new JsonLinesAggregator({
    ...place.paths(),
    compression: { format: "gzip" },
  });
  for (const path of [results, `${results}.part`]) {
    Deno.writeTextFileSync(path, "");
    await rejected(aggregator.start(), Deno.errors.AlreadyExists, path);
    Deno.removeSync(path);
  }
  Deno.writeTextFileSync(`${results}.part`, "");
  await rejected(
    aggregator.start(),
    Deno.errors.AlreadyExists,
    "finishResults()",
  );
  deepStrictEqual(place.entries(), ["results.jsonl.part"]);
});

Deno.test("compression by xz without the program is an error at the start", async () => {
  await using place = new Place();
  place.artifacts();
  deepStrictEqual(ingestIn(place, { PATH: "/nonexistent" }), [
    'NotFound: Cannot compress by xz: the program "xz" is not installed',
    'Error: Cannot ingest test "/t" of platform "p": the aggregator is not started: await its start() first',
    null,
  ]);
  deepStrictEqual(place.entries(), []);
});

Deno.test("compression leaves alone what is no regular file, or has no room for a longer name", async () => {
  await using place = new Place();
  const aggregator = await start(place, { format: "gzip", exclude: ["keep"] });
  const long = "ž".repeat(127);
  const artifacts = place.artifacts(
    [{
      files: ["taken", "twice", "twice.gz", "dir", long, "keep", "pipe", "a"],
    }],
    {
      "taken": "1",
      "twice": "2",
      "twice.gz": "3",
      "dir": "4",
      "dir.gz/x": "5",
      [long]: "6",
      "keep": "7",
      "below/keep": "8",
      "a": "9",
    },
  );
  const laid = `${artifacts}/files`;
  Deno.symlinkSync("twice", `${laid}/taken.gz`);
  Deno.mkdirSync(`${laid}/nothing/in/it`, { recursive: true });
  Deno.linkSync(`${laid}/a`, `${laid}/b`);
  const { success } = new Deno.Command("mkfifo", { args: [`${laid}/pipe`] })
    .outputSync();
  ok(success);
  await aggregator.ingest("p", "/t", artifacts);
  await aggregator.stop();

  const files = `${place.files}/p/t`;
  ok(Deno.lstatSync(`${files}/pipe`).isFifo);
  Deno.removeSync(`${files}/pipe`);
  const found = contents(files);
  deepStrictEqual(Object.keys(found), [
    "a.gz",
    "b.gz",
    "below/keep",
    "dir",
    "dir.gz/x.gz",
    "keep",
    "taken",
    "taken.gz",
    "twice.gz",
    "twice.gz.gz",
    long,
  ]);
  const plain = ["below/keep", "dir", "keep", "taken", long];
  deepStrictEqual(plain.map((path) => found[path]), ["8", "4", "7", "1", "6"]);
  strictEqual(found["taken.gz"], "-> twice.gz");
  strictEqual(decompressed(`${files}/twice.gz`, "gzip"), "2");
  strictEqual(decompressed(`${files}/twice.gz.gz`, "gzip"), "3");
  strictEqual(
    Deno.statSync(`${files}/a.gz`).ino,
    Deno.statSync(`${files}/b.gz`).ino,
  );
  const [line] = await Array.fromAsync(readJsonLines(place.paths().results));
  deepStrictEqual(line!.files, [
    "taken",
    "twice.gz",
    "twice.gz.gz",
    "dir",
    long,
    "keep",
    "pipe",
    "a.gz",
  ]);
  // whatever is listed is there
  for (const file of line!.files) {
    if (file !== "pipe") ok(Deno.lstatSync(`${files}/${file}`));
  }
});

Deno.test("compression leads links to the new names, but to nothing outside", async () => {
  await using place = new Place();
  await using elsewhere = temporary();
  Deno.writeTextFileSync(`${elsewhere.path}/log`, "not of the test");
  const aggregator = await start(place, { format: "gzip" });
  const artifacts = place.artifacts([{}], { "log": "1", "a/b/log": "2" });
  const laid = `${artifacts}/files`;
  const links = {
    "a/up": ["../log", "../log.gz"],
    "a/down": ["b/log", "b/log.gz"],
    "a/round": ["./b/../../log", "./b/../../log.gz"],
    "a/b/out": ["../../../log", "../../../log"],
    "absolute": [`${laid}/log`, `${laid}/log`],
    "chain": ["a/up", "a/up"],
    "circle": ["circle", "circle"],
    "directory": ["a/b", "a/b"],
    "ghost": ["nowhere/log", "nowhere/log"],
    "secret": ["elsewhere/log", "elsewhere/log"],
    "slash": ["log/", "log/"],
    "through": ["directory/log", "directory/log.gz"],
  };
  for (const [link, [aim]] of Object.entries(links)) {
    Deno.symlinkSync(aim!, `${laid}/${link}`);
  }
  Deno.symlinkSync(elsewhere.path, `${laid}/elsewhere`);
  await aggregator.ingest("p", "/t", artifacts);
  const found = contents(`${place.files}/p/t`);
  for (const [link, [, aim]] of Object.entries(links)) {
    strictEqual(found[link], `-> ${aim}`, link);
  }
  strictEqual(decompressed(`${place.files}/p/t/through`, "gzip"), "2");
  deepStrictEqual(contents(elsewhere.path), { log: "not of the test" });
});

Deno.test("compression adds the suffix to files as they are listed, where that is another name for them", async () => {
  await using place = new Place();
  const aggregator = await start(place, { format: "gzip" });
  const listed = ["./b", "c//d", "/e", "../e", "c/d/", "c/d/.", "c\n"];
  const files = { b: "1", "c/d": "2", e: "3", "c_": "4" };
  await aggregator.ingest(
    "p",
    "/t",
    place.artifacts([{ files: listed }], files),
  );
  await aggregator.stop();
  const [stored] = await Array.fromAsync(readJsonLines(place.paths().results));
  deepStrictEqual(stored!.files, [
    "./b.gz",
    "c//d.gz",
    "/e.gz",
    "../e.gz",
    "c/d.gz",
    "c/d.gz",
    "c\n.gz",
  ]);
});

Deno.test("compression refuses names that are not UTF-8, and loses nothing", async () => {
  await using place = new Place();
  const aggregator = await start(place, { format: "gzip" });
  const artifacts = place.artifacts([{}], { f: "1" });
  const list = ["-c", 'cd "$0/files" && LC_ALL=C ls -b', artifacts];
  const run = (...args: string[]) =>
    new TextDecoder().decode(
      new Deno.Command("sh", { args }).outputSync().stdout,
    );
  run("-c", 'echo 2 >"$0/files/$(printf "a\\377b")"', artifacts);
  strictEqual(run(...list), "a\\377b\nf\n");
  await rejected(
    aggregator.ingest("p", "/t", artifacts),
    Deno.errors.NotFound,
    "its name is not UTF-8",
  );
  strictEqual(run(...list), "a\\377b\nf\n");
  deepStrictEqual(contents(place.files), {});
});

Deno.test("compression: directories without a file are left out", async () => {
  await using place = new Place();
  const aggregator = await start(place, { format: "gzip" });
  const artifacts = place.artifacts();
  Deno.mkdirSync(`${artifacts}/files/a/b`, { recursive: true });
  deepStrictEqual(await aggregator.ingest("p", "/t", artifacts), {});
  deepStrictEqual(contents(place.files), {});
  deepStrictEqual(contents(artifacts), {});
});

Deno.test("compression changes nothing if the test cannot be taken over", async () => {
  await using place = new Place();
  const aggregator = await start(place, { format: "gzip" });
  await aggregator.ingest("p", "/t", place.artifacts([{}], { f: "1" }));
  const part = Deno.readTextFileSync(`${place.paths().results}.part`);
  const stored = contents(place.files);
  const bad = place.artifacts([{}], { g: "2" });
  Deno.writeTextFileSync(`${bad}/results`, "nonsense\n");
  const clash = place.artifacts([{ files: ["f"] }], { f: "3", z: "4" });
  for (
    const [test, artifacts, type] of [
      ["/u", bad, BadResultsError],
      ["t/", clash, Deno.errors.AlreadyExists],
    ] as const
  ) {
    const before = contents(artifacts);
    await rejected(aggregator.ingest("p", test, artifacts), type);
    deepStrictEqual(contents(artifacts), before);
    deepStrictEqual(contents(place.files), stored);
    strictEqual(
      Deno.readTextFileSync(`${place.paths().results}.part`),
      part,
    );
  }
});

Deno.test({
  name:
    "compression by xz takes a dictionary that fits the file, one process for many files",
  ignore: noXz,
  async fn() {
    await using place = new Place();
    const calls = `${place.root}/calls`;
    const sizes: Record<string, number> = { large: 3_000_000, medium: 100_000 };
    for (let i = 1; i < 50; i++) sizes[`small${i}`] = i * 100;
    place.artifacts(
      [{ files: Object.keys(sizes) }],
      Object.fromEntries(
        Object.entries(sizes).map(([name, size]) => [name, "x".repeat(size)]),
      ),
    );
    const errors = ingestWith(
      place,
      `echo $# >>${calls}; PATH=\${PATH#*:} exec xz "$@"`,
      // not for us
      { XZ_OPT: "--keep --format=lzma", XZ_DEFAULTS: "--keep" },
    );
    deepStrictEqual(errors, [null, null, null]);
    // whether it is there, three sizes of files, and the results
    strictEqual(Deno.readTextFileSync(calls).split("\n").length - 1, 1 + 3 + 1);
    for (const [name, size] of Object.entries(sizes)) {
      const file = `${place.files}/p/t/${name}.xz`;
      strictEqual(decompressed(file, "xz").length, size);
      const dictionary = dictionaryOf(file);
      ok(dictionary <= Math.max(65536, 2 * size), `${name}: ${dictionary}`);
    }
  },
});

Deno.test({
  name:
    "compression by xz tells what the program said when it failed, and changes nothing",
  ignore: noXz,
  async fn() {
    await using place = new Place();
    const artifacts = place.artifacts([{}], { f: "1" });
    const before = contents(artifacts);
    const part = `${place.paths().results}.part`;
    const said =
      "Cannot compress by xz: it ended with exit code 1, xz: no luck";
    deepStrictEqual(
      ingestWith(
        place,
        '[ "$1" = --version ] && exit; echo xz: no luck >&2; exit 1',
      ),
      [
        null,
        `Error: ${said}`,
        `Error: Cannot make "${place.paths().results}": ${said}; all results are in "${part}", from which finishResults() or "atex results finish PART" makes it`,
      ],
    );
    deepStrictEqual(contents(artifacts), before);
    deepStrictEqual(contents(place.files), {});
    deepStrictEqual(place.entries(), ["bin", "files", "results.jsonl.part"]);
  },
});

Deno.test("compression of 100 tests at once", async () => {
  await using place = new Place();
  const aggregator = await start(place, { format: "gzip", level: 1 });
  await Promise.all(Array.from({ length: 100 }, (_, i) => {
    const files: Record<string, string> = {};
    for (let j = 0; j < 10; j++) files[`d${j % 3}/f${j}`] = `${i} ${j}`;
    return aggregator.ingest(
      `p${i % 2}`,
      `/suite/${i}`,
      place.artifacts([{ files: Object.keys(files) }], files),
    );
  }));
  await aggregator.stop();
  let count = 0;
  for await (
    const { platform, test, files } of readJsonLines(place.paths().results)
  ) {
    count++;
    for (const [j, file] of files.entries()) {
      strictEqual(
        decompressed(`${place.files}/${platform}${test}/${file}`, "gzip"),
        `${test.slice("/suite/".length)} ${j}`,
      );
    }
  }
  strictEqual(count, 100);
  deepStrictEqual(Object.keys(contents(place.files)).length, 1000);
});

Deno.test("finishResults() compresses what a killed script left, without the end of a line", async () => {
  const whole = '["p","pass","/a",null,[],null]\n["p",null,"/ž",null,[],"n"]\n';
  const bytes = new TextEncoder().encode(whole);
  const first = bytes.indexOf(10) + 1;
  await using place = new Place();
  const { results } = place.paths(".jsonl.gz");
  for (let end = 0; end <= bytes.length; end++) {
    Deno.writeFileSync(`${results}.part`, bytes.subarray(0, end));
    const part = end % 2
      ? `${results}.part`
      : new URL(`file://${results}.part`);
    strictEqual(await finishResults(part), results);
    const lines = decompressed(results, "gzip");
    const complete = end >= bytes.length - 1
      ? bytes.length
      : end >= first - 1
      ? first
      : 0;
    strictEqual(lines, new TextDecoder().decode(bytes.subarray(0, complete)));
    deepStrictEqual(place.entries(), ["results.jsonl.gz"]);
    Deno.removeSync(results);
  }
  // what is JSON, but no result
  Deno.writeTextFileSync(`${results}.part`, `${whole}null`);
  await finishResults(`${results}.part`);
  strictEqual(decompressed(results, "gzip"), whole);
});

Deno.test("finishResults() leaves out a YAML document that is not complete", async () => {
  const documents = [
    "---\nplatform: p\nname: /a\nnote: |-\n  x\n  ---\n",
    "---\nplatform: p\nname: /b\n",
  ];
  const text = documents.join("");
  await using place = new Place();
  const { results } = place.paths(".yaml.zst");
  for (let end = 0; end <= text.length; end++) {
    Deno.writeTextFileSync(`${results}.part`, text.slice(0, end));
    await finishResults(`${results}.part`);
    const found = decompressed(results, "zstd");
    // where a line ends, it cannot be told whether more was to come
    const expected = text[end - 1] === "\n"
      ? text.slice(0, end)
      : end > documents[0]!.length
      ? documents[0]
      : "";
    strictEqual(found, expected);
    Deno.removeSync(results);
  }
});

Deno.test("finishResults() cuts the end of lines that are longer than what is read at once", async () => {
  await using place = new Place();
  const { results } = place.paths(".jsonl.gz");
  const line = (note: string) =>
    `${JSON.stringify(["p", null, "/t", null, [], note])}\n`;
  const whole = line("x".repeat(200_000)) + line("y");
  for (
    const [text, expected] of [
      [whole + line("z".repeat(300_000)).slice(0, -3), whole],
      [
        whole + line("z".repeat(300_000)).slice(0, -1),
        whole + line("z".repeat(300_000)),
      ],
      [line("x".repeat(200_000)).slice(0, 65536), ""],
    ] as const
  ) {
    Deno.writeTextFileSync(`${results}.part`, text);
    await finishResults(`${results}.part`);
    ok(decompressed(results, "gzip") === expected);
    Deno.removeSync(results);
  }
});

Deno.test("finishResults() takes the format from the name, or is told", async () => {
  await using place = new Place();
  const { results } = place.paths();
  Deno.writeTextFileSync(`${results}.part`, "");
  await rejected(
    finishResults(`${results}.part`),
    TypeError,
    "give the format",
  );
  await rejected(
    finishResults(`${results}.part`, { format: "gzip", level: 99 }),
    RangeError,
    "99",
  );
  deepStrictEqual(place.entries(), ["results.jsonl.part"]);
  await finishResults(`${results}.part`, { format: "gzip", level: 1 });
  strictEqual(decompressed(results, "gzip"), "");
  await rejected(finishResults(results), TypeError, '".part"');
  await rejected(
    finishResults(`${results}.part`),
    Deno.errors.NotFound,
    "no such file",
  );
});

Deno.test("finishResults() refuses the part of a run that has not ended", async () => {
  await using place = new Place();
  const aggregator = await start(place, { format: "gzip" });
  const { results } = place.paths();
  await rejected(
    finishResults(`${results}.part`, { format: "gzip" }),
    Deno.errors.Busy,
    "has not ended",
  );
  await aggregator.ingest("p", "/t", place.artifacts());
  await aggregator.stop();
  strictEqual(
    decompressed(results, "gzip"),
    '["p","pass","/t",null,[],null]\n',
  );
});

Deno.test("finishResults() removes a part whose results were made, and nothing else", async () => {
  await using place = new Place();
  const { results } = place.paths(".jsonl.gz");
  const line = '["p",null,"/t",null,[],null]\n';
  const part = `${results}.part`;
  Deno.writeTextFileSync(part, line);
  await finishResults(part, { level: 1 });
  // killed between the last two steps, and before that in the middle of one
  Deno.writeTextFileSync(part, line);
  layOut(`${part}.work`, [], { made: "half" });
  await finishResults(part);
  deepStrictEqual(place.entries(), ["results.jsonl.gz"]);
  // results of something else
  Deno.writeTextFileSync(part, line + line);
  const error = await rejected(
    finishResults(part),
    Deno.errors.AlreadyExists,
    part,
  );
  ok(error.message.includes("something else is there"), error.message);
  deepStrictEqual(place.entries(), [
    "results.jsonl.gz",
    "results.jsonl.gz.part",
  ]);
  strictEqual(decompressed(results, "gzip"), line);
});
