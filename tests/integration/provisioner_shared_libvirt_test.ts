/** A shared libvirt host that is real: guests boot from clones of an image, and scripts contend for them. */
import assert from "node:assert/strict";
import { SshConnection } from "../../connections/ssh.ts";
import { discover, FmfExecutor } from "../../executors/fmf/mod.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { ProvisionError, type Remote } from "../../provisioners/provisioner.ts";
import {
  listReservations,
  SharedLibvirtProvisioner,
  type SharedLibvirtProvisionerOptions,
} from "../../provisioners/shared_libvirt.ts";
import { installVirtHelper } from "../../provisioners/virt_helper.ts";
import { missingPrograms } from "../_parts.ts";
import { Script } from "../_script.ts";
import { rejected } from "../_thrown.ts";
import {
  cannotRun,
  domainXml,
  VirtHost,
  virtHostMissing,
} from "../_virt_host.ts";
import { until } from "../_wait.ts";

const ignore = cannotRun(
  "integration/provisioner_shared_libvirt",
  virtHostMissing(),
  missingPrograms("ssh"),
);

const HELPER = ".local/bin/atex-virt-helper";

/** A host with two domains, and one that no port leads to. */
class Setting implements AsyncDisposable {
  readonly events: ProvisionerEvent[] = [];

  private constructor(
    readonly host: VirtHost,
    readonly resources: AsyncDisposableStack,
  ) {}

  static async make(): Promise<Setting> {
    await using resources = new AsyncDisposableStack();
    const host = resources.use(await VirtHost.start());
    await host.defineShared("one", host.port(0));
    await host.defineShared("two", host.port(1));
    await host.define(domainXml("bare", { disk: "" }));
    await using connection = await SshConnection.open(host.ssh);
    await installVirtHelper(connection, { path: HELPER });
    return new Setting(host, resources.move());
  }

  get options(): SharedLibvirtProvisionerOptions {
    const { host } = this;
    return {
      host: host.ssh,
      helper: [HELPER],
      image: "guest.raw",
      sshKey: host.guest(22).identityFile,
      reserveDelay: 200,
    };
  }

  async open(
    more: Partial<SharedLibvirtProvisionerOptions> = {},
  ): Promise<SharedLibvirtProvisioner> {
    return await new SharedLibvirtProvisioner({
      ...this.options,
      onEvent: (event) => this.events.push(event),
      ...more,
    }).start();
  }

  /** Holder of each domain, nothing if it is free. */
  async holders(): Promise<Record<string, string | undefined>> {
    const rows = await listReservations(this.options);
    return Object.fromEntries(
      rows.map(({ domain, holder }) => [domain, holder]),
    );
  }

  async isFree(): Promise<void> {
    await until(async () =>
      Object.values(await this.holders()).every((holder) => !holder)
    );
    assert.deepEqual(await this.host.domains("running"), []);
    const files = await this.host.files();
    assert.deepEqual(files.sort(), ["guest.raw", "one", "two"]);
    await until(async () => await this.#helpers() === "");
  }

  /** Kills the helper that has the domain. */
  async killHelperOf(domain: string): Promise<void> {
    await this.host.exec(`
      inode=$(stat -c %i ~/.atex-virt-helper/locks/${domain})
      kill -9 $(sed -n "s/.* WRITE \\([0-9]*\\) [^ ]*:$inode .*/\\1/p" /proc/locks)`);
  }

  #helpers(): Promise<string> {
    return this.host.exec(`pgrep -f "^python3? .*${HELPER}" || true`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

/** Runs a test of a suite on it. */
async function runTest(remote: Remote): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    await Deno.mkdir(`${directory}/suite/.fmf`, { recursive: true });
    await Deno.writeTextFile(`${directory}/suite/.fmf/version`, "1\n");
    await Deno.writeTextFile(
      `${directory}/suite/boots.fmf`,
      "test: hostname && grep -q 'root=\\|quiet' /proc/cmdline\n",
    );
    await using tests = await discover(`${directory}/suite`);
    await using executor = await new FmfExecutor(remote, { tests }).start();
    const artifacts = `${directory}/artifacts`;
    await Deno.mkdir(artifacts);
    assert.equal(await executor.runTest("/boots", artifacts), 0);
    const output = await Deno.readTextFile(
      `${artifacts}/files/output.txt`,
    );
    assert.match(output, /^guest$/m);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test({
  name:
    "domains of a real host: cloned, booted, lent, contended for, lost, freed",
  ignore,
  fn: async (t) => {
    await using setting = await Setting.make();
    const { host, events } = setting;

    await t.step("what is wrong with the host is told", async () => {
      const image = await rejected(
        setting.open({ image: "none.raw" }),
        ProvisionError,
        'Cannot use the image "none.raw" of',
      );
      assert.match(image.message, /failed to get vol 'none.raw'/);
      const wrong = await rejected(
        setting.open({ helper: ["cat"] }),
        ProvisionError,
        "it is another program, or of another version",
      );
      const missing = await rejected(
        setting.open({ helper: ["no-helper"] }),
        ProvisionError,
        "`installVirtHelper()`",
      );
      await using pool = await setting.open({ domainFilter: "three" });
      assert.equal(pool.maxRemotes, 3);
      pool.provision();
      const filter = await rejected(
        pool.getRemote(),
        ProvisionError,
        'none matches "three"',
      );
      for (const { fatal } of [image, wrong, missing, filter]) {
        assert.equal(fatal, true);
      }
    });

    await using pool = await setting.open({ reserveName: "second" });
    {
      const options = { ...setting.options, reserveName: "first", used: "/u" };
      await using script = new Script(
        "integration/_shared_libvirt_script.ts",
        [JSON.stringify(options), "2", "0"],
      );
      await t.step(
        "a script gets both domains, booted from clones",
        async () => {
          await until(
            () => script.lines.filter((line) => /^got/.test(line)).length === 2,
            120_000,
          );
          assert.deepEqual(
            script.lines.filter((line) => /^got/.test(line)).sort(),
            ["got one", "got two"],
          );
          assert.deepEqual(await setting.holders(), {
            bare: undefined,
            one: "first",
            two: "first",
          });
          assert.deepEqual((await host.domains("running")).sort(), [
            "one",
            "two",
          ]);
        },
      );

      await t.step("another waits, until that is killed", async () => {
        pool.provision(2);
        await until(() => events.some(({ type }) => type === "waiting"));
        const waiting = events.find((event) => event.type === "waiting");
        assert.equal(waiting?.reason, "others have one: first; two: first");
        assert.ok(!events.some(({ type }) => type === "reserving"));
        await script.kill();
        const killed = performance.now();
        await until(() => events.some(({ type }) => type === "reserving"));
        assert.ok(performance.now() - killed < 15_000);
      });
    }

    await t.step(
      "a test runs on a domain; its disk is that of the image",
      async () => {
        const [one, two] = await Promise.all([
          pool.getRemote(),
          pool.getRemote(),
        ]);
        assert.deepEqual(
          [one, two].map(({ attributes }) => attributes.domain).sort(),
          ["one", "two"],
        );
        assert.deepEqual(
          events.flatMap((event) =>
            event.type === "warning" ? [event.error.message] : []
          ).map((text) => text.replace(/ of \S+:/, ":")),
          ["Cannot use the domain bare: no port of the host leads to it by passt"],
        );
        await runTest(one);
        const { domain } = two.attributes;
        await setting.killHelperOf(domain);
        const { message } = await two.lost;
        assert.match(
          message,
          /^Cannot keep the domain .*: Lost the virt helper/,
        );
        await two.release();
        assert.equal((await setting.holders())[domain], undefined);
        // Not ours any more: it runs until somebody takes it.
        assert.ok((await host.domains("running")).includes(domain));
        await one.release();
        assert.deepEqual(await host.domains("running"), [domain]);
        await host.virsh("destroy", domain);
      },
    );

    await t.step("what is aborted at any point leaves nothing", async () => {
      for (const ms of [700, 2500, 6000]) {
        pool.provision(2);
        await new Promise((resolve) => setTimeout(resolve, ms));
        await pool.stop();
        await setting.isFree();
        await pool.start();
      }
    });
  },
});
