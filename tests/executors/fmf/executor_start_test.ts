/** What an executor does around its tests, on this machine. */
import assert from "node:assert/strict";
import {
  type LocalCommand,
  NotConnectedError,
  type RemoteCommandOptions,
} from "../../../connections/connection.ts";
import { LocalConnection } from "../../../connections/local.ts";
import {
  type SetupError,
  TestAbortedError,
  TestSetupError,
} from "../../../executors/executor.ts";
import {
  FmfExecutor,
  type FmfExecutorOptions,
} from "../../../executors/fmf/executor.ts";
import { heartbeatOf } from "../../../executors/fmf/_options.ts";
import { removeCommand } from "../../../executors/fmf/scripts.ts";
import { which } from "../../_parts.ts";
import { until } from "../../_wait.ts";
import { Bench } from "../../integration/_executor_suite.ts";

type Options = Partial<FmfExecutorOptions> & { plan?: Record<string, unknown> };

/** A connection that remembers where the executor worked. */
class Watched extends LocalConnection {
  readonly works = new Set<string>();
  commands = 0;
  /** Commands fail with this. */
  broken: Error | undefined;
  path: string | undefined;

  override local(
    argv: readonly string[],
    options: RemoteCommandOptions = {},
  ): LocalCommand {
    if (this.broken) throw this.broken;
    this.commands++;
    for (const argument of argv) {
      const [work] = /\batex-[A-Za-z0-9]{10}\b/.exec(argument) ?? [];
      if (work) this.works.add(work);
    }
    const { env } = options;
    const path = this.path && `${this.path}:${Deno.env.get("PATH")}`;
    return super.local(argv, {
      ...options,
      ...(path && { env: { ...env, PATH: path } }),
    });
  }

  /** Checks that nothing is left where the executor worked. */
  assertClean(): void {
    assert.notEqual(this.works.size, 0);
    for (const work of this.works) {
      for (const base of ["/var", "/var/tmp", "/tmp"]) {
        const path = `${base}/${work}`;
        assert.throws(() => Deno.statSync(path), Deno.errors.NotFound, path);
      }
    }
  }
}

const shell = (script: string | string[]) => ({ how: "shell", script });

async function withBench(
  tests: Record<string, string | (Record<string, unknown> & { test: string })>,
  options: Options,
  check: (bench: Bench, connection: Watched) => Promise<void>,
): Promise<void> {
  const connection = new Watched();
  {
    await using bench = new Bench(connection, tests, options);
    await check(bench, connection);
    connection.broken = undefined;
  }
  connection.assertClean();
}

Deno.test("runTest() refuses what it cannot do, and touches nothing", async () => {
  await withBench({ "/t": "sleep 0.5" }, {}, async (bench) => {
    const artifacts = `${bench.directory}/artifacts`;
    const refused = (name: string, reason: string) =>
      assert.rejects(bench.executor.runTest(name, artifacts), {
        name: "TypeError",
        message: `Cannot run test "${name}": ${reason}`,
      });
    await refused("/t", "the executor is not started");
    await bench.start();
    await refused("/other", "there is no such test");
    await assert.rejects(
      bench.executor.runTest("/t", artifacts),
      Deno.errors.NotFound,
    );
    await Deno.mkdir(artifacts);
    const running = bench.executor.runTest("/t", artifacts);
    await refused("/t", 'test "/t" is running');
    assert.equal(await running, 0);
    for (const name of ["results", "files", "testout.temp"]) {
      const directory = `${bench.directory}/${name}-there`;
      await Deno.mkdir(directory);
      await Deno.writeTextFile(`${directory}/${name}`, "mine");
      await assert.rejects(
        bench.executor.runTest("/t", directory),
        Deno.errors.AlreadyExists,
      );
      assert.deepEqual(
        Array.from(Deno.readDirSync(directory), ({ name }) => name),
        [name],
      );
    }
    await bench.executor.stop();
    await refused("/t", "the executor is not started");
  });
});

Deno.test("start() and stop() may be called in any order", async () => {
  await withBench({ "/t": "exit 3" }, {}, async (bench) => {
    const { executor } = bench;
    await executor.stop();
    assert.equal(await executor.start(), executor);
    await assert.rejects(executor.start(), TypeError);
    assert.equal((await bench.run("/t")).exitCode, 3);
    await Promise.all([executor.stop(), executor.stop()]);
    await executor.stop();
    await executor.start();
    assert.equal((await bench.run("/t")).exitCode, 3);
  });
});

Deno.test("FmfExecutor refuses times that are none", () => {
  const tests = { plan: {}, data: new Map(), sources: new Map(), root: "/" };
  for (
    const option of [
      "setupTimeout",
      "exitGrace",
      "heartbeat",
      "heartbeatLimit",
    ]
  ) {
    for (const value of [0, -1, NaN]) {
      assert.throws(
        () =>
          new FmfExecutor(new LocalConnection(), { tests, [option]: value }),
        { name: "RangeError", message: new RegExp(`${value} as "${option}"`) },
      );
    }
  }
});

Deno.test("FmfExecutor refuses a limit that heartbeats would not come in time for", () => {
  const tests = { plan: {}, data: new Map(), sources: new Map(), root: "/" };
  const make = (options: Partial<FmfExecutorOptions>) =>
    new FmfExecutor(new LocalConnection(), { tests, ...options });
  assert.throws(
    () => make({ heartbeat: 20_000, heartbeatLimit: 39_999 }),
    {
      name: "RangeError",
      message:
        'Cannot use 39999 as "heartbeatLimit": with a "heartbeat" of 20000, 40000 or more would be right',
    },
  );
  assert.throws(() => make({ heartbeat: 120_001 }), RangeError);
  make({ heartbeat: 20_000, heartbeatLimit: 40_000 });
  make({ heartbeatLimit: 1000 });
  for (const heartbeat of [false, Infinity] as const) {
    make({ heartbeat, heartbeatLimit: 1000 });
  }
  assert.deepEqual(heartbeatOf({ tests }), {
    interval: 15_000,
    limit: 240_000,
  });
  assert.deepEqual(heartbeatOf({ tests, heartbeatLimit: 8000 }), {
    interval: 2000,
    limit: 8000,
  });
});

Deno.test("the environment that is given in stays as it is", async () => {
  const env = { A: "1" };
  await withBench({ "/t": "echo $A $B" }, { env }, async (bench) => {
    await bench.start();
    const artifacts = `${bench.directory}/artifacts`;
    await Deno.mkdir(artifacts);
    const more = { B: "2" };
    await bench.executor.runTest("/t", artifacts, { env: more });
    assert.deepEqual([env, more], [{ A: "1" }, { B: "2" }]);
    const output = await Deno.readTextFile(`${artifacts}/files/output.txt`);
    assert.equal(output, "1 2\n");
  });
});

Deno.test("later variables win over earlier ones", async () => {
  const test = {
    test:
      'echo "$P1 $P2 $T1 $E1 $E2 $C1 $W1"; [ "$TMT_TREE" != plan ]; [ "$TMT_TEST_NAME" = mine ]',
    environment: {
      P2: "test",
      T1: "test",
      E1: "test",
      TMT_TEST_NAME: "mine",
      TMT_TREE: "test",
    },
  };
  await withBench({ "/t": test }, {
    plan: {
      environment: [
        { P1: "first", TMT_TREE: "plan", W1: "plan" },
        { P1: "plan", P2: "plan" },
      ],
      prepare: shell("echo W1=written >>$TMT_PLAN_ENVIRONMENT_FILE"),
    },
    env: { E1: "executor", E2: "executor", C1: "executor", TMT_TREE: "x" },
  }, async (bench) => {
    await bench.start();
    const artifacts = `${bench.directory}/artifacts`;
    await Deno.mkdir(artifacts);
    const code = await bench.executor.runTest("/t", artifacts, {
      env: { C1: "call", E2: "call" },
    });
    const output = await Deno.readTextFile(`${artifacts}/files/output.txt`);
    assert.equal(output, "plan test test executor call call written\n");
    assert.equal(code, 0);
  });
});

Deno.test("no value of a variable is on a command line", async () => {
  const secret = crypto.randomUUID();
  await withBench(
    { "/t": { test: "sleep 5", environment: { SECRET: secret } } },
    {
      plan: {
        environment: { SECRET: secret },
        prepare: shell("touch here; sleep 2"),
      },
      env: { TOKEN: secret },
    },
    async (bench) => {
      const look = async (part: string) => {
        await bench.sees(part);
        for (const { name } of Deno.readDirSync("/proc")) {
          let line = "";
          try {
            line = Deno.readTextFileSync(`/proc/${name}/cmdline`);
          } catch {
            // no process
          }
          assert.ok(!line.includes(secret), line);
        }
      };
      const starting = bench.start();
      await look("sleep 2");
      await starting;
      const abort = new AbortController();
      const running = bench.run("/t", { signal: abort.signal });
      await look("sleep 5");
      abort.abort();
      await running;
    },
  );
});

Deno.test("a failing prepare is an error with its output, and is undone", async () => {
  await withBench({}, {
    plan: {
      prepare: [
        shell(["echo fine", "echo 'not found' >&2\nfalse\necho not reached"]),
        shell("echo not reached either"),
      ],
      finish: shell("echo finished"),
    },
  }, async (bench, connection) => {
    await assert.rejects(bench.start(), (error: SetupError) => {
      assert.equal(error.name, "SetupError");
      assert.equal(
        error.message,
        "Cannot prepare the system: the script \"echo 'not found' >&2…\" ended with 1: not found",
      );
      assert.equal(error.output, "not found\n");
      return true;
    });
    assert.deepEqual(bench.events, [
      { type: "output", phase: "prepare", line: "fine" },
      { type: "output", phase: "prepare", line: "not found" },
      { type: "output", phase: "finish", line: "finished" },
    ]);
    connection.assertClean();
  });
});

Deno.test("what a step of the plan prints without a newline is not held back", async () => {
  const script = "printf %0500000d 0; printf '\\nlast'";
  await withBench({}, { plan: { prepare: shell(script) } }, async (bench) => {
    await bench.start();
    const lines = bench.events.flatMap((event) =>
      event.type === "output" ? [event.line] : []
    );
    assert.ok(lines.length > 3, `${lines.length} lines`);
    assert.equal(lines.join(""), `${"0".repeat(500_000)}last`);
    assert.equal(lines.at(-1), "last");
  });
});

Deno.test("a prepare that failed is not told as one that took too long, however long it takes to find out why", async () => {
  class SlowLink extends Watched {
    override local(argv: readonly string[]): LocalCommand {
      return super.local(argv[0] === "true" ? ["sleep", "6"] : argv);
    }
  }
  const killer = 'read -r pid _ <"${0%/*}/wrapper.pid"; kill -KILL "$pid"';
  const bench = new Bench(new SlowLink(), {}, {
    plan: { prepare: shell(killer) },
    setupTimeout: 5000,
  });
  try {
    await assert.rejects(bench.start(), {
      name: "SetupError",
      message:
        `Cannot prepare the system: the script "${killer}" ended with 137`,
    });
  } finally {
    await bench[Symbol.asyncDispose]();
  }
});

Deno.test("a prepare that takes too long is ended", async () => {
  await withBench({}, {
    plan: { prepare: shell("echo waiting; timeout 60 sleep 66 & sleep 67") },
    setupTimeout: 5000,
  }, async (bench) => {
    await assert.rejects(bench.start(), (error: SetupError) => {
      assert.equal(
        error.message,
        'Cannot prepare the system: the script "echo waiting; timeout 60 sleep 66 & sleep 67" did not end within 5000 ms',
      );
      assert.equal(error.output, "waiting\n");
      return true;
    });
    await bench.gone();
  });
});

Deno.test("start() can be ended, in every part of it", async (t) => {
  await t.step("before", async () => {
    const reason = new Error("no longer wanted");
    const bench = new Bench(new Watched(), {});
    const signal = AbortSignal.abort(reason);
    await assert.rejects(bench.executor.start({ signal }), reason);
    await bench[Symbol.asyncDispose]();
  });
  for (
    const [what, delay] of [
      ["at its beginning", 0],
      ["in the middle", 60],
      ["in a script", 1500],
    ] as const
  ) {
    await t.step(what, async () => {
      await withBench({}, {
        plan: { prepare: shell("timeout 60 sleep 66 & sleep 67") },
      }, async (bench, connection) => {
        const reason = new Error("no longer wanted");
        const abort = new AbortController();
        setTimeout(() => abort.abort(reason), delay);
        const { signal } = abort;
        await assert.rejects(
          bench.executor.start({ signal }),
          (error) => error === reason,
        );
        await bench.gone();
        connection.assertClean();
      });
    });
  }
});

/** A connection whose commands outlive their clients here, as over ssh, and make directories slowly. */
class Outliving extends Watched {
  override local(
    argv: readonly string[],
    options: RemoteCommandOptions = {},
  ): LocalCommand {
    const script = 'exec 3<&0; setsid "$@" <&3 3<&- & wait $!';
    const { argv: local, ...rest } = super.local(argv, options);
    return { argv: ["sh", "-c", script, "sh", ...local], ...rest };
  }
}

Deno.test("start() that is ended early leaves nothing, and removes nothing too early", async () => {
  const programs = await Deno.makeTempDir({ prefix: "atex-test-" });
  const connection = new Outliving();
  const bench = new Bench(connection, {}, {
    plan: { finish: shell("ls -d ../tests") },
  });
  try {
    const slow = `#!/bin/sh\nsleep 0.3\nexec ${which("mkdir")} "$@"\n`;
    await Deno.writeTextFile(`${programs}/mkdir`, slow, { mode: 0o755 });
    connection.path = programs;
    // to make two directories takes at least 600 ms
    for (const delay of [0, 50, 250, 450]) {
      const abort = new AbortController();
      const { signal } = abort;
      const starting = assert.rejects(bench.executor.start({ signal }), {
        name: "AbortError",
      });
      connection.works.clear();
      await until(() => connection.works.size > 0);
      await new Promise((resolve) => setTimeout(resolve, delay));
      abort.abort();
      await starting;
      await new Promise((resolve) => setTimeout(resolve, 700));
      connection.assertClean();
    }
    assert.deepEqual(bench.events.filter(({ type }) => type === "warning"), []);
  } finally {
    await bench[Symbol.asyncDispose]();
    await Deno.remove(programs, { recursive: true });
  }
});

Deno.test("a system that takes no files is told by what it said, not by our script", async () => {
  const programs = await Deno.makeTempDir({ prefix: "atex-test-" });
  const connection = new Watched();
  const bench = new Bench(connection, {});
  try {
    const broken =
      `#!/bin/sh\n[ "$1" != bin ] || { echo 'no space today' >&2; exit 1; }\nexec ${
        which("mkdir")
      } "$@"\n`;
    await Deno.writeTextFile(`${programs}/mkdir`, broken, { mode: 0o755 });
    connection.path = programs;
    await assert.rejects(bench.executor.start(), {
      name: "SetupError",
      message: "Cannot make a directory on the system: no space today",
    });
    connection.assertClean();
  } finally {
    await bench[Symbol.asyncDispose]();
    await Deno.remove(programs, { recursive: true });
  }
});

Deno.test("stop() ends a start that is under way", async () => {
  await withBench({}, {
    plan: { prepare: shell("sleep 67"), finish: shell("echo finished") },
  }, async (bench, connection) => {
    const starting = bench.start();
    const ended = assert.rejects(starting, { name: "AbortError" });
    await bench.sees("sleep 67");
    await bench.executor.stop();
    await ended;
    assert.deepEqual(bench.events, [
      { type: "output", phase: "finish", line: "finished" },
    ]);
    await bench.gone();
    connection.assertClean();
  });
});

Deno.test("a test takes one command, and nothing regular", async () => {
  await withBench({ "/t": "sleep 0.3" }, {}, async (bench, connection) => {
    await bench.start();
    await bench.run("/t"); // loads what is loaded late
    const { setInterval, setTimeout } = globalThis;
    const timers: unknown[] = [];
    connection.commands = 0;
    Object.assign(globalThis, {
      setInterval: (...args: Parameters<typeof setInterval>) => {
        timers.push("interval");
        return setInterval(...args);
      },
      setTimeout: (...args: Parameters<typeof setTimeout>) => {
        timers.push(args[1]);
        return setTimeout(...args);
      },
    });
    try {
      assert.equal((await bench.run("/t")).exitCode, 0);
    } finally {
      Object.assign(globalThis, { setInterval, setTimeout });
    }
    assert.equal(connection.commands, 1);
    // set-up, duration (which is a little less than 5 minutes by then), grace
    assert.deepEqual(
      timers.map((ms) =>
        Number(ms) > 299_000 ? Math.ceil(Number(ms) / 300_000) : ms
      ),
      [6, 1, 1000, ...timers.slice(3)],
    );
    assert.ok(timers.slice(3).every((ms) => ms === 15_000), String(timers));
  });
});

Deno.test("a daemon that a prepare starts lives on, and holds nothing up", async () => {
  await withBench({ "/t": "true" }, {
    plan: {
      prepare: shell("sleep 66 & setsid sleep 67 >/dev/null 2>&1 & true"),
    },
  }, async (bench) => {
    await bench.start();
    assert.deepEqual(bench.survivors().sort(), ["sleep 66", "sleep 67"]);
    assert.equal((await bench.run("/t")).exitCode, 0);
    assert.deepEqual(bench.survivors().sort(), ["sleep 66", "sleep 67"]);
    bench.killSurvivors();
  });
});

Deno.test("steps that are not carried out, and conditions that have no effect, are told", async () => {
  await withBench({}, {
    plan: {
      prepare: [
        { how: "feature", epel: "enabled", order: 50 },
        { script: "exit 1" },
        { ...shell("echo carried out"), when: "never", order: 5 },
      ],
      finish: { how: "install", package: "x" },
    },
  }, async (bench) => {
    await bench.start();
    assert.deepEqual(bench.events, [
      {
        type: "warning",
        message: 'prepare of the plan: a step with "how: feature" is left out',
      },
      {
        type: "warning",
        message: 'prepare of the plan: a step without "how" is left out',
      },
      {
        type: "warning",
        message:
          'prepare of the plan: "when", "order" has no effect, the step is carried out',
      },
      {
        type: "warning",
        message: 'finish of the plan: a step with "how: install" is left out',
      },
      { type: "output", phase: "prepare", line: "carried out" },
    ]);
  });
});

Deno.test("a plan that cannot be understood is an error before anything is done", async (t) => {
  const mapping = "a mapping or a list of mappings would be right";
  for (
    const [plan, message] of [
      [{ prepare: "x" }, `Cannot use "prepare" of the plan: ${mapping}`],
      [{ finish: [[]] }, `Cannot use "finish" of the plan: ${mapping}`],
      [
        { prepare: { how: "shell", script: 5 } },
        'Cannot use "script" of "prepare" of the plan: text or a list of text would be right',
      ],
      [
        { prepare: { how: "install", package: [{}] } },
        'Cannot use "package" of "prepare" of the plan: text or a list of text would be right',
      ],
      [{ environment: "A=1" }, `Cannot use "environment": ${mapping}`],
      [
        { environment: { "A=B": 1 } },
        'Cannot set the variable "A=B": its name holds "=" or NUL',
      ],
    ] as [Record<string, unknown>, string][]
  ) {
    await t.step(JSON.stringify(plan), async () => {
      const connection = new Watched();
      await using bench = new Bench(connection, {}, { plan });
      await assert.rejects(bench.start(), { name: "SetupError", message });
      assert.equal(connection.works.size, 0);
    });
  }
});

Deno.test("a tree that is not there is an error that names it", async () => {
  const connection = new Watched();
  await using executor = new FmfExecutor(connection, {
    tests: {
      plan: {},
      data: new Map(),
      sources: new Map(),
      root: "/does/not/exist",
    },
  });
  await assert.rejects(executor.start(), {
    name: "SetupError",
    message: /^Cannot upload the tests: .*"\/does\/not\/exist" does not exist/,
  });
  connection.assertClean();
});

Deno.test("a failing finish is an error, but everything is removed", async () => {
  await withBench({}, {
    plan: { finish: [shell("echo oops; exit 9"), shell("echo not reached")] },
  }, async (bench, connection) => {
    await bench.start();
    await assert.rejects(bench.executor.stop(), {
      name: "SetupError",
      message:
        'Cannot finish the system: the script "echo oops; exit 9" ended with 9: oops',
    });
    connection.assertClean();
    await bench.start();
    bench.events.length = 0;
    await bench.executor[Symbol.asyncDispose]();
    assert.deepEqual(bench.events, [
      { type: "output", phase: "finish", line: "oops" },
      {
        type: "warning",
        message:
          'Cannot finish the system: the script "echo oops; exit 9" ended with 9: oops',
      },
    ]);
  });
});

Deno.test("a link that is down at the end is told, and no error", async () => {
  const connection = new Watched();
  await using bench = await new Bench(connection, {}, {
    plan: { finish: shell("true") },
  }).start();
  connection.broken = new NotConnectedError("cable cut");
  await bench.executor.stop();
  assert.deepEqual(bench.events, [
    { type: "warning", message: "Cannot finish: cable cut" },
    {
      type: "warning",
      message: "Cannot remove the tests from the system: cable cut",
    },
  ]);
  await bench.executor.stop();
  assert.equal(bench.events.length, 2);
  for (const work of connection.works) {
    await new Deno.Command(removeCommand(work)[0], {
      args: removeCommand(work).slice(1),
    }).output();
  }
});

Deno.test("a link that is down at the start is its own error", async () => {
  const connection = new Watched();
  connection.broken = new NotConnectedError("cable cut");
  await using bench = new Bench(connection, {});
  await assert.rejects(bench.start(), (error) => error === connection.broken);
});

Deno.test("what a listener throws does not matter", async () => {
  await withBench({ "/t": "exit 2" }, {
    plan: { prepare: shell("echo x") },
    onEvent: () => {
      throw new Error("of the listener");
    },
  }, async (bench) => {
    await bench.start();
    assert.equal((await bench.run("/t")).exitCode, 2);
  });
});

Deno.test("data that cannot be used fails the set-up of the test", async (t) => {
  const tests = {
    "/environment": { test: "true", environment: { "": 1 } },
    "/list": { test: "true", environment: ["A=1"] },
    "/duration": { test: "true", duration: "soon" },
    "/package": { test: "true", require: ["-y"] },
    "/nul": { test: "true\0" },
    "/none": { test: 5 as unknown as string },
  };
  const reasons: Record<keyof typeof tests, RegExp> = {
    "/environment": /^Cannot set up "\/environment": .*it has no name$/,
    "/list": /"environment": a mapping or a list of mappings would be right$/,
    "/duration": /"soon" is no duration/,
    "/package": /Cannot install "-y"/,
    "/nul": /the test to the system: it holds NUL/,
    "/none": /"test": it is not a string/,
  };
  await withBench(tests, {}, async (bench) => {
    await bench.start();
    for (const [name, reason] of Object.entries(reasons)) {
      await t.step(name, async () => {
        const { error, results } = await bench.run(name);
        assert.ok(error instanceof TestSetupError);
        assert.match(error.message, reason);
        assert.deepEqual(results, [{
          status: "infra",
          note: `TestSetupError(${error.message})`,
        }]);
      });
    }
  });
});

Deno.test("variables that no program can be given fail the set-up, not the test", async () => {
  await withBench({ "/t": "exit 3" }, {}, async (bench) => {
    await bench.start();
    const artifacts = `${bench.directory}/large`;
    await Deno.mkdir(artifacts);
    const message =
      'Cannot set up "/t": its variables are more than the system gives to a program';
    // one for each kilobyte: more than all systems take, together
    const env = Object.fromEntries(
      Array.from({ length: 7000 }, (_, i) => [`V${i}`, "x".repeat(1000)]),
    );
    await assert.rejects(bench.executor.runTest("/t", artifacts, { env }), {
      name: "TestSetupError",
      message,
    });
    await Deno.remove(artifacts, { recursive: true });
    await Deno.mkdir(artifacts);
    const some = { LONG: "x".repeat(120_000) };
    const code = await bench.executor.runTest("/t", artifacts, { env: some });
    assert.equal(code, 3);
  });
});

Deno.test("a directory that is not in the tree fails the set-up", async () => {
  await withBench({ "/t": "true" }, {}, async (bench) => {
    await Deno.remove(`${bench.directory}/root/sub`, { recursive: true });
    await bench.start();
    const { error, files } = await bench.run("/t");
    assert.ok(error instanceof TestSetupError);
    assert.match(error.message, /atex: there is no directory .*\/tests\/sub$/);
    assert.match(files["setup.txt"], /there is no directory/);
  });
});

Deno.test("packages are installed for the plan and for each test", async (t) => {
  const bin = await Deno.makeTempDir({ prefix: "atex-test-" });
  const tool = (name: string, text: string) =>
    Deno.writeTextFile(`${bin}/${name}`, `#!/bin/bash\n${text}\n`, {
      mode: 0o755,
    });
  await tool("rpm", `[ -e "${bin}/has-\${!#}" ]`);
  await tool(
    "dnf5",
    `for last; do :; done
    echo "$*" >>${bin}/log
    case $last in
      nonsense) echo "No match for argument: nonsense"; exit 1 ;;
      endless) echo "waiting for the lock"; sleep 60 ;;
      daemon) sleep 66 & ;;
    esac
    touch "${bin}/has-$last"`,
  );
  try {
    await withBench({
      "/fine": {
        test: `[ -e ${bin}/has-b ] && [ -e ${bin}/has-c ]`,
        require: ["a", "b", { type: "library", name: "x" }],
        recommend: "c",
      },
      "/nonsense": { test: "exit 9", require: "nonsense" },
      "/recommended": { test: "exit 9", recommend: ["nonsense"] },
      "/daemon": { test: "exit 9", require: ["daemon"] },
      "/endless": { test: "exit 9", require: ["endless"] },
    }, {
      plan: { prepare: { how: "install", package: ["a"] } },
      setupTimeout: 3000,
    }, async (bench, connection) => {
      connection.path = bin;
      await bench.start();
      const printed = bench.events.map((event) =>
        event.type === "output" ? event.line : event
      );
      assert.deepEqual(printed, [
        "+ dnf5 -q -y --setopt=install_weak_deps=False install a",
      ]);
      await t.step("what is missing", async () => {
        const { exitCode, files } = await bench.run("/fine");
        assert.equal(exitCode, 0);
        assert.deepEqual(files, { "output.txt": "" });
        const log = await Deno.readTextFile(`${bin}/log`);
        assert.match(log, / install a\n.* install b\n.* --skip-broken .* c\n$/);
      });
      await t.step("what cannot be", async () => {
        const { error, files } = await bench.run("/nonsense");
        assert.ok(error instanceof TestSetupError);
        assert.match(error.message, /\n?No match for argument: nonsense$/);
        assert.match(files["setup.txt"], /^\+ dnf5 .* nonsense\nNo match/);
      });
      await t.step("what cannot be, but is only recommended", async () => {
        assert.equal((await bench.run("/recommended")).exitCode, 9);
      });
      await t.step("what starts a daemon", async () => {
        const { exitCode, files } = await bench.run("/daemon");
        assert.equal(exitCode, 9);
        assert.deepEqual(files, { "output.txt": "" });
      });
      await t.step("what takes too long", async () => {
        const { error, results, files } = await bench.run("/endless");
        assert.ok(error instanceof TestAbortedError);
        assert.equal(error.reason, "timeout");
        assert.deepEqual(results, [{
          status: "infra",
          note: "TestAbortedError(setup timeout reached)",
          files: ["setup.txt"],
        }]);
        assert.match(files["setup.txt"], /waiting for the lock\n/);
      });
    });
  } finally {
    await Deno.remove(bin, { recursive: true });
  }
});

Deno.test("switches for debugging come from the environment", async (t) => {
  await withBench(
    { "/t": "echo printed; sleep 66 & true" },
    {},
    async (bench) => {
      await bench.start();
      const withSwitch = async (name: string, value: string) => {
        Deno.env.set(name, value);
        try {
          return await bench.run("/t");
        } finally {
          Deno.env.delete(name);
        }
      };
      await t.step("ATEX_DEBUG_NO_EXITCODE", async () => {
        const { error } = await withSwitch("ATEX_DEBUG_NO_EXITCODE", "1");
        assert.equal(error?.message, "exitcode not reported");
      });
      await t.step("ATEX_DEBUG_NO_BG_KILL", async () => {
        const { exitCode } = await withSwitch("ATEX_DEBUG_NO_BG_KILL", "1");
        assert.equal(exitCode, 0);
        assert.deepEqual(bench.survivors(), ["sleep 66"]);
        bench.killSurvivors();
      });
      await t.step("ATEX_DEBUG_TEST_OUTPUT_FD", async () => {
        const path = `${bench.directory}/raw`;
        using raw = await Deno.open(path, { create: true, append: true });
        const descriptor = Array.from(
          Deno.readDirSync("/proc/self/fd"),
          ({ name }) => name,
        ).find((name) => {
          try {
            return Deno.readLinkSync(`/proc/self/fd/${name}`) === path;
          } catch {
            return false;
          }
        })!;
        const { files } = await withSwitch(
          "ATEX_DEBUG_TEST_OUTPUT_FD",
          descriptor,
        );
        assert.deepEqual(files, { "output.txt": "" });
        assert.equal((await raw.stat()).size, "printed\n".length);
      });
      await t.step("a descriptor that is not open", async () => {
        const artifacts = `${bench.directory}/untouched`;
        await Deno.mkdir(artifacts);
        for (const value of ["999", "x"]) {
          Deno.env.set("ATEX_DEBUG_TEST_OUTPUT_FD", value);
          try {
            await assert.rejects(bench.executor.runTest("/t", artifacts), {
              name: "TypeError",
              message:
                `Cannot use ATEX_DEBUG_TEST_OUTPUT_FD=${value}: it is not the number of an open descriptor`,
            });
          } finally {
            Deno.env.delete("ATEX_DEBUG_TEST_OUTPUT_FD");
          }
        }
        assert.deepEqual([...Deno.readDirSync(artifacts)], []);
      });
    },
  );
});
