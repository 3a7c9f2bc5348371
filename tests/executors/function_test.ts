import {
  deepStrictEqual,
  match,
  ok,
  rejects,
  strictEqual,
  throws,
} from "node:assert/strict";
import {
  type Connection,
  ConnectionLostError,
  type SignalOptions,
} from "../../connections/connection.ts";
import { LocalConnection } from "../../connections/local.ts";
import { SetupError } from "../../executors/executor.ts";
import {
  type ExecOptions,
  FunctionExecutor,
  type Report,
  type TestContext,
  type TestFunctions,
} from "../../executors/function.ts";
import { readArtifacts } from "../../executors/results.ts";
import { withDirectory } from "../_directory.ts";

/** Tests here need no system: what they are given is handed through. */
const REMOTE: Connection = new LocalConnection();

/** Runs one function; gives its exit code or error, results, and files. */
async function outcome(
  test: TestFunctions[string],
  options: { timeout?: number; grace?: number; signal?: AbortSignal } = {},
) {
  const { signal, ...rest } = options;
  const executor = new FunctionExecutor(REMOTE, {
    tests: { "/t": test },
    ...rest,
  });
  let result: {
    code?: number;
    error?: Error;
    results: unknown[];
    files: Record<string, string>;
  };
  await withDirectory(async (directory) => {
    result = { results: [], files: {} };
    try {
      result.code = await executor.runTest("/t", directory, { signal });
    } catch (error) {
      result.error = error as Error;
    }
    for await (const line of readArtifacts(directory)) {
      result.results.push(line);
    }
    const visit = (below: string) => {
      for (
        const { name, isDirectory } of Deno.readDirSync(
          `${directory}/files/${below}`,
        )
      ) {
        const path = `${below}${name}`;
        if (isDirectory) visit(`${path}/`);
        else {result.files[path] = Deno.readTextFileSync(
            `${directory}/files/${path}`,
          );}
      }
    };
    visit("");
    deepStrictEqual(
      [...Deno.readDirSync(directory)].map(({ name }) => name).sort(),
      ["files", "results"],
    );
  });
  return result!;
}

Deno.test("FunctionExecutor passes a test that returns", async () => {
  deepStrictEqual(await outcome(() => {}), {
    code: 0,
    results: [{ status: "pass" }],
    files: {},
  });
});

Deno.test("FunctionExecutor fails a test that throws, with message, stack and cause", async () => {
  const { code, results, files } = await outcome(({ log }) => {
    log("before");
    throw new Error("it is wrong", { cause: new TypeError("deeper") });
  });
  strictEqual(code, 1);
  deepStrictEqual(results, [{
    status: "fail",
    note: "it is wrong",
    files: ["output.txt"],
  }]);
  match(
    files["output.txt"]!,
    /^before\nError: it is wrong\n {4}at .*function_test\.ts[^]*TypeError: deeper/,
  );
});

Deno.test("FunctionExecutor fails a test that throws something odd", async () => {
  const strange = Object.assign(new Error(), { message: 5 });
  for (
    const odd of [undefined, null, "text", 0, { __proto__: null }, strange]
  ) {
    const { code, results } = await outcome(() => {
      throw odd;
    });
    strictEqual(code, 1);
    strictEqual((results as { status: string }[]).at(-1)!.status, "fail");
  }
});

Deno.test("FunctionExecutor takes a number as exit code", async () => {
  const { code, results } = await outcome(() => 7);
  deepStrictEqual({ code, results }, {
    code: 7,
    results: [{ status: "fail" }],
  });
});

Deno.test("report() stores subtests with their files, moved or by content", async () => {
  deepStrictEqual(
    await outcome(async ({ artifacts, report }) => {
      await Deno.mkdir(`${artifacts}/logs`);
      await Deno.writeTextFile(`${artifacts}/logs/a.txt`, "a");
      report({
        name: "one/two",
        status: "pass",
        note: "n",
        files: ["logs/a.txt"],
      });
      report({
        name: "three",
        status: "skip",
        files: { "b.txt": "b", "c": new Uint8Array([99]) },
      });
      await Deno.writeTextFile(`${artifacts}/left.txt`, "left");
    }),
    {
      code: 0,
      results: [
        { name: "one/two", status: "pass", note: "n", files: ["logs/a.txt"] },
        { name: "three", status: "skip", files: ["b.txt", "c"] },
        { status: "pass", files: ["left.txt"] },
      ],
      files: {
        "one/two/logs/a.txt": "a",
        "three/b.txt": "b",
        "three/c": "c",
        "left.txt": "left",
      },
    },
  );
});

Deno.test("report() of a failed subtest fails the test, unless it says otherwise itself", async () => {
  for (const status of ["fail", "error"]) {
    const { code, results } = await outcome(({ report }) =>
      report({ name: "s", status })
    );
    strictEqual(code, 1);
    deepStrictEqual(results.at(-1), { status: "fail" });
  }
  const { code, results } = await outcome(({ report }) => {
    report({ name: "s", status: "fail" });
    report({ status: "pass", note: "known" });
  });
  strictEqual(code, 0);
  deepStrictEqual(results, [{ name: "s", status: "fail" }, {
    status: "pass",
    note: "known",
  }]);
});

Deno.test("report() of the test itself does not hide a later error", async () => {
  const { code, results } = await outcome(({ report }) => {
    report({ status: "pass", files: { "f": "" } });
    throw new Error("later");
  });
  strictEqual(code, 1);
  deepStrictEqual(results, [{
    status: "fail",
    note: "later",
    files: ["output.txt", "f"],
  }]);
});

Deno.test("report() refuses files that are missing, lead elsewhere or are there", async () => {
  for (
    const [files, message] of [
      [["no"], /"no": it is not in the directory "artifacts"/],
      [["../x"], /"\.\.\/x" as a file name: it has a "\.\." part/],
      [["/etc/passwd"], /begins with a slash/],
      [{ "../x": "" }, /has a "\.\." part/],
      [{ "output.txt": "" }, /is where the output of the test belongs/],
      [["directory"], /"directory": it is a directory/],
    ] as const
  ) {
    const { code, results } = await outcome(({ artifacts, report }) => {
      Deno.mkdirSync(`${artifacts}/directory`);
      report({ status: "pass", files });
    });
    strictEqual(code, 1);
    match((results as { note: string }[])[0]!.note, message);
  }
  const { results, files } = await outcome(({ report }) => {
    report({ name: "s", files: { f: "1" } });
    report({ name: "s", files: { f: "2" } });
  });
  match(
    (results as { note: string }[])[1]!.note,
    /"f" of "s": there is one of that name/,
  );
  strictEqual(files["s/f"], "1");
});

Deno.test("report() refuses what readers could not read, and takes no files then", async () => {
  const circle: Record<string, unknown> = {};
  circle.circle = circle;
  for (
    const [odd, message] of [
      [circle, /^Cannot report the result of the test: .*circular/],
      [{ name: "s", count: 5n }, /^Cannot report "s": .*BigInt/],
      [{ name: 5 }, /^Cannot report "5": its "name" is not a string$/],
      [{ status: 5 }, /^Cannot report the .*: its "status" is not a string$/],
      [
        { name: "s", note: [] },
        /^Cannot report "s": its "note" is not a string$/,
      ],
    ] as const
  ) {
    const { code, results } = await outcome(({ report }) =>
      report({ ...odd, files: { f: "" } } as unknown as Report)
    );
    strictEqual(code, 1);
    const [own, ...others] = results as { note: string }[];
    match(own!.note, message);
    deepStrictEqual({ ...own, note: "" }, {
      status: "fail",
      note: "",
      files: ["output.txt"],
    });
    deepStrictEqual(others, []);
  }
});

Deno.test("a subtest cannot put its files in the place of the output", async () => {
  for (const then of ["throw", "log"]) {
    const { code, results, files } = await outcome(({ report, log }) => {
      try {
        report({ name: "output.txt", status: "pass", files: { f: "" } });
      } finally {
        if (then === "log") log("said");
      }
    });
    strictEqual(code, 1);
    match(
      (results as { note: string }[])[0]!.note,
      /"f" of "output.txt": "output.txt" is where the output of the test belongs/,
    );
    deepStrictEqual(Object.keys(files), ["output.txt"]);
  }
});

Deno.test("FunctionExecutor stores the result of a test when a file that it left cannot be kept", async () => {
  const long = "x".repeat(254);
  const { code, results, files } = await outcome(({ artifacts }) => {
    // both are the same name here, and none longer is possible
    Deno.writeTextFileSync(`${artifacts}/${long}\t`, "");
    Deno.writeTextFileSync(`${artifacts}/${long}_`, "");
  });
  strictEqual(code, 0);
  deepStrictEqual(results, [
    { status: "pass", files: ["output.txt", `${long}_`] },
  ]);
  match(files["output.txt"]!, /^Cannot keep "x+_": .*too long .*\n$/);
});

Deno.test("a file left under the name of the output does not replace it", async () => {
  const { results, files } = await outcome(async ({ artifacts, log }) => {
    log("said");
    await Deno.writeTextFile(`${artifacts}/output.txt`, "left");
  });
  deepStrictEqual(results, [{
    status: "pass",
    files: ["output.txt", "output.txt.1"],
  }]);
  deepStrictEqual(files, { "output.txt": "said\n", "output.txt.1": "left" });
});

Deno.test("a test may remove its directory", async () => {
  const remove = ({ artifacts }: TestContext) => Deno.removeSync(artifacts);
  deepStrictEqual(await outcome(remove), {
    code: 0,
    results: [{ status: "pass" }],
    files: {},
  });
  const { code, results } = await outcome((context) => {
    remove(context);
    throw new Error("mine");
  });
  strictEqual(code, 1);
  deepStrictEqual(results, [
    { status: "fail", note: "mine", files: ["output.txt"] },
  ]);
});

Deno.test("files that are left have the names that the result tells", async () => {
  const { results, files } = await outcome(({ artifacts, report }) => {
    report({ files: { log: "reported", "dir/x": "in a directory" } });
    Deno.mkdirSync(`${artifacts}/log`);
    for (const name of ["a\tb", "a_b", "log/x", "dir"]) {
      Deno.writeTextFileSync(`${artifacts}/${name}`, name);
    }
  });
  deepStrictEqual(files, {
    log: "reported",
    "dir/x": "in a directory",
    "a_b": "a\tb",
    "a_b.1": "a_b",
    "log.1/x": "log/x",
    "dir.1": "dir",
  });
  deepStrictEqual(
    (results as { files: string[] }[])[0]!.files.toSorted(),
    Object.keys(files).sort(),
  );
});

Deno.test("a directory that is not empty is refused, and nothing is left in it", async () => {
  for (const name of ["results", "files", "scratch"]) {
    await withDirectory(async (directory) => {
      await Deno.mkdir(`${directory}/${name}`);
      const executor = new FunctionExecutor(REMOTE, {
        tests: { "/t": () => {} },
      });
      await rejects(executor.runTest("/t", directory), {
        name: "AlreadyExists",
        message:
          `Cannot write artifacts to "${directory}": "${name}" is there already`,
      });
      deepStrictEqual(
        [...Deno.readDirSync(directory)].map(({ name }) => name),
        [name],
      );
    });
  }
});

const sh = (script: string) => ["sh", "-c", script];

Deno.test("exec() runs a command whose output is that of the test, between the lines of log()", async () => {
  const { code, results, files } = await outcome(async ({ log, exec }) => {
    log("before");
    strictEqual(await exec(sh("echo out; echo err >&2; cat")), undefined);
    log("after");
    await exec(sh('echo "$A in $PWD"'), { env: { A: "a" }, cwd: "/" });
  });
  deepStrictEqual([code, results, files], [
    0,
    [{ status: "pass", files: ["output.txt"] }],
    { "output.txt": "before\nout\nerr\nafter\na in /\n" },
  ]);
});

Deno.test("exec() throws what a command that failed said last, of its own output only", async () => {
  let output: string | undefined;
  const { code, results, files } = await outcome(async ({ log, exec }) => {
    log("before");
    await exec(sh("exit 3")).catch((error) => output = error.output);
    await exec(sh("echo broken >&2; exit 7"));
  });
  strictEqual(code, 1);
  strictEqual(output, "");
  deepStrictEqual(results, [{
    status: "fail",
    note:
      "Cannot run \"sh -c 'echo broken >&2; exit 7'\": ended with exit code 7: broken",
    files: ["output.txt"],
  }]);
  match(files["output.txt"]!, /^before\nbroken\nCommandError: /);
});

Deno.test("exec() ends its command with the test, or earlier", async () => {
  const hang = sh("echo begun; exec sleep 1000");
  const late = await outcome(({ exec }) => exec(hang), { timeout: 300 });
  strictEqual((late.error as { reason?: string }).reason, "timeout");
  deepStrictEqual(late.results, [{
    status: "infra",
    note: "TestAbortedError(test duration timeout reached)",
    files: ["output.txt"],
  }]);

  const enough = new Error("enough");
  const { code } = await outcome(async ({ exec }) => {
    const signal = AbortSignal.abort(enough);
    await rejects(exec(hang, { signal }), enough);
    const controller = new AbortController();
    const running = exec(hang, controller);
    controller.abort(enough);
    await rejects(running, enough);
  });
  strictEqual(code, 0);
});

Deno.test("exec() waits for nothing that a command left running when the test has to end", async () => {
  const { error, files } = await outcome(
    ({ exec }) => exec(sh("setsid sleep 60 & echo $!")),
    { timeout: 300 },
  );
  Deno.kill(Number(files["output.txt"]), "SIGKILL");
  strictEqual((error as { reason?: string }).reason, "timeout");
});

Deno.test("exec() refuses what is no command", async () => {
  const right = "a program and its arguments would be right";
  const { code, results } = await outcome(async ({ exec }) => {
    for (
      const [argv, message] of [
        [[], `Cannot run [] by exec(): ${right}`],
        [[""], `Cannot run [ "" ] by exec(): ${right}`],
        [["-c"], `Cannot run [ "-c" ] by exec(): ${right}`],
        [
          "true",
          'Cannot use a string as "argv" of exec(): a list would be right',
        ],
        [
          undefined,
          'Cannot use undefined as "argv" of exec(): a list would be right',
        ],
        [
          ["true", 5],
          'Cannot use 5 as "argv[1]" of exec(): a string would be right',
        ],
        [
          ["true", "a\0b"],
          'Cannot use "argv[1]" of exec(): it holds a NUL character',
        ],
      ] as const
    ) {
      const wrong = argv as unknown as string[];
      await rejects(exec(wrong), { name: "TypeError", message });
    }
    const options = { envv: {} } as ExecOptions;
    await rejects(exec(["true"], options), {
      name: "TypeError",
      message: 'Cannot use "envv" as an option of exec(): "env" would be right',
    });
  });
  deepStrictEqual([code, results], [0, [{ status: "pass" }]]);
});

/** A command that tells its process id to a file, then does something. */
const telling = (file: string, then: string) =>
  sh(`echo $$ >'${file}.new'; mv '${file}.new' '${file}'; ${then}`);

/** A command that waits for what another one does. */
const until = (condition: string) =>
  sh(`until [ ${condition} ]; do sleep 0.01; done`);

Deno.test("exec() ends with the test what that does not wait for, before the next test", async () => {
  await withDirectory(async (directory) => {
    for (const ending of ["return", "throw"]) {
      const files = [1, 2].map((which) => `${directory}/${ending}-${which}`);
      const [first, second] = files.map((file) =>
        telling(file, "exec sleep 1000")
      );
      let wentOn = false;
      const { code, files: stored } = await outcome(async ({ exec }) => {
        const helper = async () => {
          await exec(second!).finally(() => wentOn = true);
        };
        exec(first!);
        helper();
        for (const file of files) await exec(until(`-e '${file}'`));
        if (ending === "throw") throw new Error("mine");
      });
      strictEqual(code, ending === "throw" ? 1 : 0);
      for (const file of files) {
        const pid = Deno.readTextFileSync(file).trim();
        throws(() => Deno.statSync(`/proc/${pid}`), Deno.errors.NotFound);
      }
      match(
        stored["output.txt"]!,
        /^(The test did not wait for \[[^\]]*sleep[^\]]*\]: it was ended with it\n){2}(Error: mine|$)/,
      );
      strictEqual(wentOn, false);
    }
  });
});

Deno.test("exec() that fails without anybody waiting for it fails the test", async () => {
  await withDirectory(async (directory) => {
    for (const returned of [undefined, 7]) {
      const file = `${directory}/${returned}`;
      const { code, results, files } = await outcome(async (context) => {
        const { exec, report } = context;
        report({ status: "pass" });
        exec(telling(file, "exit 3"));
        await exec(until(`-e '${file}'`));
        const pid = Deno.readTextFileSync(file).trim();
        await exec(until(`! -e /proc/${pid}`));
        await exec(["true"]);
        return returned;
      });
      strictEqual(code, 1);
      const [{ status, note }] = results as { status: string; note: string }[];
      strictEqual(status, "fail");
      match(
        note,
        /^A command failed that the test did not wait for: Cannot run .* ended with exit code 3$/,
      );
      ok(files["output.txt"]!.startsWith(`${note}\n`));
    }
  });
});

Deno.test("exec() that fails does not fail a test that knows of it", async () => {
  const { code, results } = await outcome(async ({ exec }) => {
    const early = exec(sh("exit 3"));
    await exec(sh("exit 4")).catch(() => {});
    await Promise.allSettled([exec(sh("exit 5"))]);
    const stop = new AbortController();
    exec(sh("exec sleep 1000"), stop);
    stop.abort();
    await rejects(early, { name: "CommandError" });
  });
  deepStrictEqual([code, results], [0, [{ status: "pass" }]]);
});

Deno.test("exec() that loses the connection beside the test is not the test's fault", async () => {
  const remote = new LocalConnection();
  const executor = new FunctionExecutor(remote, {
    tests: {
      "/t": async ({ exec }) => {
        exec(["true"]);
        await new Promise((resolve) => setTimeout(resolve));
      },
    },
  });
  remote.local = () => {
    throw new ConnectionLostError("the link is down");
  };
  await withDirectory((directory) =>
    rejects(executor.runTest("/t", directory), {
      name: "TestAbortedError",
      reason: "connection",
    })
  );
});

Deno.test("exec() is refused after the end of the test", async () => {
  let kept: TestContext["exec"] | undefined;
  await outcome(({ exec }) => kept = exec);
  await rejects(kept!(["true"]), {
    message: "Cannot run a command: the test has ended",
  });
});

Deno.test("FunctionExecutor ends a test whose time is over", async () => {
  let reason: unknown;
  const { error, results } = await outcome(
    ({ signal, report }) => {
      report({ name: "early", status: "pass" });
      return new Promise((resolve) =>
        signal.addEventListener("abort", () => {
          reason = signal.reason;
          resolve(0);
        })
      );
    },
    { timeout: 20 },
  );
  strictEqual(error?.name, "TestAbortedError");
  strictEqual((error as { reason?: string }).reason, "timeout");
  strictEqual(reason, error);
  deepStrictEqual(results, [
    { name: "early", status: "pass" },
    {
      status: "infra",
      note: "TestAbortedError(test duration timeout reached)",
    },
  ]);
});

Deno.test("FunctionExecutor uses the time limit of a test before its own", async () => {
  const { error } = await outcome(
    {
      test: ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", reject)),
      timeout: 20,
    },
    { timeout: 60_000 },
  );
  strictEqual((error as { reason?: string }).reason, "timeout");
});

Deno.test("FunctionExecutor does not wait for ever for a test that ignores its end", async () => {
  const { error, results } = await outcome(() => new Promise(() => {}), {
    timeout: 10,
    grace: 10,
  });
  strictEqual(error?.name, "TestAbortedError");
  strictEqual(results.length, 1);
});

Deno.test("FunctionExecutor waits without limit for a test to end when told to", async () => {
  let ended = false;
  const { error } = await outcome(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    ended = true;
  }, { timeout: 1, grace: Infinity });
  strictEqual(ended, true);
  strictEqual((error as { reason?: string }).reason, "timeout");
});

Deno.test("FunctionExecutor cancels a test through the signal", async () => {
  const controller = new AbortController();
  const { error, results } = await outcome(
    ({ signal }) => {
      controller.abort(new Error("enough"));
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    },
    { signal: controller.signal, grace: 10 },
  );
  strictEqual((error as { reason?: string }).reason, "cancelled");
  strictEqual((error!.cause as Error).message, "enough");
  deepStrictEqual(results, [{
    status: "infra",
    note: "TestAbortedError(cancel requested)",
  }]);
  let ran = false;
  const aborted = await outcome(() => ran = true, {
    signal: AbortSignal.abort(),
    grace: 10,
  });
  strictEqual((aborted.error as { reason?: string }).reason, "cancelled");
  ok(!ran);
});

Deno.test("FunctionExecutor does not blame the test for a lost connection", async () => {
  const { error, results } = await outcome(() => {
    throw new ConnectionLostError("the link is down");
  });
  strictEqual((error as { reason?: string }).reason, "connection");
  deepStrictEqual(results, [{
    status: "infra",
    note: "TestAbortedError(the link is down)",
  }]);
});

Deno.test("FunctionExecutor asks the system once after a test that failed, and tells what the test threw", async () => {
  let asked = 0;
  let answer: () => string[] = () => ["true"];
  const remote = new LocalConnection();
  remote.local = () => {
    asked++;
    return { argv: answer() };
  };
  const executor = new FunctionExecutor(remote, {
    tests: {
      "/passes": () => {},
      "/fails": () => {
        throw new Error("no such file");
      },
      "/reports": ({ report }) => report({ status: "fail" }),
    },
  });
  for (
    const [name, system, end] of [
      ["/passes", () => ["false"], 0],
      ["/fails", () => ["true"], 1],
      ["/reports", () => ["true"], 1],
      ["/fails", () => ["false"], "connection"],
      ["/reports", () => ["false"], "connection"],
      ["/fails", () => {
        throw new ConnectionLostError("the link is down");
      }, "connection"],
    ] as [string, () => string[], number | string][]
  ) {
    answer = system;
    asked = 0;
    await withDirectory(async (directory) => {
      const got = await executor.runTest(name, directory)
        .catch((error) => error.reason);
      const what = `${name}, ${system}`;
      strictEqual(got, end, what);
      strictEqual(asked, name === "/passes" ? 0 : 1, what);
      const [{ status }] = await Array.fromAsync(readArtifacts(directory));
      const expected = end === 0 ? "pass" : end === 1 ? "fail" : "infra";
      strictEqual(status, expected, what);
      if (name !== "/fails") return;
      const printed = Deno.readTextFileSync(`${directory}/files/output.txt`);
      match(printed, /Error: no such file\n +at /, what);
    });
  }
});

Deno.test({
  name: "FunctionExecutor that may not ask the system takes a failure for one",
  permissions: { read: true, write: true, run: false },
  async fn() {
    const remote = await LocalConnection.open();
    const executor = new FunctionExecutor(remote, { tests: { "/t": () => 7 } });
    await withDirectory(async (directory) =>
      strictEqual(await executor.runTest("/t", directory), 7)
    );
  },
});

Deno.test("FunctionExecutor that is stopped while it asks the system was cancelled", async () => {
  const remote = await LocalConnection.open();
  const stop = new AbortController();
  remote.local = () => {
    stop.abort();
    return { argv: ["sleep", "1000"] };
  };
  const executor = new FunctionExecutor(remote, { tests: { "/t": () => 1 } });
  await withDirectory((directory) =>
    rejects(executor.runTest("/t", directory, { signal: stop.signal }), {
      name: "TestAbortedError",
      reason: "cancelled",
    })
  );
});

Deno.test("FunctionExecutor hands name, attempt, environment and system to the test", async () => {
  await withDirectory(async (directory) => {
    const seen: unknown[] = [];
    const executor = new FunctionExecutor(REMOTE, {
      tests: {
        "/x": ({ remote, name, attempt, env }) =>
          void seen.push(remote, name, attempt, env),
      },
    });
    await executor.runTest("/x", directory, { attempt: 3, env: { A: "b" } });
    deepStrictEqual(seen, [REMOTE, "/x", 3, { A: "b" }]);
    ok(seen[0] === REMOTE);
  });
});

Deno.test("FunctionExecutor refuses unknown tests, used directories and two tests at once", async () => {
  await withDirectory(async (directory) => {
    const gate = Promise.withResolvers<void>();
    const executor = new FunctionExecutor(REMOTE, {
      tests: { "/t": () => gate.promise },
    });
    await rejects(
      executor.runTest("/u", directory),
      /Cannot run test "\/u": there is no such test/,
    );
    await rejects(executor.runTest("toString", directory), TypeError);
    deepStrictEqual([...Deno.readDirSync(directory)], []);
    const first = executor.runTest("/t", directory);
    await rejects(executor.runTest("/t", directory), {
      name: "TypeError",
      message: 'Cannot run test "/t": test "/t" is running',
    });
    gate.resolve();
    strictEqual(await first, 0);
    await rejects(executor.runTest("/t", directory), Deno.errors.AlreadyExists);
  });
});

Deno.test("FunctionExecutor runs setup and cleanup once, and cleanup after a failed setup too", async () => {
  const calls: string[] = [];
  const options = {
    tests: {},
    setup: () => void calls.push("setup"),
    cleanup: () => void calls.push("cleanup"),
  };
  {
    await using executor = await new FunctionExecutor(REMOTE, options).start();
    await executor.stop();
  }
  deepStrictEqual(calls, ["setup", "cleanup"]);
  const broken = new FunctionExecutor(REMOTE, {
    ...options,
    setup: () => Promise.reject(new Error("no space")),
  });
  await rejects(
    broken.start(),
    (error) =>
      error instanceof SetupError &&
      error.message === "Cannot prepare the system: no space",
  );
  deepStrictEqual(calls, ["setup", "cleanup", "cleanup"]);
  await broken.stop();
  deepStrictEqual(calls, ["setup", "cleanup", "cleanup"]);
});

Deno.test("FunctionExecutor throws what cleanup throws from stop(), but not over another error", async () => {
  const cleanup = () => {
    throw new Error("cannot clean up");
  };
  const stopped = await new FunctionExecutor(REMOTE, { tests: {}, cleanup })
    .start();
  await rejects(stopped.stop(), /^Error: cannot clean up$/);
  await rejects(async () => {
    await using _ = await new FunctionExecutor(REMOTE, { tests: {}, cleanup })
      .start();
    throw new Error("mine");
  }, /^Error: mine$/);
  await rejects(
    new FunctionExecutor(REMOTE, {
      tests: {},
      cleanup,
      setup: () => Promise.reject(new Error("no space")),
    }).start(),
    /no space/,
  );
});

Deno.test("FunctionExecutor ends a test that runs, then cleans up, when it is disposed of", async () => {
  await withDirectory(async (directory) => {
    const calls: string[] = [];
    let running: Promise<number>;
    {
      await using executor = await new FunctionExecutor(REMOTE, {
        tests: {
          "/t": ({ signal }) =>
            new Promise<void>((resolve) => {
              signal.addEventListener("abort", () => {
                calls.push("end");
                resolve();
              });
            }),
        },
        cleanup: () => void calls.push("cleanup"),
      }).start();
      running = executor.runTest("/t", directory);
      running.catch(() => {});
    }
    deepStrictEqual(calls, ["end", "cleanup"]);
    await rejects(running, { name: "TestAbortedError", reason: "cancelled" });
    const results = await Array.fromAsync(readArtifacts(directory));
    deepStrictEqual(results, [{
      status: "infra",
      note: "TestAbortedError(cancel requested)",
    }]);
  });
});

Deno.test("FunctionExecutor refuses times that are none", () => {
  const test = () => {};
  for (const time of [0, -1, NaN]) {
    for (
      const [name, options] of [
        ["timeout", { tests: {}, timeout: time }],
        ["grace", { tests: {}, grace: time }],
        ["setupTimeout", { tests: {}, setupTimeout: time }],
        ["timeout of /t", { tests: { "/t": { test, timeout: time } } }],
      ] as const
    ) {
      throws(
        () => new FunctionExecutor(REMOTE, options),
        {
          name: "RangeError",
          message: `Cannot use ${time} as "${name}": ` +
            "a positive number of milliseconds would be right",
        },
      );
    }
  }
});

Deno.test("stop() ends a setup that is under way", async () => {
  const calls: string[] = [];
  const executor = new FunctionExecutor(REMOTE, {
    tests: {},
    setup: (_, { signal }) =>
      new Promise((_, reject) => {
        signal!.addEventListener("abort", () => reject(signal!.reason));
      }),
    cleanup: () => void calls.push("cleanup"),
  });
  const starting = executor.start();
  await Promise.all([
    rejects(starting, { name: "AbortError" }),
    executor.stop(),
  ]);
  deepStrictEqual(calls, ["cleanup"]);
});

Deno.test("stop() does not wait for ever for a setup that ignores its end", async () => {
  const calls: string[] = [];
  const executor = new FunctionExecutor(REMOTE, {
    tests: {},
    grace: 10,
    setup: () => new Promise(() => {}),
    cleanup: () => void calls.push("cleanup"),
  });
  const starting = rejects(executor.start(), { name: "AbortError" });
  await executor.stop();
  await starting;
  deepStrictEqual(calls, ["cleanup"]);
});

Deno.test("setup and cleanup have a time limit, are told of it, and given up", async () => {
  const told: unknown[] = [];
  const ignore = (_: Connection, { signal }: SignalOptions) => {
    signal!.addEventListener("abort", () => told.push(signal!.reason.message));
    return new Promise(() => {});
  };
  const limits = { tests: {}, setupTimeout: 20, grace: 10 };
  const slow = new FunctionExecutor(REMOTE, { ...limits, setup: ignore });
  const message = "Cannot prepare the system: it takes longer than 0.02 s";
  await rejects(slow.start(), { name: "SetupError", message });
  const stuck = new FunctionExecutor(REMOTE, { ...limits, cleanup: ignore });
  const other = "Cannot clean up the system: it takes longer than 0.02 s";
  await stuck.start();
  await rejects(stuck.stop(), { name: "SetupError", message: other });
  deepStrictEqual(told, [message, other]);
});
