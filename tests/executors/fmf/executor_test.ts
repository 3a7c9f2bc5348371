/** The states of a run, with a wrapper and links that do what a test says. */
import assert from "node:assert/strict";
import {
  ConnectError,
  ConnectionLostError,
} from "../../../connections/connection.ts";
import {
  BadControlError,
  BadReportJSONError,
  TestAbortedError,
  TestSetupError,
} from "../../../executors/executor.ts";
import {
  runScripted,
  type ScriptedConnection,
  type ScriptedOutcome,
} from "./_scripted.ts";

/** The one result of a test that could not be carried out. */
function assertInfra(
  { results, left }: ScriptedOutcome,
  note: string,
  files: string[] | null = ["output.txt"],
): void {
  assert.equal(results.length, 1);
  const [result] = results;
  assert.equal(result.status, "infra");
  assert.ok(
    String(result.note).startsWith(note),
    `${result.note} instead of ${note}`,
  );
  assert.deepEqual(result.files ?? null, files);
  assert.deepEqual(left, []);
}

function assertAborted(
  outcome: ScriptedOutcome,
  reason: string,
  message: string,
): void {
  const { error } = outcome;
  assert.ok(error instanceof TestAbortedError, String(error));
  assert.equal(error.reason, reason);
  assert.ok(error.message.startsWith(message), error.message);
}

const WAIT_FOR_REBOOT = "begin; echo disconnect; sleep 0.2";

Deno.test("a test that ends has the exit code that the wrapper reports", async (t) => {
  for (const code of [0, 1, 255]) {
    await t.step(String(code), async () => {
      const outcome = await runScripted({
        launches: [`begin; echo out >&2; finish ${code}`],
      });
      assert.equal(outcome.error, undefined);
      assert.equal(outcome.exitCode, code);
      assert.deepEqual(outcome.results, [{
        status: code === 0 ? "pass" : "fail",
        files: ["output.txt"],
      }]);
      assert.deepEqual(outcome.files, { "output.txt": "out\n" });
      assert.deepEqual(outcome.calls, ["launch"]);
      assert.deepEqual(outcome.left, []);
    });
  }
});

Deno.test("what a login shell prints is dropped, and told", async () => {
  const { exitCode, events } = await runScripted({
    launches: ["echo Welcome; begin; finish 0"],
  });
  assert.equal(exitCode, 0);
  assert.deepEqual(events, [
    { type: "set-up", test: "/t", output: "Welcome\n" },
  ]);
});

Deno.test("the last control line counts for nothing unless it is complete", async () => {
  const { exitCode, events } = await runScripted({
    launches: ["begin; echo 'exitcode 4'; printf 'exitcode 5'"],
  });
  assert.equal(exitCode, 4);
  assert.match(JSON.stringify(events), /not complete.*exitcode 5/);
});

Deno.test("results reported before an error are kept, and chains are written", async () => {
  const outcome = await runScripted({
    launches: [
      `begin
      report '{"name":"one","status":"pass"}'
      report '{"name":"two","status":"fail","partial":true}'
      report '{"status":"warn","note":"mine","partial":true}'
      echo garbage; obey`,
    ],
  });
  assert.ok(outcome.error instanceof BadControlError);
  assert.deepEqual(outcome.results.map(({ name, status }) => [name, status]), [
    ["one", "pass"],
    ["two", "fail"],
    [undefined, "infra"],
  ]);
  assert.match(String(outcome.results[2].note), /^BadControlError\(/);
  assert.equal(outcome.heard, "stop\n");
});

Deno.test("a test that breaks the rules of the channel is ended", async (t) => {
  for (
    const [line, type] of [
      ["garbage", BadControlError],
      ["result 2; printf '[]'", BadReportJSONError],
      ["result x", BadControlError],
    ] as const
  ) {
    await t.step(line, async () => {
      const outcome = await runScripted({
        launches: [`begin; echo ${line}; yes & obey`],
      });
      assert.ok(outcome.error instanceof type, String(outcome.error));
      assertInfra(outcome, `${type.name}(`);
      assert.equal(outcome.heard, "stop\n");
    });
  }
});

Deno.test("a stream that ends inside a result is the test's fault", async () => {
  const outcome = await runScripted({
    launches: ["begin; echo result 10; printf '{'"],
  });
  assert.ok(outcome.error instanceof BadControlError);
});

Deno.test("a stream that ends inside a result is not the test's fault if the command failed", async () => {
  const outcome = await runScripted({
    launches: ["begin; echo result 10; printf '{'; exit 255"],
  });
  assertAborted(outcome, "connection", "test wrapper unexpectedly exited with");
});

Deno.test("a wrapper that does not report an exit code is an error", async () => {
  const outcome = await runScripted({ launches: ["begin"] });
  assertAborted(outcome, "no-exitcode", "exitcode not reported");
  assertInfra(outcome, "TestAbortedError(exitcode not reported)");
});

Deno.test("a command that fails is a lost connection", async (t) => {
  for (const code of [1, 137, 255]) {
    await t.step(String(code), async () => {
      const outcome = await runScripted({
        launches: [`begin; echo 'exitcode 0'; exit ${code}`],
      });
      const message =
        `test wrapper unexpectedly exited with ${code} and disconnect was not sent via test control`;
      assertAborted(outcome, "connection", message);
      assertInfra(outcome, `TestAbortedError(${message})`);
      assert.deepEqual(outcome.calls, ["launch", "disconnect"]);
    });
  }
});

Deno.test("a wrapper that fails by itself is no lost connection", async () => {
  const outcome = await runScripted({ launches: ["begin; exit 3"] });
  assertAborted(outcome, "wrapper", "test wrapper unexpectedly exited with 3");
  assert.deepEqual(outcome.calls, ["launch"]);
});

Deno.test("a test is over when the wrapper says so, whatever the command ends with", async () => {
  const { exitCode, calls } = await runScripted({
    launches: ["begin; finish 6; exit 255"],
  });
  assert.equal(exitCode, 6);
  assert.deepEqual(calls, ["launch"]);
});

Deno.test("a process that survived the test holds it up for no longer than the grace", async (t) => {
  for (
    const [what, script] of [
      ["the channel", "begin; finish 2; sleep 60 2>&- & obey"],
      ["the output", "begin; finish 2; exec >&-; obey"],
    ]
  ) {
    await t.step(what, async () => {
      const { exitCode, events } = await runScripted({ launches: [script] });
      assert.equal(exitCode, 2);
      assert.match(JSON.stringify(events), /descriptor left open/);
    });
  }
});

Deno.test("what survivors report within the grace counts", async () => {
  for (const exitGrace of [10_000, Infinity]) {
    const { exitCode, results } = await runScripted({
      executor: { exitGrace },
      launches: [
        `begin; finish 2
        (sleep 0.1; printf 'result 14\\n{"status":"x"}') &`,
      ],
    });
    assert.equal(exitCode, 2);
    assert.deepEqual(results, [{ status: "x" }]);
  }
});

Deno.test("what takes us longer than the grace to store is stored", async () => {
  const count = 1500;
  const { exitCode, results, files, error } = await runScripted({
    executor: { exitGrace: 20 },
    launches: [
      `begin
      json=$(printf ',{"length":0,"name":"%s"}' {1..${count}})
      json='{"status":"x","files":['"\${json#,}"']}'
      printf 'result %s\\n%s' \${#json} "$json"
      finish 2`,
    ],
  });
  assert.equal(error, undefined);
  assert.equal(exitCode, 2);
  assert.equal((results[0].files as string[]).length, count);
  assert.equal(Object.keys(files).length, count);
});

Deno.test("a test that is over is not ended by its duration any more", async () => {
  const { exitCode } = await runScripted({
    launches: ["begin; finish 0; echo duration -60; sleep 60 2>&- & obey"],
  });
  assert.equal(exitCode, 0);
});

Deno.test("a result that a survivor does not complete within the grace is not the test's fault", async () => {
  const { exitCode, results } = await runScripted({
    launches: [
      "begin; finish 0; printf 'result 100\\n{'; sleep 60 2>&- & exit 0",
    ],
  });
  assert.equal(exitCode, 0);
  assert.deepEqual(results, [{ status: "pass", files: ["output.txt"] }]);
});

Deno.test("a channel that stays open after a failed command is given up", async () => {
  const outcome = await runScripted({
    launches: ["begin; sleep 60 2>&- & exit 255"],
  });
  assertAborted(outcome, "connection", "test wrapper unexpectedly exited");
});

Deno.test("the test is started again after each restart of the system", async () => {
  const { exitCode, results, calls, heard, files, events } = await runScripted({
    launches: [
      `begin; echo first >&2; echo 'exitcode 1'
      report '{"name":"a","note":"1","partial":true}'; echo disconnect; read -r line; echo "$line" >"$HEARD"; exit 255`,
      `begin; echo second >&2; echo "$@" >&2; echo disconnect; exit 255`,
      `begin; echo third >&2; finish 0`,
    ],
  });
  assert.equal(exitCode, 0);
  assert.deepEqual(calls, [
    "launch",
    ...["disconnect", "connect", "probe", "launch"],
    ...["disconnect", "connect", "probe", "launch"],
  ]);
  assert.equal(heard, "release\n");
  assert.deepEqual(results, [
    { name: "a", note: "1" },
    { status: "pass", files: ["output.txt"] },
  ]);
  const output = files["output.txt"];
  assert.match(output, /^first\nsecond\n.*\nthird\n$/);
  assert.match(output, / TMT_REBOOT_COUNT=1 TMT_TEST_RESTART_COUNT=1 /);
  assert.doesNotMatch(output, /setup=/);
  assert.deepEqual(
    events.filter(({ type }) => type === "restarted"),
    [1, 2].map((count) => ({
      type: "restarted",
      test: "/t",
      count,
      rebooted: true,
    })),
  );
});

Deno.test("each disconnect allows one loss", async () => {
  const outcome = await runScripted({
    launches: ["begin; echo disconnect; exit 255", "begin; exit 255"],
  });
  assertAborted(outcome, "connection", "test wrapper unexpectedly exited");
});

Deno.test("an exit code before a restart is forgotten", async () => {
  const outcome = await runScripted({
    launches: ["begin; echo 'exitcode 0'; echo disconnect; exit 255", "begin"],
  });
  assertAborted(outcome, "no-exitcode", "exitcode not reported");
});

Deno.test("a test that ends after disconnect is started again, whether or not its wrapper noticed", async () => {
  for (const code of [0, 3]) {
    const { exitCode, calls } = await runScripted({
      launches: [`begin; echo disconnect; exit ${code}`, "begin; finish 4"],
    });
    assert.equal(exitCode, 4);
    assert.deepEqual(calls.filter((call) => call === "launch").length, 2);
  }
});

Deno.test("what is written after disconnect is not read", async () => {
  const outcome = await runScripted({
    launches: [
      "begin; printf 'disconnect\\ngarbage\\n'; exit 255",
      "begin; finish 0",
    ],
  });
  assert.equal(outcome.exitCode, 0);
});

Deno.test("disconnect is refused where there can be no restart", async () => {
  const outcome = await runScripted({
    canReboot: false,
    launches: ["begin; echo disconnect; obey"],
  });
  assertAborted(outcome, "connection", "restart requested by the test is not");
  assert.match(outcome.heard, /^stop\n/);
});

Deno.test("reconnecting goes on until the system answers", async () => {
  const { exitCode, calls, events } = await runScripted({
    launches: [`${WAIT_FOR_REBOOT}; exit 255`, "begin; finish 0"],
    connects: [
      new ConnectError("refused"),
      new ConnectError("refused again"),
    ],
    probes: [255, "same alive", "same dead"],
  });
  assert.equal(exitCode, 0);
  assert.deepEqual(calls, [
    "launch",
    ...["disconnect", "connect", "disconnect", "connect"],
    ...["disconnect", "connect", "probe", "disconnect", "connect", "probe"],
    ...["disconnect", "connect", "probe", "launch"],
  ]);
  assert.deepEqual(events.at(-1), {
    type: "restarted",
    test: "/t",
    count: 1,
    rebooted: false,
  });
});

Deno.test("a system that lost the tests by its restart is an error", async () => {
  const outcome = await runScripted({
    launches: [`${WAIT_FOR_REBOOT}; exit 255`],
    probes: [""],
  });
  assertAborted(outcome, "wrapper", "the work directory has gone");
});

Deno.test("what cannot pass is not tried again", async () => {
  const outcome = await runScripted({
    launches: [`${WAIT_FOR_REBOOT}; exit 255`],
    connects: [new TypeError("bad option")],
  });
  assert.ok(outcome.error instanceof TypeError);
  assertInfra(outcome, "TypeError(bad option)");
});

Deno.test("a wrapper that fails before it starts the test again is an error", async () => {
  const outcome = await runScripted({
    launches: [`${WAIT_FOR_REBOOT}; exit 255`, "exit 127"],
  });
  assertAborted(
    outcome,
    "wrapper",
    "test wrapper unexpectedly exited with 127",
  );
});

/** How a run is brought to its end: in which state, and what then happens there. */
const STATES: {
  state: string;
  launches: string[];
  connects?: (string | Error)[];
  probes?: (string | number)[];
  /** Acts when this is called. */
  at?: string;
  started?: boolean;
  calls?: string[];
  heard?: RegExp;
}[] = [
  {
    state: "setting up",
    launches: ["echo installing; obey"],
    started: false,
    heard: /^stop\n$/,
  },
  {
    state: "running",
    launches: ["begin; obey"],
    heard: /^stop\n$/,
  },
  {
    state: "waiting for the end of the command",
    launches: ["begin; exec >&-; obey"],
    heard: /^stop\n$/,
  },
  {
    state: "waiting for the system to go down",
    launches: ["begin; echo disconnect; obey"],
    heard: /^release\nstop\n$/,
  },
  {
    state: "connecting again",
    launches: [`${WAIT_FOR_REBOOT}; exit 255`],
    connects: ["hang"],
    calls: ["launch", "disconnect", "connect"],
  },
  {
    state: "connecting again by what does not listen",
    launches: [`${WAIT_FOR_REBOOT}; exit 255`],
    connects: ["deaf"],
    calls: ["launch", "disconnect", "connect"],
  },
  {
    state: "waiting between attempts",
    launches: [`${WAIT_FOR_REBOOT}; exit 255`],
    connects: Array.from({ length: 100 }, () => new ConnectError("refused")),
  },
  {
    state: "looking at the system",
    launches: [`${WAIT_FOR_REBOOT}; exit 255`],
    probes: ["hang"],
    calls: ["launch", "disconnect", "connect", "probe"],
  },
  {
    state: "waiting for a test that lives on",
    launches: [`${WAIT_FOR_REBOOT}; exit 255`],
    probes: Array.from({ length: 100 }, () => "same alive"),
  },
];

for (const { state, started = true, calls, heard, ...options } of STATES) {
  const check = (outcome: ScriptedOutcome, note: string) => {
    if (started) assertInfra(outcome, note);
    else {
      assertInfra(outcome, note, ["setup.txt"]);
      assert.deepEqual(outcome.files, { "setup.txt": "installing\n" });
    }
    if (calls) assert.deepEqual(outcome.calls, calls);
    if (heard) assert.match(outcome.heard, heard);
    if (options.probes?.includes("same alive")) {
      assert.equal(outcome.calls.at(-1), "end");
    }
  };

  Deno.test(`the duration ends a test: ${state}`, async () => {
    const outcome = await runScripted({
      ...options,
      duration: "1",
      executor: { setupTimeout: started ? 30_000 : 3000 },
    });
    const message = started
      ? "test duration timeout reached"
      : "setup timeout reached";
    assertAborted(outcome, "timeout", message);
    check(outcome, `TestAbortedError(${message})`);
  });

  Deno.test(`the caller ends a test: ${state}`, async () => {
    const reason = new Error("no longer wanted");
    const outcome = await runScripted(options, (_, abort) => {
      setTimeout(() => abort.abort(reason), 700);
    });
    assertAborted(outcome, "cancelled", "cancel requested");
    assert.equal((outcome.error as Error).cause, reason);
    check(outcome, "TestAbortedError(cancel requested)");
  });
}

Deno.test("a test that is cancelled before it runs does not run", async () => {
  const outcome = await runScripted(
    { launches: ["begin; finish 0"] },
    (_, abort) => abort.abort(),
  );
  assertAborted(outcome, "cancelled", "cancel requested");
  assert.deepEqual(outcome.calls, []);
  assertInfra(outcome, "TestAbortedError(cancel requested)", null);
});

Deno.test("what a test printed is kept, also if it began without our knowledge when it was cancelled", async () => {
  const late =
    "echo said >&2; while [[ $line != stop ]] && read -r line; do :; done; begin; exit 143";
  const outcome = await runScripted({ launches: [late] }, (_, abort) => {
    setTimeout(() => abort.abort(), 700);
  });
  assertAborted(outcome, "cancelled", "cancel requested");
  assert.deepEqual(outcome.files, { "output.txt": "said\n" });
});

Deno.test("a test moves its duration", async (t) => {
  for (
    const [what, script, inTime] of [
      ["longer", "duration 1m; sleep 1.5", true],
      ["added", "duration +60; sleep 1.5", true],
      ["taken", "duration -60; obey", false],
      [
        "saved",
        "duration save; echo duration 1m; sleep 1; echo duration restore; obey",
        false,
      ],
    ] as const
  ) {
    await t.step(what, async () => {
      const outcome = await runScripted({
        launches: [`begin; echo ${script}; finish 0`],
        duration: "1",
      });
      if (inTime) assert.equal(outcome.exitCode, 0);
      else assertAborted(outcome, "timeout", "test duration timeout reached");
    });
  }
});

Deno.test("the set-up does not count for the duration", async () => {
  const { exitCode } = await runScripted({
    launches: ["sleep 1.3; begin; finish 0"],
    duration: "1",
  });
  assert.equal(exitCode, 0);
});

Deno.test("a set-up that fails has its output in the result and the error", async () => {
  const outcome = await runScripted({
    launches: [
      "head -c 3000 /dev/zero | tr '\\0' x; printf '\\nsorry\\nNo such package\\n'; exit 4",
    ],
  });
  const { error } = outcome;
  assert.ok(error instanceof TestSetupError);
  // whole lines of its end
  assert.equal(error.message, 'Cannot set up "/t": …\nsorry\nNo such package');
  assert.match(error.output, /^x{3000}\nsorry\nNo such package\n$/);
  assertInfra(outcome, "TestSetupError(Cannot set up", ["setup.txt"]);
  assert.deepEqual(outcome.files, { "setup.txt": error.output });
});

Deno.test("a wrapper that does not start is a failed set-up while commands work", async () => {
  const outcome = await runScripted({
    launches: ["echo 'bash: no such file' >&2; exit 127"],
  });
  assert.ok(outcome.error instanceof TestSetupError);
  assert.match(outcome.error.message, /bash: no such file/);
});

Deno.test("of a long output the error of a failed set-up has the end", async () => {
  const { error } = await runScripted({
    launches: ["printf %0200000d 0 >&2; echo why >&2; exit 2"],
  });
  assert.ok(error instanceof TestSetupError);
  assert.equal(error.output.length, 64 * 1024);
  assert.match(error.output, /0why\n$/);
});

Deno.test("a link that is lost before the test starts is its own error", async () => {
  const outcome = await runScripted({ launches: ["exit 255"] }, (it) => {
    breakLink(it, "true");
  });
  assert.ok(
    outcome.error instanceof ConnectionLostError,
    String(outcome.error),
  );
  assertInfra(outcome, "ConnectionLostError(", null);
});

Deno.test("a link that is down when the test is to start is its own error", async () => {
  const lost = new ConnectionLostError("cable cut");
  const outcome = await runScripted({ launches: [] }, (it) => {
    breakLink(it, "bash", lost);
  });
  assert.equal(outcome.error, lost);
  assertInfra(outcome, "ConnectionLostError(cable cut)", null);
});

/** Makes a program unreachable, as a command that fails or as an error of the link. */
function breakLink(
  connection: ScriptedConnection,
  program: string,
  error?: Error,
): void {
  const local = connection.local.bind(connection);
  connection.local = (argv) => {
    if (argv[0] !== program) return local(argv);
    if (error) throw error;
    return local(["sh", "-c", "exit 255"]);
  };
}

Deno.test("without marks the set-up runs by itself", async (t) => {
  const executor = { markers: false };
  await t.step("and then the test", async () => {
    const { exitCode, calls, files } = await runScripted({
      executor,
      launches: [
        'echo "$@"; echo "${#setup}" >&2',
        'echo "$@" >&2; echo exitcode 5',
      ],
    });
    assert.equal(exitCode, 5);
    assert.deepEqual(calls, ["launch", "launch"]);
    assert.match(files["output.txt"], /^\d\d+\n/);
    assert.doesNotMatch(files["output.txt"], /marker|setup/);
  });
  await t.step("unless it fails", async () => {
    const outcome = await runScripted({
      executor,
      launches: ["echo nothing works; exit 4"],
    });
    assert.ok(outcome.error instanceof TestSetupError);
    assertInfra(outcome, "TestSetupError(", ["setup.txt"]);
  });
  await t.step("and a greeting is an error", async () => {
    const outcome = await runScripted({
      executor,
      launches: ["", "echo Welcome; obey"],
    });
    assert.ok(outcome.error instanceof BadControlError);
  });
});

Deno.test("heartbeats are sent as often as the option says", async () => {
  const { exitCode, heard } = await runScripted({
    executor: { heartbeat: 100, heartbeatLimit: 7000 },
    launches: [
      `begin
      for argument; do [[ $argument != lifeline* ]] || echo "$argument" >>"$HEARD"; done
      for i in 1 2 3; do read -r line; echo "[$line]" >>"$HEARD"; done; finish 0`,
    ],
  });
  assert.equal(exitCode, 0);
  assert.equal(heard, "lifeline=7\n[]\n[]\n[]\n");
});

Deno.test("a time without limit for heartbeats is none", async () => {
  const { heard } = await runScripted({
    executor: { heartbeat: 100, heartbeatLimit: Infinity },
    launches: [
      `begin
      for argument; do [[ $argument != lifeline* ]] || echo "$argument" >>"$HEARD"; done
      read -r line; echo "[$line]" >>"$HEARD"; finish 0`,
    ],
  });
  assert.equal(heard, "lifeline\n[]\n");
  const never = await runScripted({
    executor: { heartbeat: Infinity },
    launches: [
      `begin
      for argument; do [[ $argument != lifeline* ]] || echo "$argument" >>"$HEARD"; done
      ! read -r -t 0.2 || echo beat >>"$HEARD"; finish 0`,
    ],
  });
  assert.equal(never.heard, "lifeline\n");
});

Deno.test("no heartbeats are sent to the system of this program", async () => {
  const { heard } = await runScripted({
    launches: [
      `begin
      for argument; do [[ $argument != lifeline* ]] || echo "$argument" >>"$HEARD"; done; finish 0`,
    ],
  });
  assert.equal(heard, "lifeline\n");
});
