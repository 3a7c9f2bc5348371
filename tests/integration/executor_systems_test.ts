/** What systems of several kinds have, lack and are given: packages by the real apt, busybox and nothing else, systemd. */
import assert from "node:assert/strict";
import { PodmanConnection } from "../../connections/podman.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { missingPrograms, which } from "../_parts.ts";
import { cannotRun, Container, podman, podmanMissing } from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import { Bench } from "./_executor_suite.ts";
import { workOn } from "./_executor_work.ts";
import { INIT } from "./_init.ts";

/** Why packages cannot be had here, if so. */
async function mirrorMissing(): Promise<string | undefined> {
  const hostname = "deb.debian.org";
  try {
    (await Deno.connect({ hostname, port: 80 })).close();
  } catch {
    return `no way to ${hostname}`;
  }
}

Deno.test({
  name: "packages are installed by the real apt",
  ignore: cannotRun(
    "executor: apt",
    podmanMissing(["debian"]),
    await mirrorMissing(),
  ),
  async fn(t) {
    // with a network; nobody logs in
    await using container = await Container.start({
      image: "debian",
      ssh: true,
    });
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await using bench = await new Bench(connection, {
      "/there": {
        test: "command -v bc rsync",
        require: ["bc", "rsync", "/usr/bin/rsync", "awk"],
      },
      "/new": {
        test: "hello; command -v sl",
        require: ["hello", "bc"],
        recommend: ["no-such-package", "sl:all"],
      },
      "/none": { test: "true", require: ["bc", "no-such-package", "nor-this"] },
      "/removed": { test: "true", require: "rsync-" },
      "/pattern": { test: "true", require: "~nhello" },
      "/expression": { test: "true", require: "hell." },
      "/terminal": { test: "test -t 1", tty: true },
    }, { plan: { prepare: { how: "install", package: ["bc"] } } }).start();

    const calls = bench.events.flatMap((event) =>
      event.type === "output" && event.line.startsWith("+")
        ? [event.line.replace(/ -o .*?(?=install|update)/, " … ")]
        : []
    );
    await t.step("for the plan", () => {
      assert.deepEqual(calls, [
        "+ apt-get -q -y --no-install-recommends … install bc",
        "+ apt-get -q … update",
        "+ apt-get -q -y --no-install-recommends … install bc",
      ]);
    });
    await t.step("not if they are there", async () => {
      const { exitCode, files, error } = await bench.run("/there");
      assert.equal(exitCode, 0, error?.stack);
      assert.match(files["output.txt"], /\/bc\n.*\/rsync\n$/);
    });
    await t.step("for a test", async () => {
      const { exitCode, files } = await bench.run("/new");
      assert.equal(exitCode, 1, "sl:all does not exist");
      assert.match(files["output.txt"], /^Hello, world!\n/);
    });
    await t.step("or the test does not run", async () => {
      for (
        const [name, reason] of [
          ["/none", /Unable to locate package no-such-package/],
          ["/removed", /Cannot install rsync-: with a "-" at its end/],
          ["/pattern", /Cannot install ~nhello: it is not the name/],
          ["/expression", /Unable to locate package hell\./],
        ] as const
      ) {
        const { error, results, files } = await bench.run(name);
        assert.equal(error?.name, "TestSetupError");
        assert.match(error!.message, reason);
        assert.deepEqual(results.map(({ status, files }) => [status, files]), [
          ["infra", ["setup.txt"]],
        ]);
        assert.match(files["setup.txt"], reason);
      }
      assert.equal((await bench.run("/there")).exitCode, 0);
    });
    await t.step("for a terminal", async () => {
      await container.exec("rm", "/usr/bin/script");
      const { error, files } = await bench.run("/terminal");
      // apt believes that it is there
      assert.match(error!.message, /the system has no "script" program/);
      assert.match(files["setup.txt"], /no "script" program/);
    });
    await bench.executor.stop();
    assert.deepEqual(await workOn(connection), []);
  },
});

/** An image with busybox, and nothing else at all. */
async function buildBusybox(): Promise<string> {
  const image = `localhost/atex-test-busybox:${crypto.randomUUID()}`;
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const root = `${directory}/root`;
    for (const name of ["bin", "dev", "proc", "sys", "tmp", "var/tmp", "etc"]) {
      await Deno.mkdir(`${root}/${name}`, { recursive: true });
    }
    await Deno.copyFile(which("busybox")!, `${root}/bin/busybox`);
    const { stdout } = await new Deno.Command("busybox", { args: ["--list"] })
      .output();
    for (const name of new TextDecoder().decode(stdout).trim().split("\n")) {
      if (name !== "busybox") {
        await Deno.symlink("busybox", `${root}/bin/${name}`);
      }
    }
    const tar = `${directory}/root.tar`;
    await new Deno.Command("tar", { args: ["-C", root, "-cf", tar, "."] })
      .output();
    await podman("import", "-q", tar, image);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return image;
}

Deno.test({
  name: "a system with busybox and nothing else is refused by one error",
  ignore: cannotRun(
    "executor: podman",
    podmanMissing(["tiny"]),
    missingPrograms("busybox", "tar"),
  ),
  async fn() {
    await using resources = new AsyncDisposableStack();
    const image = await buildBusybox();
    resources.defer(async () => void await podman("rmi", image));
    const name = `atex-test-${crypto.randomUUID().slice(0, 13)}`;
    const options = ["--label=atex-test=executor", "--network=none"];
    await podman(
      "run",
      "-d",
      `--name=${name}`,
      ...options,
      image,
      "sleep",
      "999",
    );
    resources.defer(async () => void await podman("rm", "-f", "-t", "0", name));
    const connection = await PodmanConnection.open({ container: name });
    await using bench = new Bench(connection, { "/t": "true" });
    await assert.rejects(bench.start(), {
      name: "SetupError",
      message: "Cannot run tests on the system: it lacks bash",
    });
    assert.deepEqual(await workOn(connection), []);
  },
});

Deno.test({
  name: "a test restarts a system with systemd by the helper",
  ignore: cannotRun("executor: ssh", podmanMissing(["debian"]), sshdMissing()),
  async fn(t) {
    await using container = await Container.start({
      image: "debian",
      command: INIT,
      args: ["--systemd=always", "--restart=always"],
      ssh: true,
    });
    for (const sudo of [undefined, "root"]) {
      await t.step(sudo ? "by sudo" : "as root", async () => {
        await using connection = await SshConnection.open({
          ...container.ssh(sudo ? "tester" : "root"),
          ...(sudo && { sudo }),
          options: { ConnectTimeout: 2 },
        });
        await using bench = await new Bench(connection, {
          "/reboot": {
            test: `echo "$TMT_REBOOT_COUNT $(systemctl is-active ssh)"
              atex-report-result "$TMT_REBOOT_COUNT" PASS
              case $TMT_REBOOT_COUNT in 0) tmt-reboot ;; 1) rstrnt-reboot ;; 2) exit 7 ;; esac
              echo never`,
            duration: "60s",
          },
        }).start();
        const { exitCode, error, results, files } = await bench.run("/reboot");
        assert.equal(error, undefined, error?.stack);
        assert.equal(exitCode, 7);
        assert.deepEqual(results, [
          ...["0", "1", "2"].map((name) => ({ status: "pass", name })),
          { status: "fail", files: ["output.txt"] },
        ]);
        assert.equal(files["output.txt"], "0 active\n1 active\n2 active\n");
        const restarts = bench.events.filter(({ type }) =>
          type === "restarted"
        );
        assert.deepEqual(
          restarts,
          [1, 2].map((count) => ({
            type: "restarted",
            test: "/reboot",
            count,
            rebooted: true,
          })),
        );
        await bench.gone();
      });
    }
  },
});
