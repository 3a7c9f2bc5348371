import { match, strictEqual } from "node:assert/strict";

const MAIN = new URL("../../orchestrators/main.ts", import.meta.url).href;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** A script that runs on its own, with what it printed. */
class Script implements AsyncDisposable {
  readonly #directory: string;
  readonly #child: Deno.ChildProcess;
  readonly stdout: ReadableStreamDefaultReader<string>;
  readonly stderr: Promise<string>;

  constructor(body: string) {
    this.#directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
    const path = `${this.#directory}/script.ts`;
    Deno.writeTextFileSync(
      path,
      `import { runMain } from ${JSON.stringify(MAIN)};\n${body}`,
    );
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", "--config", CONFIG, path],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.stdout = this.#child.stdout
      .pipeThrough(new TextDecoderStream()).getReader();
    this.stderr = new Response(this.#child.stderr).text();
  }

  /** Sends a signal when the script has printed something. */
  async signalWhenReady(signal: Deno.Signal): Promise<void> {
    await this.stdout.read();
    this.#child.kill(signal);
  }

  async status(): Promise<number> {
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await this.#child.status;
    await this.stdout.cancel();
    await this.stderr;
    await Deno.remove(this.#directory, { recursive: true });
  }
}

const WAIT = `
const wait = (signal: AbortSignal) => new Promise((_, reject) => {
  const timer = setTimeout(() => {}, 60_000);
  signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
});
`;

Deno.test("runMain() makes what main returns the exit status", async () => {
  await using script = new Script(`await runMain(() => 3);`);
  strictEqual(await script.status(), 3);
  strictEqual(await script.stderr, "");
});

Deno.test("runMain() makes 1 of a number that is no exit status", async () => {
  for (const number of ["256", "-256", "0.5", "NaN", "Infinity"]) {
    await using script = new Script(`await runMain(() => ${number});`);
    strictEqual(await script.status(), 1, number);
    strictEqual(await script.stderr, "");
  }
});

Deno.test("runMain() makes the exit status what it would be if messages cannot be written", async () => {
  for (
    const [main, status] of [
      ["() => 0", 0],
      ["() => { throw new Error('x'); }", 2],
      ["async () => { Promise.reject(new Error('stray')); await wait; }", 2],
    ] as const
  ) {
    await using script = new Script(`
const wait = new Promise((resolve) => setTimeout(resolve, 10));
const write = () => { throw new Error("disk full"); };
await runMain(${main}, { write });
console.log("went on");`);
    strictEqual(await script.status(), status, main);
    strictEqual((await script.stdout.read()).value, "went on\n");
    strictEqual(await script.stderr, "");
  }
});

Deno.test("note() bears a standard error that cannot be written to", async () => {
  await using script = new Script(`
import { note } from ${
    JSON.stringify(import.meta.resolve("../../orchestrators/progress.ts"))
  };
console.error = () => { throw new Error("no space left on device"); };
await runMain(() => { note("all is well"); return 0; });`);
  strictEqual(await script.status(), 0);
  strictEqual(await script.stderr, "");
});

Deno.test("runMain() shows an error with its causes and its place, and exits with 2", async () => {
  await using script = new Script(`
await runMain(() => {
  const output = "line 1\\nline 2\\u001b[31m\\n";
  const cause = Object.assign(new Error("Cannot run \\"x\\": ended with exit code 1"), { output });
  throw new Error("Cannot prepare the system: a script failed", { cause });
});`);
  strictEqual(await script.status(), 2);
  match(
    await script.stderr,
    /^Cannot prepare the system: a script failed\n {2}because: Cannot run "x": ended with exit code 1\n {4}\| line 1\n {4}\| line 2\ufffd\[31m\n {2}at file:\/\/\S*script\.ts:6:\d+\n$/,
  );
});

Deno.test("runMain() lists what an AggregateError holds and ends at a circle of causes", async () => {
  await using script = new Script(`
await runMain(() => {
  const error = new AggregateError([new Error("Cannot a"), new TypeError("b")], "Cannot stop");
  error.cause = error;
  throw error;
});`);
  strictEqual(await script.status(), 2);
  match(await script.stderr, /^Cannot stop\n {2}Cannot a\n {2}TypeError: b\n/);
});

Deno.test("runMain() shows why main failed before what failed at its end", async () => {
  await using script = new Script(`
const failing = (what: string) => ({
  [Symbol.asyncDispose]: () => Promise.reject(new Error(\`Cannot \${what}\`)),
});
await runMain(async () => {
  await using _pool = failing("stop the pool");
  await using _report = failing("write the report");
  throw new Error("Cannot complete the run", { cause: new Error("no system") });
});`);
  strictEqual(await script.status(), 2);
  match(
    await script.stderr,
    /^Cannot complete the run\n {2}because: no system\n {2}at file:\S+:9:\d+\nCannot write the report\nCannot stop the pool\n$/,
  );
});

Deno.test("runMain() shows a mistake in metadata by its place, as compilers do", async () => {
  await using script = new Script(`
import { openTree } from "${
    import.meta.resolve("../../executors/fmf/metadata/mod.ts")
  }";
await runMain(() => openTree("/nonexistent"));`);
  strictEqual(await script.status(), 2);
  match(await script.stderr, /^\/nonexistent: cannot open a tree here: /);
});

for (
  const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], [
    "SIGHUP",
    129,
  ]] as const
) {
  Deno.test(`runMain() lets main clean up after ${signal} and exits with ${status}`, async () => {
    await using script = new Script(`${WAIT}
await runMain(async (signal) => {
  console.log("ready");
  try { await wait(signal); } finally { console.log("cleaned up after " + signal.reason.signal); }
});`);
    await script.signalWhenReady(signal);
    strictEqual(await script.status(), status);
    strictEqual(
      (await script.stdout.read()).value,
      `cleaned up after ${signal}\n`,
    );
    strictEqual(
      await script.stderr,
      `${signal}: ending what runs, storing what has ended, giving back systems\n`,
    );
  });
}

Deno.test("runMain() ends at the third signal in a row even if main does not", async () => {
  await using script = new Script(`
await runMain(async (signal) => {
  signal.addEventListener("abort", () => {
    Deno.kill(Deno.pid, "SIGINT");
    setTimeout(() => Deno.kill(Deno.pid, "SIGINT"), 50);
  });
  console.log("ready");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});`);
  await script.signalWhenReady("SIGINT");
  strictEqual(await script.status(), 130);
  match(await script.stderr, /only giving back.*\n.*ended before everything/);
});

Deno.test("runMain() tells main at the second signal, and then ends whatever holds the process", async () => {
  await using script = new Script(`
setInterval(() => {}, 1000); // somebody forgot it
await runMain(async (signal) => {
  const aborted = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => aborted.resolve());
  console.log("ready");
  await aborted.promise;
  const { insisted } = signal.reason;
  setTimeout(() => Deno.kill(Deno.pid, "SIGTERM"), 100);
  await new Promise((resolve) => insisted.addEventListener("abort", resolve));
  console.log("at once");
});`);
  await script.signalWhenReady("SIGHUP");
  strictEqual(await script.status(), 129);
  strictEqual((await script.stdout.read()).value, "at once\n");
  match(
    await script.stderr,
    /^SIGHUP: ending .*\nSIGTERM: only giving back systems; once more within 2 s ends the process at once\n$/,
  );
});

Deno.test("runMain() shows an error that is not about the interruption all the same", async () => {
  await using script = new Script(`${WAIT}
await runMain(async (signal) => {
  console.log("ready");
  try { await wait(signal); } catch { throw new Error("Cannot remove the directory"); }
});`);
  await script.signalWhenReady("SIGTERM");
  strictEqual(await script.status(), 143);
  match(await script.stderr, /Cannot remove the directory/);
});

Deno.test("runMain() ends in good order when a promise fails that nobody waits for", async () => {
  await using script = new Script(`${WAIT}
await runMain(async (signal) => {
  Promise.reject(new Error("stray"));
  try { await wait(signal); } finally { console.log("cleaned up"); }
});`);
  strictEqual(await script.status(), 2);
  strictEqual((await script.stdout.read()).value, "cleaned up\n");
  match(await script.stderr, /^Nobody waited for what failed: stray\n/);
});
