// deno-lint-ignore-file no-control-regex -- what a terminal gets is full of them
/**
 * `deno task pictures`: makes the pictures in `docs/` anew, of a run of the example suite with a fault put into it,
 * compared with a run without one. Needs Chromium, which `setup.sh` installs.
 */
import { HtmlReportAggregator } from "../aggregators/html.ts";
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { MultiAggregator } from "../aggregators/multi.ts";
import { readResults } from "../aggregators/reader.ts";
import { discover, FmfExecutor } from "../executors/fmf/mod.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import { byPriority, longestFirst, reruns } from "../orchestrators/policies.ts";
import { showProgress } from "../orchestrators/progress.ts";
import { LocalProvisioner } from "../provisioners/local.ts";
import { openBrowser, openPage } from "../tests/_browser.ts";

const root = new URL("../", import.meta.url);
const PLATFORM = "debian-12@x86_64";
const COLUMNS = 84;

/** A test that fails with something to look at. */
const FAULTY = `summary: A server and its clients
duration: 2m
test: |
  . ../report.sh
  echo ":: starting the server on port 8080"
  for n in $(seq 1 6); do echo "request $n: 200 OK, $((n % 7 + 1)) ms"; done
  report '{"name": "listen", "status": "pass"}'
  report '{"name": "requests", "status": "pass", "note": "6 in 27 ms"}'
  sleep 0.5
  if [ -e ../broken ]; then
    printf '\\033[31mERROR\\033[0m shutdown: port 8080 is still in use\\n'
    report '{"name": "shutdown", "status": "fail", "note": "errno 98, address in use"}'
    exit 1
  fi
`;

/** What a terminal shows after some output of `showProgress()`. */
class Screen {
  #lines: string[] = [];

  write(text: string): void {
    for (const part of text.split(/(\x1b\[\d+A\r\x1b\[J)/)) {
      const up = /^\x1b\[(\d+)A/.exec(part);
      if (up) this.#lines.splice(-Number(up[1]));
      else this.#lines.push(...part.split("\n").slice(0, -1));
    }
  }

  get lines(): readonly string[] {
    return this.#lines;
  }
}

const COLORS: Record<string, string> = {
  "31": "#ff7b72",
  "32": "#3fb950",
  "33": "#e0a526",
  "2": "#8d97a3",
};

/** A terminal as a page. */
function terminalPage(lines: readonly string[]): string {
  const body = lines.map((line) => {
    const [, code, text] = /^(?:\x1b\[(\d+)m)?(.*?)(?:\x1b\[0m)?$/.exec(line)!;
    const escaped = text!.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    return `<span style="color: ${
      COLORS[code!] ?? "#e6edf3"
    }">${escaped} </span>`;
  }).join("\n");
  return `<body style="margin: 0; background: #0d1117"><pre style="margin: 0; display: inline-block; padding: 16px 22px;
    min-width: ${COLUMNS}ch; font: 14px/20px 'DejaVu Sans Mono', monospace">${body}</pre>`;
}

interface RunOptions {
  out: string;
  suite: string;
  before?: string;
}

/** Runs the suite; gives what the terminal showed after half of it, when most tests ran, if possible after the first failure. */
async function runSuite({ out, suite, before }: RunOptions): Promise<string[]> {
  await using tests = await discover(suite, { plan: "/plans/demo" });
  await using pool = await new LocalProvisioner({ maxRemotes: 4 }).start();
  const report = new HtmlReportAggregator({
    report: `${out}/report.html`,
    title: "The example suite",
    ...(before && { compareWith: readResults(`${before}/results.jsonl`) }),
  });
  await using aggregator = await new MultiAggregator([
    new JsonLinesAggregator({
      results: `${out}/results.jsonl`,
      files: `${out}/files`,
    }),
    report,
  ]).start();
  await using run = new AdHocOrchestrator({
    platform: PLATFORM,
    tests: tests.data.keys(),
    provisioners: [pool],
    executor: (remote) => new FmfExecutor(remote, { tests }),
    aggregator,
    next: [byPriority(tests), longestFirst(tests)],
    rerun: (info) => info.test === "/flaky" && reruns(1)(info),
  }).run();
  report.follow(run);
  const screen = new Screen();
  let half: string[] = [];
  let most = 0;
  await showProgress(run, {
    live: true,
    color: true,
    size: () => ({ columns: COLUMNS, rows: 24 }),
    write: (text) => {
      screen.write(text);
      const { done, running, failed, tests } = run.status;
      const shown = screen.lines.filter((line) => line.includes("m  /")).length;
      const rank = running + (failed > 0 ? tests : 0);
      if (done >= tests / 2 && shown === running && rank >= most) {
        most = rank;
        half = [...screen.lines];
      }
    },
  });
  return half;
}

const directory = await Deno.makeTempDir({ prefix: "atex-pictures-" });
const browser = await openBrowser();
try {
  const suite = `${directory}/suite`;
  await new Deno.Command("cp", {
    args: ["-r", new URL("examples/suite", root).pathname, suite],
  }).output();
  await Deno.mkdir(`${suite}/net`);
  await Deno.writeTextFile(`${suite}/net/server.fmf`, FAULTY);
  const [yesterday, today] = [`${directory}/yesterday`, `${directory}/today`];
  await Deno.rename(`${suite}/smoke.fmf`, `${directory}/smoke.fmf`);
  await runSuite({ out: yesterday, suite });
  await Deno.rename(`${directory}/smoke.fmf`, `${suite}/smoke.fmf`);
  await Deno.writeTextFile(`${suite}/broken`, "");
  const terminal = await runSuite({ out: today, suite, before: yesterday });

  await Deno.mkdir(new URL("docs/", root), { recursive: true });
  const picture = (name: string) => new URL(`docs/${name}.png`, root).pathname;
  for (const colors of ["light", "dark"] as const) {
    const { page } = await openPage(browser, `file://${today}/report.html`, {
      colors,
    });
    await page.setViewportSize({ width: 1280, height: 1000 });
    await page.locator(".row").first().click();
    await page.mouse.move(0, 0);
    await page.waitForTimeout(300);
    await page.screenshot({ path: picture(`report-${colors}`) });
  }
  const page = await browser.newPage({ deviceScaleFactor: 1.5 });
  await page.setContent(terminalPage(terminal));
  await page.locator("pre").screenshot({ path: picture("progress") });
} finally {
  await browser.close();
  await Deno.remove(directory, { recursive: true });
}
