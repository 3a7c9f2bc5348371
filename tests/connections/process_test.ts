import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import {
  CommandError,
  output,
  outputLocal,
  run,
  runLocal,
  start,
  startLocal,
} from "../../connections/process.ts";
import { rejected, thrown } from "../_thrown.ts";
import { exists, lines, processesWith, until } from "../_wait.ts";

const here = new LocalConnection();
const sh = (script: string, ...args: string[]) => [
  "sh",
  "-c",
  script,
  "sh",
  ...args,
];
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A directory for one test. */
async function scratch(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "atex-test-process-" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** A number that marks the processes of one test in the process list. */
const mark = () => `${600_000 + Math.floor(Math.random() * 300_000)}`;

Deno.test("run() returns stdout as it is", async () => {
  equal(await run(here, ["printf", "%s", " a\n\n"]), " a\n\n");
  equal(await run(here, ["true"]), "");
});

Deno.test("run() gives the command nothing to read, text or bytes", async () => {
  equal(await run(here, ["cat"]), "");
  equal(await run(here, ["cat"], { stdin: "" }), "");
  equal(await run(here, ["cat"], { stdin: "žluť\n" }), "žluť\n");
  equal(await run(here, ["cat"], { stdin: new Uint8Array([65, 66]) }), "AB");
});

Deno.test("run() feeds and drains at once: no size makes it stand still", async () => {
  const much = "0123456789abcdef".repeat(256 * 1024);
  equal(await run(here, ["cat"], { stdin: much }), much);
});

Deno.test("run() does not mind a command that does not read its input", async () => {
  const much = "x".repeat(1 << 20);
  equal(await run(here, sh("echo done"), { stdin: much }), "done\n");
  equal(await run(here, sh("exec 0<&-; echo done"), { stdin: much }), "done\n");
});

Deno.test("run() sets variables and directory", async () => {
  const env = { ATEX_A: "a 'b'\n", HOME: "/nowhere" };
  equal(
    await run(here, sh('printf "%s|%s|%s" "$ATEX_A" "$HOME" "$PWD"'), {
      env,
      cwd: "/usr",
    }),
    "a 'b'\n|/nowhere|/usr",
  );
});

Deno.test("run() throws what a failing command said", async () => {
  const argv = sh("echo out; echo first >&2; echo last words >&2; exit 3");
  const error = await rejected(run(here, argv), CommandError);
  match(
    error.message,
    /^Cannot run "sh -c '.*' sh": ended with exit code 3: last words$/,
  );
  deepEqual(error.argv, argv);
  deepEqual({ ...error.status }, { success: false, code: 3, signal: null });
  equal(error.output, "first\nlast words");
});

Deno.test("CommandError holds stdout where stderr is empty, and the end of what is long", async () => {
  const quiet = sh("echo only stdout; exit 1");
  equal(
    (await rejected(run(here, quiet), CommandError)).output,
    "only stdout\n",
  );
  const long = sh("yes 0123456 | head -c 200000 >&2; echo end >&2; exit 1");
  const { output, message } = await rejected(run(here, long), CommandError);
  equal(output.length, 64 * 1024 - 1);
  ok(output.endsWith("\nend"));
  ok(message.length < 300, message);
  const wordy = await rejected(
    run(here, ["false", "y".repeat(5000)]),
    CommandError,
  );
  ok(wordy.message.length < 300, wordy.message);
});

Deno.test("CommandError names the signal that ended a command", async () => {
  const error = await rejected(run(here, sh("kill -9 $$")), CommandError);
  match(error.message, /ended with SIGKILL$/);
  equal(error.status.code, 137);
});

Deno.test({
  name:
    "a command that ends by a signal that has no name here is one that failed",
  sanitizeResources: false, // Deno keeps a child of which it cannot tell the end
  async fn() {
    for (const number of [35, 64]) {
      const script = sh("echo said; kill -$1 $$", `${number}`);
      const status = { success: false, code: 128 + number, signal: null };
      const { stdout, stderr, ...end } = await output(here, script);
      deepEqual(end, status);
      deepEqual([text(stdout), text(stderr)], ["said\n", ""]);
      await using process = start(here, script);
      deepEqual(await process.status, status);
      deepEqual(await process.terminate(), status);
      const error = await rejected(run(here, script), CommandError);
      match(error.message, new RegExp(`ended with exit code ${128 + number}`));
    }
  },
});

Deno.test("output() resolves whatever the status", async () => {
  const result = await output(here, sh("echo o; echo e >&2; exit 7"));
  equal(result.code, 7);
  equal(result.success, false);
  equal(text(result.stdout), "o\n");
  equal(text(result.stderr), "e\n");
});

Deno.test("a program that is missing here is named", async () => {
  const missing = [
    (argv: string[]) => run(here, argv),
    (argv: string[]) => outputLocal({ argv }),
    (argv: string[]) => runLocal({ argv }),
    async (argv: string[]) => await start(here, argv).status,
  ];
  for (const action of missing) {
    await rejected(
      action(["atex-no-such-program", "-x"]),
      Deno.errors.NotFound,
      'Cannot run "atex-no-such-program -x": the program "atex-no-such-program" is not installed',
    );
    await rejected(
      action(["/nowhere/program"]),
      Deno.errors.NotFound,
      '"/nowhere/program" does not exist',
    );
  }
});

Deno.test("a program that is no program, and a directory that is none, are named", async () => {
  await rejected(
    run(here, ["/etc/passwd"]),
    Deno.errors.PermissionDenied,
    'Cannot run "/etc/passwd": "/etc/passwd" is not executable',
  );
  for (const cwd of ["/nowhere", "/etc/passwd"]) {
    await rejected(
      run(here, ["true"], { cwd }),
      Deno.errors.NotFound,
      `Cannot run "true": "${cwd}" is not a directory`,
    );
  }
});

Deno.test("what cannot be passed to a program is refused", () => {
  thrown(() => start(here, []), TypeError, "empty command");
  thrown(
    () => start(here, ["a", "b", "c\0d"]),
    TypeError,
    'Cannot run "a": argument 2',
  );
  for (const name of ["", "A=B", "A\0", "-x"]) {
    thrown(
      () => start(here, ["true"], { env: { [name]: "x" } }),
      TypeError,
      `variable "${name}"`,
    );
  }
  thrown(
    () => start(here, ["true"], { env: { A: "\0" } }),
    TypeError,
    'variable "A"',
  );
  thrown(() => start(here, ["true"], { cwd: "" }), TypeError, "directory");
  // Scripts run without a check of their types.
  thrown(
    () => start(here, "ls  -l" as never),
    TypeError,
    'Cannot run what is no list of words: one such as ["ls","-l"] would be right',
  );
  thrown(
    () => start(here, ["a", 5 as never]),
    TypeError,
    "argument 1 is not a string",
  );
  thrown(
    () => startLocal({ argv: "ls" as never }),
    TypeError,
    'no list of words: one such as ["ls"]',
  );
  for (const value of [undefined, 5, null, {}]) {
    const env = { A: value as never };
    const error =
      /^Cannot use .* as "A" of "env" of a command: a string would be right$/;
    match(
      thrown(() => start(here, ["true"], { env }), TypeError).message,
      error,
    );
    match(
      thrown(() => startLocal({ argv: ["true"], env }), TypeError).message,
      error,
    );
  }
  thrown(
    () => start(here, ["true"], { env: "A=1" as never }),
    TypeError,
    'Cannot use a string as "env" of a command: an object would be right',
  );
  thrown(() => start(here, ["true"], { cwd: 5 as never }), TypeError, '"cwd"');
});

Deno.test("arguments and variables that are too large are told, as what can hold more", async () => {
  const large = "x".repeat(200_000);
  for (
    const running of [
      run(here, ["echo", large]),
      run(here, ["true"], { env: { A: large } }),
    ]
  ) {
    await rejected(running, RangeError, "stdin or a file can hold more");
  }
});

Deno.test("a grace that is no time, and an input that is none, are refused", async () => {
  for (const grace of [NaN, -1]) {
    await rejected(run(here, ["true"], { grace }), RangeError, '"grace"');
    thrown(() => start(here, ["true"], { grace }), RangeError, '"grace"');
    await using sleeping = start(here, ["sleep", "100"]);
    await rejected(sleeping.terminate({ grace }), RangeError, '"grace"');
  }
  const grace = "1s" as never;
  await rejected(run(here, ["true"], { grace }), TypeError, '"grace"');
  await rejected(
    run(here, ["cat"], { stdin: 5 as never }),
    TypeError,
    'Cannot use 5 as "stdin" of a command',
  );
});

Deno.test("what is no path of a file for output makes no file", async () => {
  for (const append of [undefined, 3]) {
    thrown(
      () => start(here, ["true"], { stdout: { append: append as never } }),
      TypeError,
      `Cannot use ${append} as a path`,
    );
    equal(await exists(`${append}`), false);
  }
});

Deno.test("a signal that is aborted already starts nothing", async () => {
  await using directory = await scratch();
  const file = `${directory.path}/made`;
  const signal = AbortSignal.abort(new Error("my reason"));
  const argv = ["touch", file];
  await rejected(run(here, argv, { signal }), Error, "my reason");
  await rejected(output(here, argv, { signal }), Error, "my reason");
  thrown(() => start(here, argv, { signal }), Error, "my reason");
  equal(await exists(file), false);
});

Deno.test("aborting ends a command and its children, and rejects with the reason", async () => {
  const number = mark();
  const controller = new AbortController();
  const running = run(here, sh(`sleep ${number} & sleep ${number}; :`), {
    signal: controller.signal,
  });
  await until(async () =>
    (await processesWith(`sleep ${number}`)).length === 2
  );
  controller.abort(new Error("my reason"));
  await rejected(running, Error, "my reason");
  await until(async () =>
    (await processesWith(`sleep ${number}`)).length === 0
  );
});

Deno.test("aborting does not wait for a daemon that holds the pipes", async () => {
  const number = mark();
  const controller = new AbortController();
  const running = output(here, sh(`setsid sleep ${number} & sleep 0.1`), {
    signal: controller.signal,
    stdin: "x".repeat(1 << 20),
  });
  await until(async () =>
    (await processesWith(`sleep ${number}`)).length === 1
  );
  controller.abort(new Error("my reason"));
  await rejected(running, Error, "my reason");
  const [daemon] = await processesWith(`sleep ${number}`);
  Deno.kill(daemon, "SIGKILL");
});

Deno.test("aborting kills a command that ignores SIGTERM, after the grace", async () => {
  const controller = new AbortController();
  await using directory = await scratch();
  const ready = `${directory.path}/ready`;
  const running = run(here, sh(`trap '' TERM; : >"$1"; sleep 600; :`, ready), {
    signal: controller.signal,
    grace: 50,
  });
  await until(() => exists(ready));
  controller.abort(new Error("my reason"));
  await rejected(running, Error, "my reason");
});

Deno.test("start() leads a session of its own", async () => {
  await using process = start(here, sh("ps -o pid=,pgid=,sid= $$"), {
    stdout: "piped",
  });
  const [ids] = await lines(process.stdout);
  const pid = `${process.pid}`;
  deepEqual(ids.trim().split(/ +/), [pid, pid, pid]);
});

Deno.test("start() passes streams through", async () => {
  await using process = start(here, sh("cat; echo err >&2"), {
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode("one\ntwo\n"));
  await writer.close();
  deepEqual(await lines(process.stdout), ["one", "two"]);
  deepEqual(await lines(process.stderr), ["err"]);
  deepEqual({ ...await process.status }, {
    success: true,
    code: 0,
    signal: null,
  });
});

Deno.test("start() gives nothing to read and throws output away unless told otherwise", async () => {
  await using process = start(here, sh("cat; echo out; echo err >&2; exit 4"));
  equal((await process.status).code, 4);
  for (const name of ["stdin", "stdout", "stderr"] as const) {
    throws(() => process[name], TypeError);
  }
});

Deno.test("start() lets the command append to files", async () => {
  await using directory = await scratch();
  const out = `${directory.path}/out put'"`;
  const err = `${directory.path}/err`;
  await Deno.writeTextFile(out, "before\n");
  const argv = sh('printf "%s\\n" "$@"; echo err >&2', "a b", "", "'");
  const cases = [
    { options: { stdout: { append: out } }, out: "a b\n\n'\n", err: "" },
    { options: { stderr: { append: err } }, out: "", err: "err\n" },
    {
      options: { stdout: { append: out }, stderr: { append: err } },
      out: "a b\n\n'\n",
      err: "err\n",
    },
    {
      options: { stdout: { append: out }, stderr: "stdout" as const },
      out: "a b\n\n'\nerr\n",
      err: "",
    },
    {
      options: { stdout: { append: new URL(`file://${err}`) } },
      out: "",
      err: "a b\n\n'\n",
    },
  ];
  let expected = "before\n";
  for (const { options, ...adds } of cases) {
    await Deno.writeTextFile(err, "");
    await using process = start(here, argv, options);
    equal((await process.status).code, 0);
    expected += adds.out;
    equal(await Deno.readTextFile(out), expected);
    equal(await Deno.readTextFile(err), adds.err);
  }
});

Deno.test("start() merges stderr into a piped or discarded stdout", async () => {
  await using merged = start(here, sh("echo err >&2"), {
    stdout: "piped",
    stderr: "stdout",
  });
  deepEqual(await lines(merged.stdout), ["err"]);
  await using gone = start(here, sh("echo err >&2"), { stderr: "stdout" });
  equal((await gone.status).code, 0);
});

Deno.test("start() keeps pid, status and signals of a command that writes to a file", async () => {
  await using directory = await scratch();
  const out = `${directory.path}/out`;
  await using process = start(here, sh("echo $$; exec sleep 600"), {
    stdout: { append: out },
  });
  await until(async () => (await Deno.readTextFile(out)) !== "");
  equal(await Deno.readTextFile(out), `${process.pid}\n`);
  process.kill("SIGINT");
  deepEqual({ ...await process.status }, {
    success: false,
    code: 130,
    signal: "SIGINT",
  });
});

Deno.test("start() names a file that cannot be written to", async () => {
  await using directory = await scratch();
  const append = `${directory.path}/no/such/file`;
  thrown(
    () => start(here, ["true"], { stdout: { append } }),
    Deno.errors.NotFound,
    append,
  );
  thrown(
    () => start(here, ["true"], { stderr: { append } }),
    Deno.errors.NotFound,
    append,
  );
});

Deno.test("status resolves though others hold the pipes", async () => {
  const number = mark();
  await using process = start(here, sh(`setsid sleep ${number} & exit 5`), {
    stdout: "piped",
  });
  equal((await process.status).code, 5);
  await until(async () =>
    (await processesWith(`sleep ${number}`)).length === 1
  );
  const [daemon] = await processesWith(`sleep ${number}`);
  Deno.kill(daemon, "SIGKILL");
});

Deno.test("cancelling stdout gives the writer EPIPE", async () => {
  await using directory = await scratch();
  const file = `${directory.path}/errno`;
  const script =
    `trap '' PIPE; while echo x; do :; done 2>/dev/null; echo broken >"$1"`;
  await using process = start(here, sh(script, file), { stdout: "piped" });
  const reader = process.stdout.getReader();
  await reader.read();
  await reader.cancel();
  await process.status;
  equal(await Deno.readTextFile(file), "broken\n");
});

Deno.test("kill() is harmless after the end, also repeatedly", async () => {
  await using process = start(here, ["true"]);
  await process.status;
  process.kill();
  process.kill("SIGKILL");
  equal((await process.terminate()).code, 0);
});

Deno.test("terminate() asks, then kills, the whole group", async () => {
  const number = mark();
  await using directory = await scratch();
  const ready = `${directory.path}/ready`;
  // A child that ignores SIGTERM, of a parent that does not.
  const script =
    `(trap '' TERM; : >"$1"; exec sleep ${number}) & trap 'exit 9' TERM; while :; do sleep 0.05; done`;
  await using process = start(here, sh(script, ready));
  await until(() => exists(ready));
  await until(async () =>
    (await processesWith(`sleep ${number}`)).length === 1
  );
  equal((await process.terminate()).code, 9);
  await until(async () =>
    (await processesWith(`sleep ${number}`)).length === 0
  );
});

Deno.test("terminate() kills after the grace that it is given", async () => {
  await using directory = await scratch();
  const ready = `${directory.path}/ready`;
  await using process = start(
    here,
    sh(`trap '' TERM; : >"$1"; sleep 600; :`, ready),
    {
      grace: 600_000,
    },
  );
  await until(() => exists(ready));
  deepEqual({ ...await process.terminate({ grace: 20 }) }, {
    success: false,
    code: 137,
    signal: "SIGKILL",
  });
});

Deno.test("terminate() does not kill before a grace is over that no timer can take", async () => {
  for (const grace of [Infinity, 2 ** 31]) {
    await using process = start(
      here,
      sh(
        "trap 'echo asked; read -r _; exit 3' TERM; echo ready; while :; do sleep 1 & wait; done",
      ),
      { stdin: "piped", stdout: "piped", grace },
    );
    const said = process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    equal((await said.read()).value, "ready\n");
    const ended = process.terminate();
    equal((await said.read()).value, "asked\n");
    await process.stdin.close();
    equal((await ended).code, 3);
    await said.cancel();
  }
});

Deno.test("terminate() ends a process that is stopped", async () => {
  await using process = start(here, ["sleep", "600"], { grace: 20 });
  process.kill("SIGSTOP");
  const stat = `/proc/${process.pid}/stat`;
  await until(async () => / T /.test(await Deno.readTextFile(stat)));
  equal((await process.terminate()).code, 137);
});

Deno.test("an abort of start() ends the process and shows in its status", async () => {
  const controller = new AbortController();
  await using process = start(here, ["sleep", "600"], {
    signal: controller.signal,
  });
  controller.abort();
  equal((await process.status).signal, "SIGTERM");
});

Deno.test("disposing ends the process and lets go of its streams, twice as well", async () => {
  const process = startLocal({ argv: ["sleep", "600"] }, {
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  await process[Symbol.asyncDispose]();
  await process[Symbol.asyncDispose]();
  equal((await process.status).signal, "SIGTERM");
});

Deno.test("disposing leaves streams alone that somebody reads", async () => {
  const process = startLocal({ argv: sh("echo x; exec sleep 600") }, {
    stdout: "piped",
  });
  const reader = process.stdout.getReader();
  equal(text((await reader.read()).value!), "x\n");
  await process[Symbol.asyncDispose]();
  equal((await reader.read()).done, true);
});

Deno.test("a local command can have an environment of its own and a directory", async () => {
  const env = { A: "1" };
  const command = { argv: ["/usr/bin/env"], env, clearEnv: true, cwd: "/usr" };
  equal(await runLocal(command), "A=1\n");
  equal(await runLocal({ ...command, argv: ["/bin/pwd"] }), "/usr\n");
  deepEqual(env, { A: "1" });
});

Deno.test("hundred commands at once", async () => {
  const numbers = Array.from({ length: 100 }, (_, i) => `${i}`);
  const said = await Promise.all(numbers.map((n) => run(here, ["echo", n])));
  deepEqual(said, numbers.map((n) => `${n}\n`));
});
