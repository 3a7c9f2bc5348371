/** The wrapper by itself, under the bash of this machine. */
import assert from "node:assert/strict";
import { WRAPPER } from "../../../executors/fmf/wrapper.ts";
import { cannotRun, missingPrograms } from "../../_parts.ts";
import { checkScript, shellcheckMissing } from "../../_shellcheck.ts";
import {
  type Ended,
  runWrapped,
  Wrapped,
  type WrappedOptions,
} from "./_wrapped.ts";

const TEST = "/usr/bin:/bin";

const terminal = cannotRun("wrapper: terminal", missingPrograms("script"));

Deno.test({
  name: "the wrapper has nothing that shellcheck objects to",
  ignore: cannotRun("wrapper", shellcheckMissing()),
  async fn() {
    await checkScript(WRAPPER, "bash");
  },
});

Deno.test("the wrapper is ASCII, so that its length is the same everywhere", () => {
  // deno-lint-ignore no-control-regex -- whatever is not ASCII
  assert.match(WRAPPER, /^[\x00-\x7f]+$/);
});

Deno.test("the wrapper reports the exit code, and ends with 0", async (t) => {
  for (
    const [test, code] of [
      ["", 0],
      ["exit 7", 7],
      ["exec /", 126],
      ["/does/not/exist", 127],
      ["kill -KILL $$", 137],
      ["kill -TERM $$", 143],
      ["kill -KILL $PPID; sleep 60", 137],
    ] as const
  ) {
    await t.step(test || "(nothing)", async () => {
      const ended = await runWrapped({ test });
      assert.equal(ended.control, `exitcode ${code}\n`);
      assert.equal(ended.code, 0);
    });
  }
});

Deno.test("the wrapper merges output in order and keeps it from the control channel", async () => {
  const ended = await runWrapped({
    test: "echo 1; echo 2 >&2; echo 3; printf 'noop\\n' >&$ATEX_TEST_CONTROL",
  });
  assert.deepEqual(ended, {
    code: 0,
    control: "noop\nexitcode 0\n",
    output: "1\n2\n3\n",
  });
});

Deno.test("the wrapper tells when the test begins and ends", async () => {
  const { control } = await runWrapped({
    test: "echo noop >&8; exit 3",
    flags: ["marker=abc"],
  });
  assert.equal(
    control,
    "noop atex-start abc\nnoop\nexitcode 3\nnoop atex-end abc\n",
  );
});

Deno.test("the wrapper leaves out the exit code if it is told to", async () => {
  const ended = await runWrapped({ test: "exit 3", flags: ["noexitcode"] });
  assert.deepEqual([ended.code, ended.control], [0, ""]);
});

Deno.test("the wrapper gives no control channel if it is told to", async () => {
  const { output, control } = await runWrapped({
    test: 'echo "${ATEX_TEST_CONTROL-none}"; (echo noop >&8) 2>/dev/null',
    flags: ["nocontrol"],
    inherit: { ATEX_TEST_CONTROL: "8" },
  });
  assert.equal(output, "none\n");
  assert.equal(control, "exitcode 1\n");
});

Deno.test("the wrapper starts tests with default signals and no other descriptors", async () => {
  const { output } = await runWrapped({
    test: "grep -E 'Sig(Ign|Blk)' /proc/self/status; " +
      "for fd in {0..9}; do [ -e /proc/$$/fd/$fd ] && echo -n $fd '' && readlink /proc/$$/fd/$fd; done; true",
  });
  const [ignored, blocked] = ["SigIgn", "SigBlk"].map((name) =>
    // those from 32 on are the C library's
    parseInt(new RegExp(`${name}:\\s+(\\S+)`).exec(output)![1], 16) % 2 ** 31
  );
  assert.deepEqual([ignored, blocked], [0, 0]);
  const descriptors = [...output.matchAll(/^(\d) (\S+)$/gm)];
  assert.deepEqual(descriptors.map(([, fd]) => fd), ["0", "1", "2", "8"]);
  const [[, , stdin], [, , stdout], [, , stderr]] = descriptors;
  assert.equal(stdin, "/dev/null");
  assert.equal(stdout, stderr);
});

Deno.test("the wrapper makes the test the leader of a session of its own", async () => {
  const { output } = await runWrapped({
    test: "read -r a b c d pgrp sid rest </proc/$$/stat; echo $$ $pgrp $sid",
  });
  const [pid, group, session] = output.trim().split(" ");
  assert.deepEqual([group, session], [pid, pid]);
});

Deno.test("the wrapper passes every environment on", async () => {
  const env = [
    "PLAIN=x",
    "EMPTY=",
    "LINES_=a\nb",
    "UTF=žluť €",
    "QUOTES='\"$(exit 9)`exit 9`\\",
    "a.b-c d=odd name",
    "1=digit",
    "-x=dash",
    "%n=percent",
    "IFS=:",
    "PATH=" + TEST,
    "UID=12345",
    "PPID=1",
    "SECONDS=99",
    "state=s",
    "entry=e",
    "terminal=t",
    "variables=v",
    "atex_plain=p",
    "code=c",
    "BASH_FUNC_f%%=() { echo function; }",
    "LC_ALL=C",
    "EQUALS=a=b=c",
    "TWICE=first",
    "TWICE=last",
    "TMT_TEST_NAME=/a",
  ];
  const { output } = await runWrapped({
    test: 'tr "\\0" "\\1" </proc/$$/environ',
    env,
    flags: ["COUNT=1", "OVER=2"],
    inherit: {
      TMT_TEST_DATA: "inherited",
      TMT_TEST_PIDFILE: "inherited",
      TMT_TEST_SUBMITTED_FILES: "inherited",
    },
  });
  const actual = new Map(
    output.split("\x01").map((entry) => {
      const at = entry.indexOf("=");
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
  for (const entry of [...env, "COUNT=1", "OVER=2", "ATEX_TEST_CONTROL=8"]) {
    if (entry === "TWICE=first") continue;
    const at = entry.indexOf("=", entry.startsWith("BASH_FUNC") ? 12 : 0);
    assert.equal(actual.get(entry.slice(0, at)), entry.slice(at + 1), entry);
  }
  for (const name of actual.keys()) {
    assert.doesNotMatch(name, /^TMT_TEST_(DATA|PIDFILE|SUBMITTED_FILES)$/);
  }
});

Deno.test("the wrapper is not disturbed by the environment of the test", async () => {
  const { control, code } = await runWrapped({
    test: "exit 5",
    env: ["PATH=/nowhere", "BASH_ENV=/nowhere", "SHELLOPTS=noexec", "IFS=ab"],
  });
  assert.deepEqual([control, code], ["exitcode 0\n", 0]); // noexec: the test itself
  const other = await runWrapped({
    test: "exit 5",
    env: [
      "PATH=/nowhere",
      "LD_PRELOAD=/nowhere",
      "IFS=ab",
      "TMOUT=1",
      "POSIXLY_CORRECT=1",
    ],
  });
  assert.deepEqual([other.control, other.code], ["exitcode 5\n", 0]);
});

/** A set-up script that only writes the test. */
const writes = (test: string) => `printf %s '${test}' >"$state/test.sh"`;

Deno.test("the wrapper works whatever the environment of the system has, and passes it on", async (t) => {
  // among all words of the wrapper are the names of all its variables
  const words = new Set(WRAPPER.match(/\b[a-z_][a-z_0-9]*\b/g));
  const names = words.values().filter((word) => !/^(atex_.*|_)$/.test(word));
  const every = Object.fromEntries(names.map((name) => [name, "login"]));
  for (
    const inherit of [
      every,
      { BASH_CMDS: "foo" },
      { POSIXLY_CORRECT: "yes" },
    ] as Record<string, string>[]
  ) {
    for (const way of ["directly", "after a set-up", "on a terminal"]) {
      const [name] = Object.keys(inherit);
      await t.step({
        name: `${name}… ${way}`,
        ignore: way === "on a terminal" && terminal,
        async fn() {
          const test =
            'while IFS= read -r -d "" entry; do printf "%s\\n" "$entry"; ' +
            'done <"/proc/$$/environ"; exit 5';
          const { code, control, output } = await runWrapped({
            ...(way === "after a set-up" ? { setup: writes(test) } : { test }),
            flags: way === "on a terminal" ? ["pty"] : [],
            inherit,
          });
          assert.deepEqual([code, control], [0, "exitcode 5\n"]);
          const seen = new Set(output.split(/\r?\n/));
          const lost = Object.entries(inherit)
            .map(([name, value]) => `${name}=${value}`)
            .filter((entry) => !seen.has(entry));
          assert.deepEqual(lost, []);
        },
      });
    }
  }
});

Deno.test("the environment of a test may have another POSIXLY_CORRECT than the system", async () => {
  const { output } = await runWrapped({
    test: 'echo "$POSIXLY_CORRECT"',
    env: ["POSIXLY_CORRECT=test"],
    inherit: { POSIXLY_CORRECT: "login" },
  });
  assert.equal(output, "test\n");
});

Deno.test("the wrapper runs the test in the given directory", async () => {
  const { output } = await runWrapped({ test: "pwd", cwd: "/usr/bin" });
  assert.equal(output, "/usr/bin\n");
});

Deno.test("the wrapper refuses what it cannot use", async (t) => {
  for (
    const [what, options, message] of [
      ["flag", { flags: ["fast"] }, "atex: unknown flag: fast\n"],
      [
        "directory",
        { cwd: "/does/not/exist" },
        "atex: there is no directory /does/not/exist\n",
      ],
    ] as const
  ) {
    await t.step(what, async () => {
      const ended = await runWrapped({
        ...options,
        flags: [...options.flags ?? []],
      });
      assert.deepEqual(ended, { code: 2, control: "", output: message });
    });
  }
});

Deno.test("the wrapper kills what the test left in its session", async (t) => {
  for (
    const [what, test] of [
      ["in the background", "sleep 60 & sleep 60 &"],
      ["under timeout", "timeout 60 sleep 60 & sleep 0.1"],
      ["jobs of their own", "set -m; sleep 60 & (sleep 60; true) & sleep 0.1"],
      [
        "ignoring signals",
        "trap '' HUP INT TERM; (sleep 60; true) & sleep 0.1",
      ],
      [
        "a loop that forks",
        "loop() { while :; do (sleep 0.05 &) ; (sleep 60) & sleep 0.02; done; }; loop & sleep 0.3",
      ],
      [
        "that are never the same for long",
        "run() { sleep 0.02; run & }; for i in 1 2 3 4 5; do run & done; sleep 0.3",
      ],
      ["stopped", "sleep 60 & kill -STOP $!"],
      [
        "with an odd name",
        `cp "$(type -P sleep)" "$PWD/) R 1 1 1
 x" && "$PWD/) R 1 1 1
 x" 60 & sleep 0.2`,
      ],
      ["after removing its state", "rm -rf state; sleep 60 &"],
      ["with all descriptors closed", "sleep 60 <&- >&- 2>&- 8>&- &"],
    ] as const
  ) {
    await t.step(what, async () => {
      const { control } = await runWrapped({ test: `${test}\nexit 4` });
      assert.equal(control, "exitcode 4\n");
    });
  }
});

Deno.test("the wrapper leaves alone what an earlier one with its number recorded", async () => {
  await using stranger = new Deno.Command("sleep", {
    args: ["60"],
    detached: true,
  }).spawn();
  const record = `echo ${stranger.pid} >"$2/sid.$$"; exec bash "$@"`;
  const { control } = await runWrapped({ shell: ["bash", "-c", record, "-"] });
  assert.equal(control, "exitcode 0\n");
  stranger.kill("SIGTERM");
  const { signal } = await stranger.status;
  assert.equal(signal, "SIGTERM");
});

Deno.test("the wrapper looks at all processes that are younger than itself, and at no other", async () => {
  const definition = /^numbers_above\(\) \{$.*?^\}$/ms.exec(WRAPPER)![0];
  const script = `shopt -s extglob
${definition}
for pid in 1 8 9 10 99 109 899 2999 9999 12345 19899 32767 4194303; do
  numbers_above $pid
  for ((other = pid > 1200 ? pid - 1200 : 1; other < pid + 1200; other++)); do
    [[ $other == $numbers ]] && echo $((other - pid))
  done | sort -n | sed -n '1p;$p'
  for other in 1 10 100 1000 10000 100000 1000000 10000000; do
    [[ $other == $numbers ]] || (( other <= pid )) || echo "$other is missed"
    [[ $other != $numbers ]] || (( other > pid )) || echo "$other is taken"
  done
done`;
  const { stdout } = await new Deno.Command("bash", { args: ["-c", script] })
    .output();
  assert.equal(
    new TextDecoder().decode(stdout),
    "1\n1199\n".repeat(13),
  );
});

Deno.test("a function that the wrapper inherits does not keep it from finding a program", async () => {
  const ended = await runWrapped({
    test: 'echo "$A-B"',
    inherit: {
      "BASH_FUNC_setsid%%": "() { echo not me; }",
      "BASH_FUNC_env%%": "() { echo not me; }",
    },
    flags: ["LANG=odd"],
  });
  assert.deepEqual(ended, {
    code: 0,
    control: "exitcode 0\n",
    output: "-B\n",
  });
});

Deno.test("a test has the descriptors that it is to have, whatever the wrapper was given", async () => {
  const { output } = await runWrapped({
    shell: ["bash", "-c", 'exec 3<&0 10<&0 21<&0 200>&1; exec bash "$@"', "-"],
    test: "ls /proc/$$/fd",
  });
  // 255 is how bash reads the test
  assert.equal(output, "0\n1\n2\n255\n8\n");
});

Deno.test("the wrapper leaves daemons alone", async () => {
  await using wrapped = new Wrapped({
    test: "setsid sleep 60 <&- >&- 2>&- 8>&- & sleep 0.2",
  });
  assert.equal((await wrapped.end()).control, "exitcode 0\n");
  assert.deepEqual(wrapped.survivors(), ["sleep 60"]);
});

Deno.test("the wrapper leaves background processes alone if it is told to", async () => {
  await using wrapped = new Wrapped({
    test: "sleep 60 <&- >&- 2>&- 8>&- & true",
    flags: ["nokill"],
  });
  assert.equal((await wrapped.end()).control, "exitcode 0\n");
  assert.deepEqual(wrapped.survivors(), ["sleep 60"]);
});

const SLEEPING = "echo noop running >&8; timeout 60 sleep 60 & sleep 60";

Deno.test("the wrapper ends the test when it is told to, and when the lifeline ends", async (t) => {
  for (
    const [what, act, code] of [
      ["stop", (it) => it.send("stop\n"), 143],
      ["stop in pieces", (it) => (it.send("st"), it.send("op\n")), 143],
      ["end of file", (it) => it.hangUp(), 143],
      ["stop after release", (it) => it.send("release\nstop\n"), 143],
      ["TERM", (it) => Deno.kill(it.child.pid, "SIGTERM"), 143],
      ["HUP", (it) => Deno.kill(it.child.pid, "SIGHUP"), 129],
      ["INT", (it) => Deno.kill(it.child.pid, "SIGINT"), 130],
    ] as [string, (it: Wrapped) => void, number][]
  ) {
    await t.step(what, async () => {
      await using wrapped = new Wrapped({ test: SLEEPING, lifeline: true });
      await wrapped.saw("running");
      act(wrapped);
      const ended = await wrapped.end();
      assert.equal(ended.code, code);
      assert.equal(ended.control, "noop running\n");
      await wrapped.gone();
    });
  }
});

Deno.test("a test that is told to end has time to clean up", async (t) => {
  for (const flags of [[], ["pty"]]) {
    await t.step({
      name: flags.join() || "no terminal",
      ignore: flags.length > 0 && terminal,
      async fn() {
        await using wrapped = new Wrapped({
          test: `trap 'sleep 1; echo cleaned; exit 1' HUP
            echo noop running >&8; while :; do sleep 0.1; done`,
          lifeline: true,
          flags,
        });
        await wrapped.saw("running");
        wrapped.send("stop\n");
        const { code, output } = await wrapped.end();
        assert.match(output, /^cleaned\r?$/m);
        assert.equal(code, 143);
        await wrapped.gone();
      },
    });
  }
});

Deno.test("the wrapper kills a test that ignores HUP, after a while", async (t) => {
  for (const flags of [[], ["pty"]]) {
    await t.step({
      name: flags.join() || "no terminal",
      ignore: flags.length > 0 && terminal,
      async fn() {
        await using wrapped = new Wrapped({
          test: `trap '' TERM; trap 'sleep 1; echo noop alive >&8' HUP
            timeout 60 sleep 60 &
            echo noop running >&8; while :; do sleep 0.1; done`,
          lifeline: true,
          flags,
        });
        await wrapped.saw("running");
        wrapped.send("stop\n");
        await wrapped.saw("alive");
        assert.equal((await wrapped.end()).code, 143);
        await wrapped.gone();
      },
    });
  }
});

Deno.test("what a set-up was at has time to end, too", async () => {
  await using wrapped = new Wrapped({
    setup: `bash -c '
      trap "sleep 1; echo cleaned; exit" HUP
      echo running; while :; do sleep 0.1; done'; true`,
    lifeline: true,
  });
  await wrapped.saw("running");
  wrapped.send("stop\n");
  const { code, control } = await wrapped.end();
  assert.equal(code, 143);
  assert.match(control, /^cleaned$/m);
  await wrapped.gone();
});

Deno.test("a test outlives the connection after release", async () => {
  await using wrapped = new Wrapped({
    test:
      "echo noop running >&8; while [ ! -e go ]; do sleep 0.1; done; touch done",
    lifeline: true,
  });
  await wrapped.saw("running");
  wrapped.send("release\n");
  await wrapped.closeControl();
  wrapped.hangUp();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.notDeepEqual(wrapped.survivors(), []);
  Deno.writeTextFileSync(`${wrapped.directory}/go`, "");
  assert.equal((await wrapped.child.status).code, 3); // nobody reads the exit code
  assert.ok(Deno.statSync(`${wrapped.directory}/done`).isFile);
  await wrapped.gone();
});

Deno.test("a test ends if the wrapper is killed", async () => {
  await using wrapped = new Wrapped({ test: SLEEPING, lifeline: true });
  await wrapped.saw("running");
  Deno.kill(wrapped.child.pid, "SIGKILL");
  await wrapped.gone();
});

Deno.test("a test ends if the group of the wrapper is killed and the lifeline ends", async () => {
  await using wrapped = new Wrapped({ test: SLEEPING, lifeline: true });
  await wrapped.saw("running");
  Deno.kill(-wrapped.child.pid, "SIGKILL");
  wrapped.hangUp();
  await wrapped.gone();
});

Deno.test("a test ends if heartbeats fail to come", async () => {
  await using wrapped = new Wrapped({
    test: SLEEPING,
    lifeline: true,
    flags: ["lifeline=5"],
  });
  await wrapped.saw("running");
  assert.equal((await wrapped.end()).code, 143);
  await wrapped.gone();
});

Deno.test("heartbeats and unknown words leave a test alone", async () => {
  await using wrapped = new Wrapped({
    test: "echo noop running >&8; sleep 7",
    lifeline: true,
    flags: ["lifeline=5"],
  });
  await wrapped.saw("running");
  for (let beat = 0; beat < 4; beat++) {
    wrapped.send("\nwhatever\n");
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  assert.equal((await wrapped.end()).control, "noop running\nexitcode 0\n");
});

Deno.test("a test gets EPIPE when the control channel is closed", async () => {
  await using wrapped = new Wrapped({
    test: `trap '' PIPE; echo noop running >&8
      for i in {1..200}; do echo noop >&8 || { touch epipe; exit; }; sleep 0.05; done`,
    lifeline: true,
  });
  await wrapped.saw("running");
  wrapped.send("release\n");
  await wrapped.closeControl();
  assert.equal((await wrapped.child.status).code, 3);
  assert.ok(Deno.statSync(`${wrapped.directory}/epipe`).isFile);
});

Deno.test("the wrapper survives a SIGPIPE that a client passes on", async () => {
  await using wrapped = new Wrapped({
    test:
      "echo noop running >&8; until [[ -e done ]]; do sleep 0.1; done; exit 6",
    lifeline: true,
  });
  await wrapped.saw("running");
  for (let round = 0; round < 100; round++) {
    Deno.kill(wrapped.child.pid, "SIGPIPE");
    await new Promise((resolve) => setTimeout(resolve, round % 4));
  }
  Deno.writeTextFileSync(`${wrapped.directory}/done`, "");
  const { control, code } = await wrapped.end();
  assert.deepEqual([control, code], ["noop running\nexitcode 6\n", 0]);
});

Deno.test("a set-up script prepares the test in an emptied directory", async () => {
  const setup = [
    `printf %s 'echo "$A $PWD"; ls -A "\${0%/*}"' >"$state/test.sh"`,
    `printf 'A=\\303\\244\\0' >"$state/environment"`,
    "echo installing",
  ].join("\n");
  await using wrapped = new Wrapped({ setup, flags: ["marker=n"] });
  Deno.writeTextFileSync(`${wrapped.state}/left`, "");
  Deno.writeTextFileSync(`${wrapped.state}/.hidden`, "");
  const { control, output, code } = await wrapped.end();
  assert.equal(
    control,
    "installing\nnoop atex-start n\nexitcode 0\nnoop atex-end n\n",
  );
  assert.deepEqual(
    output.trim().split("\n").map((line) => line.split(".")[0]),
    [
      `ä ${wrapped.directory}`,
      "environment",
      "sid",
      "test",
      "wrapper",
    ],
  );
  assert.equal(code, 0);
});

/** Runs a wrapper whose set-up writes a test, after something was put into the directory. */
async function runInFilled(
  test: string,
  fill: (wrapped: Wrapped) => void,
  options: WrappedOptions = {},
): Promise<Ended & { pid: number }> {
  const setup = writes(test);
  await using wrapped = new Wrapped({
    ...options,
    setup,
    lifeline: true,
    flags: [`setup=${setup.length + 1}`], // one byte is still to come
  });
  fill(wrapped);
  wrapped.send("\n");
  return { pid: wrapped.child.pid, ...await wrapped.end() };
}

const LIST = 'ls -A "${0%/*}"';
const listed = (pid: number) =>
  `environment\nsid.${pid}\ntest.sh\nwrapper.pid\n`;

for (const left of [100, 101, 900]) {
  Deno.test(`a set-up empties the directory of ${left} long names, with as little space for arguments as there can be`, async () => {
    const { pid, output, control } = await runInFilled(LIST, ({ state }) => {
      for (let n = 0; n < left; n++) {
        Deno.writeTextFileSync(`${state}/${String(n).padEnd(255, "x")}`, "");
      }
    }, { shell: ["bash", "-c", 'ulimit -s 512; exec bash "$@"', "-"] });
    assert.equal(control, "exitcode 0\n");
    assert.equal(output, listed(pid));
  });
}

Deno.test("a set-up does not remove the record of its wrapper in place of that of an earlier one", async () => {
  const { output } = await runInFilled(
    'id=$(<"${0%/*}"/sid.*); [[ $id == *$$* ]] && echo recorded',
    ({ state, child: { pid } }) =>
      Deno.writeTextFileSync(`${state}/sid.${pid}`, "1\n"),
  );
  assert.equal(output, "recorded\n");
});

Deno.test("a set-up goes on when something in the directory cannot be removed", async () => {
  const { control, code } = await runInFilled(
    "exit 7",
    ({ state, directory }) => {
      Deno.writeTextFileSync(`${state}/left`, "");
      Deno.mkdirSync(`${directory}/bin`);
      Deno.writeTextFileSync(
        `${directory}/bin/rm`,
        "#!/bin/sh\necho busy; exit 1\n",
        { mode: 0o755 },
      );
    },
    {
      shell: ["bash", "-c", 'PATH=${1%/*}/bin:$PATH; exec bash "$@"', "-"],
    },
  );
  assert.deepEqual([code, control], [0, "busy\nexitcode 7\n"]);
});

Deno.test("a set-up script that fails keeps the test from running", async () => {
  const { code, control, output } = await runWrapped({
    setup: "echo 1\ntrue && false || echo 2\nls /does/not/exist\necho 3",
    flags: ["marker=n"],
  });
  assert.equal(code, 4);
  assert.match(control, /^1\n2\nls: .*\/does\/not\/exist.*\n$/);
  assert.equal(output, "");
});

Deno.test("a set-up script that does not arrive is not run", async () => {
  await using wrapped = new Wrapped({
    setup: "touch ran",
    flags: ["setup=1000"],
  });
  const ended = await wrapped.end();
  assert.deepEqual(ended, {
    code: 2,
    control: "",
    output: "atex: the set-up script did not arrive\n",
  });
});

Deno.test("a set-up script may be all there is", async () => {
  const ended = await runWrapped({
    setup: "cat; echo done",
    flags: ["only", "marker=n"],
  });
  assert.deepEqual(ended, { code: 0, control: "done\n", output: "" });
});

Deno.test("a set-up script ends with the lifeline", async () => {
  await using wrapped = new Wrapped({
    setup: "echo installing; sleep 60 & sleep 60",
    lifeline: true,
    flags: ["marker=n"],
  });
  await wrapped.saw("installing");
  wrapped.send("stop\n");
  const ended = await wrapped.end();
  assert.deepEqual([ended.code, ended.control], [143, "installing\n"]);
  await wrapped.gone();
});

Deno.test("a directory for the state is made in place of whatever is there", async (t) => {
  for (
    const [what, place] of [
      ["nothing", () => {}],
      ["a file", (path) => Deno.writeTextFileSync(path, "")],
      ["a link", (path) => Deno.symlinkSync("/usr/bin", path)],
    ] as [string, (path: string) => void][]
  ) {
    await t.step(what, async () => {
      const setup = `echo 'exit 9' >"$state/test.sh"`;
      await using wrapped = new Wrapped({
        setup,
        lifeline: true,
        flags: [`setup=${setup.length + 1}`], // one byte is still to come
      });
      Deno.removeSync(wrapped.state);
      place(wrapped.state);
      wrapped.send("\n");
      const { control } = await wrapped.end();
      assert.equal(control, "exitcode 9\n");
      assert.ok(Deno.lstatSync(wrapped.state).isDirectory);
    });
  }
});

Deno.test({
  name: "the wrapper gives the test a terminal",
  ignore: terminal,
  async fn() {
    const { control, output } = await runWrapped({
      test: "tty <&1 >/dev/null && [ -t 0 ] && [ -t 2 ] && echo terminal; " +
        'stty size; echo "$TERM $SHELL $X $ATEX_TEST_CONTROL $A_B"; ' +
        "echo noop >&8; read -r -t 1; echo $?; " +
        "for fd in {0..9}; do [ ! -e /proc/$$/fd/$fd ] || echo -n $fd; done; echo; exit 9",
      flags: ["pty", "X=1 'x\""],
      inherit: { SHELL: "/bin/odd", TERM: "dumb" },
      env: ["A_B=ä"],
    });
    assert.equal(control, "noop\nexitcode 9\n");
    assert.equal(
      output,
      "terminal\r\n24 80\r\nvt100 /bin/odd 1 'x\" 8 ä\r\n142\r\n0128\r\n",
    );
  },
});

Deno.test({
  name: "the wrapper kills what a test on a terminal left",
  ignore: terminal,
  async fn() {
    const { control } = await runWrapped({
      test:
        "sleep 60 & timeout 60 sleep 60 & set -m; sleep 60 & sleep 0.1; exit 3",
      flags: ["pty"],
    });
    assert.equal(control, "exitcode 3\n");
  },
});

Deno.test({
  name: "the wrapper ends a test on a terminal",
  ignore: terminal,
  async fn() {
    await using wrapped = new Wrapped({
      test: SLEEPING,
      flags: ["pty"],
      lifeline: true,
    });
    await wrapped.saw("running");
    wrapped.hangUp();
    assert.equal((await wrapped.end()).code, 143);
    await wrapped.gone();
  },
});
