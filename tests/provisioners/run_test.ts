import assert from "node:assert/strict";
import {
  formatOwner,
  parseOwner,
  startTimeOf,
} from "../../connections/ownership.ts";
import {
  findDeadRuns,
  findLivingRuns,
} from "../../provisioners/_other_runs.ts";
import {
  describeOwner,
  findRunDirectories,
  getRunId,
  holdRun,
  kindsIn,
  nextNumber,
  openRunDirectory,
} from "../../provisioners/_run.ts";
import { probeLock } from "../../provisioners/_verdict.ts";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Sets a variable of the environment for a while. */
function withRuntimeDirectory(value: string | undefined): Disposable {
  const before = Deno.env.get("XDG_RUNTIME_DIR");
  const set = (value?: string) =>
    value === undefined
      ? Deno.env.delete("XDG_RUNTIME_DIR")
      : Deno.env.set("XDG_RUNTIME_DIR", value);
  set(value);
  return { [Symbol.dispose]: () => set(before) };
}

async function temporary(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "atex-test-" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("getRunId() is the same ten letters and digits all the time", () => {
  assert.match(getRunId(), /^[a-z0-9]{10}$/);
  assert.equal(getRunId(), getRunId());
});

Deno.test("nextNumber() gives no number twice", () => {
  const numbers = [nextNumber(), nextNumber(), nextNumber()];
  assert.equal(new Set(numbers).size, 3);
});

Deno.test("openRunDirectory() makes a directory that is ours alone", async () => {
  await using runtime = await temporary();
  using _ = withRuntimeDirectory(runtime.path);
  assert.equal(await openRunDirectory(), `${runtime.path}/atex/runs`);
  await Deno.chmod(`${runtime.path}/atex`, 0o777);
  assert.equal(await openRunDirectory(), `${runtime.path}/atex/runs`);
  const { mode } = await Deno.stat(`${runtime.path}/atex`);
  assert.equal(mode! & 0o777, 0o700);
});

Deno.test("openRunDirectory() leaves alone what is not a directory of ours", async () => {
  await using runtime = await temporary();
  await Deno.mkdir(`${runtime.path}/elsewhere`);
  const atex = `${runtime.path}/atex`;
  await Deno.symlink(`${runtime.path}/elsewhere`, atex);
  using _ = withRuntimeDirectory(runtime.path);
  const fallback = `/tmp/atex-${Deno.uid()}/runs`;
  assert.equal(await openRunDirectory(), fallback);
  await Deno.remove(atex);
  await Deno.mkdir(atex, { mode: 0o700 });
  await Deno.writeTextFile(`${atex}/runs`, "in the way");
  assert.equal(await openRunDirectory(), fallback);
  for (const unusable of [`${runtime.path}/missing`, "relative", undefined]) {
    using _ = withRuntimeDirectory(unusable);
    assert.equal(await openRunDirectory(), fallback);
  }
  assert.deepEqual([...Deno.readDirSync(`${runtime.path}/elsewhere`)], []);
});

Deno.test("run files are looked for in no directory that is not ours", async () => {
  await using runtime = await temporary();
  using _ = withRuntimeDirectory(runtime.path);
  const atex = `${runtime.path}/atex`;
  const isFound = async () =>
    (await findRunDirectories()).includes(`${atex}/runs`);
  assert.equal(await isFound(), false);
  await openRunDirectory();
  assert.equal(await isFound(), true);
  for (const path of Deno.uid() === 0 ? [atex, `${atex}/runs`] : []) {
    await Deno.chown(path, 12_345, 12_345);
    assert.equal(await isFound(), false, path);
    await Deno.chown(path, 0, 0);
  }
  await Deno.rename(atex, `${runtime.path}/elsewhere`);
  await Deno.symlink(`${runtime.path}/elsewhere`, atex);
  assert.equal(await isFound(), false);
});

Deno.test("run files are plain files: no pipe is waited for, and no link followed", async () => {
  await using runtime = await temporary();
  using _ = withRuntimeDirectory(runtime.path);
  const directory = await openRunDirectory();
  const pipe = `${directory}/aaaaaaaaa1`;
  await new Deno.Command("mkfifo", { args: [pipe] }).output();
  const precious = `${runtime.path}/precious`;
  await Deno.writeTextFile(precious, "{}\ntest\n");
  await Deno.symlink(precious, `${directory}/aaaaaaaaa2`);
  await Deno.writeTextFile(`${directory}/aaaaaaaaa3`, "{}\ntest\nother\n");
  await using me = await holdRun("test");
  const end = await Deno.open(pipe, { read: true, write: true });
  const looked = Promise.all([findDeadRuns(me), findLivingRuns()]);
  // Whoever waits for the pipe goes on, or this test would never end.
  const late = setTimeout(() => end[Symbol.dispose](), 10_000);
  const ids = (await looked).map((runs) =>
    runs.map(({ id }) => id).filter((id) =>
      id.startsWith("aaaaaaaaa") || id === me.id
    )
  );
  clearTimeout(late);
  end[Symbol.dispose]();
  assert.deepEqual(ids, [["aaaaaaaaa3"], [me.id]]);
});

Deno.test("holdRun() keeps one locked file until its last holder is gone", async () => {
  await using runtime = await temporary();
  using _ = withRuntimeDirectory(runtime.path);
  const [first, second] = await Promise.all([
    holdRun("test"),
    holdRun("other"),
  ]);
  assert.equal(first.id, getRunId());
  assert.equal(first.directory, `${runtime.path}/atex/runs`);
  const path = `${first.directory}/${first.id}`;
  assert.deepEqual([...Deno.readDirSync(first.directory)].map((e) => e.name), [
    first.id,
  ]);
  const text = await Deno.readTextFile(path);
  const content = JSON.parse(text.split("\n")[0]);
  assert.equal(content.run, first.id);
  assert.equal(content.pid, String(Deno.pid));
  assert.equal(content.script, Deno.mainModule);
  assert.deepEqual(kindsIn(text), ["test", "other"]);
  assert.equal(await probeLock(path), "locked");
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose](); // counts once
  assert.equal(await probeLock(path), "locked");
  const closing = second[Symbol.asyncDispose]();
  const third = await holdRun("test"); // while the former file is being removed
  await closing;
  assert.equal(await probeLock(path), "locked");
  await third[Symbol.asyncDispose]();
  assert.equal(await probeLock(path), "missing");
});

Deno.test("holdRun() that fails tells all that is in the way, and works later", async () => {
  await using runtime = await temporary();
  await Deno.mkdir(`${runtime.path}/atex/runs`, { recursive: true });
  await Deno.chmod(`${runtime.path}/atex`, 0o700);
  using _ = withRuntimeDirectory(runtime.path);
  const { open } = Deno;
  try {
    Deno.open = () => Promise.reject(new Error("no space left"));
    await assert.rejects(holdRun("test"), {
      name: "ProvisionError",
      fatal: true,
      message:
        `Cannot lock a run file in "${runtime.path}/atex/runs": no space left`,
    });
  } finally {
    Deno.open = open;
  }
  await using run = await holdRun("test");
  assert.equal(await probeLock(`${run.directory}/${run.id}`), "locked");
});

Deno.test("a run file is free as soon as its process is killed, even while children live", async () => {
  await using runtime = await temporary();
  const script = `
    import { holdRun } from "${new URL(
    "../../provisioners/_run.ts",
    import.meta.url,
  )}";
    const run = await holdRun("test");
    const child = new Deno.Command("sleep", { args: ["60"], detached: true, stdout: "null" }).spawn();
    console.log(run.directory + "/" + run.id + " " + child.pid);
    await child.status;`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `--config=${CONFIG}`, "-"],
    env: { XDG_RUNTIME_DIR: runtime.path },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const [path, pid] = new TextDecoder().decode(value).trim().split(" ");
  assert.equal(await probeLock(path), "locked");
  child.kill("SIGKILL");
  await child.status;
  try {
    assert.equal(await probeLock(path), "free");
    assert.equal(await probeLock(path), "free"); // looking changes nothing
  } finally {
    Deno.kill(Number(pid), "SIGKILL");
    await reader.cancel();
  }
});

Deno.test("describeOwner() tells this process from others", async () => {
  await using directory = await temporary();
  const owner = await describeOwner(directory.path);
  assert.equal(owner.hostname, Deno.hostname());
  assert.equal(owner.pid, String(Deno.pid));
  assert.deepEqual(parseOwner(formatOwner(owner)), owner);
  for (const field of Object.values(owner)) assert.match(field, /^[^/]+$/);
  await using other = await temporary();
  assert.notEqual(
    (await describeOwner(other.path)).directory,
    owner.directory,
  );
});

Deno.test("parseOwner() takes nothing else for an owner", () => {
  for (
    const text of ["", "a/b", "a/b/c/d/e/f", "a/b/c/d/e/f/g/h", "a/b/c//e/f/g"]
  ) {
    assert.equal(parseOwner(text), undefined);
  }
});

Deno.test({
  name: "startTimeOf() reads the start of any process, whatever its name",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const mine = await startTimeOf("self");
    assert.match(mine!, /^\d+$/);
    assert.equal(await startTimeOf(String(Deno.pid)), mine);
    assert.equal(await startTimeOf("0"), undefined);
    await using directory = await temporary();
    const program = `${directory.path}/a) S 1 (b`;
    await Deno.copyFile("/bin/sleep", program);
    const child = new Deno.Command(program, { args: ["60"] }).spawn();
    const started = await startTimeOf(String(child.pid));
    child.kill("SIGKILL");
    await child.status;
    assert.match(started!, /^\d+$/);
    const zombie = new Deno.Command("sh", {
      args: ["-c", "sleep 0.5 & echo $!; exec sleep 60"],
      stdout: "piped",
    }).spawn();
    const reader = zombie.stdout.getReader();
    const pid = new TextDecoder().decode((await reader.read()).value).trim();
    while (await startTimeOf(pid) !== undefined) { // until it has ended
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.match(await Deno.readTextFile(`/proc/${pid}/stat`), / Z /);
    await reader.cancel();
    zombie.kill("SIGKILL");
    await zombie.status;
    assert.ok(Number(started) >= Number(mine));
  },
});

Deno.test({
  name: "startTimeOf() takes nobody for dead while too many files are open",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const owner = new URL("../../connections/ownership.ts", import.meta.url);
    const script = `
      import { startTimeOf } from "${owner}";
      const files = [];
      try {
        for (;;) files.push(Deno.openSync("/dev/null"));
      } catch {
        // Now they are too many.
      }
      const error = await startTimeOf("1").catch((error) => error);
      for (const file of files) file.close();
      console.log(error?.message ?? error);`;
    const child = new Deno.Command("sh", {
      args: [
        ...["-c", 'ulimit -n 60; exec "$@"', "sh", Deno.execPath()],
        ...["run", "-A", "--no-check", `--config=${CONFIG}`, "-"],
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(script));
    await writer.close();
    const { stdout } = await child.output();
    assert.match(new TextDecoder().decode(stdout), /Too many open files/);
  },
});

Deno.test({
  name: "holdRun() on a full disk tells so, leaves nothing, and works later",
  ignore: !smallDiskAvailable,
  fn: async () => {
    await using runtime = await temporary();
    const module = "./provisioners/_hold_run_on_small_disk.ts";
    assert.deepEqual(
      onSmallDisk(runtime.path, "64k", module, [runtime.path]),
      {
        failure: {
          name: "ProvisionError",
          message:
            `Cannot lock a run file in "${runtime.path}/atex/runs": No space left on device (os error 28)`,
          fatal: true,
        },
        left: [],
        held: 1,
        end: [],
      },
    );
  },
});
