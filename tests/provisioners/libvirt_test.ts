/** What LibvirtProvisioner does with a real virsh and libvirt's test driver, and with one that does not do what it should. */
import assert from "node:assert/strict";
import { formatOwner } from "../../connections/ownership.ts";
import { run } from "../../connections/process.ts";
import { parseEvent } from "../../provisioners/_domain_events.ts";
import { NAMESPACE } from "../../provisioners/_domain_xml.ts";
import { describeOwner, openRunDirectory } from "../../provisioners/_run.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  LibvirtProvisioner,
  type LibvirtProvisionerOptions,
} from "../../provisioners/libvirt.ts";
import {
  ProvisionError,
  ProvisionerStoppedError,
} from "../../provisioners/provisioner.ts";
import { reap } from "../../provisioners/reap.ts";
import { missingPrograms } from "../_parts.ts";
import { cannotRun, Sshd, sshdMissing } from "../_sshd.ts";
import { rejected } from "../_thrown.ts";
import { processesWith, until } from "../_wait.ts";
import { FakeLibvirt } from "./_fake_libvirt.ts";

const noVirsh = cannotRun("provisioners/libvirt", missingPrograms("virsh"));
const noSshd = cannotRun("provisioners/libvirt", sshdMissing());

Deno.test("LibvirtProvisioner refuses options that make no sense", () => {
  const make = (options: Partial<LibvirtProvisionerOptions>) => () =>
    new LibvirtProvisioner({ origin: "a", sshKey: "/key", ...options });
  for (
    const options of [
      { origin: "" },
      { origin: "-v" },
      { user: "" },
      { user: "-l" },
      { user: "a b" },
      { sshKey: "" },
      { uri: "qemu+ssh://host/system" },
      { uri: "test:///default" },
    ]
  ) assert.throws(make(options), TypeError, JSON.stringify(options));
  for (
    const options of [
      { portFrom: 0 },
      { portFrom: 65_536 },
      { portFrom: 1.5 },
      { reserveTimeout: 0 },
      { commandTimeout: NaN },
      { maxRemotes: -1 },
    ]
  ) assert.throws(make(options), RangeError, JSON.stringify(options));
  for (const uri of [undefined, "qemu:///system", "qemu:///session"]) {
    assert.equal(make({ uri })().name, "libvirt:a");
  }
  make({
    origin: "with blanks",
    uri: "qemu+ssh://h/system",
    domainHost: "h",
  })();
});

Deno.test("parseEvent() reads the lines of `virsh event`", () => {
  for (
    const [line, meaning] of [
      ["event 'lifecycle' for domain 'a-1': Stopped Destroyed", "Destroyed"],
      ["event 'lifecycle' for domain a-1: Stopped Shutdown", "Shutdown"],
      ["event 'lifecycle' for domain 'a-1': Crashed Panicked", "Panicked"],
    ]
  ) {
    const how = `ended by itself (${meaning})`;
    assert.deepEqual(parseEvent(line), { name: "a-1", how });
  }
  for (
    const line of [
      "",
      "event 'lifecycle' for domain 'a-1': Started Booted",
      "event 'lifecycle' for domain 'a-1': Shutdown Finished after guest request",
      "event 'lifecycle' for domain 'Stopped x': Resumed Unpaused",
    ]
  ) assert.equal(parseEvent(line), "other");
  assert.equal(parseEvent("error: Disconnected from qemu"), undefined);
});

/** A node of libvirt's test driver, which forgets what happens to it at the end of each call. */
class TestNode implements AsyncDisposable {
  private constructor(readonly directory: string) {}

  static async make(...parts: string[]): Promise<TestNode> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    await Deno.writeTextFile(
      `${directory}/node.xml`,
      `<node xmlns:test="http://libvirt.org/schemas/domain/test/1.0">${
        parts.join("")
      }</node>`,
    );
    await Deno.writeTextFile(`${directory}/key`, "");
    return new TestNode(directory);
  }

  get uri(): string {
    return `test://${this.directory}/node.xml`;
  }

  /** A provisioner of clones of a domain of the node. */
  pool(options: Partial<LibvirtProvisionerOptions> = {}): LibvirtProvisioner {
    return new LibvirtProvisioner({
      origin: "origin",
      sshKey: `${this.directory}/key`,
      uri: this.uri,
      domainHost: "127.0.0.1",
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** 1 is running, 5 shut off. */
const domainXml = (
  name: string,
  { state = 5, devices = "", more = "" } = {},
) =>
  `<domain type="test"><name>${name}</name><memory>8192</memory><os><type>hvm</type></os>${more}<devices>${devices}</devices><test:runstate>${state}</test:runstate></domain>`;

const DISK =
  '<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="/disk"/><target dev="vda" bus="virtio"/></disk>';

const POOL =
  '<pool type="dir"><name>here</name><target><path>/pool</path></target><volume><name>disk.raw</name><capacity>9</capacity><target><path>/pool/disk.raw</path></target></volume></pool>';

const volumeDisk = (pool: string, volume: string) =>
  `<disk type="volume" device="disk"><driver name="qemu" type="raw"/><source pool="${pool}" volume="${volume}"/><target dev="vda" bus="virtio"/></disk>`;

Deno.test({
  name: "start() tells why a domain cannot be cloned",
  ignore: noVirsh,
  fn: async (t) => {
    const cases: [what: string, node: string[], message: RegExp][] = [
      [
        "there is none",
        [domainXml("other")],
        /: failed to get domain 'origin'/,
      ],
      [
        "it runs",
        [domainXml("origin", { state: 1, devices: DISK })],
        /: it is "running", it has to be shut off so that its disk does not change$/,
      ],
      ["it has no disk", [domainXml("origin")], /: it has no disk that is/],
      [
        "it has a device of the host",
        [domainXml("origin", {
          devices: DISK +
            '<hostdev mode="subsystem" type="usb"><source><vendor id="0x1234"/><product id="0xbeef"/></source></hostdev>',
        })],
        /: it has a device of the host: <hostdev .*0x1234/,
      ],
      [
        "its storage pool is unknown",
        [domainXml("origin", { devices: volumeDisk("gone", "x") })],
        /: failed to get pool 'gone'/,
      ],
      [
        "its volume is unknown",
        [domainXml("origin", { devices: volumeDisk("here", "x") }), POOL],
        /: failed to get vol 'x'/,
      ],
    ];
    for (const [what, parts, message] of cases) {
      await t.step(what, async () => {
        await using node = await TestNode.make(...parts);
        await using pool = node.pool();
        const error = await rejected(pool.start(), ProvisionError);
        assert.match(error.message, /^Cannot clone the domain "origin": /);
        assert.match(error.message, message);
        assert.equal(error.fatal, true);
      });
    }
    await t.step("the key is not there", async () => {
      await using node = await TestNode.make(domainXml("origin"));
      await using pool = node.pool({ sshKey: `${node.directory}/none` });
      const error = await rejected(pool.start(), ProvisionError, "none");
      assert.match(error.message, /^Cannot use the ssh key ".*": /);
    });
    await t.step("libvirt is not there", async () => {
      await using node = await TestNode.make(domainXml("origin"));
      await using pool = node.pool({ uri: "test:///nowhere/node.xml" });
      const error = await rejected(pool.start(), ProvisionError);
      assert.match(error.message, /failed to connect to the hypervisor/);
    });
  },
});

Deno.test({
  name: "a domain that libvirt refuses is no reason to go on trying",
  ignore: noVirsh,
  fn: async () => {
    await using node = await TestNode.make(
      domainXml("origin", { devices: volumeDisk("here", "disk.raw") }),
      POOL,
    );
    await using pool = await node.pool().start();
    pool.provision();
    const error = await rejected(pool.getRemote(), ProvisionError);
    // Other releases of libvirt know passt, and get no further than the disk.
    assert.match(
      error.message,
      /^Cannot clone the domain "origin": .*(passt|transient)/,
    );
    assert.equal(error.fatal, true);
  },
});

const DEAD = "aaaaaaaaaa";
const OTHER = "bbbbbbbbbb";

/** Metadata as a clone of a script has it. */
const record = (run: string, owner: string) =>
  `<metadata><atex:run xmlns:atex="${NAMESPACE}" id="${run}" owner="${owner}" since="2020-01-01T00:00:00Z"/></metadata>`;

/** Owners: a dead process of this machine, one that we cannot tell about, and this one. */
async function owners() {
  const me = await describeOwner(await openRunDirectory());
  return {
    dead: formatOwner({ ...me, startTime: "1" }),
    elsewhere: formatOwner({ ...me, hostname: "elsewhere", machine: "x" }),
    living: formatOwner(me),
  };
}

Deno.test({
  name: "start() removes the domains of dead scripts, and no others",
  ignore: noVirsh,
  fn: async () => {
    const { dead, elsewhere, living } = await owners();
    await using node = await TestNode.make(
      domainXml("origin", { devices: DISK }),
      domainXml(`atex-${DEAD}-1-2`, { state: 1, more: record(DEAD, dead) }),
      domainXml(`atex-${DEAD}-1-3`, { state: 1, more: record(OTHER, dead) }),
      domainXml(`atex-${DEAD}-1-4`, { state: 1 }),
      domainXml(`atex-${OTHER}-1-2`, { state: 1, more: record(OTHER, living) }),
      domainXml(`atex-${OTHER}-1-3`, {
        state: 1,
        more: record(OTHER, elsewhere),
      }),
      domainXml("atex-mine", { state: 1, more: record(DEAD, dead) }),
    );
    const events: ProvisionerEvent[] = [];
    await using _ = await node.pool({ onEvent: (event) => events.push(event) })
      .start();
    assert.deepEqual(events, [
      {
        type: "reaped",
        kind: "libvirt",
        name: `atex-${DEAD}-1-2`,
        owner: dead,
      },
    ]);

    const found = await reap({
      kinds: ["domain"],
      dryRun: true,
      libvirt: { uri: node.uri },
    });
    assert.deepEqual(
      found.map((
        { kind, name, run, verdict, mine, removed },
      ) => [kind, name, run, verdict, mine, removed]).sort(),
      [
        ["domain", `atex-${DEAD}-1-2`, DEAD, "dead", false, false],
        ["domain", `atex-${OTHER}-1-2`, OTHER, "alive", true, false],
        ["domain", `atex-${OTHER}-1-3`, OTHER, "unknown", false, false],
      ],
    );
    assert.ok(found.every(({ age }) => age > 365 * 86_400_000));
    const [removed] = await reap({
      kinds: ["domain"],
      run: DEAD,
      libvirt: { uri: node.uri },
    });
    assert.deepEqual([removed.removed, removed.error], [true, undefined]);
  },
});

Deno.test("reap() keeps to itself only that there is no libvirt, and only if domains were not asked for", async () => {
  await using fake = await FakeLibvirt.make();
  const usual = { directories: [], podman: ["atex-no-such"] };
  const unreachable = "failed to connect to the hypervisor";
  await fake.fault("list", `fail "${unreachable}"`);
  for (
    const [virsh, why] of [
      [["atex-no-such-virsh"], "atex-no-such-virsh"],
      [fake.program, unreachable],
    ] as const
  ) {
    const libvirt = { virsh };
    assert.deepEqual(await reap({ ...usual, libvirt }), []);
    for (
      const asked of [
        { kinds: ["domain"] },
        { ...usual, more: ["domain"] },
        { ...usual, libvirt: { virsh, uri: "qemu:///system" } },
      ] as const
    ) {
      await rejected(reap({ libvirt, ...asked }), ProvisionError, why);
    }
  }
  await fake.fault("list", 'fail "out of memory"');
  await rejected(
    reap({ ...usual, libvirt: { virsh: fake.program } }),
    ProvisionError,
    "Cannot list domains: out of memory",
  );
});

/** A provisioner whose domains are files, and whose systems are this machine, at the port of an sshd. */
async function lend(
  options: Partial<LibvirtProvisionerOptions> = {},
  /** How many ports there are before that of the sshd. */
  before = 0,
) {
  const resources = new AsyncDisposableStack();
  const virsh = resources.use(await FakeLibvirt.make());
  const sshd = resources.use(await Sshd.start());
  const events: ProvisionerEvent[] = [];
  const pool = resources.use(
    new LibvirtProvisioner({
      origin: "origin",
      user: sshd.user,
      sshKey: sshd.options.identityFile,
      uri: "qemu+ssh://somewhere/system",
      domainHost: "127.0.0.1",
      portFrom: sshd.port - before,
      virsh: virsh.program,
      onEvent: (event) => events.push(event),
      ...options,
    }),
  );
  return {
    virsh,
    sshd,
    pool,
    events,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

Deno.test({
  name: "a clone is made, lent and removed",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend();
    const { virsh, sshd, pool, events } = lending;
    await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    const { domain } = remote.attributes;
    assert.match(domain, /^atex-[a-z0-9]{10}-\d+-\d+$/);
    assert.equal(`libvirt:${domain.split("-").at(-1)}`, remote.id);
    assert.deepEqual(remote.attributes, {
      origin: "origin",
      domain,
      host: "127.0.0.1",
      port: String(sshd.port),
    });
    assert.equal(await run(remote, ["echo", "x"]), "x\n");
    assert.deepEqual(virsh.domains, [domain]);
    const xml = virsh.xmlOf(domain);
    assert.ok(
      xml.includes(
        `<portForward proto="tcp" address="0.0.0.0"><range start="${sshd.port}" to="22"/>`,
      ),
    );
    assert.match(xml, /<atex:run id="[a-z0-9]{10}" owner="[^"]+" since="20/);
    await remote.release();
    assert.deepEqual(virsh.domains, []);
    await pool.stop();
    assert.deepEqual(
      virsh.calls.filter((call) => !call.startsWith("event")),
      [
        "domstate origin",
        "dumpxml origin --inactive",
        "list --all --name",
        "domstate origin",
        "create /dev/stdin",
        `destroy ${domain}`,
        "list --all --name",
      ],
    );
    assert.deepEqual(events.map(({ type }) => type), [
      "reserving",
      "ready",
      "lent",
      "released",
    ]);
  },
});

Deno.test({
  name: "a port that is in use is left out",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend({}, 2);
    const { virsh, sshd, pool, events } = lending;
    await virsh.fault(
      "create",
      `case $xml in *'start="${sshd.port}"'*) ;; *) fail "internal error: Child process (passt --tcp-ports x) unexpected exit status 1: Failed to bind any port";; esac`,
    );
    await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    assert.equal(remote.attributes.port, String(sshd.port));
    const tries = virsh.calls.filter((call) => call.startsWith("create"));
    assert.equal(tries.length, 3);
    assert.ok(events.every(({ type }) => type !== "reserve-failed"));
  },
});

Deno.test({
  name: "an origin that was switched on is not cloned until it is off again",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend();
    const { virsh, pool } = lending;
    await pool.start();
    await virsh.fault("domstate", "echo running; exit");
    pool.provision();
    const error = await rejected(
      pool.getRemote(),
      ProvisionError,
      'it is "running", it has to be shut off',
    );
    assert.equal(error.fatal, false);
    assert.ok(!virsh.calls.some((call) => call.startsWith("create")));
    await virsh.repair("domstate");
    pool.provision();
    await pool.getRemote();
  },
});

Deno.test({
  name: "the port of a domain that could not be removed is not given out again",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend({
      portFrom: 65_535,
      reserveTimeout: 3000,
    });
    const { virsh, pool } = lending;
    await pool.start();
    const fails = async (why: string) => {
      pool.provision();
      await rejected(pool.getRemote(), ProvisionError, why);
    };
    await fails("it is not ready after 3 s");
    await fails("it is not ready after 3 s"); // the same port, free again
    await virsh.fault("destroy", 'fail "device or resource busy"');
    await fails("it is not ready after 3 s");
    await fails("all ports up to 65535 are in use");
    await virsh.repair("destroy");
    await pool.stop();
    assert.deepEqual(virsh.domains, []);
    // The watchdog, for which nobody else waits.
    await until(async () =>
      (await processesWith(virsh.program[0])).length === 0
    );
  },
});

Deno.test({
  name: "a domain that cannot be made is told once, after 20 ports at most",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend();
    const { virsh, pool } = lending;
    await pool.start();
    const failure = async (message: string) => {
      const before = virsh.calls.length;
      await virsh.fault("create", `fail "${message}"`);
      pool.provision();
      const error = await rejected(pool.getRemote(), ProvisionError, message);
      const tries = virsh.calls.slice(before)
        .filter((call) => call.startsWith("create")).length;
      return [error.fatal, tries];
    };
    assert.deepEqual(await failure("port 5100 is in use"), [false, 20]);
    assert.deepEqual(await failure("cannot allocate memory"), [false, 1]);
    assert.deepEqual(
      await failure(
        "failed to connect to the hypervisor: ssh: connect to port 22: Permission denied",
      ),
      [false, 1],
    );
    assert.deepEqual(
      await failure("unsupported configuration: passt is not supported"),
      [true, 1],
    );
    assert.deepEqual(virsh.domains, []);
  },
});

Deno.test({
  name:
    "stop() while a domain is being made or boots leaves none, also if it comes late",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend({ portFrom: 1 }); // nobody listens there
    const { virsh, pool, events } = lending;
    await pool.start();
    pool.provision();
    await until(() => virsh.domains.length === 1);
    const waiting = rejected(pool.getRemote(), ProvisionerStoppedError);
    await pool.stop();
    await waiting;
    assert.deepEqual(virsh.domains, []);

    await virsh.fault("create", `: >"$here/begun"; sleep 0.5`);
    await pool.start();
    pool.provision();
    await until(() =>
      Deno.stat(`${virsh.directory}/begun`).then(() => true, () => false)
    );
    await pool.stop();
    assert.deepEqual(virsh.domains, []);
    assert.ok(events.every(({ type }) => type === "reserving"));
  },
});

Deno.test({
  name:
    "a system that ends while it boots, or does not boot in time, is told at once and removed",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend({ portFrom: 1, reserveTimeout: 3000 });
    const { virsh, pool } = lending;
    await pool.start();
    pool.provision();
    await until(() => virsh.domains.length === 1);
    await virsh.end(virsh.domains[0]);
    const ended = await rejected(pool.getRemote(), ProvisionError);
    assert.match(
      ended.message,
      /Cannot connect to a clone: The domain "atex-.*" ended by itself \(Shutdown\)$/,
    );
    assert.equal(ended.fatal, false);

    pool.provision();
    const late = await rejected(pool.getRemote(), ProvisionError);
    assert.match(late.message, /it is not ready after 3 s/);
    assert.deepEqual(virsh.domains, []);
  },
});

Deno.test({
  name: "lost resolves when the domain ends, also while nobody listens",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend();
    const { virsh, pool, events } = lending;
    await pool.start();
    pool.provision();
    const one = await pool.getRemote();
    await virsh.end(one.attributes.domain);
    assert.match((await one.lost).message, /ended by itself \(Shutdown\)$/);
    await one.release(); // it is gone already

    await using again = await lend();
    await again.pool.start();
    again.pool.provision();
    const other = await again.pool.getRemote();
    await again.virsh.fault("event", "exit 1");
    for (const { pid } of await listeners(again.virsh)) {
      Deno.kill(pid, "SIGKILL");
    }
    await again.virsh.end(other.attributes.domain, { silently: true });
    assert.match((await other.lost).message, /ended by itself$/);
    assert.ok(again.events.some(({ type }) => type === "warning"));
    assert.ok(events.every(({ type }) => type !== "warning"));
  },
});

/** Processes that tell of the events of a fake. */
async function listeners(
  { directory }: FakeLibvirt,
): Promise<{ pid: number }[]> {
  const found: { pid: number }[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = await Deno.readTextFile(`/proc/${name}/cmdline`)
      .catch(() => "");
    if (text.startsWith("tail\0") && text.includes(`${directory}/events`)) {
      found.push({ pid: +name });
    }
  }
  return found;
}

Deno.test({
  name:
    "a domain that cannot be removed keeps its place, one that is gone does not",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend();
    const { virsh, pool, events } = lending;
    await pool.start();
    pool.provision();
    const remote = await pool.getRemote();
    await virsh.fault("destroy", `fail "device or resource busy"`);
    const error = await rejected(remote.release(), ProvisionError);
    assert.match(
      error.message,
      /^Cannot remove the domain "atex-.*": device or resource busy$/,
    );
    assert.equal(virsh.domains.length, 1);
    assert.ok(events.some(({ type }) => type === "release-failed"));
    await virsh.repair("destroy");
    await pool.stop();
    assert.deepEqual(virsh.domains, []);
  },
});

Deno.test({
  name: "virsh that hangs is ended in time, and told",
  ignore: noSshd,
  fn: async () => {
    await using lending = await lend({ commandTimeout: 300 });
    const { virsh, pool } = lending;
    await virsh.fault("domstate", "exec sleep 60");
    const error = await rejected(pool.start(), ProvisionError);
    assert.match(error.message, /it did not end within 0.3 s$/);
    const abort = new AbortController();
    await using patient = await lend();
    await patient.virsh.fault("domstate", "exec sleep 60");
    const starting = patient.pool.start({ signal: abort.signal });
    const reason = new Error("enough");
    setTimeout(() => abort.abort(reason), 100);
    await assert.rejects(starting, reason);
  },
});

Deno.test({
  name:
    "the libvirt that virsh takes by itself may be another host's, which has to be named",
  ignore: noSshd,
  fn: async () => {
    const options = { uri: undefined, domainHost: undefined };
    await using lending = await lend(options);
    const { virsh, pool } = lending;
    await virsh.fault("uri", "echo qemu+ssh://lab/system; exit");
    const error = await rejected(pool.start(), ProvisionError);
    assert.match(error.message, /"qemu\+ssh:\/\/lab\/system".*"domainHost"/);
    assert.equal(error.fatal, true);

    // At home, a port where somebody listens is left out before libvirt is asked.
    await using local = await lend(options);
    await local.pool.start();
    local.pool.provision();
    await until(() => local.virsh.domains.length === 1);
    const xml = local.virsh.xmlOf(local.virsh.domains[0]);
    const [, address, port] = /address="([\d.]+)"><range start="(\d+)"/
      .exec(xml)!;
    assert.equal(address, "127.0.0.1");
    assert.ok(Number(port) > local.sshd.port);
  },
});
