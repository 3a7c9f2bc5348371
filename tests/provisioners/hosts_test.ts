/** HostsProvisioner with a program that behaves like ssh to hosts that come and go. */
import assert from "node:assert/strict";
import { formatOwner, type Owner } from "../../connections/ownership.ts";
import { run } from "../../connections/process.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  HostsProvisioner,
  type HostsProvisionerOptions,
} from "../../provisioners/hosts.ts";
import { holdRun } from "../../provisioners/_run.ts";
import { exists, until } from "../_wait.ts";

const SSH = `#!/bin/sh
here=$(dirname "$0")
for arg; do host=$command; command=$arg; done
echo "$host" >>"$here/calls"
if [ -e "$here/hangs-$host" ]; then exec sleep 60; fi
case $command in *"rm -rf"*) if [ -e "$here/crawls-$host" ]; then exec sleep 60; fi;; esac
if [ -e "$here/down-$host" ]; then
  echo "ssh: connect to host $host port 22: Connection refused" >&2
  exit 255
fi
if [ -e "$here/drops-$host" ]; then
  echo "kex_exchange_identification: Connection closed by remote host" >&2
  exit 255
fi
case $command in
  *TMT_TREE*)
    echo "$host" >>"$here/swept"
    if [ -e "$here/fails-$host" ]; then echo "sh: no tr"; exit 1; fi
    if [ -e "$here/stalls-$host" ]; then echo here; exec sleep 60; fi
    ;;
  *flock*) if [ -e "$here/chatters-$host" ]; then head -c 1000000 /dev/zero >&2; echo >&2; echo "at last" >&2; exit 1; fi ;;
esac
exec sh -c "$command"
`;

/** A lab of hosts and the provisioner that lends them. */
async function lab(
  hosts: HostsProvisionerOptions["hosts"],
  options: Partial<HostsProvisionerOptions> = {},
) {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const program = `${directory}/ssh`;
  await Deno.writeTextFile(program, SSH, { mode: 0o755 });
  await Deno.writeTextFile(`${directory}/calls`, "");
  const events: ProvisionerEvent[] = [];
  const pool = new HostsProvisioner({
    hosts,
    ssh: { ssh: program, stateless: true },
    onEvent: (event) => events.push(event),
    rebootTimeout: 0,
    lease: "none",
    leaseFile: `${directory}/lease`,
    ...options,
  });
  const flag = (name: string) => `${directory}/${name}`;
  return {
    directory,
    pool,
    events,
    calls: () => Deno.readTextFileSync(flag("calls")).trim().split("\n"),
    fail: (
      host: string,
      how:
        | "down"
        | "hangs"
        | "crawls"
        | "drops"
        | "chatters"
        | "fails"
        | "stalls" = "down",
    ) => Deno.writeTextFile(flag(`${how}-${host}`), ""),
    repair: (host: string, how: "down" | "drops" = "down") =>
      Deno.remove(flag(`${how}-${host}`)),
    async [Symbol.asyncDispose]() {
      await pool.stop();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

Deno.test("HostsProvisioner refuses hosts that are none, and the same twice", () => {
  for (
    const [hosts, message] of [
      [["a", "b", "a"], 'Cannot lend the host "a": it is listed twice'],
      [["a:x"], /^Cannot use "a:x" as a host: /],
      [[{ host: "a", options: { ControlPath: "x" } }], /"stateless"/],
      [
        ["u@a:1", { host: "a", user: "u", port: 1 }],
        'Cannot lend the host "u@a:1": it is listed twice',
      ],
      [
        [{ host: "u@a", user: "v" }],
        'Cannot use "user" of the host "u@a": there is one in "host"',
      ],
      [[{ host: "a", user: "" }], /"user" of the host "a": the name of a user/],
      [
        [{ host: "[::1]:1", port: 2 }],
        'Cannot use "port" of the host "[::1]:1": there is one in "host"',
      ],
      [[{ host: "a", port: 65536 }], /"port" of the host "a": a whole number/],
    ] as const
  ) {
    assert.throws(() => new HostsProvisioner({ hosts }), {
      name: "TypeError",
      message,
    });
  }
  for (
    const options of [
      { retryAfter: -1 },
      { connectTimeout: 0 },
      { rebootTimeout: NaN },
      { maxRemotes: 0.5 },
      { maxFailures: 2.5 },
      { maxFailures: NaN },
    ]
  ) {
    assert.throws(
      () => new HostsProvisioner({ hosts: ["a"], ...options }),
      RangeError,
    );
  }
});

Deno.test("start() takes no address of a web server for the path of an ssh_config", async () => {
  const configFile = new URL("https://example.org/etc/ssh/ssh_config");
  const pool = new HostsProvisioner({
    hosts: ["a"],
    lease: "local",
    ssh: { configFile },
  });
  await assert.rejects(pool.start(), {
    name: "TypeError",
    message: /^Cannot use a URL of "https:" as a path/,
  });
});

Deno.test("HostsProvisioner refuses what is misspelt of a host", () => {
  const hosts = ["a", { host: "b", lables: { arch: "x" } }];
  assert.throws(() => new HostsProvisioner({ hosts }), {
    name: "TypeError",
    message:
      'Cannot use "lables" as an option of hosts[1] of HostsProvisioner: "labels" would be right',
  });
});

Deno.test("HostsProvisioner takes user and port of a host beside its name, also from a file", async () => {
  const hosts = [
    { host: "a", user: "root", port: 2222 },
    { host: "::1", port: 22 },
    { host: "u@::1", port: 22 },
    { host: "[::2]", user: "u" },
  ];
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const file = `${directory}/hosts.json`;
    await Deno.writeTextFile(file, JSON.stringify(hosts));
    for (const given of [hosts, file]) {
      await using it = await lab(given);
      await it.pool.start();
      it.pool.provision(4);
      const ids = [];
      for (const _ of hosts) ids.push((await it.pool.getRemote()).id);
      assert.deepEqual(ids.sort(), [
        "ssh:[::1]:22",
        "ssh:root@a:2222",
        "ssh:u@[::1]:22",
        "ssh:u@[::2]",
      ]);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("start() without any host fails for good", async () => {
  const pool = new HostsProvisioner({ hosts: [] });
  await assert.rejects(pool.start(), {
    name: "ProvisionError",
    fatal: true,
    message: "Cannot lend hosts: the list of hosts is empty",
  });
});

Deno.test("HostsProvisioner lends each host to one at a time, in the order given", async () => {
  await using it = await lab([
    "root@a:2222",
    { host: "b", labels: { arch: "s390x" } },
  ]);
  assert.equal(it.pool.maxRemotes, 2);
  await it.pool.start();
  it.pool.provision(3);
  const a = await it.pool.getRemote();
  const b = await it.pool.getRemote();
  assert.deepEqual([a.id, b.id].sort(), ["ssh:b", "ssh:root@a:2222"]);
  const first = a.id === "ssh:b" ? b : a;
  assert.deepEqual(first.attributes, { host: "root@a:2222" });
  const second = first === a ? b : a;
  assert.deepEqual(second.attributes, { host: "b", arch: "s390x" });
  assert.equal(first.reusable, true);
  assert.equal(await run(first, ["echo", "hi"]), "hi\n");
  await first.release();
  assert.equal((await it.pool.getRemote()).id, first.id);
});

Deno.test("maxRemotes below the number of hosts leaves some alone", async () => {
  await using it = await lab(["a", "b", "c"], { maxRemotes: 1 });
  await it.pool.start();
  it.pool.provision(2);
  const first = await it.pool.getRemote();
  await first.release();
  await it.pool.getRemote();
  assert.deepEqual([...new Set(it.calls())], ["a"]);
});

Deno.test("a host that cannot be reached is reported and another one lent instead", async () => {
  await using it = await lab(["a", "b"]);
  await it.fail("a");
  await it.pool.start();
  it.pool.provision(1);
  assert.equal((await it.pool.getRemote()).id, "ssh:b");
  const failed = it.events.find(({ type }) => type === "reserve-failed");
  assert.ok(failed?.type === "reserve-failed");
  assert.equal(failed.id, "ssh:a");
  assert.equal(failed.willRetry, true);
  assert.match(failed.error.message, /^Cannot connect to a: .*refused/);
});

Deno.test("a host that was set aside is not tried again before retryAfter", async () => {
  await using it = await lab(["a", "b"]);
  await it.fail("a");
  await it.pool.start();
  it.pool.provision(3);
  for (let i = 0; i < 3; i++) { // the one that works, again and again
    const remote = await it.pool.getRemote();
    assert.equal(remote.id, "ssh:b");
    await remote.release();
  }
  assert.equal(it.calls().filter((host) => host === "a").length, 1);
});

Deno.test("a host that was set aside gets another chance after retryAfter", async () => {
  await using it = await lab(["a", "b"], { retryAfter: 300 });
  await it.fail("a");
  await it.pool.start();
  it.pool.provision(2);
  assert.equal((await it.pool.getRemote()).id, "ssh:b");
  await it.repair("a");
  assert.equal((await it.pool.getRemote()).id, "ssh:a"); // b is still lent
});

Deno.test("when all hosts are set aside each request fails, with all the reasons", async () => {
  await using it = await lab(["a", "b"], { retryAfter: 300 });
  await it.fail("a");
  await it.fail("b");
  await it.pool.start();
  it.pool.provision(2);
  for (let i = 0; i < 2; i++) {
    await assert.rejects(it.pool.getRemote(), {
      name: "ProvisionError",
      fatal: false,
      message:
        /^Cannot use any host: Cannot connect to a: .*refused; Cannot connect to b: .*refused$/,
    });
  }
  await it.repair("b");
  await new Promise((resolve) => setTimeout(resolve, 350));
  it.pool.provision(1);
  assert.equal((await it.pool.getRemote()).id, "ssh:b");
});

Deno.test("a host that does not answer is set aside after connectTimeout", async () => {
  await using it = await lab(["a"], { connectTimeout: 200 });
  await it.fail("a", "hangs");
  await it.pool.start();
  it.pool.provision(1);
  await assert.rejects(it.pool.getRemote(), {
    message:
      "Cannot use any host: Cannot connect to a: it takes longer than 0.2 s",
  });
});

Deno.test("a host that is not ready within reserveTimeout is set aside", async () => {
  await using it = await lab(["a", "b"], { reserveTimeout: 500 });
  await it.fail("a", "hangs");
  await it.pool.start();
  it.pool.provision();
  assert.equal((await it.pool.getRemote()).id, "ssh:b");
  assert.deepEqual(
    it.events.flatMap((event) =>
      event.type === "reserve-failed" ? [event.error.message] : []
    ),
    [
      'Cannot use the host a: it is not ready within 0.5 s, its "reserveTimeout"',
    ],
  );
});

Deno.test("reserveTimeout leaves connectTimeout and probeTimeout their time, unless it is given", async () => {
  const times: unknown[] = [];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((call: () => void, ms?: number) => {
    times.push(ms);
    return setTimeout(call, ms);
  }) as typeof setTimeout;
  try {
    const isTimed = async (
      ms: number,
      options: Partial<HostsProvisionerOptions>,
    ) => {
      await using it = await lab(["a"], options);
      await it.fail("a", "hangs");
      await it.pool.start();
      times.length = 0;
      it.pool.provision();
      await until(() => it.calls().includes("a"));
      return times.includes(ms);
    };
    const long = { connectTimeout: 300_000, probeTimeout: 100_000 };
    assert.ok(await isTimed(400_000, long));
    assert.ok(await isTimed(120_000, {}));
    assert.ok(await isTimed(350_000, { ...long, reserveTimeout: 350_000 }));
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

Deno.test("reserveTimeout does not count while somebody else has a host, while it may reboot, or in a hook", async () => {
  const longer = () => new Promise((resolve) => setTimeout(resolve, 700));
  await using other = await lab(["a"], { lease: "remote" });
  await other.pool.start();
  other.pool.provision();
  const theirs = await other.pool.getRemote();
  await using it = await lab(["a"], {
    lease: "remote",
    leaseFile: `${other.directory}/lease`,
    reserveTimeout: 500,
    pollInterval: 50,
  });
  await it.pool.start();
  it.pool.provision();
  await longer();
  await theirs.release();
  assert.equal((await it.pool.getRemote()).id, "ssh:a");

  await using rebooting = await lab(["a"], {
    reserveTimeout: 500,
    rebootTimeout: 30_000,
  });
  await rebooting.pool.start();
  rebooting.pool.provision();
  await (await rebooting.pool.getRemote()).release();
  await rebooting.fail("a");
  rebooting.pool.provision();
  await longer();
  await rebooting.repair("a");
  assert.equal((await rebooting.pool.getRemote()).id, "ssh:a");

  await using slow = await lab(["a"], {
    reserveTimeout: 500,
    prepare: async () => void await longer(),
  });
  await slow.pool.start();
  slow.pool.provision();
  assert.equal((await slow.pool.getRemote()).id, "ssh:a");
  for (const { events } of [it, rebooting, slow]) {
    assert.ok(!events.some(({ type }) => type === "reserve-failed"));
  }
});

Deno.test("a host that was lent before is waited for while it reboots", async () => {
  await using it = await lab(["a"], { rebootTimeout: 30_000 });
  await it.pool.start();
  it.pool.provision(2);
  const remote = await it.pool.getRemote();
  await it.fail("a");
  await remote.release();
  const again = it.pool.getRemote();
  const calls = it.calls().length;
  await until(() => it.calls().length > calls); // it was tried in vain
  await it.repair("a");
  assert.equal((await again).id, "ssh:a");
  assert.ok(!it.events.some(({ type }) => type === "reserve-failed"));
});

Deno.test("a host that drops each connection is waited for until rebootTimeout", async () => {
  await using it = await lab(["a"], {
    lease: "remote",
    rebootTimeout: 500,
    pollInterval: 10,
  });
  await it.fail("a", "drops");
  await it.pool.start();
  it.pool.provision();
  await assert.rejects(it.pool.getRemote(), {
    message:
      /^Cannot use any host: Cannot connect to a: kex_exchange_identification: /,
  });
  assert.deepEqual(it.events.map(({ type }) => type), [
    "reserving",
    "reserve-failed",
  ]);
});

Deno.test("a host that dropped connections for a moment is lent", async () => {
  await using it = await lab(["a"], {
    lease: "remote",
    rebootTimeout: 30_000,
    pollInterval: 10,
  });
  await it.fail("a", "drops");
  await it.pool.start();
  it.pool.provision();
  const waiting = it.pool.getRemote();
  await until(() => it.calls().length > 8); // more than a connection tries itself
  await it.repair("a", "drops");
  assert.equal((await waiting).id, "ssh:a");
  assert.ok(!it.events.some(({ type }) => type === "waiting"));
});

Deno.test("of a host that says much only the end is kept", async () => {
  await using it = await lab(["a"], { lease: "remote" });
  await it.fail("a", "chatters");
  await it.pool.start();
  it.pool.provision();
  const error = await it.pool.getRemote().catch((error) => error);
  assert.equal(
    error.message,
    "Cannot use any host: Cannot connect to a: at last",
  );
  assert.ok(error.cause.output.length <= 64 * 1024);
});

Deno.test("stop() ends connecting and waiting for a free host", async () => {
  await using it = await lab(["a", "b", "c"]);
  await it.fail("b", "hangs");
  await it.fail("c");
  await it.pool.start();
  it.pool.provision(3); // a is lent, b hangs, and there is none for the third
  const remote = await it.pool.getRemote();
  const waiting = [it.pool.getRemote(), it.pool.getRemote()];
  const ended = Promise.allSettled(waiting);
  while (!it.events.some(({ type }) => type === "reserve-failed")) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await it.pool.stop();
  for (const outcome of await ended) {
    assert.equal(
      outcome.status === "rejected" && outcome.reason.name,
      "ProvisionerStoppedError",
    );
  }
  assert.throws(() => remote.local(["true"]), { name: "NotConnectedError" });
});

Deno.test("without an ssh program there is no point in trying other hosts", async () => {
  await using it = await lab(["a", "b"], { ssh: { ssh: "no-such-ssh" } });
  await it.pool.start();
  it.pool.provision(1);
  await assert.rejects(it.pool.getRemote(), {
    name: "ProvisionError",
    fatal: true,
    message: /the program "no-such-ssh" is not installed/,
  });
});

Deno.test({
  name: "why the names of hosts cannot be looked up is told by start()",
  permissions: { env: true, read: true, run: [], sys: true, write: true },
  fn: async () => {
    const hosts = ["a", "b"];
    const pool = new HostsProvisioner({ hosts, lease: "local" });
    await assert.rejects(pool.start(), {
      name: "ProvisionError",
      fatal: true,
      message: /^Cannot look up the host a: Requires run access to "ssh"/,
    });
  },
});

Deno.test("hooks are called with what they need, in order", async () => {
  const calls: string[] = [];
  await using it = await lab([{ host: "a", labels: { arch: "s390x" } }], {
    prepare: async (connection, { host, labels }) => {
      const text = await run(connection, ["echo", "hi"]);
      calls.push(`prepare ${host} ${labels.arch} ${text.trim()}`);
    },
    recover: (_, { reason }) => void calls.push(`recover ${reason}`),
    clean: async (connection, { reason }) => {
      await run(connection, ["true"]);
      calls.push(`clean ${reason}`);
    },
  });
  await it.pool.start();
  for (const reason of ["done", "destroyed", "setup-failed"] as const) {
    it.pool.provision();
    await (await it.pool.getRemote()).release({ reason });
  }
  assert.deepEqual(calls, [
    "prepare a s390x hi",
    "clean done",
    "prepare a s390x hi",
    "recover destroyed",
    "clean destroyed",
    "prepare a s390x hi",
    "recover setup-failed",
    "clean setup-failed",
  ]);
});

for (const name of ["prepare", "recover", "clean"] as const) {
  Deno.test(`a host whose hook "${name}" fails or hangs is set aside`, async () => {
    for (
      const [hook, why] of [
        [() => Promise.reject(new Error("broken")), "broken"],
        [() => new Promise<void>(() => {}), "it did not end within 0.1 s"],
      ] as const
    ) {
      await using it = await lab(["a"], { [name]: hook, hookTimeout: 100 });
      await it.pool.start();
      it.pool.provision();
      const first = await it.pool.getRemote().catch((error) => error);
      if (name !== "prepare") {
        await first.release({ reason: "destroyed" });
        it.pool.provision();
      }
      const error = name === "prepare"
        ? first
        : await it.pool.getRemote().catch((error) => error);
      assert.equal(
        error.message,
        `Cannot use any host: Cannot use the host a: the hook "${name}" failed: ${why}`,
      );
    }
  });
}

Deno.test("what tests left running on a host is ended when it is given back, unless there is a hook of one's own", async () => {
  for (const clean of [undefined, () => {}]) {
    await using it = await lab(["a"], { ...(clean && { clean }) });
    await it.pool.start();
    for (const reason of ["done", "destroyed", "surplus"] as const) {
      it.pool.provision();
      await (await it.pool.getRemote()).release({ reason });
    }
    const swept = await Deno.readTextFile(`${it.directory}/swept`)
      .catch(() => "");
    assert.equal(swept, clean ? "" : "a\na\na\n");
    assert.ok(!it.events.some(({ type }) => type === "warning"));
  }
});

Deno.test("that it cannot be ended is told, and the host is lent again", async () => {
  for (
    const [how, why] of [
      ["fails", 'Cannot run "sh": ended with exit code 1: sh: no tr'],
      ["stalls", "it did not end within 0.5 s"],
    ] as const
  ) {
    await using it = await lab(["a"], {
      hookTimeout: 500,
      quarantine: 0,
      maxFailures: 1,
    });
    await it.fail("a", how);
    await it.pool.start();
    it.pool.provision(2);
    await (await it.pool.getRemote()).release();
    assert.equal((await it.pool.getRemote()).id, "ssh:a");
    assert.deepEqual(
      it.events.flatMap((event) =>
        event.type === "warning" ? [event.error.message] : []
      ),
      [`Cannot end what tests left running on the host a: ${why}`],
    );
  }
});

Deno.test("a host that is away when it is given back is not waited for, nor told of", async () => {
  for (const reason of ["done", "destroyed"] as const) {
    for (const how of ["down", "hangs"] as const) {
      await using it = await lab(["a"], { connectTimeout: 2000 });
      await it.pool.start();
      it.pool.provision();
      const remote = await it.pool.getRemote();
      await it.fail("a", how);
      await remote.release({ reason });
      assert.deepEqual(
        it.events.map(({ type }) => type),
        ["reserving", "ready", "lent", "released"],
      );
    }
  }
});

/** A directory as of a test, whose script is dead unless the owner says something else. */
async function leftWork(files: AsyncDisposableStack) {
  const me = files.use(await holdRun("test"));
  const owned = async (path: string, owner: Partial<Owner> = {}) => {
    const died = { pid: "1", startTime: "1", directory: "-" };
    const text = formatOwner({ ...me.owner, ...died, ...owner });
    await Deno.mkdir(`${path}/tests`, { recursive: true });
    await Deno.writeTextFile(`${path}/owner`, `${text}\n`);
    files.defer(() => Deno.remove(path, { recursive: true }).catch(() => {}));
    return path;
  };
  const name = () =>
    `atex-${crypto.randomUUID().replaceAll("-", "").slice(0, 10)}`;
  const leave = (owner?: Partial<Owner>) => owned(`/tmp/${name()}`, owner);
  return { me, name, owned, leave };
}

Deno.test("what tests of dead scripts of this machine left on a host is removed, once", async () => {
  await using files = new AsyncDisposableStack();
  const { me, leave } = await leftWork(files);
  const dead = [await leave(), await leave()];
  const { pid, startTime } = me.owner;
  const others = [
    await leave({ pid, startTime }),
    await leave({ machine: "other" }),
    await leave({ pidNamespace: "7" }),
  ];
  await using it = await lab(["a"]);
  await it.pool.start();
  it.pool.provision();
  await (await it.pool.getRemote()).release();
  for (const path of dead) assert.ok(!await exists(path));
  for (const other of others) assert.ok(await exists(other));
  const again = await leave();
  it.pool.provision();
  await (await it.pool.getRemote()).release();
  assert.ok(await exists(again));
  assert.ok(!it.events.some(({ type }) => type === "warning"));
});

Deno.test("a host is lent where the removal of what is left takes longer than hookTimeout, which reserveTimeout does not count", async () => {
  await using files = new AsyncDisposableStack();
  const { leave } = await leftWork(files);
  await leave();
  await using it = await lab(["a"], {
    hookTimeout: 2000,
    reserveTimeout: 1500,
    probe: ["true"],
  });
  await it.fail("a", "crawls");
  await it.pool.start();
  it.pool.provision();
  assert.equal((await it.pool.getRemote()).id, "ssh:a");
  assert.deepEqual(
    it.events.flatMap((event) =>
      event.type === "warning" ? [event.error.message] : []
    ),
    [
      "Cannot remove what killed scripts left on the host a: it did not end within 2 s",
    ],
  );
});

Deno.test("of what is left on a host nothing is removed that is in use, another user's, or only looks like it", async () => {
  await using files = new AsyncDisposableStack();
  const { name, owned, leave } = await leftWork(files);
  const used = await leave();
  const user = new Deno.Command("sleep", {
    args: ["600"],
    env: { TEST_DATA: `${used}/data` },
  }).spawn();
  files.defer(async () => {
    user.kill("SIGKILL");
    await user.status;
  });
  const endless = await leave();
  await Deno.truncate(`${endless}/owner`, 0);
  await Deno.truncate(`${endless}/owner`, 2 ** 33);
  const kept = [used, endless];
  // A name of two lines, the second of which names something else.
  const relative = name();
  await owned(`/tmp/atex-x\n${relative}`);
  kept.push(await owned(relative));
  if (Deno.uid() === 0) {
    const foreign = await leave();
    await Deno.chown(foreign, 12_345, 12_345);
    kept.push(foreign);
  }
  await using it = await lab(["a"]);
  await it.pool.start();
  it.pool.provision();
  await (await it.pool.getRemote()).release();
  for (const path of kept) assert.ok(await exists(path), path);
  assert.ok(!it.events.some(({ type }) => type === "warning"));
});

Deno.test("a host whose probe fails is set aside", async () => {
  await using it = await lab(["a"], { probe: ["false"] });
  await it.pool.start();
  it.pool.provision();
  await assert.rejects(it.pool.getRemote(), {
    message:
      /^Cannot use any host: Cannot use the host a: its probe failed: .*exit code 1/,
  });
});

Deno.test("a host that was destroyed is in quarantine, unless it was recovered", async () => {
  for (const recover of [undefined, () => {}]) {
    await using it = await lab(["a", "b"], {
      quarantine: Infinity,
      ...(recover && { recover }),
    });
    await it.pool.start();
    it.pool.provision();
    const first = await it.pool.getRemote();
    await first.release({ reason: "destroyed" });
    it.pool.provision();
    const second = await it.pool.getRemote();
    assert.equal(second.id, recover ? "ssh:a" : "ssh:b");
    if (recover) continue;
    await second.release({ reason: "destroyed" });
    it.pool.provision();
    await assert.rejects(it.pool.getRemote(), {
      fatal: true,
      message:
        "Cannot use any host: The host a was given back as destroyed; The host b was given back as destroyed",
    });
    await it.pool.stop();
    await it.pool.start(); // it ends with that
    it.pool.provision();
    assert.equal((await it.pool.getRemote()).id, "ssh:a");
  }
});

Deno.test("a host that fails maxFailures times in a row is not tried again", async () => {
  await using it = await lab(["a"], { retryAfter: 0, maxFailures: 3 });
  await it.fail("a");
  await it.pool.start();
  for (let attempt = 1;; attempt++) {
    it.pool.provision();
    const error = await it.pool.getRemote().catch((error) => error);
    assert.equal(error.fatal, attempt === 3);
    if (error.fatal) break;
  }
  assert.equal(it.calls().length, 3);
});

Deno.test("a host that was used in between did not fail in a row", async () => {
  await using it = await lab(["a"], { retryAfter: 0, maxFailures: 2 });
  await it.pool.start();
  for (let i = 0; i < 3; i++) {
    await it.fail("a");
    it.pool.provision();
    await assert.rejects(it.pool.getRemote(), { fatal: false });
    await it.repair("a");
    it.pool.provision();
    await (await it.pool.getRemote()).release({ reason: "destroyed" });
  }
});

Deno.test("a host that cannot be set up counts as failed, recovered or not", async () => {
  for (const recover of [undefined, () => {}]) {
    await using it = await lab(["a"], {
      maxFailures: 2,
      ...(recover && { recover }),
    });
    await it.pool.start();
    for (let i = 0; i < 2; i++) {
      it.pool.provision();
      await (await it.pool.getRemote()).release({ reason: "setup-failed" });
    }
    it.pool.provision();
    await assert.rejects(it.pool.getRemote(), {
      fatal: true,
      message:
        "Cannot use any host: The host a was given back as impossible to set up",
    });
  }
});

Deno.test('order: "shuffle" does not always begin with the same host', async () => {
  const hosts = Array.from({ length: 30 }, (_, i) => `h${i}`);
  const first = new Set<string>();
  for (let i = 0; i < 5; i++) {
    await using it = await lab(hosts, { order: "shuffle" });
    await it.pool.start();
    it.pool.provision();
    first.add((await it.pool.getRemote()).id);
  }
  assert.ok(first.size > 1);
});
