/** reap(): what is removed, and what is not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { formatOwner, type Owner } from "../../connections/ownership.ts";
import { holdRun } from "../../provisioners/_run.ts";
import type { Kubectl } from "../../provisioners/_kubernetes_cli.ts";
import { findOwners } from "../../provisioners/_kubernetes_reaper.ts";
import type { PodmanCli } from "../../provisioners/_podman_cli.ts";
import { findContainers } from "../../provisioners/_podman_reaper.ts";
import { ProvisionError } from "../../provisioners/provisioner.ts";
import {
  type Leftover,
  reap,
  type ReapOptions,
} from "../../provisioners/reap.ts";
import { exists } from "../_wait.ts";
import { FakePodman } from "./_fake_podman.ts";
import { FarmServer, TOKEN, TOKEN_ID } from "./_testing_farm_server.ts";

const DAY_AGO = new Date(Date.now() - 86_400_000);

Deno.test("reap() removes containers of dead scripts only, and tells of all", async () => {
  await using podman = await FakePodman.make();
  await using run = await holdRun("test");
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
    podman: [podman.program],
  };
  const look = async (dryRun: boolean) =>
    (await reap({ ...options, dryRun }))
      // others may run containers on this machine, and be killed
      .filter(({ run: of }) =>
        ["aaaaaaaaaa", "bbbbbbbbbb", run.id].includes(of!)
      )
      .map(({ age, ...rest }) => {
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
      mine: false,
      removed,
    },
    {
      kind: "container",
      name: `atex-${run.id}-1-2`,
      run: run.id,
      owner: formatOwner(run.owner),
      verdict: "alive",
      mine: false,
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

Deno.test("reap() takes nothing for ours that podman lists in another form, and says when it is no list", async () => {
  await using run = await holdRun("test");
  const owner = formatOwner({ ...run.owner, bootId: "former" });
  const ours = {
    Names: ["atex-aaaaaaaaaa-1-2"],
    Labels: { "atex.run": "aaaaaaaaaa", "atex.owner": owner },
    Created: 1,
  };
  const judge = (stdout: string) => {
    const cli = {
      list: () => Promise.resolve(stdout),
      conmons: () => Promise.resolve([]),
    };
    const { signal } = new AbortController();
    return findContainers(cli as unknown as PodmanCli, run, signal);
  };
  const odd = [
    ours,
    null,
    1,
    { ...ours, Names: "atex-aaaaaaaaaa-1-3" },
    { ...ours, Names: [7] },
    { ...ours, Labels: { "atex.run": {} } },
    { ...ours, Created: "yesterday" },
  ];
  const found = await judge(JSON.stringify(odd));
  assert.deepEqual(found.map(({ name }) => name), ours.Names);
  for (const text of ["[", "{}", "1", "Error: no"]) {
    await assert.rejects(
      judge(text),
      new ProvisionError(
        "Cannot list containers: what podman printed is no list in JSON",
      ),
    );
  }
  for (const text of ["", "null", "[]"]) {
    assert.deepEqual(await judge(text), []);
  }
});

Deno.test("findOwners() takes no owner for ours that kubectl lists in another form, and says when it is no list", async () => {
  await using run = await holdRun("test");
  const ours = {
    metadata: {
      name: "atex-aaaaaaaaaa-1",
      labels: { "atex.run": "aaaaaaaaaa" },
      annotations: { "atex.owner": "h/b/1/2/d/n/elsewhere" },
      managedFields: [{ time: "2020-01-01T00:00:00Z" }],
    },
    spec: { leaseDurationSeconds: 1 },
  };
  const now = {
    metadata: { uid: "u", creationTimestamp: "2020-01-01T00:00:03Z" },
  };
  const reaped = async (stdout: string) => {
    const names: string[] = [];
    const kubectl = {
      output: ([verb]: string[]) => {
        const said = verb === "create" ? JSON.stringify(now) : stdout;
        return Promise.resolve({ code: 0, stdout: said, said: "" });
      },
      run: (_what: string, [, kind, name]: string[]) =>
        Promise.resolve(names.push(`${kind} ${name}`)),
    };
    const { signal } = new AbortController();
    for (
      const { verdict, remove } of await findOwners(
        kubectl as unknown as Kubectl,
        run,
        signal,
      )
    ) if (verdict === "dead") await remove(signal);
    return names;
  };
  const items = [
    ours,
    null,
    { ...ours, metadata: { ...ours.metadata, name: 1 } },
    { ...ours, metadata: { ...ours.metadata, labels: { "atex.run": [] } } },
    { ...ours, metadata: { ...ours.metadata, name: "somebodys" } },
    { ...ours, metadata: { ...ours.metadata, managedFields: [{}] } },
  ];
  assert.deepEqual(await reaped(JSON.stringify({ items })), [
    "Lease atex-aaaaaaaaaa-1",
    "ConfigMap atex-aaaaaaaaaa-1",
  ]);
  for (const text of ["", "[]", "{}", '{"items": 1}']) {
    await assert.rejects(
      reaped(text),
      new ProvisionError(
        "Cannot list owners: what kubectl printed is no list in JSON",
      ),
    );
  }
});

Deno.test("findOwners() tells owners in containers without a machine id by their silence", async () => {
  await using run = await holdRun("test");
  const me = { ...run, owner: { ...run.owner, machine: "-" } };
  const here = { ...me.owner, directory: "d", pid: "1", startTime: "1" };
  const there = { ...here, hostname: "another", bootId: "b" };
  const lease = (run: string, owner: Owner, time?: string) => ({
    metadata: {
      name: `atex-${run}-1`,
      labels: { "atex.run": run },
      annotations: { "atex.owner": formatOwner(owner) },
      ...(time && { managedFields: [{ time }] }),
    },
  });
  const [fresh, old] = ["2020-01-01T00:08:00Z", "2020-01-01T00:00:00Z"];
  const items = [
    lease("renewed", there, fresh),
    lease("silent", there, old),
    lease("timeless", there),
    lease("ended", here, fresh),
    // Its processes are numbered in another way.
    lease("beside", { ...here, pidNamespace: "1" }, old),
    // On a clone of this machine, or before its last boot.
    lease("cloned", { ...run.owner, bootId: "b", pid: "1" }, fresh),
    lease("rebooted", { ...run.owner, bootId: "b", pid: "1" }, old),
    lease("busy", { ...me.owner, directory: "d" }, old),
    lease(me.id, me.owner, old),
  ];
  const now = {
    metadata: { uid: "u", creationTimestamp: "2020-01-01T00:10:00Z" },
  };
  const kubectl = {
    output: ([verb, kind]: string[]) => {
      const list = { items: kind === "Lease" ? items : [] };
      const stdout = JSON.stringify(verb === "create" ? now : list);
      return Promise.resolve({ code: 0, stdout, said: "" });
    },
  } as unknown as Kubectl;
  const { signal } = new AbortController();
  const found = [
    ...await findOwners(kubectl, me, signal),
    // as a machine with an id, as most have one
    ...(await findOwners(kubectl, run, signal)).filter(({ run }) =>
      ["cloned", "rebooted"].includes(run!)
    ),
  ];
  assert.equal(
    found.find(({ run, mine }) => run === "cloned" && mine),
    undefined,
  );
  assert.deepEqual(
    Object.fromEntries(found.map(({ run, verdict }) => [run, verdict])),
    {
      renewed: "alive",
      silent: "dead",
      timeless: "unknown",
      ended: "dead",
      beside: "dead",
      cloned: "alive",
      rebooted: "dead",
      busy: "alive",
      [me.id]: "alive",
    },
  );
});

Deno.test("reap() tells which container it could not remove, and goes on", async () => {
  await using podman = await FakePodman.make();
  await using run = await holdRun("test");
  const dead = formatOwner({ ...run.owner, bootId: "former" });
  await podman.list(["a", "b"].map((letter) => ({
    Names: [`atex-${letter.repeat(10)}-1-2`],
    Labels: { "atex.run": letter.repeat(10), "atex.owner": dead },
  })));
  await podman.fault(
    "rm",
    'case $* in *aaaa*) echo "Error: busy" >&2; exit 1; esac',
  );
  const [a, b] = await reap({ kinds: ["container"], podman: [podman.program] });
  assert.equal(a.removed, false);
  assert.match(a.error!.message, /busy/);
  assert.equal(b.removed, true);
});

Deno.test("reap() forgets dead scripts of which nothing is left", async () => {
  await using podman = await FakePodman.make();
  await using me = await holdRun("test");
  const options: ReapOptions = {
    kinds: ["container", "directory"],
    podman: [podman.program],
    run: "aaaaaaaaa1",
  };
  const dead = { ...me.owner, pid: "1", startTime: "1" };
  const leave = async (run: string, owner: Owner) => {
    const path = join(me.directory, run);
    const text = JSON.stringify({ run, ...owner });
    await Deno.writeTextFile(
      path,
      `${text}\npodman by ${podman.program}\nlibvirt x\n`,
    );
    return path;
  };
  const path = await leave("aaaaaaaaa1", dead);
  const foreign = await leave("aaaaaaaaa2", { ...dead, pidNamespace: "7" });
  await podman.list([{
    Names: ["atex-aaaaaaaaa1-1-2"],
    Labels: { "atex.run": "aaaaaaaaa1", "atex.owner": formatOwner(dead) },
    Created: 1,
  }]);
  try {
    await podman.fault("rm", "echo 'Error: it is busy' >&2; exit 1");
    await reap(options);
    assert.ok(await exists(path));
    await podman.repair("rm");
    await reap({ ...options, dryRun: true });
    await reap({ ...options, run: "other" });
    await reap({ ...options, kinds: ["container"] });
    await reap({ ...options, kinds: ["directory"] });
    await reap({ ...options, directories: [] });
    assert.ok(await exists(path));
    await reap(options);
    assert.ok(!await exists(path));
    await reap({ ...options, run: "aaaaaaaaa2" });
    // Without it nobody here could tell that its domains are a dead script's.
    assert.ok(await exists(foreign));
  } finally {
    await Deno.remove(foreign);
  }
});

Deno.test("reap() without podman, or with another one, keeps the run files that tell of containers", async () => {
  await using podman = await FakePodman.make();
  await using me = await holdRun("test");
  const run = "aaaaaaaaa3";
  const PATH = Deno.env.get("PATH")!;
  const path = join(me.directory, run);
  const dead = { ...me.owner, pid: "1", startTime: "1" };
  await Deno.writeTextFile(
    path,
    `${JSON.stringify({ run, ...dead })}\npodman\n`,
  );
  try {
    for (const program of ["no-such-podman", podman.program]) {
      assert.deepEqual(await reap({ run, podman: [program] }), []);
      assert.ok(await exists(path), program);
    }
    Deno.env.set("PATH", `${podman.directory}:${PATH}`);
    assert.deepEqual(await reap({ run }), []);
    assert.ok(!await exists(path));
  } finally {
    Deno.env.set("PATH", PATH);
    await Deno.remove(path).catch(() => {});
  }
});

Deno.test("reap() without podman forgets dead scripts that made no containers", async () => {
  await using me = await holdRun("test");
  const dead = { ...me.owner, pid: "1", startTime: "1" };
  const leave = async (run: string, owner: Owner, kinds: string) => {
    const path = join(me.directory, run);
    await Deno.writeTextFile(
      path,
      `${JSON.stringify({ run, ...owner })}\n${kinds}\n`,
    );
    return { run, path };
  };
  const foreign = { ...dead, pidNamespace: "7" };
  const gone = [
    await leave("aaaaaaaaa4", foreign, "hosts"),
    await leave("aaaaaaaaa5", dead, "testing-farm\nlibvirt x"),
  ];
  const kept = [
    await leave("aaaaaaaaa6", foreign, "libvirt x"),
    await leave("aaaaaaaaa7", dead, "libvirt x\npodman by x"),
  ];
  try {
    for (const { run } of [...gone, ...kept]) {
      await reap({ run, podman: ["no-such-podman"] });
    }
    for (const { path } of gone) assert.ok(!await exists(path), path);
    for (const { path } of kept) assert.ok(await exists(path), path);
  } finally {
    for (const { path } of [...gone, ...kept]) {
      await Deno.remove(path).catch(() => {});
    }
  }
});

Deno.test("reap() without podman has no containers to tell of, unless asked for them", async () => {
  const podman = ["no-such-podman"];
  assert.deepEqual(await reap({ podman, directories: [] }), []);
  await assert.rejects(reap({ podman, kinds: ["container"] }), {
    name: "ProvisionError",
    message: /the program "no-such-podman" is not installed/,
  });
});

Deno.test("reap() removes directories of dead connections only, and none because of its name", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
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
    "atex-ssh-0123456789abcdef": "unknown", // may be about to be used
    "atex-ssh-123456789abcdef0": "dead", // empty, and old
    "atex-ssh-23456789abcdef01": "dead", // its script died when it made the owner
    "atex-ssh-3456789abcdef012": "unknown", // it is not empty
    "atex-ssh-forgotten": "unknown", // nothing shows that it is ours
    "atex-ssh-idle": "alive", // with a password it has no master
    "atex-ssh-killed": "dead",
    "atex-ssh-used": "alive",
    // The user's own.
    "atex-ssh-keys": "unknown",
    "atex-ssh-notes": "unknown",
    "atex-ssh-plain": "unknown",
    "atex-ssh-tree": "unknown",
  };
  using alive = listen(await make("atex-ssh-alive"));
  const dead = await make("atex-ssh-dead");
  const killed = listen(dead); // removes its socket, unlike one that is killed
  await Deno.link(join(dead, "s"), join(dead, "t"));
  killed.close();
  await Deno.rename(join(dead, "t"), join(dead, "s"));
  await make("atex-ssh-0123456789abcdef");
  await make("atex-ssh-123456789abcdef0", true);
  await make("atex-ssh-forgotten", true);
  const owned = async (name: string) => {
    const path = await make(name);
    await Deno.writeTextFile(join(path, "askpass"), "#!/bin/sh");
    await Deno.writeTextFile(join(path, "shell"), "#!/bin/sh");
    const owner = await Deno.create(join(path, "owner"));
    await Deno.utime(path, DAY_AGO, DAY_AGO);
    return owner;
  };
  using idle = await owned("atex-ssh-idle");
  await idle.lock(true);
  (await owned("atex-ssh-killed")).close();
  const used = await make("atex-ssh-used", true);
  const user = new Deno.Command("sleep", {
    args: ["600"],
    env: { SSH_ASKPASS: `${used}/askpass` },
  }).spawn();
  const own = async (name: string, files: Record<string, string>) => {
    const path = await make(name);
    for (const [file, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(path, file), text);
    }
    await Deno.utime(path, DAY_AGO, DAY_AGO);
    return path;
  };
  await own("atex-ssh-keys", { owner: "", id_rsa: "precious" });
  await own("atex-ssh-notes", { owner: "Jane" });
  await own("atex-ssh-plain", { s: "" });
  await own("atex-ssh-23456789abcdef01", { ".owner": "" });
  await own("atex-ssh-3456789abcdef012", { "x": "" });
  await Deno.mkdir(join(await own("atex-ssh-tree", { owner: "" }), "s.1"));
  await own("atex-regression-results", { weeks: "of work" });
  for (const name of ["atex-0", "atex-test-x", "atex-AAAAAAAAAA-x", "x"]) {
    await make(name, true); // not of these kinds
  }
  try {
    const options: ReapOptions = {
      kinds: ["ssh", "directory"],
      directories: [new URL(`file://${directory}`)],
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
    assert.equal([...Deno.readDirSync(directory)].length, 15);
    assert.ok(alive);
  } finally {
    user.kill("SIGKILL");
    await user.status;
    await Deno.remove(directory, { recursive: true });
  }
});

/** What living and dead scripts have, as their objects say it. */
async function owners(me: Awaited<ReturnType<typeof holdRun>>) {
  const other = "livingrun0";
  const file = await Deno.open(join(me.directory, other), {
    create: true,
    write: true,
  });
  assert.ok(await file.tryLock(true)); // as a living script of this user has it
  return {
    other,
    living: formatOwner({ ...me.owner, pid: "1", startTime: "1" }),
    dead: formatOwner({ ...me.owner, pid: "4194305" }),
    /** Before the last boot, or on a clone of this machine. */
    clone: formatOwner({ ...me.owner, bootId: "another" }),
    elsewhere: formatOwner({
      ...me.owner,
      hostname: "elsewhere",
      machine: "other",
    }),
    async [Symbol.asyncDispose]() {
      await Deno.remove(join(me.directory, other));
      file.close();
    },
  };
}

/** Without containers that podman has lost: others on this machine may have some. */
const verdicts = (found: Leftover[]) =>
  found.filter(({ kind, owner }) => kind !== "container" || owner)
    .map(({ run, verdict, mine, removed }) => [run, verdict, mine, removed]);

Deno.test("reap() takes what living scripts of this user have if asked to, never what this one or others have", async () => {
  await using podman = await FakePodman.make();
  await using me = await holdRun("test");
  await using owner = await owners(me);
  const container = (run: string, owner: string) => ({
    Names: [`atex-${run}-1-2`],
    Labels: { "atex.run": run, "atex.owner": owner },
  });
  await podman.list([
    container(owner.other, owner.living),
    container(me.id, formatOwner(me.owner)),
    container("otherhost0", owner.elsewhere),
  ]);
  const options: ReapOptions = {
    kinds: ["container"],
    podman: [podman.program],
    living: true,
  };
  const left = (removed: boolean) => [
    [owner.other, "alive", true, removed],
    [me.id, "alive", false, false],
    ["otherhost0", "alive", false, false],
  ];
  assert.deepEqual(
    verdicts(await reap({ ...options, dryRun: true })),
    left(false),
  );
  assert.deepEqual(
    verdicts(await reap({ ...options, living: false })),
    left(false),
  );
  assert.deepEqual(
    verdicts(await reap({ ...options, run: owner.other })),
    left(true).slice(0, 1),
  );
  assert.deepEqual(verdicts(await reap(options)), left(true));
});

Deno.test("reap() ends requests of Testing Farm of dead scripts, and tells of all", async () => {
  await using server = new FarmServer();
  server.states = [];
  await using me = await holdRun("test");
  await using owner = await owners(me);
  const submit = (run: string, owner: string, tokenId = TOKEN_ID) =>
    server.add({
      environments: [{
        settings: {
          provisioning: { tags: { "atex-run": run, "atex-owner": owner } },
        },
      }],
    }, tokenId).id;
  const dead = submit("deadrun000", owner.dead);
  const kept = [
    submit(owner.other, owner.living),
    submit(me.id, formatOwner(me.owner)),
    submit("otherhost0", owner.elsewhere),
    submit("clonedhost", owner.clone),
    submit("othertoken", owner.dead, "somebody else's"),
    server.add({ environments: [{}] }, TOKEN_ID).id,
  ];
  const options: ReapOptions = {
    kinds: ["request"],
    testingFarm: { url: server.url, token: TOKEN },
  };
  const left = (removed: boolean) => [
    ["deadrun000", "dead", false, removed],
    [owner.other, "alive", true, false],
    [me.id, "alive", false, false],
    ["otherhost0", "unknown", false, false],
    ["clonedhost", "unknown", false, false],
  ];
  const looked = await reap({ ...options, dryRun: true });
  assert.deepEqual(verdicts(looked), left(false));
  assert.equal(looked[0].name, dead);
  assert.ok(looked[0].age > 3_500_000 && looked[0].age < 3_700_000);
  assert.equal(server.alive.length, 7);
  assert.deepEqual(verdicts(await reap(options)), left(true));
  assert.deepEqual(server.alive.map(({ id }) => id), kept);
});

Deno.test("reap() says when Testing Farm cannot be asked, without the token", async () => {
  await using server = new FarmServer();
  const ask = (token: string) =>
    reap({ kinds: ["request"], testingFarm: { url: server.url, token } });
  await assert.rejects(ask("wrong-token"), (error: Error) => {
    assert.match(error.message, /^Cannot ask Testing Farm for requests: /);
    assert.ok(!Deno.inspect(error).includes("wrong-token"));
    return true;
  });
});

Deno.test("reap() judges temporary and work directories by the process that needs them", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  await using me = await holdRun("test");
  const { bootId, pidNamespace, startTime } = me.owner;
  const here = `atex-${bootId.slice(0, 8)}`;
  const make = async (name: string, owner?: string) => {
    const path = join(directory, name);
    await Deno.mkdir(path);
    if (owner !== undefined) {
      await Deno.writeTextFile(join(path, "owner"), `${owner}\n`);
    }
    await Deno.utime(path, DAY_AGO, DAY_AGO);
  };
  const owner = (change: Partial<typeof me.owner> = {}) =>
    formatOwner({ ...me.owner, directory: "-", ...change });
  const expected: Record<string, "alive" | "dead" | "unknown"> = {
    [`${here}-${pidNamespace}-${Deno.pid}-${startTime}-ab12`]: "alive",
    [`${here}-${pidNamespace}-${Deno.pid}-1-ab12`]: "dead", // the number was used again
    [`${here}-${pidNamespace}-4194305-1-ab12`]: "dead",
    [`${here}-1-4194305-1-ab12`]: "unknown", // of another container
    // of another machine that shares the directory
    [`atex-0badb007-${pidNamespace}-4194305-1-ab12`]: "unknown",
    "atex-AlivE67890": "alive",
    "atex-DeaD567890": "dead",
    "atex-BooT567890": "dead", // before the last boot
    "atex-ThereD7890": "unknown", // came by ssh
    "atex-Other67890": "unknown", // in a container that shares the directory
    "atex-Silent7890": "unknown",
    "atex-Odd4567890": "unknown",
  };
  for (const name of Object.keys(expected).slice(0, 5)) await make(name);
  await make("atex-AlivE67890", owner());
  await make("atex-DeaD567890", owner({ pid: "4194305" }));
  await make("atex-BooT567890", owner({ bootId: "former" }));
  await make(
    "atex-ThereD7890",
    owner({ hostname: "elsewhere", machine: "other", bootId: "other" }),
  );
  await make("atex-Other67890", owner({ pid: "4194305", pidNamespace: "1" }));
  await make("atex-Silent7890");
  await make("atex-Odd4567890", "../../etc\nx");
  for (
    const name of ["atex-12345678901", "atex-123456789", "atex-a_b_c_d_e_"]
  ) {
    await make(name); // not of these kinds
  }
  try {
    const found = await reap({
      kinds: ["directory", "work"],
      directories: [directory],
    });
    assert.deepEqual(
      Object.fromEntries(
        found.map(({ name, verdict }) => [
          name.slice(directory.length + 1),
          verdict,
        ]),
      ),
      expected,
    );
    for (const { name, verdict, removed } of found) {
      assert.equal(removed, verdict === "dead", name);
      assert.equal(await exists(name), verdict !== "dead", name);
    }
    assert.equal([...Deno.readDirSync(directory)].length, 11);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("reap() that is aborted removes nothing", async () => {
  const reason = new Error("enough");
  await assert.rejects(reap({ signal: AbortSignal.abort(reason) }), reason);
});
