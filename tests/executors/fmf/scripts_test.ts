/** The scripts that run on the system, on this one. */
import assert from "node:assert/strict";
import { PACKAGES } from "../../../executors/fmf/_packages.ts";
import { metadataYaml } from "../../../executors/fmf/_metadata.ts";
import { Float, PlainDate } from "../../../executors/fmf/metadata/value.ts";
import { SetupOutput } from "../../../executors/fmf/_setup_output.ts";
import {
  planSetupScript,
  probeCommand,
  quote,
  readProbe,
  readStart,
  removeCommand,
  startCommand,
  testSetupScript,
  WorkDirectory,
} from "../../../executors/fmf/scripts.ts";
import { WRAPPER } from "../../../executors/fmf/wrapper.ts";
import { cannotRun, missingPrograms } from "../../_parts.ts";
import { Wrapped } from "./_wrapped.ts";

async function output(
  argv: string[],
  options: { stdin?: string; env?: Record<string, string> } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [file, ...args] = argv;
  const child = new Deno.Command(file, {
    args,
    env: { ...options.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  writer.write(new TextEncoder().encode(options.stdin ?? "")).catch(() => {});
  writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("quote() gives bash any text, in ASCII", async () => {
  const characters = Array.from(
    { length: 0x17f },
    (_, index) => String.fromCharCode(index + 1),
  );
  const texts = [
    "",
    ...characters,
    characters.join(""),
    "it's \\'\\\\ $x `x` !x %s \n\r\n\t end\n",
    "€ 😀 \\303\\251 \x011 \x7f7",
    "-n",
    "~",
    "a".repeat(300_000),
  ];
  for (const [start, end] of [[0, 200], [200, 1000]]) {
    const words = texts.slice(start, end).map(quote);
    for (const word of words) assert.match(word, /^[\n\x20-\x7e]+$/);
    const { stdout } = await output(["bash", "-s"], {
      stdin: `printf '%s\\0' ${words.join(" ")}`,
    });
    assert.deepEqual(stdout.split("\0").slice(0, -1), texts.slice(start, end));
  }
});

/** Runs the first command under a shell, in a way that everything can be removed. */
async function runStart(
  shell: string[],
  env: Record<string, string> = {},
): Promise<{ name: string; stdout: string; stderr: string; code: number }> {
  const name = `atex-${crypto.randomUUID().slice(0, 8)}xx`;
  const { argv: [, ...args], stdin } = startCommand(name, true);
  return { name, ...await output([...shell, ...args], { stdin, env }) };
}

const SHELLS: [string, string[], string[]][] = [
  ["sh", ["sh"], ["sh"]],
  ["bash", ["bash"], ["bash"]],
  ["bash as sh", ["bash", "--posix"], ["bash"]],
  ["dash", ["dash"], ["dash"]],
  ["busybox", ["busybox", "sh"], ["busybox"]],
];

for (const [name, shell, programs] of SHELLS) {
  Deno.test({
    name: `the first command makes the work directory: ${name}`,
    ignore: cannotRun(`scripts: ${name}`, missingPrograms(...programs)),
    async fn() {
      const { name, stdout, stderr, code } = await runStart(shell);
      assert.equal(stderr, "");
      assert.equal(code, 0);
      const { missing, work, boot } = readStart(name, stdout);
      assert.deepEqual(missing, []);
      assert.ok(work);
      try {
        assert.match(work, new RegExp(`^/var/(tmp/)?${name}$`));
        const own = await Deno.readTextFile("/proc/sys/kernel/random/boot_id");
        assert.equal(boot, own.trim());
        assert.equal(Deno.statSync(work).mode! & 0o777, 0o700);
        const read = (file: string) => Deno.readTextFile(`${work}/${file}`);
        assert.equal(await read("wrapper"), WRAPPER);
        assert.equal(await read("packages"), PACKAGES);
        assert.equal(await read("plan_env"), "");
        assert.equal(
          Deno.statSync(`${work}/plan_env`).mode! & 0o777,
          0o600,
        );
      } finally {
        await output(removeCommand(name, work));
      }
      assert.throws(() => Deno.statSync(work), Deno.errors.NotFound);
    },
  });
}

Deno.test("the work directory is where it can be, and is removed wherever it is", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    await Deno.writeTextFile(
      `${directory}/mkdir`,
      `#!/bin/sh\ncase "$1" in /var/*) exit 1 ;; esac\nexec /bin/mkdir "$@"\n`,
      { mode: 0o755 },
    );
    const env = {
      PATH: `${directory}:${Deno.env.get("PATH")}`,
      TMPDIR: directory,
    };
    const { name, stdout } = await runStart(["sh"], env);
    assert.equal(readStart(name, stdout).work, `${directory}/${name}`);
    // as after an answer that did not arrive
    await output(removeCommand(name), { env });
    assert.throws(
      () => Deno.statSync(`${directory}/${name}`),
      Deno.errors.NotFound,
    );
    const { name: other, stdout: nowhere } = await runStart(["sh"], {
      ...env,
      TMPDIR: "/does/not/exist",
    });
    assert.deepEqual(readStart(other, nowhere).missing, [
      "a directory to work in: cannot write to /var, /var/tmp and /does/not/exist",
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("everything that is missing is told at once, and nothing is made", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    for (const tool of ["mkdir", "rm"]) {
      await Deno.symlink(`/bin/${tool}`, `${directory}/${tool}`);
    }
    await Deno.writeTextFile(`${directory}/bash`, "#!/bin/sh\nexit 1\n", {
      mode: 0o755,
    });
    const { name, stdout, code } = await runStart(["/bin/sh"], {
      PATH: directory,
    });
    assert.equal(code, 0);
    assert.deepEqual(readStart(name, stdout), {
      missing: [
        "bash 4.2 or newer",
        ...["setsid", "env", "sleep", "chmod", "rsync or tar"],
      ],
      boot: "",
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("readStart() finds the answer in what a login shell prints", () => {
  const { missing, work, boot } = readStart(
    "atex-x",
    "Welcome!\nmissing atex-x\natex-x boot 1-2\natex-x work /var/a b\nBye",
  );
  assert.deepEqual([missing, work, boot], [[], "/var/a b", "1-2"]);
  assert.deepEqual(readStart("atex-x", "Welcome!"), { missing: [], boot: "" });
});

Deno.test("a probe tells what became of a test", async (t) => {
  const probe = async (directory: string, end = false) => {
    // the state of a wrapped test is where that of a work directory would be
    await Deno.symlink(`${directory}/state`, `${directory}/test`)
      .catch(() => {});
    const argv = probeCommand(new WorkDirectory(directory), end);
    const { stdout, code } = await output(argv);
    assert.equal(code, 0);
    return readProbe(stdout);
  };
  await t.step("that runs, and is ended", async () => {
    await using wrapped = new Wrapped({
      test: "echo noop running >&8; sleep 60",
      lifeline: true,
    });
    await wrapped.saw("running");
    const found = { restarted: false, alive: true };
    assert.deepEqual(await probe(wrapped.directory), found);
    assert.deepEqual(await probe(wrapped.directory, true), found);
    await wrapped.gone();
    assert.deepEqual(await probe(wrapped.directory), {
      restarted: false,
      alive: false,
    });
    assert.equal((await wrapped.end()).code, 143);
  });
  await t.step("whose wrapper was killed, and that is ended", async () => {
    await using wrapped = new Wrapped({
      test:
        "echo noop running >&8; timeout 60 sleep 60 & set -m; sleep 60 & sleep 60",
      lifeline: true,
    });
    await wrapped.saw("running");
    wrapped.send("release\n");
    // the lifeline is read in order
    await new Promise((resolve) => setTimeout(resolve, 300));
    Deno.kill(wrapped.child.pid, "SIGKILL");
    await wrapped.child.status;
    assert.match(wrapped.survivors().join(), /sleep 60/);
    const found = { restarted: false, alive: false };
    assert.deepEqual(await probe(wrapped.directory), found);
    await wrapped.gone();
  });
  await t.step("that ran before the system was started", async () => {
    await using wrapped = new Wrapped({ test: "true" });
    await wrapped.end();
    const file = `${wrapped.state}/wrapper.pid`;
    const [pid, start] = (await Deno.readTextFile(file)).split(" ");
    await Deno.writeTextFile(file, `${pid} ${start} another-boot-1\n`);
    const found = { restarted: true, alive: false };
    assert.deepEqual(await probe(wrapped.directory), found);
  });
  await t.step("whose process number somebody else has", async () => {
    await using wrapped = new Wrapped({ test: "true" });
    await wrapped.end();
    const file = `${wrapped.state}/wrapper.pid`;
    const [, start, boot] = (await Deno.readTextFile(file)).split(" ");
    await Deno.writeTextFile(file, `${Deno.pid} ${start} ${boot}`);
    const found = { restarted: false, alive: false };
    assert.deepEqual(await probe(wrapped.directory), found);
  });
  await t.step("that left no trace", async () => {
    await using wrapped = new Wrapped({ test: "true" });
    await wrapped.end();
    await Deno.remove(wrapped.state, { recursive: true });
    assert.equal(await probe(wrapped.directory), undefined);
  });
});

Deno.test("a set-up writes what the test needs", async () => {
  const work = new WorkDirectory("/var/atex work's");
  const setup = testSetupScript(work, {
    test: 'echo "$X"; cat <<EOF\n$Y\nEOF\nžluť',
    required: [],
    recommended: [],
    terminal: false,
    metadata: "summary: it's\n",
    environment: ["X=1", "Y=a\nb", "Z=€'\\", "EMPTY="],
  });
  assert.match(setup, /^[\n\x20-\x7e]+$/);
  await using wrapped = new Wrapped({ setup, flags: ["only"] });
  assert.equal((await wrapped.end()).code, 0);
  const read = (file: string) =>
    Deno.readTextFileSync(`${wrapped.state}/${file}`);
  const mode = (file: string) =>
    Deno.statSync(`${wrapped.state}/${file}`).mode! & 0o777;
  assert.equal(read("metadata.yaml"), "summary: it's\n");
  assert.equal(read("environment"), "X=1\0Y=a\nb\0Z=€'\\\0EMPTY=\0");
  const lines = read("test.sh").split("\n");
  assert.equal(lines[0], "#!/bin/bash");
  assert.deepEqual(lines.slice(lines.indexOf("set -e -o pipefail") + 1), [
    'echo "$X"; cat <<EOF',
    "$Y",
    "EOF",
    "žluť",
    "",
  ]);
  assert.deepEqual(
    [mode("metadata.yaml"), mode("environment"), mode("test.sh")],
    [0o644, 0o600, 0o755],
  );
});

Deno.test("a set-up without variables leaves an empty environment", async () => {
  const setup = planSetupScript(new WorkDirectory("/var/x"), "true", []);
  await using wrapped = new Wrapped({ setup, flags: ["only"] });
  assert.equal((await wrapped.end()).code, 0);
  assert.equal(Deno.statSync(`${wrapped.state}/environment`).size, 0);
});

Deno.test("a set-up refuses NUL", () => {
  const work = new WorkDirectory("/var/x");
  assert.throws(() => planSetupScript(work, "a\0b", []), TypeError);
});

Deno.test("metadata is YAML in block style, without anchors and folded lines", async () => {
  const shared = ["a", "b"];
  const data = Object.assign(Object.create(null), {
    test: "./run.sh\nsecond line\n",
    summary: `${"long ".repeat(50)}line`,
    tag: shared,
    component: shared,
    duration: "1h",
    priority: 5,
    factor: new Float(1),
    since: new PlainDate("2024-02-29"),
    big: 2n ** 40n,
    bigger: 2n ** 70n,
    enabled: true,
    nothing: null,
    environment: { A: "1", B: 2, __proto__: null, constructor: "c" },
    require: [{ type: "library", name: "/x" }, "bash"],
    empty: [],
    numbers: new Map([[1, "one"]]),
  });
  const yaml = await metadataYaml(data);
  const lines = yaml.split("\n");
  assert.doesNotMatch(yaml, /[&*]/);
  assert.ok(lines.includes(`summary: ${"long ".repeat(50)}line`));
  for (
    const line of [
      "  - a",
      "duration: 1h",
      "priority: 5",
      "enabled: true",
      "nothing: null",
      "big: 1099511627776",
      "bigger: '1180591620717411303424'",
      "  constructor: c",
      "  - bash",
      "empty: []",
    ]
  ) assert.ok(lines.includes(line), `${line}\nis not in\n${yaml}`);
  assert.match(yaml, /^require:\n {2}- type: library\n {4}name: \/x\n/m);
  assert.match(yaml, /^test: \|\n {2}\.\/run\.sh\n {2}second line\n/m);
});

Deno.test("SetupOutput finds the start mark at every split", () => {
  const bytes = new TextEncoder().encode(
    "noop atex-start n\rnoop atex-starnoop atex-start n1\nexitcode 0\n",
  );
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second += 3) {
      const output = new SetupOutput("n1");
      let rest = "";
      let found = false;
      for (
        const piece of [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ]
      ) {
        const took: Uint8Array | undefined = found ? piece : output.take(piece);
        found ||= took !== undefined;
        rest += new TextDecoder().decode(took);
      }
      assert.equal(output.text, "noop atex-start n\rnoop atex-star");
      assert.equal(rest, "noop atex-start n1\nexitcode 0\n");
    }
  }
});

Deno.test("SetupOutput keeps the end of a flood", () => {
  const output = new SetupOutput("n");
  const flood = new Uint8Array(1_000_000).fill(120);
  for (let round = 0; round < 20; round++) {
    assert.equal(output.take(flood), undefined);
  }
  const end = new TextEncoder().encode("the end\nnoop atex-start n\n");
  assert.ok(output.take(end));
  assert.match(output.text, /^\[cut\]x{1000000,}the end\n$/);
  assert.ok(output.text.length < 5_000_000);
});
