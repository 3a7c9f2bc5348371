import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { Aggregator } from "../../aggregators/aggregator.ts";
import { GitHubAggregator } from "../../aggregators/github.ts";
import { finishResults, JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { finishJUnit, JUnitAggregator } from "../../aggregators/junit.ts";
import { HtmlReportAggregator } from "../../aggregators/html.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { readResults } from "../../aggregators/reader.ts";
import { Tally } from "../../aggregators/tally.ts";
import { YamlAggregator } from "../../aggregators/yaml.ts";
import { inMemory } from "../_memory.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";
import { pretend } from "./_pretend.ts";
import {
  CONTINUED_FORMS,
  type ContinuedForm,
  continuedOf,
  leftOf,
  namesIn,
} from "./_continued_forms.ts";

const noXz = cannotRun("results by xz that go on", missingPrograms("xz"));
const forms = CONTINUED_FORMS.filter((form) => form !== "xz" || !noXz);

const RESULTS = [
  { name: "s", status: "pass", note: "x\ny" },
  { status: "fail", files: ["log", "d/log"] },
];

const layOutTest = (root: string, test: string) =>
  layOut(`${root}/artifacts/${test}`, RESULTS, {
    log: `log of ${test}`,
    "d/log": `d/log of ${test}`,
  });

/** Ingests what is not stored; is killed at a step. Tells what it said. */
async function goOn(
  root: string,
  form: ContinuedForm,
  step = Infinity,
): Promise<string> {
  const script = new URL("_continued_form.ts", import.meta.url).pathname;
  const { code, signal, stdout, stderr } = await new Deno.Command(
    Deno.execPath(),
    {
      args: ["run", "-qA", "--no-check", script, root, form, `${step}`],
      stdin: "null",
    },
  ).output();
  const decoder = new TextDecoder();
  if (signal !== "SIGKILL") strictEqual(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** Every how many steps a script is killed; those of `multi` are those of all others. */
const STRIDES: Partial<Record<ContinuedForm, number>> = {
  gzip: 3,
  zstd: 8,
  xz: 10,
  "yaml.gz": 8,
  multi: 12,
};

for (const form of forms) {
  Deno.test(`${form}: a script that is killed at any step goes on, and stores each test exactly once`, async () => {
    let step = 0;
    for (let stopped = false; !stopped; step += STRIDES[form] ?? 2) {
      await using root = temporary(inMemory.dir);
      const { path } = root;
      // another process stored one, came to its end, and was asked to go on
      layOutTest(path, "0");
      const first = await continuedOf(form, path).start();
      await first.ingest("p", "0", `${path}/artifacts/0`);
      await first.stop();
      for (const test of ["a", "b"]) layOutTest(path, test);
      const said = await goOn(path, form, step);
      stopped = said.includes("stopped");
      if (!stopped) {
        const aggregator = await continuedOf(form, path).start();
        for (const test of ["0", "a", "b"]) {
          const stored = aggregator.count!("p", test) > 0;
          ok(stored || !said.includes(`stored ${test}`), `lost: ${test}`);
          ok(stored || test !== "0", "lost: 0");
          if (!stored) {
            // what had no effect is where it was
            await aggregator.ingest("p", test, `${path}/artifacts/${test}`);
          }
        }
        await aggregator.stop();
      }
      for (const names of await namesIn(form, path)) {
        deepStrictEqual(names.sort(), ["0", "0", "a", "a", "b", "b"]);
      }
      await Deno.remove(`${path}/artifacts`, { recursive: true });
      deepStrictEqual(
        // what is compressed is not a string, but has a name
        Object.keys(contents(path)),
        leftOf(form, ["0", "a", "b"]).sort(),
        `killed at step ${step}`,
      );
    }
    ok(step >= 6, `it was killed at less than ${step} steps`);
  });
}

Deno.test("results to which nothing comes are left as they are", async () => {
  for (const form of forms) {
    await using root = temporary();
    const { path } = root;
    layOutTest(path, "a");
    const first = await continuedOf(form, path).start();
    await first.ingest("p", "a", `${path}/artifacts/a`);
    await first.stop();
    const before = await namesIn(form, path);
    const names = Object.keys(contents(path));
    for (let i = 0; i < 2; i++) {
      const again = await continuedOf(form, path).start();
      strictEqual(again.count!("p", "a"), 1);
      strictEqual(again.count!("q", "a"), 0);
      await rejects(
        again.ingest("p", "a", layOutTest(path, "a")),
        /ingested before/,
      );
      await again.stop();
    }
    await Deno.remove(`${path}/artifacts`, { recursive: true });
    deepStrictEqual(await namesIn(form, path), before, form);
    deepStrictEqual(
      Object.keys(contents(path)),
      names.filter((name) => !name.startsWith("artifacts")),
      form,
    );
  }
});

Deno.test("YamlAggregator goes on with results that were cut at any byte", async () => {
  await using root = temporary(inMemory.dir);
  const { path } = root;
  const names = ["/a", "/b ", "/ö: #"];
  const open = () =>
    new YamlAggregator({
      results: `${path}/results.yaml`,
      files: `${path}/files`,
      existing: "continue",
    }).start();
  {
    await using aggregator = await open();
    for (const name of names) {
      const artifacts = layOut(`${path}/artifacts`, [
        ...RESULTS,
        { name: "...", note: "...\n---\n...\n" },
        { status: "info", note: "...\n--- \nplatform: x\nname: y\n...\n" },
      ], { log: "", "d/log": "" });
      await aggregator.ingest("10.1", name, artifacts);
    }
  }
  const file = `${path}/results.yaml`;
  const bytes = await Deno.readFile(file);
  for (let length = 0; length <= bytes.length; length++) {
    await Deno.writeFile(file, bytes.subarray(0, length));
    const aggregator = await open();
    const there = names.filter((name) => aggregator.count("10.1", name) > 0);
    await aggregator.stop();
    const results = await Array.fromAsync(readResults(file));
    deepStrictEqual([...new Set(results.map(({ test }) => test))], there);
    strictEqual(results.length, 3 * there.length);
    deepStrictEqual(there, names.slice(0, there.length));
    strictEqual(there.length === 3, length === bytes.length);
  }
  for (const end of ["\0\0\0", "--- \nplat\0"]) {
    await Deno.writeFile(file, bytes);
    await Deno.writeTextFile(file, end, { append: true });
    await (await open()).stop();
    deepStrictEqual(await Deno.readFile(file), bytes);
  }
});

Deno.test("YamlAggregator goes on with names that are no text, as it wrote them", async () => {
  await using root = temporary();
  const { path } = root;
  const names = ["p\ud800", "/t\udfff"] as const;
  for (const before of [0, 1]) {
    await using aggregator = await new YamlAggregator({
      results: `${path}/results.yaml`,
      files: `${path}/files`,
      existing: "continue",
    }).start();
    strictEqual(aggregator.count(...names), before);
    const ingest = aggregator.ingest(...names, layOutTest(path, `${before}`));
    if (before === 0) await ingest;
    else await rejects(ingest, { name: "DuplicateResultError" });
    strictEqual(aggregator.count(...names), 1);
  }
});

Deno.test("YamlAggregator refuses to go on with what others wrote, and leaves it alone", async () => {
  await using root = temporary();
  const { path } = root;
  const whole = '--- \nplatform: p\nname: "a b "\n...\n';
  for (
    const [text, why] of [
      ["---\nplatform: p\nname: a\n", "it was not written with existing"],
      ["letters", "it was not written with existing"],
      [`${whole}oops\n`, "line 5 is not where it should be"],
      [`--- \nplatform: p\n${whole}`, "line 3 is not where it should be"],
      ["--- \n...\n", "the document that ends at line 2 cannot be understood"],
    ] as const
  ) {
    await Deno.writeTextFile(`${path}/r.yaml`, text);
    const aggregator = new YamlAggregator({
      results: `${path}/r.yaml`,
      files: `${path}/files`,
      existing: "continue",
    });
    await rejects(aggregator.start(), (error: Error) => {
      strictEqual(error.name, "AlreadyExists");
      ok(error.message.includes(why), error.message);
      return true;
    });
    strictEqual(await Deno.readTextFile(`${path}/r.yaml`), text);
  }
});

Deno.test("compressed results that cannot be continued are refused and left alone", async () => {
  await using root = temporary();
  const { path } = root;
  const results = `${path}/r.jsonl.gz`;
  const options = { results, compression: { format: "gzip" as const } };
  const goOn = () =>
    new JsonLinesAggregator({
      ...options,
      files: `${path}/files`,
      existing: "continue",
    }).start();
  const plain = await new JsonLinesAggregator({
    ...options,
    files: `${path}/plain`,
  }).start();
  await plain.ingest("p", "a", layOutTest(path, "a"));
  await plain.stop();
  const bytes = await Deno.readFile(results);
  for (
    const [content, why] of [
      [bytes, /not written with existing: "continue"/],
      [bytes.subarray(0, -9), /Cannot go on with results in .*unexpected end/],
    ] as const
  ) {
    await Deno.writeFile(results, content);
    await rejects(goOn(), { name: "AlreadyExists", message: why });
    deepStrictEqual(await Deno.readFile(results), content);
    deepStrictEqual(
      [...Deno.readDirSync(path)].map(({ name }) => name).sort(),
      ["artifacts", "files", "plain", "r.jsonl.gz"],
    );
  }
  await Deno.remove(results);
  const first = await goOn();
  await first.ingest("p", "b", layOutTest(path, "b"));
  await rejects(goOn(), { name: "Busy" });
  await first.stop();
  // what is at the target has nothing to do with the part
  await Deno.writeTextFile(`${results}.part`, " [] \n");
  await rejects(goOn(), /it is not what ".*\.part" was made from/);
});

Deno.test("what a killed script leaves of results that go on can be finished, and gone on with after that", async () => {
  await using root = temporary();
  const { path } = root;
  const part = `${path}/gzip/results.part`;
  const first = await continuedOf("gzip", path).start();
  await first.ingest("p", "a", layOutTest(path, "a"));
  const text = await Deno.readTextFile(part);
  await first.stop();
  const cut = text + text.replaceAll('"a"', '"b"').slice(0, -2);
  await Deno.writeTextFile(part, cut);
  await finishResults(part, { format: "gzip" });
  deepStrictEqual(await namesIn("gzip", path), [["a", "a"]]);
  const second = await continuedOf("gzip", path).start();
  await second.ingest("p", "b", layOutTest(path, "b"));
  await second.stop();
  deepStrictEqual(await namesIn("gzip", path), [["a", "a", "b", "b"]]);
});

Deno.test("JUnitAggregator goes on with its part, and finishJUnit() leaves that", async () => {
  await using root = temporary();
  const { path } = root;
  const target = `${path}/junit.xml`;
  const open = (name?: string) =>
    new JUnitAggregator({
      target,
      existing: "continue",
      ...(name !== undefined && { name }),
    }).start();
  const first = await open();
  await first.ingest("p", "a", layOutTest(path, "a"));
  await first.stop();
  const part = await Deno.readFile(`${target}.part`);
  const report = await Deno.readTextFile(target);
  const lengths = [...Array(part.length).keys()].filter((n) => n % 7 === 0);
  for (const length of [...lengths, part.length]) {
    await Deno.writeFile(`${target}.part`, part.subarray(0, length));
    const again = await open();
    strictEqual(again.count("p", "a"), length === part.length ? 1 : 0);
    await again.stop();
  }
  await Deno.writeTextFile(target, "older");
  await finishJUnit(`${target}.part`);
  strictEqual(await Deno.readTextFile(target), report);
  deepStrictEqual(await Deno.readFile(`${target}.part`), part);
  await rejects(open("other"), /another "name" or "statusMap"/);
  await Deno.remove(`${target}.part`);
  await rejects(open(), /Cannot go on with results in .*junit\.xml"/);
});

Deno.test("aggregators tell whether a later process can go on", () => {
  const files = { results: "r", files: "f" };
  const goesOn = { ...files, existing: "continue" } as const;
  strictEqual(new JsonLinesAggregator(files).continues, false);
  strictEqual(new YamlAggregator(goesOn).continues, true);
  strictEqual(new JUnitAggregator({ target: "t" }).continues, false);
  strictEqual(new HtmlReportAggregator({ report: "r" }).continues, false);
  const both = [new JsonLinesAggregator(goesOn), new YamlAggregator(goesOn)];
  strictEqual(new MultiAggregator(both).continues, true);
  strictEqual(new MultiAggregator(both).allowDuplicate, false);
  const unknown = new MultiAggregator([...both, pretend({})]);
  strictEqual(unknown.continues, undefined);
  // what forgets everything has to be told
  const page = { report: "r", existing: "replace" } as const;
  const forgetful = (told: { stored?: [] }): Aggregator[] => [
    new Tally(told),
    new GitHubAggregator(told),
    new HtmlReportAggregator({ ...page, ...told }),
  ];
  for (const one of forgetful({})) {
    strictEqual(new MultiAggregator([...both, one]).continues, false);
  }
  const told = new MultiAggregator([...both, ...forgetful({ stored: [] })]);
  strictEqual(told.continues, true);
  const one = new JUnitAggregator({ target: "t" });
  strictEqual(new MultiAggregator([...both, one]).continues, false);
  const twice = { ...goesOn, allowDuplicate: true };
  const duplicates = [new JsonLinesAggregator(twice), new Tally()];
  strictEqual(new MultiAggregator(duplicates).allowDuplicate, true);
});
