/** The same suite on every kind of system, with the same results. */
import { assertNoWork } from "./_executor_work.ts";
import { LocalConnection } from "../../connections/local.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { checkSuite, TRANSPORT } from "./_executor_suite.ts";

Deno.test("a suite on the local system", async (t) => {
  await using connection = await LocalConnection.open();
  await checkSuite(t, connection);
});

Deno.test({
  name: "a suite in a container with nothing but bash and busybox",
  ignore: cannotRun("executor: podman", podmanMissing(["tiny"])),
  async fn(t) {
    await using container = await Container.start({
      image: "tiny",
      args: ["--init"], // reaps, so that busybox's timeout ends
    });
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await checkSuite(t, connection);
    await assertNoWork(connection);
  },
});

Deno.test({
  name: "a suite in a container through podman exec",
  ignore: cannotRun("executor: podman", podmanMissing(["tiny"])),
  async fn(t) {
    await using container = await Container.start({
      image: "tiny",
      args: ["--init"], // reaps, so that busybox's timeout ends
    });
    await using connection = await PodmanConnection.open({
      container: container.name,
      direct: false,
    });
    await checkSuite(t, connection, TRANSPORT);
    await assertNoWork(connection);
  },
});

Deno.test({
  name: "a suite in a container of a real distribution",
  ignore: cannotRun("executor: podman", podmanMissing(["debian"])),
  async fn(t) {
    await using container = await Container.start({
      image: "debian",
      command: ["sleep", "infinity"],
      args: ["--init"],
    });
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await checkSuite(t, connection);
    await assertNoWork(connection);
  },
});

Deno.test({
  name: "a suite over ssh",
  ignore: cannotRun(
    "executor: ssh",
    podmanMissing(["tiny-ssh"]),
    sshdMissing(),
  ),
  async fn(t) {
    await using container = await Container.start({
      image: "tiny-ssh",
      args: ["--init"],
    });
    await using connection = await SshConnection.open(container.ssh());
    await checkSuite(t, connection);
    await assertNoWork(connection);
  },
});

Deno.test({
  name: "a suite over ssh, as an ordinary user and by sudo",
  ignore: cannotRun("executor: ssh", podmanMissing(["debian"]), sshdMissing()),
  async fn(t) {
    await using container = await Container.start({
      image: "debian",
      ssh: true,
      args: ["--init"],
    });
    for (const sudo of [undefined, "root"]) {
      await t.step(sudo ?? "user", async (t) => {
        await using connection = await SshConnection.open({
          ...container.ssh("tester"),
          ...(sudo && { sudo }),
        });
        await checkSuite(t, connection);
        await assertNoWork(connection);
      });
    }
  },
});

Deno.test({
  name: "a suite over ssh with a connection for each command",
  ignore: cannotRun("executor: ssh", sshdMissing()),
  async fn(t) {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open({
      ...sshd.options,
      stateless: true,
    });
    await checkSuite(t, connection, TRANSPORT);
  },
});
