/**
 * Beakerlib tests, against a stand-in for the functions of the library: the
 * library itself cannot be had on every system.
 */
import assert from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import {
  BeakerlibExecutor,
  type BeakerlibExecutorOptions,
} from "../../executors/beakerlib.ts";
import { readArtifacts } from "../../executors/results.ts";
import type { Result } from "../../executors/results.ts";
import { STAND_IN } from "./_beakerlib_stand_in.ts";

interface Outcome {
  exitCode?: number;
  error?: Error;
  results: Result[];
  /** Contents of the files by path. */
  files: Record<string, string>;
  /** What the package manager was asked to do. */
  packages: string[];
}

/** What `rpm` and `dnf` know. */
interface Packages {
  /** Those that are there. */
  present: string[];
  /** Those that can be installed. */
  available?: string[];
}

/** Runs one test on this machine, on which packages are only a list. */
async function runTest(
  test: string | Record<string, unknown>,
  options: Partial<BeakerlibExecutorOptions> & { packages?: Packages } = {},
): Promise<Outcome> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const { packages = { present: ["beakerlib"] }, ...rest } = options;
  try {
    const artifacts = `${directory}/artifacts`;
    await Deno.mkdir(artifacts);
    await Deno.mkdir(`${directory}/tmp`);
    await Deno.mkdir(`${directory}/root/sub`, { recursive: true });
    await Deno.writeTextFile(`${directory}/root/beakerlib.sh`, STAND_IN);
    await writePackages(`${directory}/tools`, packages);
    await using here = await LocalConnection.open({
      env: { PATH: `${directory}/tools:${Deno.env.get("PATH")}` },
    });
    const executor = new BeakerlibExecutor(here, {
      tests: {
        plan: {},
        data: new Map([["/t/est", {
          duration: "1m",
          ...(typeof test === "string"
            ? { test: `set +e +o pipefail; . ../beakerlib.sh\n${test}` }
            : test),
        }]]),
        sources: new Map([["/t/est", "sub"]]),
        root: `${directory}/root`,
      },
      // where a test that is ended leaves its files
      env: { TMPDIR: `${directory}/tmp` },
      exitGrace: 1000,
      ...rest,
    });
    const outcome: Outcome = { results: [], files: {}, packages: [] };
    try {
      await using running = await executor.start();
      outcome.exitCode = await running.runTest("/t/est", artifacts, {
        env: { TESTID: "the caller's", BEAKERLIB_DIR: "/nowhere" },
      });
    } catch (error) {
      outcome.error = error as Error;
    }
    outcome.packages = (await Deno.readTextFile(`${directory}/tools/calls`))
      .split("\n").slice(0, -1);
    try {
      for await (const result of readArtifacts(artifacts)) {
        outcome.results.push(result);
        for (const file of result.files ?? []) {
          const path = `${result.name ? `${result.name}/` : ""}${file}`;
          outcome.files[path] = await Deno.readTextFile(
            `${artifacts}/files/${path}`,
          );
        }
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return outcome;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function writePackages(
  directory: string,
  { present, available = [] }: Packages,
): Promise<void> {
  await Deno.mkdir(directory);
  await Deno.writeTextFile(`${directory}/present`, present.join("\n") + "\n");
  await Deno.writeTextFile(`${directory}/calls`, "");
  const script = (name: string, text: string) =>
    Deno.writeTextFile(
      `${directory}/${name}`,
      `#!/bin/bash\ndirectory=${directory}\n${text}`,
      { mode: 0o755 },
    );
  await script(
    "rpm",
    'shift 2; for name; do grep -qxF -e "$name" "$directory/present" || exit 1; done',
  );
  const known = available.join(" | ");
  await script(
    "dnf",
    `echo "$*" >>"$directory/calls"
     for name; do case $name in ${
      known || "none"
    }) echo "$name" >>"$directory/present"; found=1 ;; esac; done
     [[ $found || $* = *--skip-broken* ]]`,
  );
  await Deno.symlink("dnf", `${directory}/dnf5`);
}

Deno.test("with a stand-in for Beakerlib, every phase is a result", async (t) => {
  await t.step("all of them pass", async () => {
    const { exitCode, results, error, files } = await runTest(`
      rlJournalStart
      rlPhaseStartSetup; rlRun true; rlPhaseEnd
      rlPhaseStartTest 'some phase name'; rlRun 'false' 1; rlPhaseEnd
      rlPhaseStartCleanup; rlPhaseEnd
      rlJournalEnd`);
    assert.equal(error, undefined);
    assert.equal(exitCode, 0);
    assert.deepEqual(results, [
      { status: "pass", name: "Setup" },
      { status: "pass", name: "some-phase-name" },
      { status: "pass", name: "Cleanup" },
      { status: "pass", files: ["output.txt"] },
    ]);
    assert.match(files["output.txt"], /:: \[ {3}PASS {3}\] :: true\n/);
  });
  await t.step("one fails", async () => {
    const { exitCode, results } = await runTest(`
      rlJournalStart
      rlPhaseStartSetup; rlRun true; rlPhaseEnd
      rlPhaseStartTest; rlRun false; rlPhaseEnd
      rlJournalEnd`);
    assert.equal(exitCode, 1);
    assert.deepEqual(results, [
      { status: "pass", name: "Setup" },
      { status: "fail", name: "Test" },
      { status: "fail", files: ["output.txt"] },
    ]);
  });
  await t.step("one that sets up fails", async () => {
    const { exitCode, results } = await runTest(`
      rlJournalStart
      rlPhaseStartSetup; rlRun false; rlPhaseEnd
      rlJournalEnd`);
    assert.equal(exitCode, 1);
    assert.deepEqual(results, [
      { status: "warn", name: "Setup" },
      { status: "fail", files: ["output.txt"] },
    ]);
  });
  await t.step("the test ends before any does", async () => {
    const { exitCode, results } = await runTest(
      "rlJournalStart; rlPhaseStartSetup; exit 123; rlPhaseEnd",
    );
    assert.equal(exitCode, 123);
    assert.deepEqual(results, [{ status: "fail", files: ["output.txt"] }]);
  });
});

Deno.test("with a stand-in for Beakerlib, reports and files are in the results", async (t) => {
  await t.step("reports with a log", async () => {
    const { exitCode, results, files } = await runTest(`
      rlJournalStart
      log=$(mktemp -d)/'my "log".log'; echo text >"$log"
      rlReport 'disk / root "x"' PASS 0 "$log"
      rlReport later WARN; rlReport skipped SKIP
      rlJournalEnd`);
    assert.equal(exitCode, 1);
    assert.deepEqual(results, [
      { status: "pass", name: "disk-root-x", files: ["my log.log.txt"] },
      { status: "warn", name: "later" },
      { status: "skip", name: "skipped" },
      { status: "fail", files: ["output.txt"] },
    ]);
    assert.equal(files["disk-root-x/my log.log.txt"], "text\n");
  });
  await t.step("files", async () => {
    const { exitCode, results, files } = await runTest(`
      rlJournalStart
      echo one >log.txt; rlFileSubmit log.txt z.txt; echo two >log.txt; rlFileSubmit log.txt a/b.txt
      rlFileSubmit log.txt; rlFileSubmit "$PWD/log.txt"
      rlJournalEnd`);
    assert.equal(exitCode, 0);
    const [{ files: names, ...result }, ...others] = results;
    assert.deepEqual([result, others], [{ status: "pass" }, []]);
    assert.match(
      names!.join(" "),
      /^output.txt a-b.txt log.txt var-.*-tests-sub-log.txt z.txt$/,
    );
    assert.equal(files["a-b.txt"], "two\n");
    assert.equal(files["z.txt"], "one\n");
  });
});

Deno.test("with a stand-in for Beakerlib, the exit code follows from what was reported", async (t) => {
  const partial = '{"status":"error","partial":true,"note":"n"}';
  const own = '{"status":"pass"}';
  const report = (json: string) =>
    `printf 'result ${json.length}\\n${json}' >&8`;
  for (
    const [what, test, exitCode, results] of [
      [
        "an unfinished result of the test",
        report(partial),
        1,
        [{ status: "error", note: "n", files: ["output.txt"] }],
      ],
      [
        "a finished result of the test",
        `${report('{"status":"fail","name":"x"}')}; ${report(own)}; exit 4`,
        4,
        [{ status: "fail", name: "x" }, { status: "pass" }],
      ],
      [
        "statuses that are no failures",
        "for s in pass skip info odd; do atex-report-result $s $s; done",
        0,
        [
          ...["pass", "skip", "info", "odd"].map((name) => ({
            status: name,
            name,
          })),
          { status: "pass", files: ["output.txt"] },
        ],
      ],
      [
        "a code and a failure",
        "atex-report-result x WARN; exit 77",
        1,
        [{ status: "warn", name: "x" }, {
          status: "fail",
          files: ["output.txt"],
        }],
      ],
    ] as const
  ) {
    await t.step(what, async () => {
      const outcome = await runTest(test);
      assert.equal(outcome.exitCode, exitCode);
      assert.deepEqual(outcome.results, results);
    });
  }
});

Deno.test("with a stand-in for Beakerlib, a test that does not come to its end is aborted", async () => {
  const { error, results } = await runTest({
    test:
      "set +e; . ../beakerlib.sh; rlJournalStart; rlPhaseStartTest; rlRun false; rlPhaseEnd; sleep 60",
    duration: "2",
  });
  assert.equal(error?.name, "TestAbortedError");
  assert.deepEqual(results.map(({ status }) => status), ["fail", "infra"]);
});

Deno.test("BeakerlibExecutor runs tests that do not use the library", async () => {
  const { exitCode, results, files } = await runTest({
    test:
      `echo "$TMT_TEST_NAME"; readlink "$BEAKERLIB_DIR/metadata.yaml"; ls -A "$BEAKERLIB_DIR"
      [[ $BEAKERLIB_DIR == "\${TMT_TREE%/*}/beakerlib" ]] && [[ $TESTID =~ ^[0-9a-f-]{36}$ ]]
      touch "$BEAKERLIB_DIR/left"; echo "$BEAKERLIB_COMMAND_REPORT_RESULT $BEAKERLIB_COMMAND_SUBMIT_LOG $BEAKERLIB_JOURNAL"
      exit 6`,
    environment: { BEAKERLIB_JOURNAL: "1" },
  });
  assert.equal(exitCode, 6);
  assert.deepEqual(results, [{ status: "fail", files: ["output.txt"] }]);
  assert.equal(
    files["output.txt"],
    "/t/est\n../test/metadata.yaml\nmetadata.yaml\natex-report-result atex-file-submit 0\n",
  );
});

Deno.test("start() installs the library", async (t) => {
  await t.step("what is missing of it", async () => {
    const { packages, exitCode } = await runTest({ test: "true" }, {
      packages: { present: [], available: ["beakerlib", "beakerlib-redhat"] },
    });
    assert.equal(exitCode, 0);
    assert.deepEqual(packages, [
      "-q -y --setopt=install_weak_deps=False install beakerlib",
      "-q -y --setopt=install_weak_deps=False install --skip-broken --skip-unavailable beakerlib-redhat",
    ]);
  });
  await t.step("nothing if all is there", async () => {
    const { packages } = await runTest({ test: "true" }, {
      packages: { present: ["beakerlib", "beakerlib-redhat"] },
    });
    assert.deepEqual(packages, []);
  });
  await t.step("not if it is told not to", async () => {
    const { packages, exitCode } = await runTest({ test: "true" }, {
      install: false,
      packages: { present: [] },
    });
    assert.equal(exitCode, 0);
    assert.deepEqual(packages, []);
  });
  await t.step("or fails", async () => {
    const { error, results } = await runTest({ test: "true" }, {
      packages: { present: [] },
    });
    assert.equal(error?.name, "SetupError");
    assert.match(
      error!.message,
      /^Cannot prepare the system: installing beakerlib ended with 4/,
    );
    assert.deepEqual(results, []);
  });
});

Deno.test("BeakerlibExecutor prepares each run anew", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  await using here = await LocalConnection.open();
  await using executor = await new BeakerlibExecutor(here, {
    install: false,
    tests: {
      plan: {},
      data: new Map([["/t", {
        test: 'echo "$TESTID" $(ls "$BEAKERLIB_DIR"); touch "$BEAKERLIB_DIR/x"',
      }]]),
      sources: new Map(),
      root: directory,
    },
  }).start();
  const printed = [];
  for (const attempt of [1, 2]) {
    const artifacts = `${directory}/${attempt}`;
    await Deno.mkdir(artifacts);
    assert.equal(await executor.runTest("/t", artifacts, { attempt }), 0);
    printed.push(await Deno.readTextFile(`${artifacts}/files/output.txt`));
  }
  await executor.stop();
  await executor.stop();
  await Deno.remove(directory, { recursive: true });
  assert.match(printed[0]!, /^[0-9a-f-]{36} metadata.yaml\n$/);
  assert.match(printed[1]!, /^[0-9a-f-]{36} metadata.yaml\n$/);
  assert.notEqual(printed[0], printed[1]);
});

Deno.test("BeakerlibExecutor knows its tests before it is started", async () => {
  await using here = await LocalConnection.open();
  await using executor = new BeakerlibExecutor(here, {
    tests: {
      plan: {},
      data: new Map([["/t", {}]]),
      sources: new Map(),
      root: "/",
    },
  });
  assert.deepEqual([executor.has("/t"), executor.has("/u")], [true, false]);
});
