/** A suite for every kind of system, and what has to come out of it on each. */
import assert from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import type { FmfExecutorEvent } from "../../executors/fmf/_events.ts";
import {
  FmfExecutor,
  type FmfExecutorOptions,
} from "../../executors/fmf/executor.ts";
import { pidsWith, processesWith } from "../executors/fmf/_wrapped.ts";

/** What tests use to report, as real suites have it. */
const HELPERS = `
say() { printf '%s\\n' "$*" >&"$ATEX_TEST_CONTROL"; }
report() { local LC_ALL=C; say "result \${#1}"; printf %s "$1" >&"$ATEX_TEST_CONTROL"; }
`;

type Data = Record<string, unknown> & { test: string };

/** An executor with tests, and all that is needed to see what it leaves behind. */
export class Bench implements AsyncDisposable {
  readonly mark = crypto.randomUUID();
  readonly directory: string;
  readonly events: FmfExecutorEvent[] = [];
  readonly executor: FmfExecutor;
  readonly data = new Map<string, Data>();
  /** The work directory on the system. */
  work = "";
  #runs = 0;

  constructor(
    connection: Connection,
    tests: Record<string, string | Data>,
    options: Partial<FmfExecutorOptions> & {
      plan?: Record<string, unknown>;
    } = {},
  ) {
    this.directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
    const root = `${this.directory}/root`;
    Deno.mkdirSync(`${root}/sub/.git`, { recursive: true });
    Deno.writeTextFileSync(`${root}/sub/helpers.sh`, HELPERS);
    Deno.writeTextFileSync(`${root}/sub/.git/config`, "");
    for (const [name, data] of Object.entries(tests)) {
      this.data.set(name, typeof data === "string" ? { test: data } : data);
    }
    const { plan = {}, ...rest } = options;
    this.executor = new FmfExecutor(connection, {
      tests: {
        plan,
        root,
        data: this.data,
        sources: new Map(Array.from(this.data.keys(), (name) => [name, "sub"])),
      },
      exitGrace: 1000,
      onEvent: (event) => this.events.push(event),
      ...rest,
      env: { ATEX_TEST_MARK: this.mark, ...rest.env },
    });
  }

  async start(): Promise<this> {
    await this.executor.start();
    return this;
  }

  /** Runs a test. */
  async run(
    name: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<Run> {
    const artifacts = `${this.directory}/${this.#runs++}`;
    await Deno.mkdir(artifacts);
    const run: Run = { artifacts, results: [], files: {} };
    try {
      run.exitCode = await this.executor.runTest(name, artifacts, options);
    } catch (error) {
      run.error = error as Error;
    }
    run.results = Deno.readTextFileSync(`${artifacts}/results`).split("\n")
      .slice(0, -1).map((line) => JSON.parse(line));
    readFiles(`${artifacts}/files`, "", run.files);
    assert.deepEqual(
      Array.from(Deno.readDirSync(artifacts), ({ name }) => name).sort(),
      ["files", "results"],
    );
    return run;
  }

  /** Command lines of the processes of tests that are alive. */
  survivors(): string[] {
    return processesWith(`ATEX_TEST_MARK=${this.mark}`);
  }

  /** Waits until no process of a test is left. */
  async gone(seconds = 15): Promise<void> {
    for (let round = 0; round < seconds * 20; round++) {
      if (this.survivors().length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`still there: ${this.survivors().join("; ")}`);
  }

  /** Waits until so many processes of tests have this in their command line. */
  async sees(part: string, count = 1): Promise<void> {
    for (let round = 0; round < 400; round++) {
      const seen = this.survivors().filter((line) => line.includes(part));
      if (seen.length === count) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`no process with "${part}"`);
  }

  /** Kills what tests left on purpose. */
  killSurvivors(): void {
    for (const pid of pidsWith(`ATEX_TEST_MARK=${this.mark}`)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // ended
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.executor[Symbol.asyncDispose]();
    this.killSurvivors();
    await Deno.remove(this.directory, { recursive: true });
  }
}

export interface Run {
  artifacts: string;
  exitCode?: number;
  error?: Error;
  results: Record<string, unknown>[];
  files: Record<string, string>;
}

function readFiles(
  root: string,
  below: string,
  files: Record<string, string>,
): void {
  for (const { name, isDirectory } of Deno.readDirSync(`${root}/${below}`)) {
    const path = below + name;
    if (isDirectory) readFiles(root, `${path}/`, files);
    else files[path] = Deno.readTextFileSync(`${root}/${path}`);
  }
}

/** A test and what comes out of it. */
interface Expectation {
  test: string | Data;
  exitCode?: number;
  error?: string;
  results: Record<string, unknown>[];
  /** Files with their contents; `undefined`: anything. */
  files: Record<string, string | RegExp | undefined>;
  /** What survives, on purpose. */
  survivors?: string[];
}

const failed = { status: "fail", files: ["output.txt"] };
const passed = { status: "pass", files: ["output.txt"] };

/** Tests whose outcome is the same everywhere. */
export const SUITE: Record<string, Expectation> = {
  "/pass": {
    test: "true",
    exitCode: 0,
    results: [passed],
    files: { "output.txt": "" },
  },
  "/fail": {
    test: "exit 7",
    exitCode: 7,
    results: [failed],
    files: { "output.txt": "" },
  },
  "/errexit": {
    test: "false | true\necho not reached",
    exitCode: 1,
    results: [failed],
    files: { "output.txt": "" },
  },
  "/killed": {
    test: "kill -KILL $$",
    exitCode: 137,
    results: [failed],
    files: { "output.txt": "" },
  },
  "/missing": {
    test: "/does/not/exist",
    exitCode: 127,
    results: [failed],
    files: { "output.txt": /No such file/ },
  },
  "/output": {
    test:
      "for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf 'ž\\377'",
    exitCode: 0,
    results: [passed],
    files: {
      "output.txt": "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nž\ufffd",
    },
  },
  "/stdin": {
    test: "read -r line || echo $?; cat; sh -c 'read line || echo end'",
    exitCode: 0,
    results: [passed],
    files: { "output.txt": "1\nend\n" },
  },
  "/text": {
    test: `echo 'quotes " \\' "and 'dollars' \\$x" ž€ $'tab\\tend' \`echo sub\`
cat <<'END'
here $(document) \\
END
`,
    exitCode: 0,
    results: [passed],
    files: {
      "output.txt":
        "quotes \" \\ and 'dollars' $x ž€ tab\tend sub\nhere $(document) \\\n",
    },
  },
  "/environment": {
    test: {
      test: 'cd "$TMT_TREE" && [ "$PWD/sub" = "$OLDPWD" ] && [ -x "$0" ] && ' +
        '[ ! -e sub/.git ] && echo "$TMT_TEST_NAME $TMT_REBOOT_COUNT $TMT_TEST_RESTART_COUNT" ' +
        '"$REBOOTCOUNT $A|$B|$C|$D|$E $FROM_PLAN ${TMT_TEST_DATA-none}"; grep ^duration "$TMT_TEST_METADATA"; ' +
        'tr "\\0" "\\n" </proc/$$/environ | grep odd.name',
      environment: [
        { A: "first ž\n second", B: 1.5, C: true, D: null },
        { A: "last ž 'quoted'\n line", E: 7, "odd.name": 1 },
      ],
      duration: "10m",
    },
    exitCode: 0,
    results: [passed],
    files: {
      "output.txt":
        "/environment 0 0 0 last ž 'quoted'\n line|1.5|True|None|7 here none\nduration: 10m\nodd.name=1\n",
    },
  },
  "/plan-environment-1": {
    test: `echo 'ADDED="a b"' >>"$TMT_PLAN_ENVIRONMENT_FILE"`,
    exitCode: 0,
    results: [passed],
    files: { "output.txt": "" },
  },
  "/plan-environment-2": {
    test: "bash -c 'echo \"$ADDED\"'",
    exitCode: 0,
    results: [passed],
    files: { "output.txt": "a b\n" },
  },
  "/fresh": {
    test: 'cd "${0%/*}"; echo *; touch left .hidden',
    exitCode: 0,
    results: [passed],
    files: {
      "output.txt":
        /^environment metadata.yaml sid\.\d+ test.sh wrapper.pid\n$/,
    },
  },
  "/fresh-again": {
    test: 'cd "${0%/*}"; ls -A | grep -v sid',
    exitCode: 0,
    results: [passed],
    files: {
      "output.txt": "environment\nmetadata.yaml\ntest.sh\nwrapper.pid\n",
    },
  },
  "/results": {
    test: `. ./helpers.sh
report '{"status":"pass","name":"one"}'
report '{"status":"fail","name":"dir/two","files":[{"name":"logs/log","length":5}]}'
printf 'a\\0\\n\\377b' >&8
say duration save
report '{"status":"error","note":"still at work","partial":true,"files":[{"name":"stream","length":"2"}]}'
printf 12 >&8
report '{"status":"error","note":"still at work","partial":true,"files":[{"name":"stream","length":2}]}'
printf 34 >&8
say duration restore
echo printed
report '{"status":"pass","note":null,"testout":"out.txt","files":[]}'
echo printed later
report '{"name":"ž","status":"info"}'
exit 3`,
    exitCode: 3,
    results: [
      { status: "pass", name: "one" },
      { status: "fail", name: "dir/two", files: ["logs/log"] },
      { status: "pass", files: ["out.txt", "stream"] },
      { name: "ž", status: "info" },
    ],
    files: {
      "dir/two/logs/log": "a\0\n\ufffdb",
      "stream": "1234",
      "out.txt": "printed\nprinted later\n",
    },
  },
  "/large": {
    test: `. ./helpers.sh
report '{"status":"pass","files":[{"name":"zeros","length":5000000}]}'
head -c 5000000 /dev/zero | tr '\\0' z >&8`,
    exitCode: 0,
    results: [{ status: "pass", files: ["zeros"] }],
    files: { "zeros": "z".repeat(5_000_000) },
  },
  "/garbage": {
    test: "echo to the wrong place >&8; sleep 60",
    error: "BadControlError",
    results: [{
      status: "infra",
      note:
        'BadControlError(Cannot understand the control line "to the wrong place": its first word is unknown)',
      files: ["output.txt"],
    }],
    files: { "output.txt": "" },
  },
  "/duration": {
    test: {
      test: "echo before; sleep 60 & timeout 60 sleep 60",
      duration: "1",
    },
    error: "TestAbortedError",
    results: [{
      status: "infra",
      note: "TestAbortedError(test duration timeout reached)",
      files: ["output.txt"],
    }],
    files: { "output.txt": "before\n" },
  },
  "/flood": {
    test: { test: "yes noop >&8", duration: "1" },
    error: "TestAbortedError",
    results: [{
      status: "infra",
      note: "TestAbortedError(test duration timeout reached)",
      files: ["output.txt"],
    }],
    files: { "output.txt": "" },
  },
  "/background": {
    test:
      "sleep 60 & timeout 60 sleep 60 & set -m; sleep 60 & sleep 0.2; exit 2",
    exitCode: 2,
    results: [failed],
    files: { "output.txt": "" },
  },
  "/daemon": {
    test: "setsid sleep 61 & setsid sleep 62 <&- >&- 2>&- 8>&- & sleep 0.3",
    exitCode: 0,
    results: [passed],
    files: { "output.txt": "" },
    survivors: ["sleep 61", "sleep 62"],
  },
  "/signals": {
    // those from 32 on are the C library's
    test: `while read -r name mask; do
      case $name in SigIgn: | SigBlk:) echo "$name $((0x$mask & 0x7fffffff))" ;; esac
    done <<<"$(cat /proc/self/status)"`,
    exitCode: 0,
    results: [passed],
    files: { "output.txt": "SigBlk: 0\nSigIgn: 0\n" },
  },
};

/** Tests that depend on how the system is reached. */
export const TRANSPORT = [
  ...["/pass", "/fail", "/output", "/plan-environment-1", "/results", "/large"],
  ...["/garbage", "/flood", "/background", "/daemon", "/signals"],
];

/** Runs tests of the suite on a system and checks that all is as everywhere, and nothing is left. */
export async function checkSuite(
  t: Deno.TestContext,
  connection: Connection,
  names: readonly string[] = Object.keys(SUITE),
): Promise<void> {
  const suite = Object.entries(SUITE).filter(([name]) => names.includes(name));
  const tests = Object.fromEntries(
    suite.map(([name, { test }]) => [name, test]),
  );
  await using bench = new Bench(connection, tests, {
    plan: {
      environment: { FROM_PLAN: "here" },
      prepare: [
        { how: "shell", script: "cat; echo prepared $FROM_PLAN in ${PWD##*/}" },
        {
          how: "shell",
          script: ["echo W=$TMT_TREE", "false || echo err >&2"],
          when: "never",
        },
      ],
      finish: { how: "shell", script: 'echo "finished $ADDED"; touch gone' },
    },
  });
  await bench.start();
  const printed = lines(bench, "prepare");
  assert.match(printed[1], /^W=.*\/atex-[A-Za-z0-9]{10}\/tests$/);
  assert.deepEqual(printed.toSpliced(1, 1), ["prepared here in tests", "err"]);
  for (const [name, expected] of suite) {
    await t.step(name, async () => {
      const run = await bench.run(name);
      assert.equal(run.error?.name, expected.error, run.error?.stack);
      assert.equal(run.exitCode, expected.exitCode);
      assert.deepEqual(run.results, expected.results);
      assert.deepEqual(
        Object.keys(run.files).sort(),
        Object.keys(expected.files).sort(),
      );
      for (const [file, content] of Object.entries(expected.files)) {
        if (content instanceof RegExp) assert.match(run.files[file], content);
        else if (content !== undefined) assert.equal(run.files[file], content);
      }
      if (expected.survivors) {
        assert.deepEqual(bench.survivors().sort(), expected.survivors);
        bench.killSurvivors();
      }
      await bench.gone();
    });
  }
  await t.step("stop()", async () => {
    await bench.executor.stop();
    assert.deepEqual(lines(bench, "finish"), ["finished a b"]);
  });
}

function lines(bench: Bench, phase: string): string[] {
  return bench.events.flatMap((event) =>
    event.type === "output" && event.phase === phase ? [event.line] : []
  );
}
