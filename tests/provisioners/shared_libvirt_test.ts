/** The provisioner with the real helper and a real sshd, on a libvirt host that is a directory. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import { NotConnectedError } from "../../connections/connection.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { ProvisionError } from "../../provisioners/provisioner.ts";
import {
  listReservations,
  SharedLibvirtProvisioner,
  type SharedLibvirtProvisionerOptions,
} from "../../provisioners/shared_libvirt.ts";
import { portIn } from "../../provisioners/_virt_domain.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { rejected, thrown } from "../_thrown.ts";
import { until } from "../_wait.ts";
import { FakeVirtHost } from "./_fake_virsh.ts";

const ignore = cannotRun(
  "provisioners/shared_libvirt",
  missingPrograms("python3"),
  sshdMissing(),
);

/** A host whose domains are all the same system: a server here. */
class Setting implements AsyncDisposable {
  readonly events: ProvisionerEvent[] = [];

  private constructor(
    readonly host: FakeVirtHost,
    readonly sshd: Sshd,
    readonly resources: AsyncDisposableStack,
  ) {}

  static async make(...domains: string[]): Promise<Setting> {
    await using resources = new AsyncDisposableStack();
    const host = resources.use(await FakeVirtHost.make());
    const sshd = resources.use(await Sshd.start());
    await Deno.writeTextFile(`${host.directory}/pool/image`, "image");
    for (const domain of domains) await host.define(domain, sshd.port);
    return new Setting(host, sshd, resources.move());
  }

  get options(): SharedLibvirtProvisionerOptions {
    const { host, sshd } = this;
    return {
      host: host.connection,
      helper: host.helper,
      image: "image",
      domainHost: "127.0.0.1",
      user: sshd.user,
      sshKey: sshd.options.identityFile,
      ssh: { options: sshd.options.options },
      reserveDelay: 100,
      onEvent: (event) => this.events.push(event),
    };
  }

  async open(
    options: Partial<SharedLibvirtProvisionerOptions> = {},
  ): Promise<SharedLibvirtProvisioner> {
    const pool = new SharedLibvirtProvisioner({ ...this.options, ...options });
    return await pool.start();
  }

  /** The processes of helpers, and what they run. */
  async helpers(): Promise<number[]> {
    const found: number[] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name) || +name === Deno.pid) continue;
      const env = await Deno.readTextFile(`/proc/${name}/environ`)
        .catch(() => "");
      if (env.split("\0").includes(`FAKE=${this.host.directory}`)) {
        found.push(+name);
      }
    }
    return found;
  }

  /** Everything is as it was: no process, no lock, no half copy. */
  async isClean(): Promise<void> {
    await until(async () => (await this.helpers()).length === 0);
    const rows = await listReservations(this.options);
    assert.deepEqual(rows.filter(({ state }) => state !== "free"), []);
    for await (const { name } of Deno.readDir(`${this.host.directory}/pool`)) {
      assert.doesNotMatch(name, /^\./);
    }
  }

  warnings(): string[] {
    return this.events.flatMap((event) =>
      event.type === "warning" ? [event.error.message] : []
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

Deno.test({
  name: "a domain is cloned, started, lent, switched off and free again",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    const { host } = setting;
    await Deno.writeTextFile(`${host.directory}/domains/one/state`, "running");
    await using pool = await setting.open({ reserveName: "nightly" });
    assert.equal(pool.maxRemotes, 1);
    assert.equal(pool.name, "shared-libvirt:127.0.0.1");
    pool.provision();
    const remote = await pool.getRemote();
    assert.match(remote.id, /^shared-libvirt:one\/\d+$/);
    assert.deepEqual(remote.attributes, {
      host: "127.0.0.1",
      domain: "one",
      image: "image",
      address: `127.0.0.1:${setting.sshd.port}`,
    });
    assert.equal(remote.reusable, false);
    assert.equal(await run(remote, ["echo", "here"]), "here\n");
    assert.equal(
      await Deno.readTextFile(`${host.directory}/pool/one.raw`),
      "image",
    );
    assert.deepEqual(await listReservations(setting.options), [
      { domain: "one", state: "reserved", holder: "nightly" },
    ]);
    assert.equal(await host.stateOf("one"), "running");
    await remote.release();
    assert.equal(await host.stateOf("one"), "shut off");
    await setting.isClean();
    const order = (await host.log()).map((line) => line.split(" ")[0]);
    assert.deepEqual(
      order.filter((name) => /^(destroy|start)$/.test(name)),
      ["destroy", "start", "destroy"],
    );
    assert.deepEqual(
      setting.events.map(({ type }) => type),
      ["reserving", "ready", "lent", "released"],
    );
  },
});

Deno.test({
  name: "without destroyOnRelease the domain goes on",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    await using pool = await setting.open({ destroyOnRelease: false });
    pool.provision();
    await (await pool.getRemote()).release();
    assert.equal(await setting.host.stateOf("one"), "running");
    await setting.isClean();
  },
});

Deno.test({
  name: "a domain that others have is waited for",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one", "two");
    await using first = await setting.open({ reserveName: "first" });
    first.provision(2);
    const remotes = [await first.getRemote(), await first.getRemote()];
    const names = remotes.map(({ attributes }) => attributes.domain);
    assert.deepEqual(names.sort(), ["one", "two"]);
    await using second = await setting.open();
    second.provision();
    const waiting = second.getRemote();
    await until(() => setting.events.some(({ type }) => type === "waiting"));
    assert.deepEqual(setting.events.find(({ type }) => type === "waiting"), {
      type: "waiting",
      id: "shared-libvirt:127.0.0.1:#1",
      reason: "others have one: first; two: first",
    });
    await remotes[0].release();
    const remote = await waiting;
    assert.equal(remote.attributes.domain, remotes[0].attributes.domain);
    // Within one process, too.
    second.provision();
    const next = second.getRemote();
    await remote.release();
    await (await next).release();
    await remotes[1].release();
    await setting.isClean();
  },
});

Deno.test({
  name:
    "the end of a helper is the end of its system: lost, disconnected, not given back",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one", "two");
    await using pool = await setting.open();
    pool.provision(2);
    const lost = await pool.getRemote();
    const other = await pool.getRemote();
    const { domain } = lost.attributes;
    const before = (await listReservations(setting.options)).length;
    assert.equal(before, 2);
    for (const pid of await setting.helpers()) {
      const locks = await Deno.readTextFile(`/proc/locks`);
      const { ino } = await Deno.stat(
        `${setting.host.directory}/locks/${domain}`,
      );
      const mine = new RegExp(`POSIX .* ${pid} \\S+:${ino} `).test(locks);
      if (mine) Deno.kill(pid, "SIGKILL");
    }
    const error = await lost.lost;
    assert.match(
      error.message,
      new RegExp(`^Cannot keep the domain ${domain} of 127.0.0.1: Lost the`),
    );
    await until(async () => {
      try {
        await run(lost, ["true"]);
        return false;
      } catch (error) {
        return error instanceof NotConnectedError;
      }
    });
    await rejected(lost.connect(), ProvisionError, "Cannot keep the domain");
    assert.ok(setting.events.some(({ type }) => type === "lost"));
    // Not ours to switch off.
    await lost.release();
    assert.equal(await setting.host.stateOf(domain), "running");
    assert.equal(await run(other, ["echo", "here"]), "here\n");
    await other.release();
    await setting.isClean();
  },
});

Deno.test({
  name: "a domain that cannot be used is left alone, and told once",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("good");
    const { host } = setting;
    await host.define("no.port");
    await host.define("17", setting.sshd.port);
    await host.define("no-disk", setting.sshd.port);
    await Deno.writeTextFile(
      `${host.directory}/domains/no-disk/xml`,
      "<domain><devices/></domain>",
    );
    await using first = await setting.open({ domainFilter: "good" });
    first.provision();
    const good = await first.getRemote();
    await using pool = await setting.open({
      domainFilter: "(?i)(?x) [A-Z0-9.-]+ # in any case",
    });
    assert.equal(pool.maxRemotes, 4);
    pool.provision();
    await rejected(pool.getRemote(), ProvisionError, "has no volume in pool");
    pool.provision();
    const waiting = pool.getRemote();
    await until(() => setting.events.some(({ type }) => type === "waiting"));
    await good.release();
    const remote = await waiting;
    assert.equal(remote.attributes.domain, "good");
    await remote.release();
    assert.deepEqual(setting.warnings().sort(), [
      "Cannot use the domain 17 of 127.0.0.1: its name may be taken for something else",
      "Cannot use the domain no-disk of 127.0.0.1: domain no-disk has no volume in pool default",
      "Cannot use the domain no.port of 127.0.0.1: no port of the host leads to it by passt",
    ]);
    for (const name of ["no.port", "17", "no-disk"]) {
      const touched = (await host.log()).filter((line) =>
        /^(start|destroy)/.test(line) && line.endsWith(` ${name}`)
      );
      assert.deepEqual(touched, []);
    }
    await Deno.remove(`${host.directory}/domains/good`, { recursive: true });
    pool.provision();
    const error = await rejected(pool.getRemote(), ProvisionError);
    assert.match(
      error.message,
      /^Cannot reserve a domain of 127.0.0.1: none can be used \(.*no\.port: no port of the host/,
    );
    assert.equal(error.fatal, true);
    await setting.isClean();
  },
});

Deno.test({
  name: "start() tells what is wrong with the host",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    const { host } = setting;
    const cases: [Partial<SharedLibvirtProvisionerOptions>, RegExp][] = [
      [
        { image: "none" },
        /^Cannot use the image "none" of 127.0.0.1: error: failed to get vol 'none'$/,
      ],
      [
        { pool: "none" },
        /^Cannot use the image "image" of 127.0.0.1: error: failed to get pool 'none'$/,
      ],
      [
        { helper: ["sh", "-c", "echo Welcome; read x"] },
        /^Cannot use "sh .*" on .*: Cannot run "ping" .*: it printed "Welcome"/,
      ],
      [
        {
          helper: [
            ...["sh", "-c"],
            `read x; echo '{"success": true, "cmd": "ping", "reply": "atex-virt-helper v2 pong"}'; read x`,
          ],
        },
        /it answered "atex-virt-helper v2 pong", "atex-virt-helper v1 pong" would be right: it is another program, or of another version$/,
      ],
      [{ helper: ["no-such-helper"] }, /"no-such-helper" is not installed$/],
      [{ helper: ["false"] }, /it ended with exit code 1$/],
      [
        { helper: ["sh", "-c", "exec no-such-helper"] },
        /no-such-helper: not found; `installVirtHelper\(\)` .* installs it$/,
      ],
    ];
    for (const [options, message] of cases) {
      const error = await rejected(setting.open(options), ProvisionError);
      assert.match(error.message, message);
      assert.equal(error.fatal, true);
    }
    await Deno.remove(`${host.directory}/domains/one`, { recursive: true });
    const error = await rejected(setting.open(), ProvisionError);
    assert.match(error.message, /: no persistent domains found$/);
    assert.deepEqual(await setting.helpers(), []);
  },
});

Deno.test({
  name: "no further reservation is tried where none can succeed",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    await using pool = await setting.open({ domainFilter: "two|three" });
    pool.provision(2);
    const error = await rejected(pool.getRemote(), ProvisionError);
    assert.equal(
      error.message,
      'Cannot reserve a domain of 127.0.0.1: none matches "two|three"',
    );
    assert.equal(error.fatal, true);
    await using other = await setting.open();
    await Deno.remove(`${setting.host.directory}/pool/image`);
    other.provision();
    const gone = await rejected(other.getRemote(), ProvisionError);
    assert.match(
      gone.message,
      /^Cannot clone "image" for the domain one of 127.0.0.1: failed getting volume image of pool default: /,
    );
    assert.equal(gone.fatal, true);
    await setting.isClean();
  },
});

Deno.test({
  name: "one failure costs one reservation",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    await using pool = await setting.open();
    const hooks: [string, string, RegExp][] = [
      [
        "start",
        "echo 'error: passt: port is taken'; exit 1",
        /^Cannot start the domain one of 127.0.0.1: error: passt: port is taken$/,
      ],
      [
        "pool-refresh",
        "echo 'error: disk full'; exit 1",
        /^Cannot clone "image" for the domain one .*: failed refreshing pool/,
      ],
      [
        "domstate",
        "echo 'error: no such domain'; exit 1",
        /^Cannot switch off the domain one of 127.0.0.1: error: no such domain$/,
      ],
    ];
    for (const [command, script, message] of hooks) {
      await setting.host.hook(command, script);
      pool.provision();
      const error = await rejected(pool.getRemote(), ProvisionError);
      assert.match(error.message, message);
      assert.equal(error.fatal, false);
      await Deno.remove(`${setting.host.directory}/hooks/${command}`);
    }
    // A helper that ends amid the work.
    await setting.host.hook("start", 'kill -9 "$(ps -o ppid= $PPID)"; sleep 9');
    pool.provision();
    const error = await rejected(pool.getRemote(), ProvisionError);
    assert.match(error.message, /^Cannot keep the domain one of .*Lost the/);
    assert.equal(error.fatal, false);
    await Deno.remove(`${setting.host.directory}/hooks/start`);
    pool.provision();
    await (await pool.getRemote()).release();
  },
});

Deno.test({
  name: "what does not answer in time is given up",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    await using pool = await setting.open({ commandTimeout: 1500 });
    await setting.host.hook("start", "sleep 1000");
    pool.provision();
    const error = await rejected(pool.getRemote(), ProvisionError);
    assert.equal(
      error.message,
      'Cannot start the domain one of 127.0.0.1: Cannot run "virsh" by the virt helper: no answer within 1.5 s',
    );
    await Deno.remove(`${setting.host.directory}/hooks/start`);
    await setting.isClean();
    await using slow = await setting.open({ reserveTimeout: 1500 });
    await Deno.writeTextFile(
      `${setting.host.directory}/domains/one/range`,
      '<range start="1"/>', // nobody listens there
    );
    slow.provision();
    const late = await rejected(slow.getRemote(), ProvisionError);
    assert.match(late.message, /it is not ready after 1.5 s$/);
    await until(async () => await setting.host.stateOf("one") === "shut off");
    await setting.isClean();
  },
});

Deno.test({
  name: "aborting at any point leaves no process, no lock and no half copy",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    await setting.host.addProgram("cp", 'sleep 0.2; exec /bin/cp "$@"');
    await setting.host.hook("start", "sleep 0.2");
    for (let ms = 0; ms < 2400; ms += 200) {
      const pool = new SharedLibvirtProvisioner(setting.options);
      await pool.start();
      pool.provision(2); // one works, one waits
      const got = pool.getRemote().catch(() => {});
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      await Promise.race([promise, got]);
      clearTimeout(timer);
      await pool.stop();
      await got;
      await until(async () => (await setting.helpers()).length === 0);
    }
    await setting.isClean();
    assert.equal(await setting.host.stateOf("one"), "shut off");
  },
});

Deno.test({
  name: "a start that is aborted leaves nothing",
  ignore,
  fn: async () => {
    await using setting = await Setting.make("one");
    for (let ms = 0; ms < 480; ms += 60) {
      const pool = new SharedLibvirtProvisioner(setting.options);
      const started = pool.start({ signal: AbortSignal.timeout(ms) });
      await started.catch((error) => assert.equal(error.name, "TimeoutError"));
      await pool.stop();
      await until(async () => (await setting.helpers()).length === 0);
    }
  },
});

Deno.test("options that cannot be used are told at once", async () => {
  const host = { local: () => ({ argv: [] }) };
  const make = (options: object) =>
    new SharedLibvirtProvisioner(
      { host: "h", image: "i", ...options } as SharedLibvirtProvisionerOptions,
    );
  assert.equal(make({ host: "root@h:22" }).name, "shared-libvirt:root@h:22");
  assert.equal(make({ host, domainHost: "h" }).name, "shared-libvirt:h");
  thrown(() => make({ host }), TypeError, '"domainHost" must name the host');
  thrown(() => make({ host: "" }), TypeError, "names no host");
  thrown(() => make({ image: "" }), TypeError, '"image" must be a name');
  thrown(() => make({ pool: "" }), TypeError, '"pool" must be a name');
  thrown(() => make({ helper: [] }), TypeError, 'Cannot use [] as "helper"');
  thrown(() => make({ reserveName: "" }), TypeError, "on one line");
  thrown(() => make({ reserveName: "a\nb" }), TypeError, "on one line");
  thrown(() => make({ reserveDelay: -1 }), RangeError, "reserveDelay");
  thrown(() => make({ reserveDelay: NaN }), RangeError, "reserveDelay");
  thrown(() => make({ commandTimeout: 0 }), RangeError, "commandTimeout");
  thrown(() => make({ reserveTimeout: -1 }), RangeError, "reserveTimeout");
  thrown(() => make({ maxRemotes: 1.5 }), RangeError, "maxRemotes");
  await rejected(
    listReservations({ host: "h", commandTimeout: NaN }),
    RangeError,
    "commandTimeout",
  );
});

Deno.test("the port of a domain is that which leads to its port 22", () => {
  assert.equal(portIn('<range start="5001" to="22"/>\n'), 5001);
  assert.equal(portIn("<range start='5001' end='5003'/>\n"), 5001);
  assert.equal(
    portIn(
      '<range start="8080" to="80"/>\n<range start="5002" end="5002" to="22"/>\n',
    ),
    5002,
  );
  assert.equal(portIn('<range to="22" start="7"/>'), 7);
  assert.equal(portIn(""), undefined);
  assert.equal(portIn("\n<range exclude='yes'/>\n"), undefined);
});
