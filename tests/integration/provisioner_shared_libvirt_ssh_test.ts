/** A shared libvirt host reached by ssh, whose `virsh` is a stand-in: scripts that contend and die, networks that break. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  listReservations,
  SharedLibvirtProvisioner,
} from "../../provisioners/shared_libvirt.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { Script } from "../_script.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { rejected } from "../_thrown.ts";
import { until } from "../_wait.ts";
import { FakeVirtHost } from "../provisioners/_fake_virsh.ts";
import { ProvisionError } from "../../provisioners/provisioner.ts";

const ignore = cannotRun(
  "integration/provisioner_shared_libvirt_ssh",
  missingPrograms("python3"),
  sshdMissing(),
);

/** The host has one server, all its domains have another. */
class Setting implements AsyncDisposable {
  readonly events: ProvisionerEvent[] = [];

  private constructor(
    readonly host: FakeVirtHost,
    readonly gate: Sshd,
    readonly guest: Sshd,
    readonly resources: AsyncDisposableStack,
  ) {}

  static async make(domains: number): Promise<Setting> {
    await using resources = new AsyncDisposableStack();
    const host = resources.use(await FakeVirtHost.make());
    const env = Object.entries({ ...host.env, HOME: host.directory });
    const gate = resources.use(
      await Sshd.start({
        config: [
          `SetEnv ${env.map(([name, value]) => `${name}=${value}`).join(" ")}`,
          "MaxStartups 100:30:200",
        ],
      }),
    );
    const guest = resources.use(
      await Sshd.start({ config: ["MaxStartups 100:30:200"] }),
    );
    await Deno.writeTextFile(`${host.directory}/pool/image`, "image");
    for (let i = 1; i <= domains; i++) await host.define(`d${i}`, guest.port);
    return new Setting(host, gate, guest, resources.move());
  }

  get options() {
    const { host, gate, guest } = this;
    return {
      host: gate.options,
      helper: host.helper,
      image: "image",
      user: guest.user,
      sshKey: guest.options.identityFile,
      ssh: { options: guest.options.options },
      reserveDelay: 100,
    };
  }

  async open(more = {}): Promise<SharedLibvirtProvisioner> {
    return await new SharedLibvirtProvisioner({
      ...this.options,
      onEvent: (event) => this.events.push(event),
      ...more,
    }).start();
  }

  script(count: number, times: number): Script {
    const used = `${this.host.directory}/used`;
    return new Script("integration/_shared_libvirt_script.ts", [
      JSON.stringify({ ...this.options, used }),
      String(count),
      String(times),
    ]);
  }

  async reserved(): Promise<string[]> {
    const rows = await listReservations(this.options);
    return rows.filter(({ state }) => state === "reserved")
      .map(({ domain }) => domain);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

Deno.test({
  name: "3 scripts contend for 3 domains: never two on one, and nobody starves",
  ignore,
  fn: async () => {
    await using setting = await Setting.make(3);
    await using stack = new AsyncDisposableStack();
    const scripts = Array.from(
      { length: 3 },
      () => stack.use(setting.script(2, 1)),
    );
    for (const script of scripts) {
      assert.equal((await script.end()).code, 0, script.lines.join("\n"));
      assert.equal(script.lines.at(-1), "done");
      assert.ok(!script.has("failed")(), script.lines.join("\n"));
    }
    // They did contend.
    assert.ok(scripts.some((script) => script.has("waiting")()));
    assert.deepEqual(await setting.reserved(), []);
  },
});

Deno.test({
  name: "SIGKILL of a script at any moment frees its domains, and no others",
  ignore,
  fn: async () => {
    await using setting = await Setting.make(4);
    await setting.host.addProgram("cp", 'sleep 0.2; exec /bin/cp "$@"');
    await using pool = await setting.open();
    pool.provision();
    const kept = await pool.getRemote();
    const { domain } = kept.attributes;
    for (let moment = 0; moment < 5; moment++) {
      await using script = setting.script(3, 0);
      await until(script.has("started"));
      await new Promise((resolve) => setTimeout(resolve, moment * 250));
      await script.kill();
      await until(async () => (await setting.reserved()).length === 1);
    }
    assert.deepEqual(await setting.reserved(), [domain]);
    assert.equal(await run(kept, ["echo", "here"]), "here\n");
    // What is left of copies is removed by the next one.
    pool.provision();
    await (await pool.getRemote()).release();
    const files = await Array.fromAsync(
      Deno.readDir(`${setting.host.directory}/pool`),
    );
    assert.ok(files.every(({ name }) => !name.startsWith(".")));
  },
});

Deno.test({
  name:
    "a connection to the host that is cut is a lost system; its place is free",
  ignore,
  fn: async () => {
    await using setting = await Setting.make(1);
    await using pool = await setting.open();
    pool.provision();
    const remote = await pool.getRemote();
    await setting.gate.cutSessions();
    assert.match(
      (await remote.lost).message,
      /^Cannot keep the domain d1 of .*: Lost the virt helper: /,
    );
    await remote.release();
    pool.provision();
    await (await pool.getRemote()).release();
  },
});

Deno.test({
  name: "a host that hangs holds up nobody for ever",
  ignore,
  fn: async () => {
    await using setting = await Setting.make(1);
    await using pool = await setting.open({ commandTimeout: 2000 });
    pool.provision();
    const remote = await pool.getRemote();
    await setting.gate.freezeSessions();
    await remote.release(); // the connection is ended by force
    assert.deepEqual(
      setting.events.flatMap((event) =>
        event.type === "warning" ? [event.error.message] : []
      ).map((text) => text.replace(/ of \S+:/, " of HOST:")),
      [
        'Cannot switch off the domain d1 of HOST: Cannot run "virsh" by the virt helper: no answer within 2 s',
      ],
    );
    await setting.gate.cutSessions(); // as the server does that misses its client
    await until(async () => (await setting.reserved()).length === 0);
  },
});

Deno.test({
  name: "a host that cannot be reached is told by start()",
  ignore,
  fn: async () => {
    await using setting = await Setting.make(1);
    const { options } = setting.gate;
    const error = await rejected(
      setting.open({ host: { ...options, identityFile: "/dev/null" } }),
      ProvisionError,
      "Permission denied",
    );
    assert.equal(error.fatal, true);
    const missing = await rejected(
      setting.open({ helper: ["no-such-helper"] }),
      ProvisionError,
      "installVirtHelper",
    );
    assert.equal(missing.fatal, true);
  },
});
