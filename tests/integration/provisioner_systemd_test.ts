/** SystemdProvisioner with real containers that boot, reboot, and go away. */
import assert from "node:assert/strict";
import type {
  Connection,
  SignalOptions,
} from "../../connections/connection.ts";
import { output, run } from "../../connections/process.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import type { Remote } from "../../provisioners/provisioner.ts";
import {
  SystemdProvisioner,
  type SystemdProvisionerOptions,
} from "../../provisioners/systemd.ts";
import { codeBlocks } from "../_code_blocks.ts";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";
import { until } from "../_wait.ts";
import { Bench } from "./_executor_suite.ts";

const ignore = cannotRun(
  "integration/provisioner_systemd",
  podmanMissing(["debian"]),
);

function pool(options: Partial<SystemdProvisionerOptions> = {}) {
  return new SystemdProvisioner({
    image: imageName("debian"),
    runOptions: ["--network=none"],
    ...options,
  });
}

/** Changes with each boot. */
const bootOf = async (connection: Connection) =>
  (await run(connection, ["cat", "/proc/1/stat"])).split(" ")[21];

const existsContainer = async ({ attributes: { container } }: Remote) =>
  (await new Deno.Command("podman", {
    args: ["container", "exists", container],
  }).output()).code === 0;

Deno.test({
  name: "SystemdProvisioner lends a system that is up, and removes it",
  ignore,
  fn: async () => {
    await using systems = await pool().start();
    systems.provision(2);
    const [one, two] = [await systems.getRemote(), await systems.getRemote()];
    for (const remote of [one, two]) {
      assert.match(remote.id, /^systemd:\d+$/);
      assert.equal(remote.attributes.image, imageName("debian"));
      assert.match(
        await run(remote, ["sh", "-c", "systemctl is-system-running || :"]),
        /^(running|degraded)$/m,
      );
      assert.equal(remote.canReboot, true);
    }
    await one.release();
    assert.equal(await existsContainer(one), false);
    await systems.stop();
    assert.equal(await existsContainer(two), false);
  },
});

Deno.test({
  name:
    "a system that reboots comes back, and only its new boot is connected to",
  ignore,
  fn: async (t) => {
    const events: ProvisionerEvent[] = [];
    await using systems = await pool({
      onEvent: (event) => events.push(event),
    }).start();
    systems.provision();
    const remote = await systems.getRemote();
    for (
      const how of [
        ["systemctl", "reboot"],
        ["shutdown", "-r", "now"],
        ["reboot", "-ff"],
      ]
    ) {
      await t.step(how.join(" "), async () => {
        const before = await bootOf(remote);
        const file = `/var/tmp/${how.length}`;
        await run(remote, ["touch", file]);
        await output(remote, how);
        await remote.disconnect();
        await remote.connect();
        assert.notEqual(await bootOf(remote), before);
        await run(remote, ["test", "-e", file]);
      });
    }
    assert.ok(!events.some(({ type }) => type === "lost"));
  },
});

for (
  const [name, command, why] of [
    [
      "switched off",
      ["systemctl", "poweroff"],
      "the system in it was switched off",
    ],
    [
      "ended by its init",
      ["systemctl", "exit", "42"],
      "its init ended with exit code ",
    ],
  ] as const
) {
  Deno.test({
    name: `a system that is ${name} is lost`,
    ignore,
    fn: async () => {
      await using systems = await pool().start();
      systems.provision();
      const remote = await systems.getRemote();
      const { lost } = remote;
      await output(remote, command);
      assert.ok(
        (await lost).message.startsWith(
          `The container "${remote.attributes.container}" ended: ${why}`,
        ),
        (await lost).message,
      );
      await remote.disconnect();
      await assert.rejects(remote.connect(), {
        name: "ConnectError",
        message: new RegExp(why),
      });
      await remote.release({ reason: "destroyed" });
      assert.equal(await existsContainer(remote), false);
    },
  });
}

Deno.test({
  name: "a system whose container is killed, or removed, is lost",
  ignore,
  fn: async () => {
    await using systems = await pool().start();
    systems.provision(2);
    const one = await systems.getRemote();
    const two = await systems.getRemote();
    await podman("kill", one.attributes.container);
    assert.match(
      (await one.lost).message,
      /its init ended with exit code 137$/,
    );
    await podman("rm", "-f", "-t", "0", two.attributes.container);
    assert.match((await two.lost).message, /ended: /);
  },
});

Deno.test({
  name: "without the capability to boot a system reboots, too",
  ignore,
  fn: async () => {
    await using systems = await pool({ bootCapability: false }).start();
    systems.provision();
    const remote = await systems.getRemote();
    const before = await bootOf(remote);
    await output(remote, ["systemctl", "reboot"]);
    await remote.disconnect();
    await remote.connect();
    assert.notEqual(await bootOf(remote), before);
  },
});

Deno.test({
  name: "a system that is released while it reboots is gone for good",
  ignore,
  fn: async () => {
    await using systems = await pool().start();
    for (const ms of [0, 150, 400, 800]) {
      systems.provision();
      const remote = await systems.getRemote();
      await output(remote, ["systemctl", "reboot"]);
      await new Promise((resolve) => setTimeout(resolve, ms));
      await remote.release();
      assert.equal(await existsContainer(remote), false);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { stdout } = await new Deno.Command("podman", {
      args: ["ps", "-a", "--format={{.Names}}"],
    }).output();
    const { getRunId } = await import("../../provisioners/_run.ts");
    const names = new TextDecoder().decode(stdout).split("\n");
    assert.deepEqual(names.filter((name) => name.includes(getRunId())), []);
  },
});

Deno.test({
  name: "a system that does not get up in time is reported with what it says",
  ignore,
  fn: async () => {
    await using systems = await pool({ bootTimeout: 1 }).start();
    systems.provision();
    await assert.rejects(systems.getRemote(), {
      name: "ProvisionError",
      fatal: false,
      message:
        /Cannot connect to the system in the container "atex-.*": it is .* after 0.001 s/,
    });
  },
});

Deno.test({
  name: "stop() while systems boot leaves nothing",
  ignore,
  fn: async () => {
    const systems = await pool().start();
    systems.provision(3);
    const waiting = systems.getRemote();
    const ended = assert.rejects(waiting, { name: "ProvisionerStoppedError" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await systems.stop();
    await ended;
  },
});

Deno.test({
  name: "FmfExecutor goes on with a test after it rebooted such a system",
  ignore,
  fn: async () => {
    await using systems = await pool().start();
    systems.provision();
    const remote = await systems.getRemote();
    await using bench = await new Bench(remote, {
      "/reboot": `
. ./helpers.sh
report "{\\"name\\": \\"boot\\", \\"note\\": \\"count \${TMT_REBOOT_COUNT:-$TMT_TEST_RESTART_COUNT}\\", \\"status\\": \\"pass\\"}"
if [ "\${TMT_REBOOT_COUNT:-0}" = 0 ]; then
  say disconnect
  systemctl reboot
  sleep 60
fi
`,
    }).start();
    const before = await bootOf(remote);
    const result = await bench.run("/reboot");
    assert.equal(result.error, undefined);
    assert.equal(result.exitCode, 0);
    assert.notEqual(await bootOf(remote), before);
    assert.deepEqual(
      result.results.filter(({ name }) => name === "boot").map(({ note }) =>
        note
      ),
      ["count 0", "count 1"],
    );
    const restarted = bench.events.find(({ type }) => type === "restarted");
    assert.ok(restarted?.type === "restarted");
    assert.equal(restarted.count, 1);
    assert.equal(restarted.rebooted, true);
  },
});

Deno.test({
  name:
    "a container of a system that was lost before anybody took it is removed",
  ignore,
  fn: async () => {
    await using systems = await pool().start();
    systems.provision();
    const remote = await systems.getRemote();
    await output(remote, ["systemctl", "poweroff"]);
    await remote.lost;
    await systems.stop();
    await until(async () => !await existsContainer(remote));
  },
});

/** A system that is quick to be reached again: at first, it is still the old one. */
class Quick implements Connection {
  #calls = 0;
  readonly #remote: Remote;

  constructor(remote: Remote) {
    this.#remote = remote;
  }

  async connect(options?: SignalOptions) {
    if (this.#calls++ > 0) await this.#remote.connect(options);
  }

  async disconnect() {
    if (this.#calls > 0) await this.#remote.disconnect();
  }

  local(...args: Parameters<Connection["local"]>) {
    return this.#remote.local(...args);
  }

  command(...args: Parameters<Connection["command"]>) {
    return this.#remote.command(...args);
  }

  rsync(...args: Parameters<Connection["rsync"]>) {
    return this.#remote.rsync(...args);
  }

  [Symbol.asyncDispose]() {
    return Promise.resolve();
  }
}

Deno.test({
  name: "the function in docs/reboots.md ends when the system is up again",
  ignore,
  fn: async () => {
    const page = new URL("../../docs/reboots.md", import.meta.url);
    const [code] = codeBlocks("reboots.md", await Deno.readTextFile(page))
      .filter(({ text }) => text.startsWith("// reboot.ts"));
    await using systems = await pool().start();
    systems.provision();
    const remote = await systems.getRemote();
    const before = await bootOf(remote);
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      const file = `${directory}/reboot.ts`;
      await Deno.writeTextFile(file, code.text);
      const { tests } = await import(`file://${file}`);
      await using executor = await new FunctionExecutor(new Quick(remote), {
        tests,
      }).start();
      const artifacts = `${directory}/artifacts`;
      await Deno.mkdir(artifacts);
      assert.equal(await executor.runTest("/reboot", artifacts), 0);
      assert.notEqual(await bootOf(remote), before);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
