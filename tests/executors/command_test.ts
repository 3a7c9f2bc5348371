import {
  deepStrictEqual,
  match,
  rejects,
  strictEqual,
  throws,
} from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import {
  CommandExecutor,
  type CommandExecutorOptions,
} from "../../executors/command.ts";
import { readArtifacts } from "../../executors/results.ts";
import { withDirectory } from "../_directory.ts";
import { cannotRun, Terminal, terminalMissing } from "../_terminal.ts";

/** Runs one command here; gives its exit code or error, results, and what it printed. */
async function outcome(
  argv: CommandExecutorOptions["tests"][string],
  options: Partial<CommandExecutorOptions> & { signal?: AbortSignal } = {},
) {
  const { signal, ...rest } = options;
  await using here = await LocalConnection.open();
  await using executor = await new CommandExecutor(here, {
    tests: { "/t": argv },
    ...rest,
  }).start();
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    let code: number | undefined;
    let error: (Error & { reason?: string }) | undefined;
    try {
      code = await executor.runTest("/t", directory, { signal });
    } catch (thrown) {
      error = thrown as Error;
    }
    const results = await Array.fromAsync(readArtifacts(directory));
    const name = rest.output ?? "output.txt";
    const printed = await Deno.readTextFile(`${directory}/files/${name}`).catch(
      () => undefined,
    );
    return { code, error, results, printed };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Waits until a process has ended; whether anybody has asked for its status does not matter. */
async function ended(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
    if (stat === "" || / Z /.test(stat)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`process ${pid} is still there`);
}

Deno.test("CommandExecutor passes a command that ends with 0 and keeps what it printed", async () => {
  deepStrictEqual(
    await outcome(["sh", "-c", 'echo "$1"; echo err >&2; cat', "sh", "a  'b"]),
    {
      code: 0,
      error: undefined,
      results: [{ status: "pass", files: ["output.txt"] }],
      printed: "a  'b\nerr\n",
    },
  );
});

Deno.test("CommandExecutor fails a command that ends otherwise", async () => {
  for (const code of [1, 7, 255]) {
    const result = await outcome(["sh", "-c", `exit ${code}`]);
    strictEqual(result.code, code);
    deepStrictEqual(result.results, [{
      status: "fail",
      files: ["output.txt"],
    }]);
  }
  strictEqual((await outcome(["sh", "-c", "kill -9 $$"])).code, 137);
  const missing = await outcome(["no-such-program"]);
  strictEqual(missing.code, 127);
  match(missing.printed!, /no-such-program/);
});

Deno.test("a test that fails on a system of which its provisioner says that it is lost did not fail", async () => {
  const reason = new Error("the pod was evicted");
  for (const how of ["resolves", "rejects"]) {
    const lost = how === "resolves"
      ? Promise.resolve(reason)
      : Promise.reject(reason);
    lost.catch(() => {}); // looked at later
    await using here = await LocalConnection.open();
    const remote = Object.assign(here, { lost });
    const executor = new CommandExecutor(remote, {
      tests: { "/good": ["true"], "/bad": ["false"] },
    });
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      await rejects(executor.runTest("/bad", directory), {
        name: "TestAbortedError",
        reason: "connection",
        message:
          "the command ended with 1, and the system is gone: the pod was evicted",
        cause: reason,
      });
      await Deno.remove(directory, { recursive: true });
      await Deno.mkdir(directory);
      strictEqual(await executor.runTest("/good", directory), 0);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  }
});

Deno.test("evaluate decides the status, with the output at hand", async () => {
  const { code, results } = await outcome([
    "sh",
    "-c",
    "echo skipped: no disk; exit 77",
  ], {
    output: "logs/session.txt",
    evaluate: async ({ name, exitCode, outputPath }) => {
      deepStrictEqual([name, exitCode], ["/t", 77]);
      return (await Deno.readTextFile(outputPath)).startsWith("skipped")
        ? "skip"
        : "fail";
    },
  });
  strictEqual(code, 77);
  deepStrictEqual(results, [{ status: "skip", files: ["logs/session.txt"] }]);
});

Deno.test("what evaluate throws is told, and so is what is no status", async (t) => {
  for (
    const [what, evaluate, message] of [
      ["an error", () => {
        throw new RangeError("no");
      }, "no"],
      ["nothing", () => {
        throw undefined;
      }, 'Cannot evaluate test "/t": "evaluate" threw undefined'],
      [
        "a string",
        () => Promise.reject("no"),
        'Cannot evaluate test "/t": "evaluate" threw "no"',
      ],
      [
        "a number returned",
        () => 5,
        'Cannot use 5 as "status" of "evaluate" for /t: a string would be right',
      ],
      [
        "nothing returned",
        () => {},
        'Cannot use undefined as "status" of "evaluate" for /t: a string would be right',
      ],
    ] as [string, () => never, string][]
  ) {
    await t.step(what, async () => {
      const { error, results } = await outcome(["echo", "x"], { evaluate });
      strictEqual(error?.message, message);
      deepStrictEqual(results, [{
        status: "infra",
        note: `${error.name}(${message})`,
        files: ["output.txt"],
      }]);
    });
  }
});

Deno.test("CommandExecutor ends a command whose time is over, and its children", async () => {
  const { error, results, printed } = await outcome(
    ["sh", "-c", "sleep 1000 & echo $!; wait"],
    { timeout: 300 },
  );
  strictEqual(error?.name, "TestAbortedError");
  strictEqual(error?.reason, "timeout");
  deepStrictEqual(results, [{
    status: "infra",
    note: "TestAbortedError(test duration timeout reached)",
    files: ["output.txt"],
  }]);
  await ended(Number(printed));
});

Deno.test("CommandExecutor uses the time limit of a command before its own", async () => {
  const command = ["sleep", "1000"];
  const short = await outcome({ command, timeout: 100 }, { timeout: 60_000 });
  strictEqual(short.error?.reason, "timeout");
  const quick = ["sh", "-c", "sleep 0.3; echo done"];
  const long = await outcome({ command: quick, timeout: 60_000 }, {
    timeout: 100,
  });
  deepStrictEqual([long.code, long.printed], [0, "done\n"]);
});

Deno.test("CommandExecutor is cancelled by the signal", async () => {
  const { error, results } = await outcome(["sleep", "1000"], {
    signal: AbortSignal.timeout(300),
  });
  strictEqual(error?.reason, "cancelled");
  deepStrictEqual((results as { status: string }[])[0]!.status, "infra");
  const before = await outcome(["sleep", "1000"], {
    signal: AbortSignal.abort(),
  });
  strictEqual(before.error?.reason, "cancelled");
});

Deno.test("CommandExecutor ends a command that runs when it is disposed of", async () => {
  await using here = await LocalConnection.open();
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    let running: Promise<number>;
    {
      await using executor = await new CommandExecutor(here, {
        tests: { "/t": ["sleep", "1000"] },
      }).start();
      running = executor.runTest("/t", directory);
      running.catch(() => {});
      await rejects(executor.runTest("/t", directory), {
        name: "TypeError",
        message: 'Cannot run test "/t": test "/t" is running',
      });
    }
    const results = await Array.fromAsync(readArtifacts(directory));
    deepStrictEqual(results.map(({ status }) => status), ["infra"]);
    await rejects(running, { name: "TestAbortedError", reason: "cancelled" });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("start() of a CommandExecutor rejects when it is aborted", async () => {
  await using here = await LocalConnection.open();
  const starting = new CommandExecutor(here, { tests: {} })
    .start({ signal: AbortSignal.abort(new Error("enough")) });
  await rejects(starting, /enough/);
});

Deno.test("CommandExecutor leaves what a command started on purpose", async () => {
  const { code, printed } = await outcome([
    "sh",
    "-c",
    "sleep 1000 >/dev/null 2>&1 </dev/null & echo $!",
  ]);
  strictEqual(code, 0);
  const pid = Number(printed);
  await Deno.stat(`/proc/${pid}`);
  Deno.kill(pid, "SIGKILL");
});

Deno.test("CommandExecutor refuses commands without a program", async () => {
  await using here = await LocalConnection.open();
  for (const command of [[], [""], ["-c"], ["--", "true"]]) {
    for (const test of [command, { command, timeout: 1 }]) {
      throws(
        () => new CommandExecutor(here, { tests: { "/t": test } }),
        {
          name: "TypeError",
          message: `Cannot use ${
            Deno.inspect(command)
          } as the command of test "/t": a program and its arguments would be right`,
        },
      );
    }
  }
});

Deno.test("CommandExecutor refuses times that are none", async () => {
  await using here = await LocalConnection.open();
  for (const timeout of [0, -1, NaN]) {
    throws(
      () => new CommandExecutor(here, { tests: {}, timeout }),
      new RegExp(`${timeout} as "timeout"`),
    );
    const test = { command: ["true"], timeout };
    throws(
      () => new CommandExecutor(here, { tests: { "/t": test } }),
      new RegExp(`${timeout} as "timeout of /t"`),
    );
  }
});

Deno.test("CommandExecutor refuses unknown tests and bad names of the output", async () => {
  await using here = await LocalConnection.open();
  const executor = new CommandExecutor(here, { tests: { "/t": ["true"] } });
  await rejects(executor.runTest("/u", "/nowhere"), {
    name: "TypeError",
    message: 'Cannot run test "/u": there is no such test',
  });
  await rejects(executor.runTest("/t", "/nowhere"), /no such directory/);
  throws(
    () => new CommandExecutor(here, { tests: {}, output: "../x" }),
    /"\.\.\/x" as a file name/,
  );
});

Deno.test({
  name: "CommandExecutor does not ask the user to let it read what it stores",
  ignore: cannotRun("executors/command", terminalMissing()),
  async fn() {
    await withDirectory(async (directory) => {
      const module = new URL("_commands.ts", import.meta.url).pathname;
      const flags = ["-q", "--no-check", "--allow-run", "--allow-write"];
      const argv = [Deno.execPath(), "run", ...flags, module, directory];
      await using terminal = Terminal.open(argv);
      const next = /^(passes|hangs) .*|requests .*/m;
      strictEqual((await terminal.shows(next))[0], "passes 0");
      strictEqual((await terminal.shows(next))[0], "hangs timeout");
      const results = await Array.fromAsync(
        readArtifacts(`${directory}/hangs`),
        ({ status, files }) => ({ status, files }),
      );
      deepStrictEqual(results, [{ status: "infra", files: ["output.txt"] }]);
    });
  },
});
