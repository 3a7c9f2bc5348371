/** The commands for tests, as tests on this machine use them. */
import assert from "node:assert/strict";
import { LocalConnection } from "../../../connections/local.ts";
import { TestAbortedError } from "../../../executors/executor.ts";
import { HELPER_NAMES, HELPERS } from "../../../executors/fmf/helpers.ts";
import { Bench, type Run } from "../../integration/_executor_suite.ts";
import { cannotRun } from "../../_parts.ts";
import { checkScript, shellcheckMissing } from "../../_shellcheck.ts";

Deno.test({
  name: "the helpers have nothing that shellcheck objects to",
  ignore: cannotRun("helpers", shellcheckMissing()),
  async fn() {
    const head = "#!/bin/bash\nwork=/var/x can_reboot=1\n";
    await checkScript(head + HELPERS, "bash");
  },
});

Deno.test("the helpers are ASCII, so that their length is the same everywhere", () => {
  // deno-lint-ignore no-control-regex -- whatever is not ASCII
  assert.match(HELPERS, /^[\x00-\x7f]+$/);
});

/** Runs one test with nothing beside it. */
async function runTest(
  test: string,
  data: Record<string, unknown> = {},
): Promise<Run> {
  await using here = await LocalConnection.open();
  await using bench = await new Bench(here, { "/t/est": { ...data, test } })
    .start();
  const run = await bench.run("/t/est");
  await bench.gone();
  return run;
}

/** What a test without a fault reports, but for the result of the test itself. */
async function reported(test: string): Promise<unknown[]> {
  const { exitCode, results, files, error } = await runTest(
    `set +x\n${test}\necho end`,
  );
  assert.equal(error, undefined);
  assert.equal(files["output.txt"], "end\n");
  assert.equal(exitCode, 0);
  assert.deepEqual(results.at(-1), { status: "pass", files: ["output.txt"] });
  return results.slice(0, -1).map(({ files: names, ...result }) =>
    names === undefined ? result : {
      ...result,
      files: Object.fromEntries(
        (names as string[]).map((
          name,
        ) => [name, files[`${result.name}/${name}`]]),
      ),
    }
  );
}

const JOURNAL = `
mkdir "$TMPDIR/tmp.journal"
printf '::::\\n\\n:: [ LOG ] :: Phase\\n' >"$TMPDIR/tmp.journal/log"
`;

/** A directory of the test's own. */
const SCRATCH = `
TMPDIR=$(mktemp -d); export TMPDIR; trap 'rm -rf "$TMPDIR"' EXIT
`;

Deno.test("every name is in the PATH of a test, and nothing says that it runs under tmt", async () => {
  const { files } = await runTest(
    `for name in ${
      HELPER_NAMES.join(" ")
    }; do type -P "$name" >/dev/null && echo "$name"; done
    bash -c 'type -P tmt-reboot'; env | grep ^TMT_TEST_DATA || true`,
  );
  const [lines, path] = [
    files["output.txt"].split("\n").slice(0, -2),
    files["output.txt"].split("\n").at(-2),
  ];
  assert.deepEqual(lines, HELPER_NAMES);
  assert.match(path!, /^\/var.*\/atex-\w{10}\/bin\/tmt-reboot$/);
  assert.equal(new Set(HELPER_NAMES).size, 16);
});

Deno.test("atex-report-result reports a part of the test", async (t) => {
  await t.step("with the status in lower case", async () => {
    assert.deepEqual(
      await reported(`atex-report-result one PASS
        atex-report-result 'dir/two words' Warn '' 5
        atex-report-result -setup- FAIL`),
      [
        { status: "pass", name: "one" },
        { status: "warn", name: "dir/two words" },
        { status: "fail", name: "-setup-" },
      ],
    );
  });
  await t.step("under any name", async () => {
    const names: [shell: string, name: string][] = [
      [`'q " b \\ e'`, 'q " b \\ e'],
      [`$'\\t\\n\\r'`, "\t\n\r"],
      [`$'\\x01\\x1f\\x7f\\xc2\\x80\\xc2\\x9f\\xc2\\xa0'`, "_____\u00a0"],
      ["'ž€😀'", "ž€😀"],
      [`$'a\\xffb\\xc3c\\xe2\\x82d\\xf0\\x9f\\x98e\\xc3'`, "abcde"],
      // surrogates, too long forms, beyond the last character
      [
        `$'-\\xed\\xa0\\x80-\\xc0\\xaf-\\xe0\\x80\\xaf-\\xf4\\x90\\x80\\x80-\\xf5-'`,
        "------",
      ],
      [
        `$'\\xed\\x9f\\xbf\\xee\\x80\\x80\\xf4\\x8f\\xbf\\xbf'`,
        "\ud7ff\ue000\u{10ffff}",
      ],
      ["'$(id) `id` ${x} & \\1 %s *'", "$(id) `id` ${x} & \\1 %s *"],
      ['"$(printf %05000d 0)"', "0".repeat(5000)],
      ['"$(printf ž%.0s {1..3000})"', "ž".repeat(3000)],
      ["'../../x'", "../../x"],
    ];
    assert.deepEqual(
      await reported(
        names.map(([shell]) => `atex-report-result ${shell} PASS`).join("\n"),
      ),
      names.map(([, name]) => ({ status: "pass", name })),
    );
  });
  await t.step("with a log", async () => {
    assert.deepEqual(
      await reported(`${SCRATCH}cd "$TMPDIR"
        printf 'a\\nb' >log; ln -s log link; : >'.h"i\\d<>é$ x'
        atex-report-result one PASS log
        atex-report-result two PASS "$TMPDIR/link" 1
        atex-report-result three PASS '.h"i\\d<>é$ x'`),
      [
        { status: "pass", name: "one", files: { "log.txt": "a\nb" } },
        { status: "pass", name: "two", files: { "link.txt": "a\nb" } },
        { status: "pass", name: "three", files: { ".hid x.txt": "" } },
      ],
    );
  });
  await t.step("without what is no log", async () => {
    assert.deepEqual(
      await reported(`${SCRATCH}${JOURNAL}
        BEAKERLIB_DIR=$TMPDIR/b; export BEAKERLIB_DIR
        mkdir "$BEAKERLIB_DIR"; echo x | tee "$BEAKERLIB_DIR/OUTPUTFILE" >"$TMPDIR/log"
        atex-report-result gone FAIL "$TMPDIR/missing"
        atex-report-result directory FAIL "$TMPDIR"
        atex-report-result device FAIL /dev/zero
        atex-report-result default FAIL "$BEAKERLIB_DIR/../b/OUTPUTFILE"
        for name in Setup Test Cleanup; do atex-report-result $name FAIL "$TMPDIR/log"; done
        atex-report-result journal FAIL "$TMPDIR/tmp.journal/log"
        printf ' ' >>"$TMPDIR/tmp.journal/log"
        atex-report-result log FAIL "$TMPDIR/tmp.journal/log"`),
      [
        ...["gone", "directory", "device", "default", "Setup", "Test"],
        ...["Cleanup", "journal"],
      ].map((name): unknown => ({ status: "fail", name })).concat({
        status: "fail",
        name: "log",
        files: { "log.txt": "::::\n\n:: [ LOG ] :: Phase\n " },
      }),
    );
  });
  await t.step("and leaves a log out that has no place", async () => {
    const { results, files, exitCode } = await runTest(`${SCRATCH}
      echo text >"$TMPDIR/log"; long=$(printf x%.0s {1..256})
      atex-report-result "a/$long/b" PASS "$TMPDIR/log" || echo "status $?"
      atex-report-result "a/\${long%x}/b" PASS "$TMPDIR/log" || echo "status $?"
      atex-report-result "$(printf x/%.0s {1..1200})" PASS "$TMPDIR/log" || echo "status $?"`);
    assert.equal(exitCode, 0);
    const place = `a/${"x".repeat(255)}/b`;
    assert.deepEqual(results.map(({ name, files }) => [name, files]), [
      [`a/${"x".repeat(256)}/b`, undefined],
      [place, ["log.txt"]],
      ["x/".repeat(1200), undefined],
      [undefined, ["output.txt"]],
    ]);
    assert.equal(files[`${place}/log.txt`], "text\n");
    assert.match(
      files["output.txt"],
      /^atex-report-result: the name of the result is too long for a directory with \S*\/log\nstatus 1\n/,
    );
  });
  await t.step("and not without a result", async () => {
    const { files, results } = await runTest(
      "atex-report-result || echo $?; tmt-report-result name || echo $?",
    );
    assert.equal(results.length, 1);
    assert.equal(
      files["output.txt"],
      `atex-report-result: a name and a result are needed
2
tmt-report-result: a name and a result are needed
2
`,
    );
  });
});

Deno.test("the commands of other harnesses report in their own way", async (t) => {
  await t.step("parts", async () => {
    assert.deepEqual(
      await reported(`${SCRATCH}cd "$TMPDIR"
        echo mine >log; echo output >out
        tmt-report-result one PASS
        rstrnt-report-result -o log two: FAIL 5
        rhts-report-result three PASS log 7
        rstrnt-report-result --outputfile=log -s server -t 'a message' --port 1 --no-plugins -p plug four WARN
        tmt-report-result Test SKIP -o log
        OUTPUTFILE=out rstrnt-report-result five PASS 3
        OUTPUTFILE=out rhts-report-result six PASS log 3
        tmt-report-result -- -seven- INFO
        tmt-report-result eight ERROR --message=text --disable-plugin=x`),
      [
        { status: "pass", name: "one" },
        { status: "fail", name: "two", files: { "log.txt": "mine\n" } },
        { status: "pass", name: "three", files: { "log.txt": "mine\n" } },
        { status: "warn", name: "four", files: { "log.txt": "mine\n" } },
        { status: "skip", name: "Test", files: { "log.txt": "mine\n" } },
        { status: "pass", name: "five", files: { "out.txt": "output\n" } },
        { status: "pass", name: "six", files: { "log.txt": "mine\n" } },
        { status: "info", name: "-seven-" },
        { status: "error", name: "eight" },
      ],
    );
  });
  await t.step("the test itself, which is not final", async () => {
    const run = await runTest(`${SCRATCH}cd "$TMPDIR"
      echo mine >log
      rhts-report-result "$TMT_TEST_NAME" WARN log
      rstrnt-report-result / FAIL
      tmt-report-result "$TMT_TEST_NAME:" PASS; exit 3`);
    assert.deepEqual(run.results, [
      { status: "pass", files: ["output.txt", "log.txt"] },
    ]);
    assert.equal(run.exitCode, 3);
  });
  await t.step("with a file that is not there", async () => {
    const { files, results } = await runTest(
      "tmt-report-result -o /missing/log one PASS || echo $?",
    );
    assert.deepEqual(results[0], { status: "pass", name: "one" });
    assert.equal(
      files["output.txt"],
      "tmt-report-result: there is no file /missing/log\n1\n",
    );
  });
});

Deno.test("files that are submitted belong to the test", async (t) => {
  for (
    const command of [
      "atex-file-submit",
      "tmt-file-submit",
      "rstrnt-report-log",
      "rhts-submit-log",
    ]
  ) {
    await t.step(command, async () => {
      const { results, files, exitCode } = await runTest(`${SCRATCH}
        cd "$TMPDIR"; printf 'a\\0\\377' >a; echo b >'b "<ž>"'; echo c >'日本'; mkdir directory; ln -s a link
        ${command} -l a -s server -T 5 -S x -l 'b "<ž>"' -l '日本'
        ${command} -l missing
        ${command} -l directory
        ${command} -l "$PWD/link"
        ${command} -l /proc/self/comm
        ${command} -l; ${command}
        printf again >>a; ${command} -l a`);
      assert.equal(exitCode, 0);
      assert.deepEqual(results, [{
        status: "pass",
        files: ["output.txt", "a", "b ", "comm", "link", "log"],
      }]);
      assert.deepEqual(files, {
        "output.txt": "",
        a: "a\0\ufffda\0\ufffdagain",
        "b ": "b\n",
        comm: `${command.slice(0, 15)}\n`,
        link: "a\0\ufffd",
        log: "c\n",
      });
    });
  }
});

Deno.test("a file is as long as it was announced, whatever becomes of it", async () => {
  const { files } = await runTest(`${SCRATCH}cd "$TMPDIR"
    mkfifo channel; exec 4<>channel
    for change in 'echo more >>file' ': >file' 'rm file' 'mv file other; echo x >file'; do
      head -c 1000000 /dev/urandom >file; cp file copy
      ATEX_TEST_CONTROL=5 atex-file-submit -l file 5>&4 &
      read -r word length <&4
      head -c "$length" <&4 >json
      head -c 1000 <&4 >sent
      eval "$change"
      sed 's/.*length":/announced /' json; echo
      head -c 999000 <&4 >>sent
      wait $! && echo "status 0" || echo "status $?"
      if cmp -s sent copy; then echo same; else cmp -n 1000 sent copy && echo 'same at first'; fi
    done`);
  assert.equal(
    files["output.txt"].replace(/: \d+ bytes/, ": SOME bytes"),
    [
      ...["announced 1000000}]}", "status 0", "same"],
      "announced 1000000}]}",
      "atex-file-submit: SOME bytes of the file were gone before they were sent: there are zeros in place of them",
      ...["status 1", "same at first"],
      ...["announced 1000000}]}", "status 0", "same"],
      ...["announced 1000000}]}", "status 0", "same", ""],
    ].join("\n"),
  );
});

Deno.test("several helpers at once do not disturb each other", async () => {
  const { results, files, exitCode } = await runTest(`${SCRATCH}cd "$TMPDIR"
    for i in {1..12}; do
      head -c 300000 /dev/zero | tr '\\0' x >"$i"
      { atex-report-result "r$i" PASS "$PWD/$i"; atex-file-submit -l "$i"; } &
    done
    exec 3>/run/lock/atex-test-control; flock 3
    printf 'result 17\\n{"name":"direct"}' >&8; exec 3>&-
    wait`);
  assert.equal(exitCode, 0);
  assert.equal(results.length, 14);
  const own = results.at(-1)!;
  assert.deepEqual((own.files as string[]).length, 13);
  assert.deepEqual(Object.keys(files).length, 25);
  for (const [name, content] of Object.entries(files)) {
    if (name !== "output.txt") assert.equal(content, "x".repeat(300_000), name);
  }
});

Deno.test({
  name: "a helper does not wait for other users",
  ignore: cannotRun(
    "helpers",
    Deno.uid() === 0 ? undefined : "it takes root to be two users",
  ),
  async fn() {
    const lock = "/run/lock/atex-test-control";
    const { exitCode, files } = await runTest(`
      atex-report-result one PASS; stat -c %a ${lock}
      # somebody else's, and held
      chown nobody ${lock}; trap 'chown root ${lock}' EXIT
      { flock 3; timeout 20 atex-report-result two PASS 3<&-; } 3<${lock}`);
    assert.equal(exitCode, 0);
    assert.match(files["output.txt"], /^6[0-4]{2}\n$/);
  },
});

Deno.test("a helper says why it cannot report", async () => {
  const { results, files } = await runTest(`
    (unset ATEX_TEST_CONTROL; atex-report-result a PASS) || echo $?
    atex-file-submit -l "$0" 8>&- || echo $?
    ATEX_TEST_CONTROL=x tmt-abort || echo $?`);
  assert.deepEqual(results, [{ status: "pass", files: ["output.txt"] }]);
  assert.equal(
    files["output.txt"],
    `atex-report-result: there is nobody to report to: ATEX_TEST_CONTROL is not set
1
atex-file-submit: there is nobody to report to: descriptor 8 is closed
1
tmt-abort: there is nobody to report to: ATEX_TEST_CONTROL is not set
1
`,
  );
});

Deno.test("what a test does to its shell is of no concern to the helpers", async () => {
  assert.deepEqual(
    await reported(`${SCRATCH}cd "$TMPDIR"
      echo 'echo from BASH_ENV; exit 9' >env; export BASH_ENV=$PWD/env ENV=$PWD/env
      helper=$(type -P atex-report-result)
      for name in head printf readlink stat flock exec read kill type; do
        eval "$name() { echo wrong; }"; export -f $name
      done
      export IFS=e LC_ALL=C.UTF-8 GLOBIGNORE='*' CDPATH=/ TMPDIR=/missing
      export SHELLOPTS POSIXLY_CORRECT=1; set -u -f
      PATH=/nowhere
      echo 'the log' >log
      "$helper" none PASS log
      unset -f head printf readlink stat flock exec read kill type
      umask 777; cd /; PATH=/nowhere "$helper" tee PASS
      PATH=/bin:/usr/bin; set +f; unset GLOBIGNORE IFS; TMPDIR=$OLDPWD`),
    [
      { status: "pass", name: "none", files: { "log.txt": "the log\n" } },
      { status: "pass", name: "tee" },
    ],
  );
});

Deno.test("tmt-abort ends the test with an error", async (t) => {
  for (
    const [what, test, exitCode] of [
      ["from its shell", "tmt-abort --server x -t why; sleep 66; echo no", 143],
      [
        "in a session of its own",
        "setsid -w rstrnt-abort; sleep 67; echo no",
        143,
      ],
      ["from the background", "rhts-abort & sleep 68; echo no", 143],
      [
        "which cleans up",
        "trap 'echo cleaned; exit 7' TERM; atex-abort || true; sleep 69; echo no",
        7,
      ],
      [
        "which is stubborn",
        "trap '' TERM; atex-abort || true; sleep 70; echo no",
        137,
      ],
    ] as const
  ) {
    await t.step(what, async () => {
      const run = await runTest(test);
      assert.equal(run.error, undefined);
      assert.equal(run.exitCode, exitCode);
      assert.deepEqual(run.results, [
        { status: "error", files: ["output.txt"] },
      ]);
      assert.equal(
        run.files["output.txt"].replace(/^.*(Terminated|Killed).*\n/m, ""),
        what === "which cleans up" ? "cleaned\n" : "",
      );
    });
  }
});

Deno.test("tmt-abort does not end the test that comes next", async () => {
  await using here = await LocalConnection.open();
  await using bench = await new Bench(here, {
    "/aborted": `trap ended=1 TERM
setsid rstrnt-abort &
until [[ $ended ]]; do sleep 0.05 || :; done`,
    "/next": "sleep 6; exit 3",
  }).start();
  const { exitCode, results } = await bench.run("/aborted");
  assert.equal(exitCode, 0);
  assert.equal(results[0]!.status, "error");
  assert.equal((await bench.run("/next")).exitCode, 3);
  await bench.gone();
});

Deno.test("tmt-reboot is refused where nothing can be restarted", async () => {
  for (const args of ["", " -s", " -c 'touch \"$TMT_TREE/../../no\"'"]) {
    const { error, results, files } = await runTest(
      `echo before; tmt-reboot${args}; echo after`,
    );
    assert.ok(error instanceof TestAbortedError, String(error));
    assert.match(error.message, /is not supported by this system/);
    assert.equal(results.at(-1)!.status, "infra");
    assert.equal(files["output.txt"], "before\n");
  }
});
