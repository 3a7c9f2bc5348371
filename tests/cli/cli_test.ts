/** The command line, run as a program. */
import {
  deepStrictEqual,
  match,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { main } from "../../cli/mod.ts";
import config from "../../deno.json" with { type: "json" };
import { KEPT, temporaryPrefix } from "../../connections/ownership.ts";
import { reap } from "../../provisioners/reap.ts";
import { withDirectory } from "../_directory.ts";
import { printed } from "../_printed.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SUITE = `${ROOT}examples/suite`;

async function deno(
  args: string[],
  cwd?: string,
  env: Record<string, string> = {},
) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    ...(cwd !== undefined && { cwd }),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

function atex(...args: string[]) {
  return deno(["run", "-qA", "--no-check", `${ROOT}cli/mod.ts`, ...args]);
}

const COMMANDS = [
  "tests",
  "run",
  "report",
  "results",
  "shell",
  "systems",
  "clean",
  "doctor",
];

/** What a command prints that needs no process of its own. */
async function help(...args: string[]): Promise<string> {
  const { status, out } = await printed(...args);
  strictEqual(status, 0);
  return out.join("\n");
}

Deno.test("atex names its commands, and each has help with options, permissions and an example", async () => {
  for (const args of [[], ["help"], ["--help"], ["-h"]]) {
    const text = await help(...args);
    for (const command of COMMANDS) {
      match(text, new RegExp(`^  ${command} `, "m"));
    }
  }
  for (const command of COMMANDS) {
    const text = await help(command, "--help");
    match(
      text,
      new RegExp(
        `Usage: atex ${command} .*\\n[^]*--help.*\\n[^]*\\nPermissions: .+\\nExample: atex ${command} ?`,
      ),
    );
    strictEqual(await help("help", command), text);
    strictEqual(await help(command, "-h"), text);
    const source = await Deno.readTextFile(`${ROOT}cli/${command}.ts`);
    const read = source.matchAll(
      /\b(?:call\.(?:has|get|all)|(?:number|pairs|path)\(call, )\(?"([^"]+)"/g,
    );
    for (const [, option] of read) match(text, new RegExp(`--${option}\\b`));
  }
  const { code, out } = await atex("help");
  deepStrictEqual([code, out], [0, await help("help") + "\n"]);
});

Deno.test("atex --version tells the version of the package", async () => {
  for (const flag of ["--version", "-V"]) {
    strictEqual(await help(flag), `atex ${config.version}`);
  }
});

Deno.test("atex says what is wrong with a command line, and exits with 2", async () => {
  for (
    const [args, message] of [
      [["test"], /there is no such command; did you mean "tests"\?/],
      [
        ["frobnicate"],
        /there is no such command, only tests, run, report, results, shell, systems, clean, doctor/,
      ],
      [
        ["tests", "--lng"],
        /there is no option "--lng"; did you mean "--long"\?/,
      ],
      [["run", "--tset", "x"], /did you mean "--test"\?/],
      [["tests", "--frobnicate=1"], /there is no option "--frobnicate"; see/],
      [["tests", "a", "b"], /there is no use for the argument "b"; see/],
      [["run", "a", "b"], /there is no use for the argument "b"; see/],
      [
        ["run", "a", "local"],
        /the argument "local"; did you mean "--on local"\?; see/,
      ],
      [
        ["run", "a", "podman:fedora:42"],
        /did you mean "--on podman:fedora:42"\?/,
      ],
      [
        ["run", "podman:fedora:42"],
        /"podman:fedora:42": it does not exist; did you mean "--on podman:fedora:42"\?$/,
      ],
      [["run", "--print-script", "local"], /did you mean "--on local"\?$/],
      [["run", "--onn", "local"], /no option "--onn"; did you mean "--on"\?/],
      [["run", "--xn", "local"], /no option "--xn"; see/],
      [["tests", "--plan"], /"--plan" needs a value: NAME/],
      [["tests", "--long=1"], /"--long" takes no value/],
      [["tests", "--library"], /"--library" goes with "--requires"/],
      [["tests", "-qv"], /"--quiet" and "--verbose" contradict/],
      [["tests", "--", "x"], /it takes nothing behind "--"/],
      [["shell"], /"SYSTEM" is missing/],
      [["report"], /"RESULTS…" is missing/],
      [
        ["tests", SUITE, "--condition", "tier >"],
        /"tier >": cannot parse the condition: it ends too early/,
      ],
      [
        ["tests", "--plan", "a", "--plan", "b"],
        /"--plan" was given more than once/,
      ],
      [["tests", "--context", "x"], /"--context x": KEY=VALUE would be right/],
      [
        ["run", "--parallel", "0"],
        /"--parallel 0": a whole number from 1 would be right/,
      ],
      [
        ["run", SUITE, "--html", "x/same", "--junit", "./x/same"],
        /both "--junit" and "--html" to "x\/same": give each a path of its own/,
      ],
      [
        ["run", SUITE, "--results", "x", "--junit", "x", "--print-script"],
        /both "--results" and "--junit" to "x"/,
      ],
      [
        ["run", SUITE, "--results", "x", "--html", "x.files"],
        /both the files of "--results" and "--html" to "x.files"/,
      ],
      [["run", SUITE, "--on", "nowhere"], /nowhere/],
      [["doctor", "emacs"], /Cannot look at "emacs"/],
      [["tests", "/nonexistent"], /\/nonexistent/],
    ] as const
  ) {
    await rejects(
      main(args),
      (error: Error) => {
        match(error.message, message);
        return true;
      },
    );
  }
  const { code, out, err } = await atex("tests", "--lng");
  deepStrictEqual([code, out], [2, ""]);
  match(err, /^Cannot run "atex tests": there is no option "--lng"; did/);
});

Deno.test("atex tests lists names, facts, metadata and packages", async () => {
  const names = await atex(
    "tests",
    SUITE,
    "--plan",
    "/plans/demo",
    "-t",
    "^/s",
    "--exclude",
    "slow",
  );
  strictEqual(
    names.out,
    "/smoke\n/system/destructive\n/system/environment\n/system/leftovers\n",
  );
  const long = await atex(
    "tests",
    SUITE,
    "--filter",
    "tag: destructive",
    "--long",
  );
  strictEqual(
    long.out,
    "/system/destructive  1 min  [destructive]  Leaves a system that no other test should get\n",
  );
  const columns = await atex("tests", SUITE, "-t", "/slow|/smoke", "--long");
  strictEqual(
    columns.out,
    [
      "/slow/long   10 min  Takes longest, so it had better start early",
      "/slow/short  2 min   Takes a second",
      "/smoke       1 min   priority 10  The system answers",
      "",
    ].join("\n"),
  );
  const json = await atex("tests", SUITE, "--test", "smoke", "--json");
  deepStrictEqual(JSON.parse(json.out), {
    name: "/smoke",
    summary: "The system answers",
    directory: ".",
    duration: 60_000,
    priority: 10,
    tags: [],
    require: [],
    recommend: [],
    libraries: [],
    tty: false,
  });
  match(
    (await atex("tests", SUITE, "-t", "smoke", "--metadata")).out,
    /^\/smoke:\n[^]* {2}test: uname -a\n/,
  );
  await withDirectory(async (directory) => {
    await Deno.mkdir(`${directory}/.fmf`);
    await Deno.writeTextFile(`${directory}/.fmf/version`, "1\n");
    await Deno.writeTextFile(
      `${directory}/main.fmf`,
      "test: x\nrequire: [make, gcc]\nrecommend: gdb\n",
    );
    strictEqual(
      (await atex("tests", directory, "--requires")).out,
      "gcc\ngdb\nmake\n",
    );
    const json = await atex("tests", directory, "--requires", "--json");
    deepStrictEqual(JSON.parse(json.out.split("\n")[0]!), { package: "gcc" });
    await Deno.writeTextFile(
      `${directory}/main.fmf`,
      "test: x\nrequire: [make, library(b/two), {type: library, url: https://127.0.0.1:1/a, name: /one}]\n",
    );
    // Which libraries there are is known without fetching one.
    const libraries = await atex("tests", directory, "--requires", "--library");
    strictEqual(libraries.out, "https://127.0.0.1:1/a/one\n", libraries.err);
  });
});

Deno.test("atex tests chooses by conditions, and its status tells whether there are any if asked", async () => {
  const chosen = await atex(
    ...["tests", SUITE, "--condition", "'destructive' in tag"],
    ...["--condition", "duration == '1m'", "--exit-code"],
  );
  deepStrictEqual([chosen.code, chosen.out], [0, "/system/destructive\n"]);
  const none = ["tests", SUITE, "--condition", "missing"];
  const nothing = { code: 0, out: "", err: "no test was found\n" };
  deepStrictEqual(await atex(...none), nothing);
  deepStrictEqual((await atex(...none, "--exit-code")).code, 1);
});

Deno.test("atex -q says nothing but errors, -v what goes on", async () => {
  await withDirectory(async (directory) => {
    const args = ["run", SUITE, "-t", "/smoke", "--results"];
    const quiet = await atex(...args, `${directory}/a`, "-q");
    deepStrictEqual(quiet, { code: 0, out: "", err: "" });
    const loud = await atex(...args, `${directory}/b`, "-v");
    match(loud.err, /^reserving: id local:1$/m);
    match(loud.err, /^released: id local:1, reason done, after 0\.\d s$/m);
  });
});

Deno.test("atex tests needs the permission to read only", async () => {
  const { code, out, err } = await deno([
    ...["run", "-q", "--no-check", "--no-prompt", "--allow-read"],
    ...[`${ROOT}cli/mod.ts`, "tests", SUITE, "-t", "smoke"],
  ]);
  deepStrictEqual([code, out], [0, "/smoke\n"], err);
});

Deno.test("atex tests lists more tests than a call can take", async () => {
  await withDirectory(async (directory) => {
    await makeTree(directory);
    const count = 130_000;
    let text = "test: 'true'\n";
    for (let n = 0; n < count; n++) text += `/${n}: {}\n`;
    await Deno.writeTextFile(`${directory}/m.fmf`, text);
    const { code, out, err } = await atex("tests", directory, "--long");
    strictEqual(code, 0, err);
    strictEqual(out.trim().split("\n").length, count + 1);
  });
});

Deno.test("atex run runs tests, and its status tells whether they passed", async () => {
  await withDirectory(async (directory) => {
    const results = `${directory}/results.jsonl`;
    const junit = `${directory}/junit.xml`;
    const html = `${directory}/pages/report.html`;
    const { code, out, err } = await atex(
      "run",
      SUITE,
      "-t",
      "smoke|small",
      "--results",
      results,
      "--env",
      "X=1",
      `--junit=${junit}`,
      `--html=${html}`,
    );
    strictEqual(code, 0, out);
    match(out, /\n2 passed, 0 failed in /);
    strictEqual(
      err,
      `Results: ${results}\nFiles:   ${results}.files\nJUnit:   ${junit}\nReport:  ${html}\n`,
    );
    match(await Deno.readTextFile(junit), /tests="2"/);
    const page = await Deno.readTextFile(html);
    match(page, /"files":"\.\.\/results\.jsonl\.files"/);
    match(page, /"bars":\[\["setup"/); // the timeline
    strictEqual((await Deno.readTextFile(results)).split("\n").length, 3);
    ok((await Deno.stat(`${results}.files/local/smoke/output.txt`)).isFile);
    const failing = await atex(
      "run",
      SUITE,
      "--test",
      "flaky",
      "--results",
      `${directory}/failing`,
    );
    strictEqual(failing.code, 1);
    const occupied = { results, junit, html };
    for (const [option, path] of Object.entries(occupied)) {
      const paths = { results: `${directory}/${option}`, [option]: path };
      const again = await atex(
        ...["run", SUITE, "-t", "smoke"],
        ...Object.entries(paths).map(([name, path]) => `--${name}=${path}`),
      );
      strictEqual(again.code, 2);
      strictEqual(
        again.err.replace(/^Cannot write [\w ]+ to /, ""),
        `"${path}": it is there already; choose another path or remove it; "--${option} PATH" chooses it\n`,
      );
      if (option === "results") continue;
      await rejects(Deno.stat(paths.results), Deno.errors.NotFound);
    }
    const impossible = {
      results: `${directory}/none/`,
      junit: "/proc/none.xml",
      html: "/proc/none.html",
    };
    for (const [option, path] of Object.entries(impossible)) {
      const paths = { results: `${directory}/${option}`, [option]: path };
      const { code, err } = await atex(
        ...["run", SUITE, "-t", "smoke"],
        ...Object.entries(paths).map(([name, path]) => `--${name}=${path}`),
      );
      strictEqual(code, 2);
      match(
        err,
        new RegExp(
          `^Cannot write [\\w ]+ to "${path}": .*\\(os error \\d+\\).*; "--${option} PATH" chooses it\n$`,
        ),
      );
      await rejects(Deno.stat(paths.results), Deno.errors.NotFound);
    }
    await Deno.rename(junit, `${junit}.part`);
    const killed = `${directory}/killed`;
    const again = await atex(
      ...["run", SUITE, "-t", "smoke", `--results=${killed}`],
      `--junit=${junit}`,
    );
    strictEqual(
      again.err,
      `Cannot write results to "${junit}": "${junit}.part" of an earlier run is there; finish it with "atex results junit PART", or remove it\n`,
    );
    await rejects(Deno.stat(killed), Deno.errors.NotFound);
  });
});

Deno.test("atex run without --results takes the next name that is free, and --platform names what was tested", async () => {
  await withDirectory(async (directory) => {
    const run = (...more: string[]) =>
      deno([
        ...["run", "-qA", "--no-check", `--config=${ROOT}deno.json`],
        ...[`${ROOT}cli/mod.ts`, "run", SUITE, "-t", "smoke", ...more],
      ], directory);
    const first = await run("--platform", "fedora 42");
    strictEqual(
      first.err,
      "Results: results.jsonl\nFiles:   results.jsonl.files\n",
    );
    match(first.out, /^1 test on fedora 42\n/);
    match(
      await Deno.readTextFile(`${directory}/results.jsonl`),
      /^\["fedora 42","pass","\/smoke",/,
    );
    await Deno.mkdir(`${directory}/results-2.jsonl.files`);
    const { code, err } = await run();
    deepStrictEqual([code, err], [
      0,
      "results-2.jsonl.files is there already: results go to results-3.jsonl\n" +
      "Results: results-3.jsonl\nFiles:   results-3.jsonl.files\n",
    ]);
    match(
      await Deno.readTextFile(`${directory}/results-3.jsonl`),
      /^\["local","pass","\/smoke",/,
    );
    const { out } = await run("--print-script", "--platform=p");
    match(out, /results: "results\.jsonl",/);
    match(out, /platform: "p",/);
    // the highest number stays that of the last run
    await Deno.remove(`${directory}/results.jsonl`);
    await Deno.remove(`${directory}/results-2.jsonl.files`);
    const last = await run();
    match(
      last.err,
      /^results-3\.jsonl is there already: results go to results-4\.jsonl\n/,
    );
    const refused = await run("--results", "results-3.jsonl");
    match(
      refused.err,
      /^Cannot write results to "results-3\.jsonl": it is there/,
    );
  });
});

/** Makes a tree with one test, and a plan whose preparation fails after a script. */
async function makeTree(directory: string, script = "true") {
  const files = {
    ".fmf/version": "1\n",
    "t.fmf": "test: 'true'\n",
    "plan.fmf":
      `discover: {how: fmf}\nprepare: {how: shell, script: '${script}; exit 3'}\n`,
  };
  await Deno.mkdir(`${directory}/.fmf`);
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${directory}/${name}`, text);
  }
}

/** What is there beside the tree. */
async function outputsIn(directory: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(directory));
  return entries.map(({ name }) => name)
    .filter((name) => !name.endsWith("fmf")).sort();
}

Deno.test("atex run leaves nothing in the way of the next if no test was run, and tells why whatever happens to it", async (t) => {
  for (
    const { name, script = "true", html = "h.html", left = [], told = "" } of [
      { name: "one in another", html: "results.jsonl.files/h.html" },
      {
        name: "with something that is gone",
        script: "rmdir results.jsonl.files",
      },
      {
        name: "with something that others put there",
        script: "touch results.jsonl.files/x",
        left: ["results.jsonl.files"],
        told: `warning: Cannot remove "results.jsonl.files": `,
      },
      {
        name: "with results elsewhere",
        script: "mv results.jsonl elsewhere",
        left: ["elsewhere", "h.html", "j.xml", "results.jsonl.files"],
        told: "Files:   results.jsonl.files\nJUnit:   j.xml\nReport:  h.html\n",
      },
    ]
  ) {
    await t.step(name, () =>
      withDirectory(async (directory) => {
        await makeTree(directory, `cd ${directory} && ${script}`);
        const { code, out, err } = await deno([
          ...["run", "-qA", "--no-check", `${ROOT}cli/mod.ts`, "run"],
          ...["--plan", "/plan", "--junit", "j.xml", "--html", html],
        ], directory);
        strictEqual(code, 2);
        match(out, /0 passed, 0 failed, 1 not run/);
        ok(err.startsWith(told), err);
        match(
          err,
          /^Cannot complete the run on "local": too many setups failed/m,
        );
        deepStrictEqual(await outputsIn(directory), left);
      }));
  }
});

Deno.test("atex run keeps what other reports have of a test that cannot be stored", async () => {
  await withDirectory(async (directory) => {
    await makeTree(directory);
    const files = `${directory}/results.jsonl.files`;
    await Deno.writeTextFile(
      `${directory}/t.fmf`,
      `test: rmdir ${files} && echo precious >${files}\n`,
    );
    const { code, err } = await deno([
      ...["run", "-qA", "--no-check", `${ROOT}cli/mod.ts`, "run"],
      ...["--junit", "j.xml", "--quiet"],
    ], directory);
    strictEqual(code, 2);
    match(err, /JsonLinesAggregator/);
    deepStrictEqual(await outputsIn(directory), [
      "j.xml",
      "results.jsonl",
      "results.jsonl.files",
    ]);
    strictEqual(await Deno.readTextFile(files), "precious\n");
    const [, kept] = /are in "(.*)\/1"/.exec(err)!;
    deepStrictEqual(
      Array.from(Deno.readDirSync(`${kept}/1`), ({ name }) => name).sort(),
      ["files", "results"],
    );
    const left = await reap({ kinds: ["directory"], dryRun: true });
    strictEqual(left.find(({ name }) => name === kept)?.verdict, "unknown");
    await Deno.remove(kept, { recursive: true });
  });
});

Deno.test("atex run keeps a result that is being stored when it is interrupted twice", async () => {
  // its artifacts are kept there
  await withDirectory((temporary) =>
    withDirectory(async (directory) => {
      await makeTree(directory);
      const program = `${ROOT}tests/cli/_interrupted_while_storing.ts`;
      const { code, err } = await deno(
        ["run", "-qA", "--no-check", program, "run"],
        directory,
        { TMPDIR: temporary },
      );
      strictEqual(code, 128 + 2, err);
      match(err, /^SIGINT: only giving back systems/m);
      match(
        await Deno.readTextFile(`${directory}/results.jsonl`),
        /^\["local","pass","\/t",null,\["output.txt"\],null,\{"attempt":1,.*\}\]\n$/,
      );
      deepStrictEqual(await outputsIn(directory), [
        "results.jsonl",
        "results.jsonl.files",
      ]);
    })
  );
});

Deno.test("atex run tells whether there are no tests, or none that fits", async () => {
  await withDirectory(async (directory) => {
    await Deno.mkdir(`${directory}/.fmf`);
    await Deno.writeTextFile(`${directory}/.fmf/version`, "1\n");
    await rejects(printed("run", directory), {
      message: `Cannot run tests of "${directory}": none was found`,
    });
    await rejects(printed("run", SUITE, "-t", "kernal"), {
      message:
        `Cannot run tests of "${SUITE}": none fits the options; "atex tests ${SUITE}" shows all that there are`,
    });
  });
});

Deno.test("atex run --print-script prints a script that type-checks and gives the same results", async () => {
  await withDirectory(async (directory) => {
    const { out } = await atex(
      ...[
        "run",
        SUITE,
        "-t",
        "/flaky|small",
        "--reruns",
        "1",
        "--parallel",
        "2",
        "--context",
        "a'b=\"c\\",
      ],
      ...[
        "--results",
        `${directory}/results.jsonl`,
        "--env",
        "X-Y=1",
        `--junit=${directory}/junit.xml`,
        `--html=${directory}/report.html`,
        "--condition",
        "'x' not in locals()",
        "--print-script",
      ],
    );
    match(out, /from "jsr:@atex\/atex@\^\d+\.\d+\.\d+\/main";\n/);
    await Deno.writeTextFile(`${directory}/script.ts`, out);
    const format = await deno(["fmt", "--check", "script.ts"], directory);
    strictEqual(format.code, 0, format.err);
    const lint = await deno(["lint", "script.ts"], directory);
    strictEqual(lint.code, 0, lint.err);
    const { code, out: said, err } = await deno([
      "run",
      "-qA",
      "--check",
      "script.ts",
    ], directory);
    strictEqual(code, 0, said + err);
    match(said, /\n2 passed, 0 failed, 1 flaky in /);
    const lines = (await Deno.readTextFile(`${directory}/results.jsonl`))
      .trim().split("\n").map((line) => JSON.parse(line));
    ok(lines.some(([, , , , , , { earlier }]) => earlier.length === 1));
    for (const file of ["results.jsonl", "junit.xml", "report.html"]) {
      ok((await Deno.stat(`${directory}/${file}`)).size > 0);
    }
  });
});

Deno.test("atex run --print-script lays out what deno fmt would", async () => {
  await withDirectory(async (directory) => {
    const long = "podman:registry.example.org/a/rather/long/name:42";
    for (
      const [index, args] of [
        ["--on", long],
        ["--on", long, "--parallel", "2"],
        ["--on", `ssh:${"lab".repeat(10)}`],
        ["--on", "ssh:lab", "--parallel", "2", "--test", "a'b"],
        ["--env", `A=it's "x"`, "--env", `B="it's"\\`],
        ["--html", "h.html"],
      ].entries()
    ) {
      const { out } = await printed("run", SUITE, "--print-script", ...args);
      await Deno.writeTextFile(`${directory}/${index}.ts`, `${out}\n`);
    }
    const { code, err } = await deno(["fmt", "--check"], directory);
    strictEqual(code, 0, err);
  });
});

const RESULTS = [
  ["p", "pass", "/a", null, ["output.txt"], null],
  ["p", "fail", "/b", "sub\u001b[31m", [], "wrong"],
  ["p", "fail", "/b", null, [], null],
].map((line) => `${JSON.stringify(line)}\n`).join("");

Deno.test("atex report shows results, and its status tells whether tests failed if asked", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/results.jsonl`;
    await Deno.writeTextFile(path, RESULTS);
    const all = await atex("report", path);
    deepStrictEqual(all, {
      code: 0,
      out:
        "pass   p  /a\nfail   p  /b / sub\ufffd[31m  (wrong)\nfail   p  /b\n",
      err: "1 fail, 1 pass\n",
    });
    const failed = await atex(
      "report",
      path,
      path,
      "--failed",
      "--exit-code",
      "--json",
    );
    strictEqual(failed.code, 1);
    deepStrictEqual(
      failed.out.trim().split("\n").map((line) => JSON.parse(line).test),
      ["/b", "/b", "/b", "/b"],
    );
    strictEqual(failed.err, "2 fail, 2 pass\n");
    const none = await atex("report", `${directory}/none`);
    deepStrictEqual([none.code, none.err], [
      2,
      `Cannot show results of "${directory}/none": it does not exist\n`,
    ]);
  });
});

Deno.test("atex report --exit-code says no if there are no results at all", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/results.jsonl`;
    await Deno.writeTextFile(path, "");
    deepStrictEqual(await printed("report", path, "--exit-code"), {
      status: 1,
      out: [],
      err: ["no results"],
    });
    strictEqual((await printed("report", path)).status, 0);
  });
});

Deno.test("atex report calls an empty status none", async () => {
  await withDirectory(async (directory) => {
    const [now, before] = [["", "pass"], ["pass", ""]].map((statuses, n) => {
      const path = `${directory}/${n}.jsonl`;
      const lines = statuses.map((status, test) =>
        JSON.stringify(["p", status, `/${test}`, null, [], null])
      );
      Deno.writeTextFileSync(path, `${lines.join("\n")}\n`);
      return path;
    });
    deepStrictEqual(await printed("report", now!), {
      status: 0,
      out: ["none   p  /0", "pass   p  /1"],
      err: ["1 none, 1 pass"],
    });
    const compared = await printed("report", now!, "--compare", before!);
    deepStrictEqual(compared.out, [
      "changed  p  /0  pass → none",
      "changed  p  /1  none → pass",
    ]);
  });
});

Deno.test("atex report replaces nothing that it reads", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/results.jsonl`;
    const old = `${directory}/old.jsonl`;
    await Deno.writeTextFile(path, RESULTS);
    await Deno.writeTextFile(old, RESULTS);
    await Deno.symlink(path, `${directory}/link`);
    for (
      const [name, ...args] of [
        ["html", path, "--html", path],
        ["junit", path, "--junit", path],
        ["html", directory, "--html", path],
        ["html", path, "--html", `${directory}/link`],
        ["html", path, "--compare", old, "--html", `${directory}/./old.jsonl`],
      ]
    ) {
      await rejects(printed("report", ...args), {
        name: "UsageError",
        message: new RegExp(
          `^Cannot write "--${name}" to ".*": these are the results that`,
        ),
      });
    }
    const same = `${directory}/new`;
    await rejects(printed("report", path, "--html", same, "--junit", same), {
      name: "UsageError",
      message: /^Cannot write both/,
    });
    strictEqual(await Deno.readTextFile(path), RESULTS);
    strictEqual(await Deno.readTextFile(old), RESULTS);
  });
});

Deno.test("atex report replaces a page or XML only if it is told to", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/results.jsonl`;
    await Deno.writeTextFile(path, RESULTS);
    const paths = { html: `${directory}/there`, junit: `${directory}/too` };
    for (const [name, there] of Object.entries(paths)) {
      await Deno.writeTextFile(there, "precious");
      const other = name === "html" ? "junit" : "html";
      const args = [`--${name}`, there, `--${other}`, `${directory}/new`];
      await rejects(printed("report", path, ...args), {
        name: "UsageError",
        message:
          `Cannot write "--${name}" to "${there}": it is there already; choose another path, or add "--replace"`,
      });
      await rejects(Deno.stat(`${directory}/new`), Deno.errors.NotFound);
      strictEqual(await Deno.readTextFile(there), "precious");
    }
    const { html, junit } = paths;
    const both = ["--html", html, "--junit", junit];
    await printed("report", path, ...both, "--replace");
    match(await Deno.readTextFile(html), /^<!doctype html>/i);
    match(await Deno.readTextFile(junit), /^<\?xml /);
    const inVain = /^Cannot use "--replace" without "--html" or "--junit"/;
    await rejects(printed("report", path, "--replace"), {
      name: "UsageError",
      message: inVain,
    });
    await rejects(printed("report", path, "--html", path, "--replace"), {
      message: /these are the results/,
    });
  });
});

Deno.test("atex report --summary takes no directory for --files, to which nothing could lead", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/results.jsonl`;
    await Deno.writeTextFile(path, RESULTS);
    await rejects(printed("report", path, "--summary", "--files", "./dir"), {
      name: "UsageError",
      message: /"--files" must be a URL/,
    });
    await printed("report", path, "--summary", "--files=https://ci.example/x");
  });
});

Deno.test("atex report tells tests of the same name in several files apart", async () => {
  await withDirectory(async (directory) => {
    const paths = ["fail", "pass"].map((status) => {
      const path = `${directory}/${status}.jsonl`;
      const line = ["p", status, "/a", null, [], null];
      Deno.writeTextFileSync(path, `${JSON.stringify(line)}\n`);
      return path;
    });
    const [bad] = paths;
    const page = `${directory}/report.html`;
    const xml = `${directory}/junit.xml`;
    const reports = ["--html", page, "--junit", xml, "--summary"];
    const failed = await printed(
      ...["report", ...paths, "--failed", "--exit-code", "--json"],
    );
    deepStrictEqual(failed, {
      status: 1,
      out: [JSON.stringify({
        platform: "p",
        test: "/a",
        status: "fail",
        files: [],
        source: bad,
      })],
      err: ["1 fail, 1 pass"],
    });
    const made = await printed("report", ...paths, ...reports);
    match(made.out.join("\n"), /1 failed, 1 passed/);
    match(await Deno.readTextFile(xml), /tests="2" failures="1"/);
    match(
      await Deno.readTextFile(page),
      /"tests":\[\n\{[^\n]*"s":"fail"\},\n\{[^\n]*"s":"pass"\}/,
    );
    const compared = await printed("report", ...paths, "--compare", paths[1]);
    deepStrictEqual(compared.out, ["broken   p  /a  pass → fail"]);
  });
});

Deno.test("atex report takes the last status of a test itself, and one without for failed", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/results.jsonl`;
    const lines = [
      ["p", "fail", "/better", null, [], null],
      ["p", "fail", "/better", "sub", [], null],
      ["p", "pass", "/better", "", [], null],
      ["p", null, "/unknown", null, [], "status unknown"],
      ["p", "pass", "/silent", "good", [], null],
      ["p", "fail", "/silent", "bad", [], null],
    ];
    await Deno.writeTextFile(
      path,
      lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
    );
    const all = await printed("report", path, "--exit-code");
    deepStrictEqual(all, {
      status: 1,
      out: [
        "fail   p  /better",
        "fail   p  /better / sub",
        "pass   p  /better",
        "none   p  /unknown  (status unknown)",
        "pass   p  /silent / good",
        "fail   p  /silent / bad",
        "no result  p  /silent",
      ],
      err: ["1 no result, 1 none, 1 pass"],
    });
    const failed = await printed("report", path, "--failed");
    deepStrictEqual(failed.out, [
      "fail   p  /silent / bad",
      "no result  p  /silent",
    ]);
    await Deno.writeTextFile(
      `${directory}/old`,
      `${JSON.stringify(["p", "pass", "/silent", null, [], null])}\n`,
    );
    const compared = await printed(
      ...["report", path, "--failed", "--compare", `${directory}/old`],
    );
    deepStrictEqual(compared.out, ["broken   p  /silent  pass → no result"]);
    for (const made of ["--html=x", "--junit=x", "--summary"]) {
      await rejects(printed("report", path, "--failed", made), {
        name: "UsageError",
        message: `Cannot use "--failed" with "${
          made.split("=")[0]
        }", which needs all tests: leave it out`,
      });
    }
  });
});

Deno.test("atex report --html links to no files where it does not know them", async () => {
  await withDirectory(async (directory) => {
    for (const name of ["a", "b"]) {
      await Deno.mkdir(`${directory}/${name}/files`, { recursive: true });
      await Deno.writeTextFile(`${directory}/${name}/results.jsonl`, RESULTS);
    }
    const page = `${directory}/report.html`;
    await printed("report", `${directory}/a`, `${directory}/b`, "--html", page);
    match(await Deno.readTextFile(page), /"files":null/);
  });
});

Deno.test("atex report makes a page, JUnit XML and a summary, of files and directories", async () => {
  await withDirectory(async (directory) => {
    await Deno.mkdir(`${directory}/out/files/p/a`, { recursive: true });
    await Deno.writeTextFile(`${directory}/out/files/p/a/output.txt`, "hello");
    await Deno.writeTextFile(`${directory}/out/results.jsonl`, RESULTS);
    const { status, out, err } = await printed(
      ...["report", `${directory}/out`, "--summary", "--exit-code"],
      ...["--html", `${directory}/pages/report.html`],
      ...["--junit", `${directory}/junit.xml`],
      ...["--compare", `${directory}/out/results.jsonl`],
    );
    deepStrictEqual([status, err], [1, [
      "1 fail, 1 pass",
      `JUnit:   ${directory}/junit.xml`,
      `Report:  ${directory}/pages/report.html`,
    ]]);
    match(out.join("\n"), /^## Test results\n/);
    const page = await Deno.readTextFile(`${directory}/pages/report.html`);
    match(page, /^<!doctype html>/i);
    match(page, /"files":"\.\.\/out\/files"/);
    match(page, /"compared":true/);
    const xml = await Deno.readTextFile(`${directory}/junit.xml`);
    match(
      xml,
      /<system-out>hello\n\[\[ATTACHMENT\|.*\/out\/files\/p\/a\/output/,
    );
    await rejects(printed("report", `${directory}/pages`), {
      message: /there is no results\.jsonl or results\.yaml in it$/,
    });
    for (const made of ["--junit=x", "--summary"]) {
      await rejects(
        printed("report", `${directory}/out`, "--compare=y", made),
        {
          name: "UsageError",
          message: `Cannot use "--compare" with "${
            made.split("=")[0]
          }", which does not show what changed: leave it out`,
        },
      );
    }
    await Deno.writeTextFile(`${directory}/out/results.yaml.gz`, "");
    await rejects(printed("report", `${directory}/out`), {
      message: /there are results\.jsonl and results\.yaml\.gz$/,
    });
  });
});

Deno.test("atex report of a directory shows the last run, and says which", async () => {
  await withDirectory(async (directory) => {
    const write = (name: string, ...statuses: string[]) =>
      Deno.writeTextFile(
        `${directory}/${name}`,
        statuses.map((status, index) =>
          `${JSON.stringify(["p", status, `/${index}`, null, [], null])}\n`
        ).join(""),
      );
    await write("results.jsonl", "pass", "pass");
    await write("results-2.jsonl", "pass");
    await write("results-10.jsonl", "fail");
    await write("results-x.jsonl", "pass", "pass");
    const told =
      `"${directory}": results-10.jsonl is shown, not results.jsonl, results-2.jsonl`;
    const shown = await printed("report", directory);
    deepStrictEqual(shown.err, [told, "1 fail"]);
    const page = `${directory}/report.html`;
    await Deno.mkdir(`${directory}/results-10.jsonl.files`);
    const made = await printed(
      ...["report", `${directory}/results.jsonl`, "--html", page],
      ...["--compare", directory],
    );
    deepStrictEqual(made.err, [told, "2 pass", `Report:  ${page}`]);
    match(await Deno.readTextFile(page), /"compared":true/);
    await printed("report", directory, "--html", page, "--replace");
    match(
      await Deno.readTextFile(page),
      /"files":"results-10\.jsonl\.files"/,
    );
    await write("results-10.yaml", "pass");
    await rejects(printed("report", directory), {
      message:
        `Cannot show results of "${directory}": there are results-10.jsonl and results-10.yaml`,
    });
  });
});

Deno.test("atex report shows what a killed run left to be compressed", async () => {
  await withDirectory(async (directory) => {
    const results = `${directory}/results.jsonl.gz`;
    const page = `${directory}/report.html`;
    await Deno.mkdir(`${results}.files`);
    await Deno.writeTextFile(`${results}.part`, RESULTS);
    const shown = await printed("report", directory);
    deepStrictEqual(shown.err, ["1 fail, 1 pass"]);
    await printed("report", `${results}.part`, "--html", page);
    match(await Deno.readTextFile(page), /"files":"results\.jsonl\.gz\.files"/);
    // if there are both, the part was not removed yet
    await Deno.writeTextFile(results, RESULTS.split("\n")[0]!);
    deepStrictEqual((await printed("report", directory)).err, ["1 pass"]);
  });
});

Deno.test("atex report --compare tells what changed", async () => {
  await withDirectory(async (directory) => {
    const write = async (name: string, ...statuses: [string, string][]) => {
      await Deno.writeTextFile(
        `${directory}/${name}`,
        statuses.map(([test, status]) =>
          `${JSON.stringify(["p", status, test, null, [], null])}\n`
        ).join(""),
      );
    };
    await write("old", ["/a", "pass"], ["/b", "fail"], ["/c", "pass"]);
    await write("new", ["/a", "fail"], ["/b", "pass"], ["/d", "pass"]);
    const args = [
      "report",
      `${directory}/new`,
      "--compare",
      `${directory}/old`,
    ];
    deepStrictEqual(await printed(...args), {
      status: 0,
      out: [
        "broken   p  /a  pass → fail",
        "fixed    p  /b  fail → pass",
        "new      p  /d  pass",
        "gone     p  /c  pass",
      ],
      err: ["1 fail, 2 pass"],
    });
    const json = await printed(...args, "--json", "--failed", "--exit-code");
    deepStrictEqual(
      [json.status, json.out.map((line) => JSON.parse(line))],
      [1, [{
        platform: "p",
        test: "/a",
        change: "broken",
        before: "pass",
        status: "fail",
      }]],
    );
  });
});

Deno.test("atex results completes what a killed run left", async () => {
  await withDirectory(async (directory) => {
    const results = `${directory}/results.jsonl.gz`;
    const odd = `${directory}/odd`;
    for (const path of [results, odd]) {
      await Deno.writeTextFile(`${path}.part`, `${RESULTS}["p","pass`);
    }
    deepStrictEqual(await printed("results", "finish", `${results}.part`), {
      status: 0,
      out: [results],
      err: [],
    });
    await rejects(
      printed("results", "finish", `${odd}.part`),
      /give the format/,
    );
    await printed("results", "finish", `${odd}.part`, "--format=zstd");
    for (const path of [results, odd]) {
      const { err } = await printed("report", path);
      deepStrictEqual(err, ["1 fail, 1 pass"]);
      await rejects(Deno.stat(`${path}.part`), Deno.errors.NotFound);
    }
    const rar = `${directory}/rar`;
    await Deno.writeTextFile(`${rar}.part`, RESULTS);
    const xml = `${directory}/junit.xml`;
    const first = { format: "atex-junit", name: "killed" };
    const second = { platform: "p", test: "/a", status: "pass" };
    await Deno.writeTextFile(
      `${xml}.part`,
      [first, second, "a"].map((line) => JSON.stringify(line)).join("\n"),
    );
    const other = `${directory}/other.xml`;
    await Deno.copyFile(`${xml}.part`, `${other}.part`);
    const made = await printed("results", "junit", `${xml}.part`);
    deepStrictEqual([made.status, made.out], [0, [xml]]);
    match(await Deno.readTextFile(xml), /name="killed" tests="1"/);
    for (
      const [args, message] of [
        [["finsh", "x"], /did you mean "finish"\?/],
        [["frob", "x"], /finish or junit would be right/],
        [["junit", "x", "--format=xz"], /it goes with "finish"/],
        [["junit"], /is missing/],
        [["junit", xml], /does not end with "\.part"/],
        [["junit", `${xml}.part`], /there is no such file/],
        [["finish", `${rar}.part`, "--format=rar"], /the formats are/],
        [
          ["junit", `${rar}.part`],
          /with finishJUnit\(\): it is of results, which finishResults\(\) or "atex results finish PART" completes$/,
        ],
        [
          ["finish", `${other}.part`, "--format=gzip"],
          /with finishResults\(\): it is of JUnit XML, which finishJUnit\(\) or "atex results junit PART" completes$/,
        ],
      ] as const
    ) await rejects(printed("results", ...args), message);
    await printed("results", "junit", `${other}.part`);
  });
});

Deno.test("atex shell runs a command on a system and takes over its status", async () => {
  const { code, out, err } = await atex(
    "shell",
    "local",
    "--",
    "sh",
    "-c",
    'echo "$0 $1"; exit 7',
    "a",
    "b c",
  );
  deepStrictEqual([code, out], [7, "a b c\n"]);
  match(err, /^on local:\d+\n$/);
  strictEqual((await atex("shell")).code, 2);
});

Deno.test("atex clean removes nothing unless it is forced to", async () => {
  await withDirectory(async (directory) => {
    const env = { TMPDIR: directory };
    const dead = temporaryPrefix().replace(`-${Deno.pid}-`, "-4194305-");
    const left = `${directory}/${dead}x`;
    await Deno.mkdir(left);
    await Deno.utime(left, 0, 0);
    const { code, out, err } = await deno(
      ["run", "-qA", "--no-check", `${ROOT}cli/mod.ts`, "clean", "--json"],
      undefined,
      env,
    );
    strictEqual(code, 0, err);
    const found = out.trim().split("\n").map((line) => JSON.parse(line));
    const { kind, verdict, removed } = found.find(({ name }) => name === left);
    deepStrictEqual([kind, verdict, removed], ["directory", "dead", false]);
    match(err, /"--force" removes \d+\n$/);
    await Deno.writeTextFile(`${left}/${KEPT}`, "");
    const clean = ["run", "-qA", "--no-check", `${ROOT}cli/mod.ts`, "clean"];
    const kept = await deno([...clean, "--all"], undefined, env);
    const line = kept.out.split("\n").find((one) => one.includes(left));
    match(line!, / {2}kept: results that could not be stored$/);
    const forced = await deno([...clean, "--json", "-a"], undefined, env);
    const entry = forced.out.trim().split("\n").map((one) => JSON.parse(one))
      .find(({ name }) => name === left);
    deepStrictEqual([entry.kept, entry.verdict], [true, "unknown"]);
    ok((await Deno.stat(left)).isDirectory);
  });
});

Deno.test("atex doctor tells of programs, and fails for those that were named", async () => {
  await withDirectory(async (directory) => {
    const program = async (name: string, text: string) => {
      await Deno.writeTextFile(`${directory}/${name}`, `#!/bin/sh\n${text}\n`);
      await Deno.chmod(`${directory}/${name}`, 0o755);
    };
    await program("git", "echo git version 9; exit 0");
    await program("flock", "echo unknown option >&2; exit 1"); // that of busybox
    await program("xz", "echo no library >&2; exit 127");
    await program(
      "podman",
      `case "$*" in
--version) echo podman version 9 ;;
info*) echo true ;;
*ls*) echo 0123456789ab ;;
*run*"$(cat ${directory}/image) true") ;;
*) echo "Error: no user namespaces" >&2; exit 125 ;;
esac`,
    );
    const doctor = async (...names: string[]) => {
      const { code, out, err } = await deno(
        [
          ...["run", "-q", "--no-check", "--no-prompt"],
          // No more than the help says.
          .../--allow-run.*/.exec(await help("doctor", "--help"))![0].split(
            " ",
          ),
          ...[`${ROOT}cli/mod.ts`, "doctor", "--json", ...names],
        ],
        undefined,
        { PATH: `${directory}:/usr/bin:/bin` },
      );
      strictEqual(err, "");
      const findings = out.trim().split("\n").map((line) => JSON.parse(line));
      return {
        code,
        of: (wanted: string) => {
          const { status, about } = findings.find(({ program }) =>
            program === wanted
          );
          return `${status}: ${about}`;
        },
      };
    };
    await Deno.writeTextFile(`${directory}/image`, "0123456789ab");
    const all = await doctor();
    strictEqual(all.code, 0);
    strictEqual(all.of("git"), "works: git version 9");
    strictEqual(all.of("flock"), "works: tells no version");
    strictEqual(all.of("xz"), "broken: no library");
    strictEqual(
      all.of("podman"),
      "works: podman version 9, rootless; it runs containers",
    );
    strictEqual(all.of("run-files"), "works: can be locked");
    strictEqual(
      all.of("testing-farm"),
      "missing: there is no TESTING_FARM_API_TOKEN",
    );
    match(all.of("clock"), /^works: 2/);
    await Deno.writeTextFile(`${directory}/image`, "other:1");
    const podman = await doctor("podman", "git");
    strictEqual(podman.code, 2);
    strictEqual(podman.of("podman"), "broken: Error: no user namespaces");
    strictEqual((await doctor("podman", "--image", "other:1")).code, 0);
    await Deno.remove(`${directory}/podman`);
    const lacking = await deno(
      ["run", "-qA", "--no-check", `${ROOT}cli/mod.ts`, "doctor", "podman"],
      undefined,
      { PATH: directory },
    );
    strictEqual(lacking.code, 2);
    match(
      lacking.out,
      /^podman +missing +not installed +\(for containers\)\n$/,
    );
  });
});

Deno.test("atex loads of a command only what that needs", async () => {
  const { out } = await deno(["info", "--json", `${ROOT}cli/mod.ts`]);
  const { modules } = JSON.parse(out);
  interface Dependency {
    code?: { specifier: string };
    isDynamic?: boolean;
  }
  const known = new Map<string, Dependency[]>(
    modules.map((
      { specifier, dependencies = [] }: {
        specifier: string;
        dependencies?: Dependency[];
      },
    ) => [specifier, dependencies]),
  );
  /** Folders of ours, and what is not ours, that are there as soon as the file is. */
  const loadedBy = (file: string) => {
    const seen = new Set<string>();
    const visit = (specifier: string) => {
      if (seen.has(specifier)) return;
      seen.add(specifier);
      for (const { code, isDynamic } of known.get(specifier) ?? []) {
        if (code && !isDynamic) visit(code.specifier);
      }
    };
    visit(`file://${ROOT}cli/${file}.ts`);
    const names = [...seen].map((specifier) =>
      specifier.replace(`file://${ROOT}`, "")
        .replace(/^.*(@std\/\w+|npm:\/?\w+).*$/, "$1")
    );
    return new Set(
      names.map((name) => /^\w+\/fmf\b|^[@\w]+/.exec(name)?.[0] ?? name),
    );
  };
  const allowed: Record<string, RegExp> = {
    mod: /^(cli|orchestrators|@std)$/,
    tests: /^(cli|orchestrators|executors\/fmf|executors|connections|@std|npm)/,
    report: /^(cli|orchestrators|aggregators|executors|@std|npm)/,
    results: /^(cli|orchestrators|aggregators|executors|@std|npm)/,
    shell: /^(cli|orchestrators|connections|provisioners|@std)$/,
    systems: /^(cli|orchestrators|connections|@std)$/,
    clean: /^(cli|orchestrators|connections|provisioners|@std)$/,
    doctor: /^(cli|orchestrators|connections|provisioners|@std)$/,
  };
  for (const [file, pattern] of Object.entries(allowed)) {
    const loaded = loadedBy(file);
    ok(loaded.has("cli"));
    loaded.delete("options"); // which loads nothing
    for (const name of loaded) match(name, pattern, `${file} loads ${name}`);
  }
});
