/**
 * Runs every script of `examples/` as a user would: a copy, in a directory
 * outside of this repository, that gets everything by `jsr:`.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { Agent } from "../_agent.ts";
import { readPage } from "../aggregators/_html.ts";
import { Container, imageName, podmanMissing } from "../_podman.ts";
import { cannotRun, Sshd, sshdMissing } from "../_sshd.ts";
import { EXAMPLES as PERMISSIONS } from "./_permissions.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

const noPodman = cannotRun("examples with containers", podmanMissing());
const noSshd = cannotRun("examples with ssh", sshdMissing());

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** A directory with a copy of the examples, to run them in. */
class Workplace implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async open(): Promise<Workplace> {
    const path = await Deno.makeTempDir({ prefix: "atex-test-" });
    await command("cp", "-r", EXAMPLES.pathname, `${path}/examples`);
    return new Workplace(path);
  }

  /** Runs an example. */
  async run(
    example: string,
    args: string[] = [],
    env: Record<string, string> = {},
    flags: string[] = this.flagsOf(example),
  ): Promise<Outcome> {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", ...flags, `examples/${example}`, ...args],
      cwd: this.path,
      env: { ...this.env, ...env },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return {
      code,
      stdout: decoder.decode(stdout),
      stderr: decoder.decode(stderr),
    };
  }

  /** The permissions that docs/security.md names. */
  flagsOf(example: string): string[] {
    const flags = PERMISSIONS[example]!.map((flag) =>
      `--allow-${flag.replace("=DIR", `=${this.path}`)}`
    );
    return ["--no-prompt", ...flags];
  }

  /** What is written beside results is written here, too. */
  get env(): Record<string, string> {
    return { NO_COLOR: "1", TMPDIR: this.path, XDG_RUNTIME_DIR: this.path };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

async function command(file: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(file, { args }).output();
  ok(success, new TextDecoder().decode(stderr));
}

type Line = [
  platform: string,
  status: string,
  test: string,
  name: string | null,
  files: string[],
  note: string | null,
];

async function resultsIn(directory: string): Promise<Line[]> {
  const text = await Deno.readTextFile(`${directory}/results.jsonl`);
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** What the demo stores, wherever it ran: status by test and subtest. */
const DEMO_RESULTS = [
  "/arithmetic/negative pass",
  "/arithmetic/small pass",
  "/flaky pass",
  "/results/files pass",
  "/results/output pass",
  "/results/partial pass",
  "/results/subtests compare pass",
  "/results/subtests format pass",
  "/results/subtests network/ipv6 skip",
  "/results/subtests parse pass",
  "/results/subtests pass",
  "/results/subtests speed info",
  "/slow/long pass",
  "/slow/short pass",
  "/smoke pass",
  "/system/destructive pass",
  "/system/environment pass",
  "/system/leftovers pass",
];

async function checkDemo(
  workplace: Workplace,
  { code, stdout, stderr }: Outcome,
  on: string,
) {
  strictEqual(code, 0, `${stdout}\n${stderr}`);
  match(stdout, /^again {2}\/flaky {2}exit code 1, /m);
  match(stdout, /\n13 passed, 0 failed, 1 flaky in /);
  const directory = /^Results: (\S+)\/results\.jsonl$/m.exec(stdout)![1]!;
  const output = directory.startsWith("/")
    ? directory
    : `${workplace.path}/${directory}`;
  const lines = await resultsIn(output);
  deepStrictEqual(
    lines.map(([, status, test, name]) =>
      [test, name, status].filter((part) => part !== null).join(" ")
    ).sort(),
    DEMO_RESULTS,
  );
  ok(lines.every(([platform]) => platform === on));
  const files = (test: string) =>
    lines.find(([, , name, sub]) => name === test && sub === null)![4];
  deepStrictEqual(
    files("/results/files"),
    ["output.txt", "bytes.bin", "mounts.txt"].slice(1),
  );
  deepStrictEqual(files("/results/partial"), ["output.txt", "steps.txt"]);
  const platform = on.replaceAll("\0", "_");
  strictEqual(
    await Deno.readTextFile(
      `${output}/files/${platform}/results/partial/steps.txt`,
    ),
    "step 1\nstep 2\nstep 3\n",
  );
  deepStrictEqual(
    await Deno.readFile(`${output}/files/${platform}/results/files/bytes.bin`),
    new Uint8Array([0, 1, 2, 255]),
  );
  strictEqual(
    await Deno.readTextFile(`${output}/files/${platform}/flaky/output.txt`),
    "attempt 2\n",
  );
  deepStrictEqual(
    [...Deno.readDirSync(output)].map(({ name }) => name).sort(),
    ["files", "report.html", "results.jsonl"],
  );
  match(stdout, /\nReport: {2}\S+\/report\.html\n$/);
  const { final, tests, runs } = await readPage(`${output}/report.html`);
  deepStrictEqual([final, tests.length, runs.length], [true, 13, 1]);
}

Deno.test("examples/demo.ts runs the suite on local systems", async () => {
  await using workplace = await Workplace.open();
  await checkDemo(workplace, await workplace.run("demo.ts"), "local");
});

Deno.test({
  name:
    "examples/demo.ts runs the suite on containers with neither Python nor rsync",
  ignore: noPodman,
  fn: async () => {
    await using workplace = await Workplace.open();
    const on = `podman:${imageName("tiny")}`;
    await checkDemo(
      workplace,
      await workplace.run("demo.ts", ["--on", on, "--output", "there"], {}, [
        "-A",
      ]),
      on,
    );
  },
});

Deno.test({
  name: "examples/demo.ts runs the suite on hosts that it reaches over ssh",
  ignore: noPodman || noSshd,
  fn: async () => {
    await using workplace = await Workplace.open();
    await using agent = await Agent.start(Deno.env.get("ATEX_TEST_KEY")!);
    await using one = await Container.start({ image: "tiny-ssh" });
    await using two = await Container.start({ image: "tiny-ssh" });
    const on = `ssh:root@127.0.0.1:${one.port},root@127.0.0.1:${two.port}`;
    await checkDemo(
      workplace,
      await workplace.run("demo.ts", ["--on", on], agent.env, ["-A"]),
      on,
    );
  },
});

Deno.test("examples/demo.ts says what is wrong with its options and exits with 2", async () => {
  await using workplace = await Workplace.open();
  const { code, stderr } = await workplace.run("demo.ts", ["--on", "nowhere"]);
  strictEqual(code, 2);
  match(stderr, /nowhere/);
  await Deno.mkdir(`${workplace.path}/out`);
  await Deno.writeTextFile(`${workplace.path}/out/results.jsonl`, "");
  const again = await workplace.run("demo.ts", ["--output", "out"]);
  strictEqual(again.code, 2);
  match(again.stderr, /results\.jsonl/);
});

Deno.test({
  name: "examples/containers.ts runs the suite on containers",
  ignore: noPodman,
  fn: async () => {
    await using workplace = await Workplace.open();
    const { code, stdout, stderr } = await workplace.run("containers.ts", [
      imageName("tiny"),
    ]);
    strictEqual(code, 0, stdout + stderr);
    strictEqual(
      (await resultsIn(`${workplace.path}/out`)).length,
      DEMO_RESULTS.length,
    );
  },
});

Deno.test({
  name: "examples/functions.ts runs functions as tests on containers",
  ignore: noPodman,
  fn: async () => {
    await using workplace = await Workplace.open();
    const image = imageName("tiny");
    const { code, stdout, stderr } = await workplace.run("functions.ts", [
      image,
    ]);
    strictEqual(code, 0, stdout + stderr);
    deepStrictEqual(
      (await resultsIn(`${workplace.path}/out`)).map((
        [, status, test, name, files],
      ) => [status, test, name, files]).sort(),
      [
        ["pass", "/boots", null, ["output.txt"]],
        ["pass", "/disk", null, ["output.txt"]],
        ["pass", "/disk", "space", ["df.txt"]],
      ],
    );
  },
});

Deno.test("examples/resume.ts goes on after it was interrupted or killed", async () => {
  await using workplace = await Workplace.open();
  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-q",
        ...workplace.flagsOf("resume.ts"),
        "examples/resume.ts",
        "0.3",
      ],
      cwd: workplace.path,
      env: workplace.env,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let printed = "";
    let sent = false;
    for await (
      const text of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      printed += text;
      if (sent || !/^pass /m.test(printed)) continue;
      child.kill(signal);
      sent = true;
    }
    ok(!(await child.status).success, printed);
  }
  const { code, stdout, stderr } = await workplace.run("resume.ts", ["0.1"]);
  strictEqual(code, 0, stdout + stderr);
  match(stdout, /^goes on: \d+ of them are done already$/m);
  match(stdout, /\n20 passed, 0 failed/);
  const lines = await resultsIn(`${workplace.path}/out`);
  deepStrictEqual(
    lines.map(([, status, test]) => `${test} ${status}`).sort(),
    Array.from({ length: 20 }, (_, i) => `/long/${i + 1} pass`).sort(),
  );
  deepStrictEqual(
    [...Deno.readDirSync(`${workplace.path}/out`)].map(({ name }) => name)
      .sort(),
    ["files", "results.jsonl", "run.journal"],
  );
});

Deno.test("examples/one_by_one.ts runs a suite on this machine", async () => {
  await using workplace = await Workplace.open();
  const { code, stdout, stderr } = await workplace.run("one_by_one.ts");
  strictEqual(code, 0, stdout + stderr);
  match(stdout, /pass {3}\/smoke /);
});

Deno.test("examples/own_provisioner.ts uses a provisioner of its own", async () => {
  await using workplace = await Workplace.open();
  const { code, stdout, stderr } = await workplace.run("own_provisioner.ts");
  strictEqual(code, 0, stderr);
  match(stdout, /^2 tests passed in [12] directories\n$/);
  const left = Array.from(Deno.readDirSync(workplace.path), ({ name }) => name);
  deepStrictEqual(left, ["examples"]);
});

Deno.test({
  name: "examples/one_machine.ts runs a test on one machine",
  ignore: noSshd,
  fn: async () => {
    await using workplace = await Workplace.open();
    await using sshd = await Sshd.start();
    await using agent = await Agent.start(`${sshd.directory}/key`);
    const host = `${sshd.user}@127.0.0.1:${sshd.port}`;
    const { code, stdout, stderr } = await workplace.run("one_machine.ts", [
      host,
    ], agent.env);
    strictEqual(code, 0, stderr);
    match(stdout, /status: "pass"/);
    const directory = /files in (\S+)\/files/.exec(stdout)![1]!;
    await Deno.remove(directory, { recursive: true });

    const unreachable = await workplace.run("one_machine.ts", [
      "root@127.0.0.1:1",
    ], agent.env);
    strictEqual(unreachable.code, 2);
    match(unreachable.stderr, /127\.0\.0\.1.*\n?[^]*refused/);
  },
});

Deno.test({
  name: "examples/commands.ts runs commands on several machines",
  ignore: noSshd,
  fn: async () => {
    await using workplace = await Workplace.open();
    await using one = await Sshd.start();
    await using agent = await Agent.start(`${one.directory}/key`);
    const host = `${one.user}@127.0.0.1:${one.port}`;
    const { code, stdout, stderr } = await workplace.run("commands.ts", [
      host,
      host,
    ], agent.env);
    strictEqual(code, 0, stderr);
    strictEqual(stdout.match(/: kernel \S+, load [\d. ]+\n/g)?.length, 2);
  },
});
