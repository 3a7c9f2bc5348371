/** Virtual machines of a real libvirt that boot: lent, used, killed, and left behind by scripts that die. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  LibvirtProvisioner,
  type LibvirtProvisionerOptions,
} from "../../provisioners/libvirt.ts";
import { ProvisionerStoppedError } from "../../provisioners/provisioner.ts";
import { reap } from "../../provisioners/reap.ts";
import { openRunDirectory } from "../../provisioners/_run.ts";
import { Script } from "../_script.ts";
import { rejected } from "../_thrown.ts";
import { cannotRun, VirtHost, virtHostMissing } from "../_virt_host.ts";
import { until } from "../_wait.ts";
import { Bench } from "./_executor_suite.ts";

const ignore = cannotRun("integration/provisioner_libvirt", virtHostMissing());

/** A provisioner of clones of `origin` on the host, whose first port is `host.port(index)`. */
function lend(
  host: VirtHost,
  index: number,
  options: Partial<LibvirtProvisionerOptions> = {},
) {
  const events: ProvisionerEvent[] = [];
  const pool = new LibvirtProvisioner({
    origin: "origin",
    sshKey: Deno.env.get("ATEX_TEST_KEY")!,
    uri: host.uri,
    domainHost: "127.0.0.1",
    portFrom: host.port(index),
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { pool, events };
}

async function startHost(): Promise<VirtHost> {
  await using resources = new AsyncDisposableStack();
  const host = resources.use(await VirtHost.start());
  await host.defineOrigin("origin");
  resources.move();
  return host;
}

/** Domains that scripts made, and overlays of their disks. */
async function leftOn(host: VirtHost): Promise<string[]> {
  const found = [...await host.domains(), ...await host.files()];
  return found.filter((name) =>
    name.startsWith("atex-") || name.includes("TRANSIENT")
  );
}

/** Machines are slow when many boot on few processors. */
async function eventually(
  what: () => Promise<boolean>,
  seconds = 180,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!await what()) {
    if (performance.now() > end) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const isFree = async (host: VirtHost) => (await leftOn(host)).length === 0;

Deno.test({
  name:
    "two clones boot at once, run a test, are lost and released, and leave nothing",
  ignore,
  fn: async (t) => {
    await using host = await startHost();
    const before = await host.exec("sha256sum ~/pool/origin.qcow2");
    // Somebody else on the host has the first port.
    await host.exec(`nc -lk ${host.port(0)} </dev/null >/dev/null 2>&1 &`);
    const { pool, events } = lend(host, 0);
    await using _ = await pool.start();
    pool.provision(2);
    const [one, other] = await Promise.all([
      pool.getRemote(),
      pool.getRemote(),
    ]);

    assert.deepEqual(
      [one, other].map(({ attributes }) => +attributes.port).sort(),
      [host.port(1), host.port(2)],
    );
    await t.step(
      "each has a disk of its own, and the origin's is not touched",
      async () => {
        for (const remote of [one, other]) {
          const { id } = remote;
          await run(remote, [
            "sh",
            "-c",
            'echo "$1" >>/root/mark; sync',
            "sh",
            id,
          ]);
          assert.equal(await run(remote, ["cat", "/root/mark"]), `${id}\n`);
        }
        assert.equal((await leftOn(host)).length, 4);
        assert.equal(await host.exec("sha256sum ~/pool/origin.qcow2"), before);
      },
    );
    await t.step("a test of an fmf suite runs on it", async () => {
      await using bench = await new Bench(one, {
        "/there": { test: 'echo "$(hostname) $(cat /root/mark)"' },
      }).start();
      const { exitCode, files, error } = await bench.run("/there");
      assert.equal(exitCode, 0, error?.stack);
      assert.equal(files["output.txt"], `guest ${one.id}\n`);
    });
    await t.step(
      "a domain whose emulator is killed is lost at once",
      async () => {
        const { domain } = other.attributes;
        await host.exec(`pkill -KILL -f "[g]uest=${domain}"`);
        assert.match(
          (await other.lost).message,
          /^The domain ".*" ended by itself/,
        );
        await other.release({ reason: "destroyed" });
        assert.ok(
          events.some(({ type, ...event }) =>
            type === "lost" && "id" in event && event.id === other.id
          ),
        );
        assert.deepEqual(
          (await leftOn(host)).filter((name) => name.includes(domain)),
          [],
        );
      },
    );
    await t.step("release() and stop() leave nothing", async () => {
      await one.release();
      assert.deepEqual(await leftOn(host), []);
      await pool.stop();
      assert.equal(await host.exec("sha256sum ~/pool/origin.qcow2"), before);
    });
    await t.step("stop() while another one boots leaves nothing", async () => {
      await pool.start();
      pool.provision(2);
      const waiting = rejected(pool.getRemote(), ProvisionerStoppedError);
      await eventually(async () =>
        (await host.domains("running")).length === 2
      );
      await pool.stop();
      await waiting;
      assert.deepEqual(await leftOn(host), []);
      assert.deepEqual(await host.domains(), ["origin"]);
    });
  },
});

Deno.test({
  name:
    "domains of killed scripts are removed by a watchdog, or by the next start, and no others",
  ignore,
  fn: async (t) => {
    await using host = await startHost();
    await host.defineShared("foreign", host.port(39));
    await host.virsh("start", "foreign");
    await host.virsh("suspend", "foreign"); // it need not take the processor from others
    const script = (index: number, count: number) =>
      new Script("integration/_libvirt_script.ts", [
        ...[host.uri, String(host.port(index)), String(count)],
      ]);
    const runOf = (script: Script) =>
      script.lines.find((line) => line.startsWith("started"))!.split(" ")[1];
    const ofRun = async (run: string) =>
      (await leftOn(host)).filter((name) => name.includes(`atex-${run}-`));
    /** That a domain of the script is there at all. */
    const begun = (script: Script) => async () =>
      script.has("started")() && (await ofRun(runOf(script))).length > 0;

    await using living = script(0, 1);
    await eventually(begun(living));
    const kept = (await ofRun(runOf(living)))
      .filter((name) => name.startsWith("atex-"));
    assert.equal(kept.length, 1);
    await host.virsh("suspend", kept[0]);

    await t.step("killed while they boot", async () => {
      await using dying = script(10, 2);
      await eventually(async () =>
        await begun(dying)() &&
        (await host.domains("running")).filter((name) =>
            name.includes(runOf(dying))
          ).length === 2
      );
      await dying.kill();
      const name = runOf(dying);
      await eventually(async () => (await ofRun(name)).length === 0);
      const runFile = `${await openRunDirectory()}/${name}`;
      await eventually(() => Deno.stat(runFile).then(() => false, () => true));
    });
    await t.step("killed while they are being made", async () => {
      await using dying = script(20, 2);
      await until(dying.has("reserving"));
      await dying.kill();
      const name = runOf(dying);
      const runFile = `${await openRunDirectory()}/${name}`;
      await eventually(() => Deno.stat(runFile).then(() => false, () => true));
      assert.deepEqual(await ofRun(name), []);
    });
    await t.step("with their watchdog", async () => {
      await using dying = script(30, 1);
      await eventually(begun(dying));
      const name = runOf(dying);
      // One that is only being made may still fail.
      await eventually(async () => {
        const [domain] = await ofRun(name);
        return await host.virsh("domstate", domain) === "running";
      });
      const watchdogs = await watchdogsOf(name);
      assert.equal(watchdogs.length, 1);
      Deno.kill(watchdogs[0], "SIGKILL");
      await dying.kill();
      const [domain] = await ofRun(name);

      const looked = await reap({
        kinds: ["domain"],
        dryRun: true,
        libvirt: { uri: host.uri },
      });
      assert.deepEqual(
        looked.map(({ name, verdict, mine }) => [name, verdict, mine]).sort(),
        [[domain, "dead", false], [kept[0], "alive", true]].sort(),
      );
      const { pool, events } = lend(host, 35);
      await using _ = await pool.start();
      // It is told a moment after.
      await eventually(() =>
        Promise.resolve(events.some(({ type }) => type === "reaped"))
      );
      const reaped = events.find(({ type }) => type === "reaped");
      assert.ok(reaped?.type === "reaped" && reaped.name === domain);
      assert.deepEqual(await ofRun(name), []);
      const runFile = `${await openRunDirectory()}/${name}`;
      await eventually(() => Deno.stat(runFile).then(() => false, () => true));
    });

    assert.deepEqual(
      (await host.domains("running")).sort(),
      [...kept, "foreign"].sort(),
    );
    await living.kill();
    await eventually(() => isFree(host));
    assert.deepEqual(await host.domains("running"), ["foreign"]);
  },
});

/** Processes that remove what a run made. */
async function watchdogsOf(run: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = await Deno.readTextFile(`/proc/${name}/cmdline`)
      .catch(() => "");
    if (/^[^\0]*\bsh\0/.test(text) && text.includes(`\0atex-${run}-`)) {
      found.push(+name);
    }
  }
  return found;
}
