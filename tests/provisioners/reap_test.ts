/** reap(): what is removed, and what is not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { formatOwner, holdRun } from "../../provisioners/_run.ts";
import { reap, type ReapOptions } from "../../provisioners/reap.ts";
import { exists } from "../_wait.ts";
import { FakePodman } from "./_fake_podman.ts";

const DAY_AGO = new Date(Date.now() - 86_400_000);

Deno.test("reap() removes containers of dead scripts only, and tells of all", async () => {
  await using podman = await FakePodman.make();
  await using run = await holdRun();
  const dead = formatOwner({ ...run.owner, bootId: "former" });
  const container = (name: string, owner: string, run: string) => {
    Deno.writeTextFileSync(`${podman.directory}/containers/${name}`, "");
    return {
      Names: [name],
      Labels: { "atex.run": run, "atex.owner": owner },
      Created: Date.now() / 1000 - 60,
    };
  };
  await podman.list([
    container("atex-aaaaaaaaaa-1-2", dead, "aaaaaaaaaa"),
    container(`atex-${run.id}-1-2`, formatOwner(run.owner), run.id),
    container("atex-bbbbbbbbbb-1-2", dead, "other"), // labels of its image
    container("somebodys", dead, "aaaaaaaaaa"),
  ]);
  const options: ReapOptions = {
    kinds: ["container"],
    podman: podman.program,
  };
  const look = async (dryRun: boolean) =>
    (await reap({ ...options, dryRun })).map(({ age, ...rest }) => {
      assert.ok(age >= 60_000 && age < 120_000);
      return rest;
    });
  const left = (removed: boolean) => [
    {
      kind: "container",
      name: "atex-aaaaaaaaaa-1-2",
      run: "aaaaaaaaaa",
      owner: dead,
      verdict: "dead",
      removed,
    },
    {
      kind: "container",
      name: `atex-${run.id}-1-2`,
      run: run.id,
      owner: formatOwner(run.owner),
      verdict: "alive",
      removed: false,
    },
  ];
  assert.deepEqual(await look(true), left(false));
  assert.equal(podman.containers.length, 4);
  assert.deepEqual(await look(false), left(true));
  assert.deepEqual(
    podman.containers.sort(),
    [
      `atex-${run.id}-1-2`,
      "atex-bbbbbbbbbb-1-2",
      "somebodys",
    ].sort(),
  );
});

Deno.test("reap() tells which container it could not remove, and goes on", async () => {
  await using podman = await FakePodman.make();
  await using run = await holdRun();
  const dead = formatOwner({ ...run.owner, bootId: "former" });
  await podman.list(["a", "b"].map((letter) => ({
    Names: [`atex-${letter.repeat(10)}-1-2`],
    Labels: { "atex.run": letter.repeat(10), "atex.owner": dead },
  })));
  await podman.fault(
    "rm",
    'case $* in *aaaa*) echo "Error: busy" >&2; exit 1; esac',
  );
  const [a, b] = await reap({ kinds: ["container"], podman: podman.program });
  assert.equal(a.removed, false);
  assert.match(a.error!.message, /busy/);
  assert.equal(b.removed, true);
});

Deno.test("reap() without podman has no containers to tell of, unless asked for them", async () => {
  const podman = "no-such-podman";
  assert.deepEqual(await reap({ podman, directories: [] }), []);
  await assert.rejects(reap({ podman, kinds: ["container"] }), {
    name: "ProvisionError",
    message: /the program "no-such-podman" is not installed/,
  });
});

Deno.test("reap() removes directories of dead connections and runs only", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  await using run = await holdRun();
  const make = async (name: string, old = false) => {
    const path = join(directory, name);
    await Deno.mkdir(path);
    if (old) await Deno.utime(path, DAY_AGO, DAY_AGO);
    return path;
  };
  const listen = (path: string) =>
    Deno.listen({ transport: "unix", path: join(path, "s") });
  const expected: Record<string, "alive" | "dead" | "unknown"> = {
    "atex-ssh-alive": "alive",
    "atex-ssh-dead": "dead",
    "atex-ssh-empty": "unknown", // may be about to be used
    "atex-ssh-forgotten": "dead",
    "atex-ssh-password": "unknown",
    "atex-ssh-used": "alive",
    [`atex-${run.id}-x1`]: "alive",
    "atex-aaaaaaaaaa-old": "dead",
    "atex-aaaaaaaaaa-new": "unknown",
  };
  using alive = listen(await make("atex-ssh-alive"));
  const dead = await make("atex-ssh-dead");
  const killed = listen(dead); // removes its socket, unlike one that is killed
  await Deno.link(join(dead, "s"), join(dead, "t"));
  killed.close();
  await Deno.rename(join(dead, "t"), join(dead, "s"));
  await make("atex-ssh-empty");
  await make("atex-ssh-forgotten", true);
  const password = await make("atex-ssh-password");
  await Deno.writeTextFile(join(password, "askpass"), "");
  await Deno.utime(password, DAY_AGO, DAY_AGO);
  const used = await make("atex-ssh-used", true);
  const user = new Deno.Command("sleep", {
    args: ["600"],
    env: { SSH_ASKPASS: `${used}/askpass` },
  }).spawn();
  await make(`atex-${run.id}-x1`, true);
  await make("atex-aaaaaaaaaa-old", true);
  await make("atex-aaaaaaaaaa-new");
  for (const name of ["atex-0", "atex-test-x", "atex-AAAAAAAAAA-x", "x"]) {
    await make(name, true); // not of these kinds
  }
  try {
    const options: ReapOptions = {
      kinds: ["ssh", "directory"],
      directories: [directory],
    };
    const look = await reap({ ...options, dryRun: true });
    assert.deepEqual(
      Object.fromEntries(look.map(({ name, verdict }) => [name, verdict])),
      Object.fromEntries(
        Object.entries(expected).map(([name, verdict]) => [
          join(directory, name),
          verdict,
        ]),
      ),
    );
    for (const { name, removed } of look) {
      assert.equal(removed, false);
      assert.ok(await exists(name));
    }
    for (const { name, removed, verdict } of await reap(options)) {
      assert.equal(removed, verdict === "dead");
      assert.equal(await exists(name), verdict !== "dead");
    }
    assert.equal([...Deno.readDirSync(directory)].length, 10);
    assert.ok(alive);
  } finally {
    user.kill("SIGKILL");
    await user.status;
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("reap() that is aborted removes nothing", async () => {
  const reason = new Error("enough");
  await assert.rejects(reap({ signal: AbortSignal.abort(reason) }), reason);
});
