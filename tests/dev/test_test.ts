import assert from "node:assert/strict";

const root = new URL("../../", import.meta.url);

/** Runs `dev/test.ts` over a file of tests that is made for it. */
async function runTests(source: string, env: Record<string, string> = {}) {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/some_test.ts`, source);
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-qA", "dev/test.ts", dir],
      cwd: root,
      env: { ATEX_JSR: "standin", CI: "", NO_COLOR: "1", ...env },
      stderr: "null",
    }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    return { code, lines, last: lines.at(-1) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const MIXED = `
  Deno.test("good", async (t) => { await t.step("a step", () => {}); });
  Deno.test("<odd> & \\"quoted\\"", () => {});
  Deno.test({ name: "needs a moon", ignore: true, fn() {} });
`;

Deno.test("dev/test.ts ends with the counts and names what could not run", async () => {
  const { code, lines, last } = await runTests(MIXED);
  assert.equal(last, "tests: 2 passed, 0 failed, 1 skipped");
  assert.equal(code, 0);
  assert.ok(lines.some((line) => /^ {2}.*: needs a moon$/.test(line)));
});

Deno.test("dev/test.ts counts what could not run as failed with CI=true", async () => {
  const { code, last } = await runTests(MIXED, { CI: "true" });
  assert.equal(last, "tests: 2 passed, 1 failed, 0 skipped");
  assert.equal(code, 1);
});

Deno.test("dev/test.ts fails when a test fails", async () => {
  const { code, last } = await runTests(`
    Deno.test("bad", () => { throw new Error("no"); });
    Deno.test("bad step", async (t) => { await t.step("a", () => { throw new Error("no"); }); });
    Deno.test("leak", () => { setTimeout(() => {}, 1e6); });
    Deno.test("good", () => {});
  `);
  assert.equal(last, "tests: 1 passed, 3 failed, 0 skipped");
  assert.equal(code, 1);
});

Deno.test("dev/test.ts fails when a file does not load or holds no test", async () => {
  for (
    const source of [
      "const x: number = 'text';",
      "throw new Error('no');",
      "import './nowhere.ts';",
    ]
  ) {
    const { code, last } = await runTests(source);
    assert.match(last!, /^tests: 0 passed, 1 failed, 0 skipped$/);
    assert.equal(code, 1);
  }
});

Deno.test("dev/test.ts ends what hangs, and counts it as failed", async () => {
  const { code, lines, last } = await runTests(
    `Deno.test("endless", () => new Promise((done) => setTimeout(done, 1e9)));`,
    { ATEX_TEST_MINUTES: "0.1" },
  );
  assert.equal(last, "tests: 0 passed, 1 failed, 0 skipped");
  assert.equal(code, 1);
  assert.ok(lines.some((line) => line.startsWith("took longer than 0.1 min")));
});

Deno.test("dev/test.ts ends its tests when it is ended", async () => {
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(
    `${dir}/some_test.ts`,
    `Deno.test("endless", async () => {
       Deno.writeTextFileSync("${dir}/pid.new", String(Deno.pid));
       Deno.renameSync("${dir}/pid.new", "${dir}/pid");
       await new Promise((done) => setTimeout(done, 1e9));
     });`,
  );
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", "dev/test.ts", dir],
    cwd: root,
    env: { ATEX_JSR: "standin", CI: "", NO_COLOR: "1", TMPDIR: dir },
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await until(() => exists(`${dir}/pid`));
    const pid = Number(await Deno.readTextFile(`${dir}/pid`));
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 143);
    await until(() => !isAlive(pid));
    const left = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    assert.deepEqual(left, ["pid", "some_test.ts"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 50));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A zombie, whom nobody has waited for, is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
