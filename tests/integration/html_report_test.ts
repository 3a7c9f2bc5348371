/** HTML reports in a real browser. */
import {
  deepStrictEqual as equal,
  match,
  notStrictEqual,
  ok,
  strictEqual,
} from "node:assert/strict";
import { toFileUrl } from "@std/path/posix/to-file-url";
import {
  HtmlReportAggregator,
  type HtmlReportAggregatorOptions,
} from "../../aggregators/html.ts";
import type { IngestInfo } from "../../aggregators/aggregator.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import type { Result } from "../../executors/results.ts";
import { layOut, temporary } from "../aggregators/_artifacts.ts";
import {
  type Browser,
  browserMissing,
  openBrowser,
  openPage,
  type Page,
  type PageOptions,
} from "../_browser.ts";
import { cannotRun } from "../_parts.ts";
import { until } from "../_wait.ts";

let browser: Browser;
Deno.test.afterAll(() => browser?.close());

const ignore = cannotRun("HTML reports in a browser", browserMissing());

interface ReportedTest {
  test: string;
  platform?: string;
  results: Result[];
  files?: Record<string, string>;
  info?: IngestInfo;
}

interface Opened {
  page: Page;
  faults: string[];
  directory: string;
  url: string;
  /** Opens the report once more, for another reader. */
  again: (options: PageOptions & { url?: string }) => Promise<
    { page: Page; faults: string[] }
  >;
}

/** A test of a report that is opened in a browser: it must do nothing that it may not. */
function inBrowser(
  name: string,
  tests: readonly ReportedTest[],
  use: (opened: Opened) => Promise<void>,
  options: Partial<HtmlReportAggregatorOptions> & {
    events?: readonly Record<string, unknown>[];
    page?: PageOptions;
  } = {},
): void {
  Deno.test({
    name,
    ignore,
    // the driver of the browser keeps what it opened until the process ends
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      browser ??= await openBrowser();
      await using directory = temporary();
      const { events = [], page: pageOptions, ...reportOptions } = options;
      const report = new HtmlReportAggregator({
        report: `${directory.path}/report.html`,
        ...reportOptions,
      });
      {
        await using aggregator = await new MultiAggregator([
          new JsonLinesAggregator({
            results: `${directory.path}/results.jsonl`,
            files: `${directory.path}/files`,
          }),
          report,
        ]).start();
        report.follow((async function* () {
          for (const event of events) {
            yield await Promise.resolve(event as never);
          }
        })());
        for (
          const [n, { platform = "fedora@x86_64", test, results, files, info }]
            of tests.entries()
        ) {
          const artifacts = layOut(
            `${directory.path}/artifacts/${n}`,
            results,
            files,
          );
          await aggregator.ingest(platform, test, artifacts, info);
        }
      }
      const url = toFileUrl(`${directory.path}/report.html`).href;
      const { page, faults } = await openPage(browser, url, pageOptions);
      const again: Opened["again"] = ({ url: other = url, ...options }) =>
        openPage(browser, other, options);
      await use({ page, faults, directory: directory.path, url, again });
      equal(faults, []);
    },
  });
}

const shown = (page: Page) => page.locator(".row .name").allTextContents();
const ended = (status: string, more: Partial<Result> = {}): Result => ({
  status,
  ...more,
});

const SUITE: ReportedTest[] = [
  {
    test: "/net/sockets",
    results: [
      { name: "bind", status: "pass", files: ["bound.txt"] },
      { name: "connect", status: "fail", note: "errno 98, address in use" },
      ended("fail", {
        note: "2 of 3 fine",
        files: ["output.txt", "trace.log"],
      }),
    ],
    files: {
      "output.txt": "begin\n\x1b[31mred\x1b[0m end\n",
      "trace.log": "t\n",
    },
    info: {
      remote: "podman:1",
      startedAt: 1_770_000_001_000,
      finishedAt: 1_770_000_004_000,
    },
  },
  {
    test: "/net/routes",
    results: [ended("pass", { files: ["output.txt"] })],
    files: { "output.txt": "fine\n" },
    info: {
      remote: "podman:2",
      attempt: 2,
      earlier: [{ status: "fail", note: "exit code 1" }],
      startedAt: 1_770_000_001_000,
      finishedAt: 1_770_000_013_000,
    },
  },
  { test: "/disk/10", results: [ended("pass")], info: { remote: "podman:1" } },
  { test: "/disk/9", results: [ended("skip", { note: "no disk" })] },
  { test: "/old", platform: "centos@s390x", results: [ended("infra")] },
];

inBrowser(
  "a report shows its totals, the worst first",
  SUITE,
  async ({ page }) => {
    match(await page.title(), /^2 of 5 tests failed/);
    strictEqual(await page.textContent("h1"), "2 of 5 tests failed");
    equal(await shown(page), [
      "/net/sockets2 subtests, 1 failed",
      "/old",
      "/disk/9",
      "/net/routes",
      "/disk/10",
    ]);
    equal(await page.locator(".chip").allTextContents(), [
      "fail1",
      "infra1",
      "skip1",
      "pass2",
      "flaky1",
    ]);
    match(
      await page.locator(".facts").innerText(),
      /fedora@x86_64, centos@s390x/,
    );
  },
);

inBrowser(
  "the filter finds words, fields, statuses and exceptions",
  SUITE,
  async ({ page }) => {
    for (
      const [query, tests] of [
        ["net", ["/net/sockets", "/net/routes"]],
        ["NET podman:1", ["/net/sockets"]],
        ['"address in use"', ["/net/sockets"]],
        ["address missing", []],
        ["status:pass", ["/net/routes", "/disk/10"]],
        ["status:pass,skip", ["/disk/9", "/net/routes", "/disk/10"]],
        ["file:trace", ["/net/sockets"]],
        ["file:bound", ["/net/sockets"]],
        ["is:flaky", ["/net/routes"]],
        ["is:failed", ["/net/sockets", "/old"]],
        ["-net -status:infra", ["/disk/9", "/disk/10"]],
        ["platform:s390x", ["/old"]],
        ["system:podman:2", ["/net/routes"]],
        ["subtest:conn", ["/net/sockets"]],
        ["file:trace", ["/net/sockets"]],
        ["note:disk", ["/disk/9"]],
        ["http://x", []],
        ['status: "', [
          "/net/sockets",
          "/old",
          "/disk/9",
          "/net/routes",
          "/disk/10",
        ]],
      ] as const
    ) {
      await page.fill("#filter", query);
      equal(
        (await shown(page)).map((name) => name.replace(/\d+ subtests.*/, "")),
        tests,
        query,
      );
      strictEqual(
        await page.locator(".table .nothing").first().isVisible(),
        tests.length === 0,
      );
    }
    strictEqual(await page.textContent(".counted"), "5 rows");
  },
);

inBrowser(
  "buttons of statuses filter, and can be combined",
  SUITE,
  async ({ page }) => {
    const chip = (text: string) => page.locator(".chip", { hasText: text });
    await chip("fail").click();
    strictEqual(await page.inputValue("#filter"), "status:fail");
    await chip("pass").click();
    strictEqual(await page.inputValue("#filter"), "status:fail,pass");
    strictEqual((await shown(page)).length, 3);
    strictEqual(await page.textContent(".counted"), "3 of 5 rows");
    await chip("flaky").click();
    equal(await shown(page), ["/net/routes"]);
    strictEqual(await chip("flaky").getAttribute("aria-pressed"), "true");
    await chip("flaky").click();
    await chip("fail").click();
    await chip("pass").click();
    strictEqual(await page.inputValue("#filter"), "");
    strictEqual((await shown(page)).length, 5);
  },
);

inBrowser("headers sort, and the other way round", SUITE, async ({ page }) => {
  const sort = async (title: string) => {
    await page.locator(".header button", { hasText: title }).click();
    return (await shown(page)).map((name) =>
      name.replace(/\d+ subtests.*/, "")
    );
  };
  const names = ["/disk/9", "/disk/10", "/net/routes", "/net/sockets", "/old"];
  equal(await sort("Test"), names);
  strictEqual(
    await page.locator(".header button", { hasText: "Test" })
      .getAttribute("aria-sort"),
    "ascending",
  );
  equal(await sort("Test"), names.toReversed());
  equal((await sort("Time")).slice(0, 2), ["/net/routes", "/net/sockets"]);
  equal((await sort("Attempts"))[0], "/net/routes");
  equal((await sort("System")).slice(-2), ["/net/sockets", "/net/routes"]);
  equal((await sort("Platform"))[0], "/old");
});

inBrowser(
  "subtests are folded, and shown when they are asked for",
  SUITE,
  async ({ page }) => {
    await page.locator(".fold").click();
    equal((await shown(page)).slice(0, 3), [
      "/net/sockets2 subtests, 1 failed",
      "bind",
      "connect",
    ]);
    match(
      await page.locator(".row.part").nth(1).innerText(),
      /fail[^]*address in use/,
    );
    await page.locator(".row.part").nth(1).click();
    match(
      await page.locator(".detail").innerText(),
      /\/net\/sockets \/ connect[^]*errno 98/,
    );
    await page.locator(".fold").click();
    strictEqual((await shown(page)).length, 5);
  },
);

inBrowser(
  "details tell of attempts, systems and files",
  SUITE,
  async ({ page }) => {
    await page.locator(".row", { hasText: "/net/routes" }).click();
    const text = await page.locator(".detail").innerText();
    match(text, /flaky/);
    match(text, /podman:2/);
    match(text, /Took\s+12 s/);
    match(text, /1\. fail exit code 1[^]*2\. pass/);
    match(text, /output\.txt\s+5 B/);
    strictEqual(await page.locator(".peek").innerText(), "fine");
    await page.locator(".row", { hasText: "/net/sockets" }).click();
    match(
      await page.locator(".detail").innerText(),
      /2 of 3 fine[^]*bind[^]*connect/,
    );
    strictEqual(await page.locator(".peek span.c1").innerText(), "red");
    await page.locator(".detail .close").click();
    strictEqual(await page.locator(".detail").count(), 0);
  },
);

inBrowser("a view can be sent to somebody", SUITE, async ({ page, again }) => {
  await page.fill("#filter", "net");
  await page.locator(".header button", { hasText: "Time" }).click();
  await page.locator(".row", { hasText: "/net/routes" }).click();
  const { page: other, faults } = await again({ url: page.url() });
  strictEqual(await other.inputValue("#filter"), "net");
  equal(await shown(other), await shown(page));
  match(await other.locator(".detail").innerText(), /\/net\/routes/);
  equal(faults, []);
});

inBrowser(
  "everything can be done with the keyboard",
  SUITE,
  async ({ page }) => {
    const { keyboard } = page;
    const selected = () =>
      page.locator('.row[aria-selected="true"] .name').innerText();
    await keyboard.press("/");
    await keyboard.type("net");
    await keyboard.press("ArrowDown");
    match(await selected(), /\/net\/sockets/);
    await keyboard.press("ArrowRight");
    strictEqual((await shown(page)).length, 4);
    await keyboard.press("ArrowDown");
    strictEqual(await selected(), "bind");
    await keyboard.press("ArrowLeft");
    match(await selected(), /\/net\/sockets/);
    strictEqual((await shown(page)).length, 2);
    await keyboard.press("End");
    strictEqual(await selected(), "/net/routes");
    await keyboard.press("Home");
    await keyboard.press("Enter");
    await keyboard.press("Enter");
    strictEqual(await page.locator("dialog.log").isVisible(), true);
    await page.locator(".log .line", { hasText: "red end" }).waitFor();
    await keyboard.press("Escape");
    strictEqual(await page.locator("dialog.log").isVisible(), false);
    await keyboard.press("Escape");
    strictEqual(await page.locator(".detail").count(), 0);
    await keyboard.press("?");
    strictEqual(await page.locator("dialog.help").isVisible(), true);
    await keyboard.press("Escape");
    strictEqual(await page.locator("dialog.help").isVisible(), false);
  },
);

for (
  const [verdict, tone, statuses] of [
    ["All 4 tests passed", "good", ["pass", "info", "warn", "pass"]],
    ["The test passed", "good", ["pass"]],
    ["2 passed, 1 skipped", "good", ["pass", "skip", "pass"]],
    ["2 skipped", "", ["skip", "skip"]],
    ["1 passed, 1 skipped, 2 other", "", ["pass", "skip", "odd", undefined]],
  ] as const
) {
  inBrowser(
    `a report says "${verdict}"`,
    statuses.map((status, n) => ({ test: `/${n}`, results: [{ status }] })),
    async ({ page }) => {
      strictEqual(await page.textContent("h1"), verdict);
      const head = page.locator("header.head");
      strictEqual(
        (await head.getAttribute("class"))!.trim(),
        `card head ${tone}`.trim(),
      );
    },
  );
}

inBrowser("a report without results says so", [], async ({ page }) => {
  strictEqual(await page.textContent("h1"), "No results");
  strictEqual(
    await page.locator(".table .nothing").first().innerText(),
    "There are no results.",
  );
});

inBrowser(
  "every status has a button, whatever it is called",
  ["a,b", "", 'say "no"', "100%", "two  words", " x", "pass", "%2C"].map((
    status,
    n,
  ) => ({
    test: `/${n}`,
    results: [{ name: "part", status }, { status }],
  })),
  async ({ page }) => {
    await page.locator(".fold").first().click();
    strictEqual(await page.getByText("none", { exact: true }).count(), 2);
    await page.locator(".fold").first().click();
    const chips = page.locator(".chip");
    const one: string[] = [];
    for (let n = 0; n < 8; n++) {
      await chips.nth(n).click();
      one.push(...await shown(page));
      strictEqual(await chips.nth(n).getAttribute("aria-pressed"), "true");
      strictEqual(await page.locator('.chip[aria-pressed="true"]').count(), 1);
      await chips.nth(n).click();
      strictEqual(await page.inputValue("#filter"), "");
    }
    equal(
      one.map((name) => name.slice(0, 2)).sort(),
      Array.from({ length: 8 }, (_, n) => `/${n}`),
    );
    for (let n = 0; n < 8; n++) {
      await chips.nth(n).click();
      strictEqual((await shown(page)).length, n + 1);
    }
  },
);

inBrowser(
  "output is shown with its colours, and lines as they end elsewhere",
  [{
    test: "/a",
    results: [ended("fail", { files: ["output.txt"] })],
    files: {
      "output.txt": [
        "crlf",
        "\x1b[1mbold\x1b[22mplain",
        "\x1b[38;5;1mred\x1b[0m",
        "\x1b[38;5;31mother\x1b[0m",
        "\x1b[48;2;1;31;4mback\x1b[0m",
        "\x1b[38;2;1;31;1;32mgreen\x1b[0m",
        "end\r\n",
      ].join("\r\n"),
    },
  }],
  async ({ page }) => {
    await page.locator(".row").click();
    strictEqual(
      await page.locator(".peek").textContent(),
      "crlf\nboldplain\nred\nother\nback\ngreen\nend",
    );
    equal(
      await page.locator(".peek span").evaluateAll((all) =>
        all.map((it) => [
          (it as unknown as { className: string }).className.trim(),
          (it as unknown as { textContent: string }).textContent,
        ])
      ),
      [["b1", "bold"], ["c1", "red"], ["c2", "green"]],
    );
  },
);

inBrowser(
  "changes since earlier results are marked, and can be filtered",
  SUITE,
  async ({ page }) => {
    const chip = (text: string) => page.locator(".chip", { hasText: text });
    await chip("newly failing").click();
    match((await shown(page)).join(), /^\/net\/sockets/);
    match(await page.locator(".row .tag").innerText(), /newly failing/);
    await page.fill("#filter", "");
    await chip("gone").click();
    equal(await shown(page), ["/gone"]);
    await page.locator(".row").click();
    match(await page.locator(".detail").innerText(), /gone, was pass/);
  },
  {
    compareWith: ["/net/sockets", "/disk/9", "/disk/10", "/gone"].map((
      test,
    ) => ({
      platform: "fedora@x86_64",
      test,
      status: "pass",
      files: [],
    })),
  },
);

const LONG_LOG = Array.from(
  { length: 20_000 },
  (_, n) => `line ${n + 1} of it\n`,
)
  .join("");

const LOGS: ReportedTest[] = [{
  test: "/logs",
  results: [
    { name: "a/b", status: "pass", files: ["deep log.txt"] },
    ended("fail", {
      files: ["long.txt", "odd #1?%41.txt", "none.txt", "no text"],
    }),
  ],
  files: {
    "long.txt": LONG_LOG,
    "odd #1?%41.txt": "\t<b>bold</b> \u202eback\u202c\r\n" + "x".repeat(9000) +
      "\nlast",
    "a/b/deep log.txt": "deep\n".repeat(5000),
    "no text": "a\0b",
  },
}];

/** The text of the lines in sight. */
const lines = async (
  page: Page,
) => (await page.locator(".log .line").allTextContents());

async function openLog(page: Page, name: string): Promise<void> {
  await page.locator(".row").first().click();
  await page.locator(".detail .file", { hasText: name }).first().click();
  await page.locator("dialog.log").waitFor();
}

inBrowser(
  "a page from a disk shows the ends of a log, and all of it from a chosen folder",
  LOGS,
  async ({ page, directory }) => {
    await openLog(page, "long.txt");
    const says = page.locator(".log .says");
    match(
      await says.innerText(),
      /beginning and the end[^]*choose the folder “files”/,
    );
    await page.locator(".log .line", { hasText: "line 20000 of it" }).waitFor();
    await page.locator(".log button", { hasText: "Beginning" }).click();
    await page.locator(".log .line", { hasText: /^line 1 of it$/ }).waitFor();
    for (const folder of ["files", "", "files/fedora@x86_64"]) {
      await page.reload();
      await openLog(page, "long.txt");
      await page.setInputFiles(
        ".log input[type=file]",
        `${directory}/${folder}`,
      );
      await says.waitFor({ state: "hidden" });
      await page.fill(".log input[type=search]", "line 9999 OF");
      await page.locator(".log .current", { hasText: "line 9999 of it" })
        .waitFor();
      strictEqual(
        await page.locator(".log .current").getAttribute("data-number"),
        "9999",
      );
      await page.keyboard.press("Escape"); // clears the search
      await page.keyboard.press("Escape");
      await page.locator("dialog.log").waitFor({ state: "hidden" });
      await page.locator(".detail .file", { hasText: "deep log" }).click();
      await page.locator(".log .line", { hasText: "deep" }).first().waitFor();
      match(
        await page.locator(".log .line").last().textContent() ?? "",
        /deep/,
      );
      await page.keyboard.press("Escape");
    }
  },
);

inBrowser(
  "a log is shown as text, with what is in it made visible",
  LOGS,
  async ({ page }) => {
    await openLog(page, "odd #1?%41.txt");
    const [first, second, third, fourth, last] = await lines(page);
    strictEqual(first, "\t<b>bold</b> \ufffdback\ufffd");
    // a line that is very long is shown in pieces, of which the first has the number
    equal([second, third, fourth].map((line) => line!.length), [
      4000,
      4000,
      1000,
    ]);
    strictEqual(last, "last");
    equal(
      await page.locator(".log .line").evaluateAll((all) =>
        all.map((it) =>
          (it as unknown as { dataset: { number: string } }).dataset.number
        )
      ),
      ["1", "2", "", "", "3"],
    );
    const link = page.locator(".log a");
    strictEqual(
      await link.getAttribute("href"),
      "files/fedora%40x86_64/logs/odd%20%231%3F%2541.txt",
    );
    equal(
      [await link.getAttribute("rel"), await link.getAttribute("target")],
      ["noopener noreferrer", "_blank"],
    );
  },
);

inBrowser("the link of a log leads to the file", LOGS, async ({ page }) => {
  await openLog(page, "odd #1?%41.txt");
  await page.goto(
    await page.locator(".log a").evaluate((it) =>
      (it as unknown as { href: string }).href
    ),
  );
  match(await page.textContent("body") ?? "", /<b>bold<\/b>/);
});

/** A web server for a directory. */
function serve(directory: string, slow?: Promise<void>) {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const path = decodeURIComponent(new URL(request.url).pathname);
      try {
        if (path.endsWith("long.txt")) await slow;
        const type = path.endsWith(".html")
          ? "text/html"
          : "application/octet-stream";
        return new Response((await Deno.open(directory + path)).readable, {
          headers: { "content-type": type },
        });
      } catch {
        return new Response("no", { status: 404 });
      }
    },
  );
}

inBrowser(
  "a page from a web server reads whole logs, also compressed and large ones",
  LOGS,
  async ({ directory, again }) => {
    const place = `${directory}/files/fedora@x86_64/logs`;
    // 50 MB in 800 000 lines
    const block = Array.from(
      { length: 8000 },
      (_, n) => `\x1b[32mok\x1b[0m line ${n} ${"y".repeat(44)}\n`,
    ).join("");
    await Deno.writeTextFile(
      `${place}/long.txt`,
      block.repeat(100) + "THE END\n",
    );
    const packed = new Response(LONG_LOG).body!.pipeThrough(
      new CompressionStream("gzip"),
    );
    await Deno.writeFile(`${place}/a/b/deep log.txt`, packed);
    await using server = serve(directory);
    const { page, faults } = await again({
      url: `http://127.0.0.1:${server.addr.port}/report.html`,
    });
    await openLog(page, "long.txt");
    await page.locator(".log .line", { hasText: "THE END" }).waitFor();
    strictEqual(
      await page.locator(".log .line", { hasText: "THE END" }).getAttribute(
        "data-number",
      ),
      "800001",
    );
    ok(await page.locator(".log .line").count() < 100);
    await page.fill(".log input[type=search]", "the end");
    await page.locator(".log .current mark", { hasText: "THE END" }).waitFor();
    match(await page.locator(".log .tools").innerText(), /1 of 1 lines/);
    await page.fill(".log input[type=search]", "line 7999 ");
    await page.locator(".log .current", { hasText: "line 7999 " }).waitFor();
    match(await page.locator(".log .tools").innerText(), /\d+ of 100 lines/);
    await page.fill(".log input[type=search]", "");
    await page.focus(".log .lines");
    await page.keyboard.press("Home");
    await page.locator('.log .line[data-number="1"]').waitFor();
    // every line can be reached, although browsers do not make boxes of that height
    const middle = await page.locator(".log .lines").evaluate((it: unknown) => {
      const list = it as { scrollTop: number; scrollHeight: number };
      list.scrollTop = list.scrollHeight / 2;
      return list.scrollHeight;
    });
    ok(middle < 1e7);
    await page.locator(".log .line", { hasText: "ok line" }).first().waitFor();
    await until(() =>
      page.evaluate(
        `Number(document.querySelector(".log .line").dataset.number) > 300000`,
      )
    );
    await page.keyboard.press("Escape");
    await page.locator(".detail .file", { hasText: "deep log" }).click();
    await page.locator(".log .line", { hasText: "line 1 of it" }).first()
      .waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".detail .file", { hasText: "none.txt" }).click();
    await page.locator(".log .says", { hasText: "the server answers 404" })
      .waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".detail .file", { hasText: "no text" }).click();
    await page.locator(".log .says", { hasText: "This is not a text" })
      .waitFor();
    equal(faults.filter((fault) => !/404/.test(fault)), []);
  },
);

inBrowser(
  "another log can be opened while one is still read",
  LOGS,
  async ({ directory, again }) => {
    const slow = Promise.withResolvers<void>();
    await using server = serve(directory, slow.promise);
    const { page, faults } = await again({
      url: `http://127.0.0.1:${server.addr.port}/report.html`,
    });
    await openLog(page, "long.txt");
    await page.locator(".log .says", { hasText: "Reading all of it" })
      .waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".detail .file", { hasText: "odd" }).click();
    await page.locator(".log .line", { hasText: "last" }).waitFor();
    slow.resolve();
    await page.waitForTimeout(200);
    strictEqual((await lines(page)).at(-1), "last");
    equal(faults, []);
  },
);

inBrowser("pictures are shown as such", [{
  test: "/screen",
  results: [ended("fail", { files: ["screen.png"] })],
  files: { "screen.png": "" },
}], async ({ directory, again }) => {
  await Deno.writeFile(
    `${directory}/files/fedora@x86_64/screen/screen.png`,
    Uint8Array.fromBase64(
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    ),
  );
  await using server = serve(directory);
  const { page, faults } = await again({
    url: `http://127.0.0.1:${server.addr.port}/report.html`,
  });
  await openLog(page, "screen.png");
  await until(() =>
    page.evaluate(`document.querySelector(".log img")?.naturalWidth === 1`)
  );
  equal(faults, []);
});

/** What a system does, as events. */
const T0 = 1_770_000_000_000;
const at = (s: number, type: string, more: Record<string, unknown>) => ({
  time: T0 + 1000 * s,
  type,
  ...more,
});
const onOne = { remote: "podman:1" };
const onTwo = { remote: "podman:2" };
const EVENTS = [
  at(0, "run-started", {
    platform: "fedora@x86_64",
    tests: SUITE.map(({ test }) => test),
  }),
  at(1, "remote-ready", {
    ...onOne,
    provisioner: "podman",
    attributes: { image: "fedora:42" },
  }),
  at(1, "remote-ready", { ...onTwo, provisioner: "podman", attributes: {} }),
  at(1, "setup-started", onOne),
  at(3, "setup-finished", onOne),
  at(1, "setup-started", onTwo),
  at(4, "setup-finished", onTwo),
  at(3, "test-started", { ...onOne, test: "/net/sockets", attempt: 1 }),
  at(8, "test-finished", {
    ...onOne,
    test: "/net/sockets",
    attempt: 1,
    exitCode: 1,
    rerun: false,
  }),
  at(4, "test-started", { ...onTwo, test: "/net/routes", attempt: 1 }),
  at(10, "test-finished", {
    ...onTwo,
    test: "/net/routes",
    attempt: 1,
    exitCode: 1,
    rerun: true,
  }),
  at(10, "test-started", { ...onTwo, test: "/net/routes", attempt: 2 }),
  at(20, "test-finished", {
    ...onTwo,
    test: "/net/routes",
    attempt: 2,
    exitCode: 0,
    rerun: false,
  }),
  at(9, "test-started", { ...onOne, test: "/disk/10", attempt: 1 }),
  at(12, "test-finished", {
    ...onOne,
    test: "/disk/10",
    attempt: 1,
    exitCode: 0,
    rerun: false,
  }),
  at(12, "remote-lost", { ...onOne, error: new Error("no more heartbeat") }),
  at(20, "release-started", { ...onTwo, reason: "done" }),
  at(21, "release-finished", { ...onTwo, reason: "done" }),
  at(21, "run-finished", { kind: null }),
];

inBrowser(
  "the timeline shows what each system did when",
  SUITE,
  async ({ page }) => {
    const bars = page.locator("#chart rect[data-test]");
    equal(
      await bars.evaluateAll((all) =>
        (all as unknown as {
          dataset: { test: string };
          className: { baseVal: string };
        }[])
          .map((
            it,
          ) => [it.dataset.test, it.className.baseVal.replace("bar-test ", "")])
      ),
      [
        ["/net/sockets", "bad"],
        ["/disk/10", "good"],
        ["/net/routes", "again"],
        ["/net/routes", "good"],
      ],
    );
    strictEqual(await page.locator("#chart .bar-setup").count(), 2);
    strictEqual(await page.locator("#chart .bar-release").count(), 1);
    strictEqual(await page.locator("#chart .alive").count(), 2);
    const x = (name: string, n = 0) =>
      page.locator(`#chart rect[data-test="${name}"]`).nth(n).boundingBox();
    const [first, second] = [await x("/net/routes"), await x("/net/routes", 1)];
    // 6 s and 10 s
    ok(Math.abs(second!.width / first!.width - 10 / 6) < 0.05);
    match(
      await page.locator(".when").innerText(),
      /only \/net\/routes ran, on podman:2/,
    );
    match(await page.locator(".when").innerText(), /8\.0 s, only/);
    match(await page.locator(".when summary").innerText(), /1 incident/);
    await bars.nth(2).hover();
    match(
      await page.locator(".tip").innerText(),
      /\/net\/routes\nfailed: exit code 1\n6\.0 s, from 4 s[^]*on podman:2/,
    );
    await bars.nth(1).click();
    match(
      await page.locator(".detail").innerText(),
      /disk\/10[^]*image\s+fedora:42/,
    );
  },
  { events: EVENTS },
);

inBrowser(
  "a test that could not be carried out is infra in the timeline, too",
  [{ test: "/late", results: [ended("infra")] }],
  async ({ page }) => {
    const bar = page.locator("#chart rect[data-test]");
    strictEqual(await bar.getAttribute("class"), "bar-test infra");
    await bar.hover();
    match(
      await page.locator(".tip").innerText(),
      /^\/late\ninfra: no time left\n/,
    );
    equal(
      await page.locator(".keys span").allInnerTexts(),
      ["infra", "idle"],
    );
  },
  {
    events: [
      at(0, "run-started", { platform: "fedora@x86_64", tests: ["/late"] }),
      at(1, "remote-ready", {
        ...onOne,
        provisioner: "podman",
        attributes: {},
      }),
      at(2, "test-started", { ...onOne, test: "/late", attempt: 1 }),
      at(8, "test-finished", {
        ...onOne,
        test: "/late",
        attempt: 1,
        error: new Error("no time left"),
        rerun: false,
      }),
      at(9, "run-finished", { kind: null }),
    ],
  },
);

inBrowser(
  "the timeline can be read and zoomed with the keyboard",
  SUITE,
  async ({ page }) => {
    const { keyboard } = page;
    const tip = () => page.locator(".tip").innerText();
    await keyboard.press("t");
    await keyboard.press("ArrowRight");
    match(await tip(), /^setup\n2\.0 s, from 1 s/);
    await keyboard.press("ArrowRight");
    match(await tip(), /^\/net\/sockets\nfailed/);
    await keyboard.press("ArrowDown");
    match(await tip(), /setup[^]*podman:2/);
    await keyboard.press("ArrowRight");
    await keyboard.press("ArrowRight");
    match(await tip(), /^\/net\/routes\npassed, attempt 2/);
    const width = async () =>
      (await page.locator('#chart [data-test="/net/routes"]').first()
        .boundingBox())!.width;
    const before = await width();
    await keyboard.press("+");
    ok(await width() > 1.3 * before);
    await keyboard.press("0");
    ok(Math.abs(await width() - before) < 1);
    await keyboard.press("Enter");
    match(await page.locator(".detail").innerText(), /\/net\/routes/);
  },
  { events: EVENTS },
);

inBrowser(
  "a test that was never stored is shown, with what became of it",
  [],
  async ({ page }) => {
    equal(
      await page.locator(".row .status").allTextContents(),
      ["not stored", "not stored", "not stored", "not run", "not run"],
    );
    strictEqual(await page.textContent("h1"), "5 of 5 tests failed");
  },
  { events: EVENTS },
);

inBrowser(
  "hundreds of systems share lines of the timeline",
  [],
  async ({ page }) => {
    strictEqual(await page.locator("#chart rect.alive").count(), 200);
    strictEqual(await page.locator("#chart text.share-text").count(), 4);
    await page.locator("button", { hasText: "Compact" }).click();
    ok(await page.locator("#chart text.share-text").count() < 60);
    ok(
      await page.locator("#chart").evaluate((it: unknown) =>
        (it as { scrollHeight: number }).scrollHeight
      ) > 4000,
    );
    await page.setViewportSize({ width: 500, height: 900 });
    // on a phone, too, their names tell them apart
    await page.waitForFunction(
      `Array.from(document.querySelectorAll("#chart text"), (it) => it.firstChild.data).includes("podman:0")`,
    );
  },
  {
    events: [
      at(0, "run-started", { platform: "p", tests: [] }),
      ...Array.from({ length: 200 }, (_, n) => {
        const remote = `podman:${n}`;
        const start = 10 * Math.floor(n / 4);
        return [
          at(start, "remote-ready", {
            remote,
            provisioner: "podman",
            attributes: {},
          }),
          at(start + 1, "test-started", { remote, test: `/t${n}`, attempt: 1 }),
          at(start + 8, "test-finished", {
            remote,
            test: `/t${n}`,
            attempt: 1,
            exitCode: 0,
            rerun: false,
          }),
          at(start + 9, "release-started", { remote, reason: "done" }),
          at(start + 10, "release-finished", { remote, reason: "done" }),
        ];
      }).flat().toSorted((a, b) => a.time - b.time),
      at(600, "run-finished", { kind: null }),
    ],
  },
);

const HOSTILE = [
  "<script>alert(1)</script>",
  "</script><script>alert(2)</script>",
  "<img src=x onerror=alert(3)>",
  '"><svg onload=alert(4)>',
  "javascript:alert(5)",
  "\u202egnp.exe",
  "{{7*7}}${alert(6)}",
  "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
  "http://evil.example/x.png",
  "//evil.example/x",
  "__proto__",
  "' onmouseover='alert(8)",
];

inBrowser(
  "nothing in names, notes and files runs or leaves the page",
  HOSTILE.map((text, n) => ({
    platform: text,
    test: `${text}/${n}`,
    results: [
      { name: text, status: text, note: text, files: [text] },
      {
        status: n % 2 ? "fail" : text,
        note: text,
        files: [text, "output.txt"],
      },
    ],
    files: { "output.txt": HOSTILE.join("\n") },
    info: {
      attempt: 2,
      earlier: [{ status: "fail", note: text }],
      remote: text,
      attributes: { [text]: text },
      startedAt: T0,
      finishedAt: T0 + 1,
    },
  })),
  async ({ page }) => {
    const count = parseInt(await page.textContent(".counted") ?? "");
    strictEqual(count, 3 * HOSTILE.length);
    let links = 0;
    for (let n = 0; n < count; n++) {
      await page.focus("#body");
      await page.keyboard.press("ArrowDown");
      await page.locator('.row[aria-selected="true"]').hover();
      notStrictEqual(await page.locator(".detail h2").innerText(), "");
      for (const file of await page.locator(".detail .file").all()) {
        await file.click();
        await page.locator("dialog.log").waitFor();
        const link = page.locator(".log a");
        if (await link.count() > 0) {
          // beside the page, whatever the name
          match(await link.getAttribute("href") ?? "", /^files\/[^:]*$/);
          links++;
        }
        await page.keyboard.press("Escape");
      }
    }
    ok(links > 2 * HOSTILE.length);
    for (const bar of await page.locator("#chart rect[data-test]").all()) {
      await bar.hover();
    }
    for (const chip of await page.locator(".chip").all()) {
      await chip.click();
      await chip.click();
    }
    for (const text of HOSTILE) await page.fill("#filter", text);
    // what was opened is all that there is
    strictEqual(await page.locator("script").count(), 2);
    strictEqual(
      await page.locator("img, iframe, object, embed, svg svg, base, form")
        .count(),
      0,
    );
    strictEqual(
      await page.locator("[onerror], [onload], [onmouseover]").count(),
      0,
    );
    strictEqual(await page.evaluate("({}).polluted"), undefined);
  },
  {
    title: HOSTILE.join(" "),
    compareWith: HOSTILE.map((text) => ({
      platform: text,
      test: text,
      status: text,
      files: [],
    })),
    events: [
      at(0, "run-started", { platform: HOSTILE[0], tests: HOSTILE }),
      ...HOSTILE.flatMap((remote, n) => [
        at(n, "remote-ready", {
          remote,
          provisioner: remote,
          attributes: { [remote]: remote },
        }),
        at(n, "setup-started", { remote }),
        at(n + 1, "setup-failed", { remote, error: new Error(remote) }),
        at(n + 1, "test-started", { remote, test: remote, attempt: 1 }),
        at(n + 2, "test-finished", {
          remote,
          test: remote,
          attempt: 1,
          error: new Error(remote),
          rerun: false,
        }),
        at(n + 2, "remote-lost", { remote, error: new Error(remote) }),
      ]),
      at(99, "run-finished", { kind: HOSTILE[2] }),
    ],
  },
);

inBrowser(
  "a page into which markup was smuggled runs nothing of it",
  SUITE,
  async ({ directory, again }) => {
    // as if all care that is taken with names had failed
    const path = `${directory}/report.html`;
    let requests = 0;
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => {
        requests++;
        return new Response();
      },
    );
    const there = `http://127.0.0.1:${server.addr.port}`;
    const page = await Deno.readTextFile(path);
    await Deno.writeTextFile(
      path,
      page.replace(
        "<noscript>",
        `<script>alert(1)</script><img src=x onerror=alert(2)>
        <img src="${there}/x"><iframe src="${there}/f"></iframe>
        <base href="${there}/"><script src="${there}/s"></script>
        <style>body { background: url(${there}/y) }</style><noscript>`,
      ),
    );
    const { page: other, faults } = await again({});
    await other.locator(".row").first().waitFor();
    const did = faults.filter((fault) =>
      !/^request: |^message: .*violates/.test(fault)
    );
    equal([did, requests], [[], 0]);
    ok(faults.filter((fault) => /violates/.test(fault)).length >= 6);
  },
);

inBrowser("paths are made as aggregators make them", [], async ({ page }) => {
  const { placeFor } = await import("../../aggregators/_paths.ts");
  const { normalisePath, placeOf } = await import(
    "../../executors/results.ts"
  );
  const names = [
    "a",
    "/a/../b//./c",
    "x\u0000y\u009fz",
    "\ud800",
    "ü/ 1",
    "...",
    "a\\b",
    "..a/b..",
    "é",
    ".",
    "",
    "/",
  ];
  for (const test of names) {
    for (const file of names) {
      let expected: string | null = null;
      try {
        const place = placeOf({ name: test });
        const name = normalisePath(file);
        const directory = `${placeFor("p", test)}/${place && `${place}/`}`;
        if (name !== "") expected = directory + name;
      } catch {
        // there is no such place
      }
      const made = await page.evaluate(
        `(placeOf(row("p", ${JSON.stringify(test)}, "pass"), ${
          JSON.stringify(test)
        }, ${JSON.stringify(file)}) ?? { join: () => null }).join("/")`,
      );
      strictEqual(made, expected, JSON.stringify([test, file]));
    }
  }
});

for (const colors of ["light", "dark"] as const) {
  inBrowser(
    `text is easy to read in the ${colors} scheme`,
    SUITE,
    async ({ page }) => {
      await page.locator(".row").first().click();
      const poor = await page.evaluate(CONTRAST);
      equal(poor, []);
    },
    { events: EVENTS, page: { colors } },
  );
}

/** Texts of the page whose contrast to what is behind them is below 4.5. */
const CONTRAST = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const poor = [];
  for (const element of document.querySelectorAll("main *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const text = rgb(element instanceof SVGElement ? style.fill : style.color);
    let behind = element;
    while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
    const ground = rgb(getComputedStyle(behind ?? document.body).backgroundColor);
    const [a, b] = [light(text), light(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([element.textContent.trim(), element.className.baseVal ?? element.className, ratio]);
  }
  return poor;
})()`;

inBrowser("a report fits on a phone", SUITE, async ({ page }) => {
  const wide = () =>
    page.evaluate("document.documentElement.scrollWidth - innerWidth");
  strictEqual(await wide(), 0);
  await page.locator(".row", { hasText: "/net/sockets" }).tap();
  const detail = page.locator(".detail");
  const box = (await detail.boundingBox())!;
  ok(box.width <= 390 && box.height < 844);
  match(await detail.innerText(), /2 of 3 fine/);
  strictEqual(await wide(), 0);
  await detail.locator(".file").first().tap();
  const log = (await page.locator("dialog.log").boundingBox())!;
  equal([log.width, log.height], [390, 844]);
  await page.locator('[aria-label="Close the file"]').tap();
  await detail.locator(".close").tap();
  strictEqual(await detail.count(), 0);
  // what can be tapped is large enough
  const { height } = (await page.locator(".row").first().boundingBox())!;
  ok(height >= 44);
  await page.fill("#filter", "routes");
  equal(await shown(page), ["/net/routes"]);
}, { events: EVENTS, page: { phone: true } });

inBrowser(
  "without script there is a table of what failed",
  SUITE,
  async ({ page }) => {
    const text = await page.locator("body").innerText();
    match(text, /2 of 5 tests failed/);
    match(text, /fail\s+\/net\/sockets\s+fedora@x86_64\s+2 of 3 fine/);
  },
  { page: { javaScript: false } },
);

const MANY: ReportedTest[] = Array.from({ length: 1000 }, (_, n) => ({
  test: `/many/${n}`,
  results: [ended(n === 999 ? "fail" : "pass")],
}));

inBrowser(
  "of very many tests only those in sight exist",
  MANY,
  async ({ page }) => {
    const rows = page.locator(".row");
    ok(await rows.count() < 80);
    strictEqual((await shown(page))[0], "/many/999");
    await page.focus("#body");
    await page.keyboard.press("End");
    match((await shown(page)).at(-1)!, /998/);
    ok(await rows.count() < 80);
    for (let n = 0; n < 5; n++) await page.keyboard.press("PageUp");
    ok(await page.locator('.row[aria-selected="true"]').isVisible());
    await page.emulateMedia({ media: "print" });
    await page.evaluate("dispatchEvent(new Event('beforeprint'))");
    strictEqual(await rows.count(), 1000);
  },
);

Deno.test({
  name:
    "the page of a run that goes on loads the next one, unless it is to stay",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    browser ??= await openBrowser();
    await using directory = temporary();
    const path = `${directory.path}/report.html`;
    await using report = await new HtmlReportAggregator({
      report: path,
      refresh: 20,
    }).start();
    const end = Promise.withResolvers<void>();
    report.follow((async function* () {
      for (const platform of ["fedora", "centos"]) {
        const run = platform === "fedora" ? 0 : 1;
        for (const event of EVENTS.slice(0, 8)) {
          yield { ...event, platform, run } as never;
        }
      }
      await end.promise;
    })());
    await until(async () => (await Deno.readTextFile(path)).includes("centos"));
    const { page, faults } = await openPage(browser, toFileUrl(path).href, {
      frozen: true,
    });
    match(await page.title(), /^… 0 of 10 tests done/);
    match(await page.locator(".live").innerText(), /The run goes on/);
    equal(await page.locator("#chart .group").allTextContents(), [
      "fedorafedora",
      "centoscentos",
    ]);
    strictEqual(await page.locator("#chart .waiting").count(), 2);
    await page.fill("#filter", "sockets");
    equal(await page.locator(".row .state").allTextContents(), [
      "running",
      "running",
    ]);
    const stay = page.locator("button", { hasText: "Stay" });
    await stay.click();
    await report.ingest(
      "fedora",
      "/net/sockets",
      layOut(`${directory.path}/a`, [{ status: "fail" }]),
    );
    await until(async () =>
      (await Deno.readTextFile(path)).includes('"s":"fail"')
    );
    await page.clock.runFor(10_000);
    strictEqual(await page.locator(".row .bad").count(), 0);
    await stay.click();
    await page.clock.runFor(2000);
    await page.locator(".row .bad").waitFor();
    strictEqual(await page.inputValue("#filter"), "sockets");
    end.resolve();
    await report.stop();
    await page.clock.runFor(2000);
    await page.locator(".live").waitFor({ state: "detached" });
    match(await page.title(), /^10 of 10 tests failed/);
    equal(faults, []);
  },
});
