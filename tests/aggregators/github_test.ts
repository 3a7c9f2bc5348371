import {
  deepStrictEqual as equal,
  doesNotMatch,
  match,
  ok,
  strictEqual,
} from "node:assert/strict";
import fc from "fast-check";
import { micromark } from "micromark";
import { gfm, gfmHtml } from "micromark-extension-gfm";
import {
  DuplicateResultError,
  type IngestInfo,
} from "../../aggregators/aggregator.ts";
import {
  GitHubAggregator,
  type GitHubAggregatorOptions,
  gitHubSummary,
} from "../../aggregators/github.ts";
import { readResults, type StoredResult } from "../../aggregators/reader.ts";
import { BadResultsError, type Result } from "../../executors/results.ts";
import { rejected } from "../_thrown.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";

interface Ingested {
  platform?: string;
  test: string;
  results: Result[];
  info?: IngestInfo;
}

/** What a summary and annotations are of some tests. */
async function tell(
  tests: Iterable<Ingested>,
  options: GitHubAggregatorOptions = {},
): Promise<{ summary: string; lines: string }> {
  await using directory = temporary();
  const summary = `${directory.path}/summary.md`;
  let lines = "";
  await using aggregator = await new GitHubAggregator({
    summary,
    annotations: true,
    write: (text) => lines += text,
    ...options,
  }).start();
  let n = 0;
  for (const { platform = "p", test, results, info } of tests) {
    const artifacts = layOut(`${directory.path}/${n++}`, results);
    await aggregator.ingest(platform, test, artifacts, info);
  }
  strictEqual(lines, "");
  await aggregator.stop();
  return { summary: await Deno.readTextFile(summary), lines };
}

const ended = (test: string, status: string, note?: string): Ingested => ({
  test,
  results: [{ status, ...(note !== undefined && { note }) }],
});

const FEW: Ingested[] = [
  ended("/ok", "pass"),
  {
    ...ended("/net", "fail", "errno 98\naddress in use"),
    info: {
      remote: "r1",
      earlier: [{ status: "fail" }],
      startedAt: 1000,
      finishedAt: 61_000,
    },
  },
  {
    ...ended("/flaky", "pass"),
    info: {
      remote: "r2",
      earlier: [{ status: "infra", note: "lost" }],
      startedAt: 0,
      finishedAt: 3000,
    },
  },
  ended("/skipped", "skip"),
  ended("/warned", "warn", "deprecated"),
  ended("/odd", "custom"),
  { test: "/parts", results: [{ name: "x", status: "pass" }] },
  { ...ended("/silent", "fail"), info: { exitCode: 3 } },
  { ...ended("/said", "error", "no disk"), info: { exitCode: 4 } },
];

Deno.test("GitHubAggregator writes a summary", async () => {
  const { summary } = await tell(FEW, { title: "Nightly" });
  strictEqual(
    summary,
    `## Nightly

**4 failed, 1 flaky, 3 passed, 1 skipped, 1 other in 1 min 1 s on 2 systems**

| Platform | Tests | Failed | Flaky | Passed | Skipped | Other |
| --- | --- | --- | --- | --- | --- | --- |
| <code>p</code> | 9 | 4 | 1 | 3 | 1 | 1 |

### Failed

| Status | Test | Note | Attempts |
| --- | --- | --- | --- |
| <code>fail</code> | <code>/net</code> | <code>errno 98<br>address in use</code> | 2 |
| <code>no result</code> | <code>/parts</code> |  | 1 |
| <code>fail</code> | <code>/silent</code> | <code>exit code 3</code> | 1 |
| <code>error</code> | <code>/said</code> | <code>no disk</code> | 1 |

<details><summary>Flaky: passed, but not at the first attempt (1)</summary>

| Test | Attempts before |
| --- | --- |
| <code>/flaky</code> | <code>lost</code> |

</details>

<details><summary>Slowest (2)</summary>

| Test | Time |
| --- | --- |
| <code>/net</code> | 1 min 0 s |
| <code>/flaky</code> | 3.0 s |

</details>

`,
  );
});

Deno.test("GitHubAggregator writes annotations at the end, each a line", async () => {
  const { lines } = await tell(FEW, {
    title: "Nightly: 9,5",
    location: (test) =>
      test === "/net" ? { file: "suite/a,b:c.fmf", line: 7 } : undefined,
  });
  strictEqual(
    lines,
    `::error file=suite/a%2Cb%3Ac.fmf,line=7,title=/net (p)::errno 98%0Aaddress in use
::error title=/parts (p)::no result
::error title=/silent (p)::fail, exit code 3
::error title=/said (p)::no disk
::warning title=/warned (p)::deprecated
::warning title=/flaky (p)::flaky: passed at attempt 2
::notice title=Nightly%3A 9%2C5::4 failed, 1 flaky, 3 passed, 1 skipped, 1 other in 1 min 1 s on 2 systems
`,
  );
});

Deno.test("GitHubAggregator names the files of failed tests as links", async () => {
  const { summary } = await tell([{
    platform: "9.5@x",
    test: "/a (b)",
    results: [{
      status: "fail",
      files: ["output.txt", "odd name)!.log", "../up", "3", "4", "5", "6"],
    }],
  }], { files: "https://ci.example/artifacts/files/" });
  const rendered = render(summary);
  equal([...rendered.matchAll(/<a href="(.*?)">/g)].map(([, url]) => url), [
    "https://ci.example/artifacts/files/9.5%40x/a%20%28b%29/output.txt",
    "https://ci.example/artifacts/files/9.5%40x/a%20%28b%29/odd%20name%29%21.log",
    "https://ci.example/artifacts/files/9.5%40x/a%20%28b%29/up",
    "https://ci.example/artifacts/files/9.5%40x/a%20%28b%29/3",
    "https://ci.example/artifacts/files/9.5%40x/a%20%28b%29/4",
  ]);
  match(rendered, /and 2 more/);
});

Deno.test("GitHubAggregator writes a title as it is, unless it could mean something", async () => {
  for (const plain of ["Fedora 42", "Nächtlich (aarch64), all"]) {
    match((await tell([], { title: plain })).summary, /^## [^<]+\n\n/);
  }
  for (const odd of ["a *b*", "www.example.com", "# x", "@all", " "]) {
    const { summary } = await tell([], { title: odd });
    doesNotMatch(summary, /^## [^<\s]/);
  }
});

Deno.test("GitHubAggregator tells platforms apart", async () => {
  const { summary } = await tell([
    { ...ended("/a", "fail"), platform: "one" },
    { ...ended("/a", "pass"), platform: "two" },
  ]);
  match(summary, /\| <code>one<\/code> \| 1 \| 1 \| 0 \|\n/);
  match(summary, /\| <code>two<\/code> \| 1 \| 0 \| 1 \|\n/);
  match(summary, /\| Status \| Test \| Platform \| Note \|/);
});

Deno.test("GitHubAggregator appends to what other parts of the step wrote", async () => {
  await using directory = temporary();
  const summary = `${directory.path}/summary.md`;
  await Deno.writeTextFile(summary, "before\n");
  const aggregator = new GitHubAggregator({ summary, annotations: false });
  await aggregator.start();
  await aggregator.stop();
  await aggregator.stop();
  strictEqual(
    await Deno.readTextFile(summary),
    "before\n## Test results\n\n**no results**\n\n",
  );
});

Deno.test("GitHubAggregator appends the summary although nobody reads annotations any more", async () => {
  await using directory = temporary();
  const summary = `${directory.path}/summary.md`;
  const aggregator = await new GitHubAggregator({
    summary,
    annotations: true,
    write() {
      throw new Deno.errors.BrokenPipe("nobody reads it");
    },
  }).start();
  await rejected(aggregator.stop(), Deno.errors.BrokenPipe, "nobody reads it");
  match(await Deno.readTextFile(summary), /no results/);
});

/** Runs a script with an environment; gives what it printed. */
async function inJob(env: Record<string, string>): Promise<string> {
  const module = import.meta.resolve("../../aggregators/github.ts");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { GitHubAggregator } from ${JSON.stringify(module)};
       await using it = await new GitHubAggregator().start();`,
    ],
    cwd: new URL("../..", import.meta.url),
    env: { GITHUB_ACTIONS: "", GITHUB_STEP_SUMMARY: "", ...env },
    stdin: "null",
  }).output();
  ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("GitHubAggregator does something only in a job of GitHub", async () => {
  await using directory = temporary();
  const summary = `${directory.path}/summary.md`;
  strictEqual(await inJob({ GITHUB_STEP_SUMMARY: summary }), "");
  equal(contents(directory.path), {});
  const GITHUB_ACTIONS = "true";
  const notice = "::notice title=Test results::no results\n";
  strictEqual(await inJob({ GITHUB_ACTIONS }), notice);
  strictEqual(
    await inJob({ GITHUB_ACTIONS, GITHUB_STEP_SUMMARY: summary }),
    notice,
  );
  match(await Deno.readTextFile(summary), /no results/);
});

Deno.test("GitHubAggregator leaves the artifacts as they are, and takes each test once", async () => {
  await using directory = temporary();
  const artifacts = layOut(`${directory.path}/a`, [{ status: "pass" }]);
  const before = contents(artifacts);
  const aggregator = new GitHubAggregator({ annotations: false });
  await rejected(aggregator.ingest("p", "/a", artifacts), Error, "not started");
  await using started = await aggregator.start();
  await rejected(aggregator.start(), Error, "twice");
  await Deno.writeTextFile(`${artifacts}/results`, "no\n");
  await rejected(started.ingest("p", "/a", artifacts), BadResultsError);
  await Deno.writeTextFile(`${artifacts}/results`, '{"status":"pass"}\n');
  await started.ingest("p", "/a", artifacts);
  await rejected(started.ingest("p", "/a", artifacts), DuplicateResultError);
  equal(contents(artifacts), before);
  ok(started.readsOnly);
});

const many = (n: number, status: string, note = "n".repeat(400)) =>
  Array.from({ length: n }, (_, i) => ended(`/${status}${i}`, status, note));

Deno.test("GitHubAggregator writes 10 annotations of a level at most, and says how many are missing", async () => {
  const levels = async (n: number) => {
    const { lines } = await tell([...many(n, "fail"), ...many(n, "warn")]);
    return ["error", "warning", "notice"].map((level) =>
      lines.split("\n").filter((line) => line.startsWith(`::${level} `)).length
    );
  };
  equal(await levels(10), [10, 10, 1]);
  equal(await levels(11), [10, 10, 1]);
  const { lines } = await tell(many(25, "fail"), { title: "T" });
  match(lines, /\n::error title=T::16 more: see the summary of the job\n/);
});

Deno.test("GitHubAggregator keeps the summary below the limit, and says what is missing", async () => {
  await using directory = temporary();
  const summary = `${directory.path}/summary.md`;
  await Deno.writeTextFile(summary, "x".repeat(100_000));
  const aggregator = new GitHubAggregator({ summary, annotations: false });
  await aggregator.start();
  const artifacts = layOut(`${directory.path}/a`, [
    { status: "fail", note: "@".repeat(1000) },
  ]);
  for (let n = 0; n < 1500; n++) {
    await aggregator.ingest("p", `/t${n}`, artifacts, {
      startedAt: 0,
      finishedAt: n,
    });
  }
  await aggregator.stop();
  const text = await Deno.readTextFile(summary);
  const { length } = new TextEncoder().encode(text);
  ok(length <= 900 * 1024 && length > 850 * 1024, `${length}`);
  const [, left] = /\n… and (\d+) more, for which there is no room here\n/.exec(
    text,
  )!;
  strictEqual(text.match(/<code>fail<\/code>/g)!.length + Number(left), 1500);
  match(text, /1500 failed/);
  // the shorter lists are whole
  match(text, /Slowest \(10\)/);
  strictEqual(text.match(/ \d\.\d s \|\n/g)!.length, 10);
  ok(text.endsWith("</details>\n\n"));
});

Deno.test("gitHubSummary() makes the same of stored results", async () => {
  const { summary } = await tell(FEW, { title: "T" });
  const stored = FEW.flatMap(({ test, results, info }) =>
    results.map(({ name, status, note }) => ({
      platform: "p",
      test,
      files: [],
      ...(name !== undefined && { subtest: name }),
      ...(status !== undefined && { status }),
      ...(note !== undefined && { note }),
      ...(info && { fields: { ...info } }),
    }))
  );
  strictEqual(await gitHubSummary(stored, { title: "T" }), summary);
});

/** Markdown as GitHub reads it. */
function render(markdown: string): string {
  return micromark(markdown, {
    allowDangerousHtml: true,
    extensions: [gfm()],
    htmlExtensions: [gfmHtml()],
  });
}

const HOSTILE = [
  "| a | b |",
  "\n\n# heading\n\n",
  "[link](http://evil.example)",
  "![](http://evil.example/x.png)",
  "<img src=x onerror=alert(1)>",
  "</code></td></table><script>alert(1)</script>",
  "`code`",
  "**bold** _em_ ~~gone~~",
  "http://evil.example www.evil.example a@evil.example",
  "&lt;b&gt; &#60;b&#62;",
  "$x^2$ :tada: @somebody #1",
  "\\",
  "::error::x",
  "%0A::set-env name=X::y",
  "\r\n::add-mask::x\n::stop-commands::t",
  "\x1b]0;title\x07\x1b[31mred",
  "\u202eback",
  "</details>",
  "1. list",
  "---",
  "    indented",
  "```\nfence",
  "[^1]: note",
];

Deno.test("nothing in names and notes is taken for Markdown", async () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom(...HOSTILE),
    fc.array(fc.constantFrom(...HOSTILE)).map((parts) => parts.join("")),
  );
  await fc.assert(
    fc.asyncProperty(text, text, text, async (platform, test, note) => {
      const markdown = await gitHubSummary([
        { platform, test, status: "fail", note, files: [note] },
        { platform: "other", test: note, status: test, files: [] },
      ], { title: note, files: "https://ci.example" });
      const html = render(markdown);
      const allowed =
        /<\/?(?:h2|h3|p|strong|table|thead|tbody|tr|th|td|code|details|summary)>|<br ?\/?>|<a href="https:\/\/ci\.example\/[^"]*">|<\/a>/g;
      doesNotMatch(html.replaceAll(allowed, ""), /[<>]/, markdown);
      strictEqual(html.match(/<table>/g)!.length, 2, markdown);
      for (const [table] of html.matchAll(/<table>[^]*?<\/table>/g)) {
        const widths = table.match(/<tr>[^]*?<\/tr>/g)!
          .map((row) => row.match(/<t[hd]>/g)!.length);
        strictEqual(new Set(widths).size, 1, html);
      }
      // what is to be seen is what was there
      const cell =
        /<td>fail<\/td>|<td><code>fail<\/code><\/td>\n<td>(?:<code>([^]*?)<\/code>)?<\/td>/
          .exec(html)!;
      const shown = (cell[1] ?? "").replaceAll(/<br ?\/?>/g, "\n")
        .replaceAll("&lt;", "<").replaceAll("&gt;", ">")
        .replaceAll("&quot;", '"').replaceAll("&amp;", "&");
      if (
        /^[\x20-\x7e]*$/.test(test) && test.trim() === test &&
        test.length <= 300
      ) {
        strictEqual(shown, test);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("nothing in names and notes is taken for a command", async () => {
  const tests = HOSTILE.map((text): Ingested => ({
    platform: text,
    test: text,
    results: [{ status: "fail", note: text }],
  }));
  for (const test of tests) {
    const { lines } = await tell([test], {
      title: test.test,
      location: () => ({ file: test.test }),
    });
    const [error, notice, end] = lines.split("\n");
    match(error!, /^::error file=[^:,]*,title=[^:,]*::/);
    match(notice!, /^::notice title=[^:,]*::1 failed$/);
    strictEqual(end, "");
    // deno-lint-ignore no-control-regex -- these are what it looks for
    doesNotMatch(lines, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  }
});

Deno.test("annotations are cut where GitHub would not take more", async () => {
  const { lines } = await tell([
    ended("/x".repeat(1000), "fail", "y".repeat(1e6)),
  ]);
  const [error] = lines.split("\n");
  ok(error!.length < 5000);
  match(error!, /…::y+…$/);
});

Deno.test("GitHubAggregator goes on with what is stored", async () => {
  const one = (test: string, status: string): StoredResult => ({
    platform: "p",
    test,
    status,
    files: [],
  });
  const { summary, lines } = await tell(
    [ended("/again", "pass"), ended("/new", "pass")],
    { stored: [one("/bad", "fail"), one("/again", "fail")] },
  );
  match(summary, /\*\*1 failed, 2 passed/);
  match(summary, /<code>fail<\/code> \| <code>\/bad<\/code>/);
  doesNotMatch(summary, /\/again/);
  match(lines, /^::error title=\/bad \(p\)::fail\n::notice .*1 failed/);
  const missing = readResults("/nowhere/results.jsonl");
  match((await tell(FEW, { stored: missing })).summary, /Failed/);
});

Deno.test("GitHubAggregator makes the way to the summary, or fails before anything runs", async () => {
  await using directory = temporary();
  const summary = `${directory.path}/a/b/summary.md`;
  await using aggregator = await new GitHubAggregator({ summary }).start();
  await aggregator.stop();
  match(await Deno.readTextFile(summary), /no results/);
  const before = contents(directory.path);
  for (
    const [path, why] of [[`${summary}/c`, "Not a"], ["/a", "a directory"]]
  ) {
    const wrong = path === "/a" ? directory.path : path!;
    await rejected(
      new GitHubAggregator({ summary: wrong }).start(),
      Error,
      why!,
    );
  }
  equal(contents(directory.path), before);
});
