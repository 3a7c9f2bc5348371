/** What scripts that are killed leave behind at hosted services, and for how long. */
import assert from "node:assert/strict";
import { KubernetesProvisioner } from "../../provisioners/kubernetes.ts";
import { TestingFarmProvisioner } from "../../provisioners/testing_farm.ts";
import {
  FarmServer,
  guestLog,
  html,
  status,
  TOKEN,
} from "../provisioners/_testing_farm_server.ts";
import { watchdogsOf } from "../provisioners/_testing_farm_watchdogs.ts";
import { cannotRun, kubectlMissing, KubernetesServer } from "../_kubernetes.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { processesWith, until } from "../_wait.ts";

const script = new URL("./_hosted_script.ts", import.meta.url).pathname;
const MOMENTS = 5;

function startScript(
  kind: string,
  options: unknown,
  then: "wait" | "end",
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", "--no-check", script],
      ...[kind, JSON.stringify(options), "3", then],
    ],
    env: { TESTING_FARM_API_TOKEN: TOKEN },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

/** Reads what it says up to and with that line. */
async function says(child: Deno.ChildProcess, line: string): Promise<void> {
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  for (let text = ""; !text.includes(line);) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it ended without "${line}": ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
}

async function kill(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await child.status;
  await child.stdout.cancel();
}

Deno.test({
  name:
    "the next start ends the requests of a script that was killed, and no others",
  ignore: cannotRun("integration/provisioner_hosted_killed", sshdMissing()),
  fn: async () => {
    await using server = new FarmServer();
    await using sshd = await Sshd.start({ config: ["MaxStartups 200"] });
    server.log = guestLog(sshd.user, `127.0.0.1:${sshd.port}`);
    const options = {
      compose: "x",
      url: server.url,
      sshKey: `${sshd.directory}/key`,
      times: {
        pollInterval: 20,
        lostInterval: 20,
        sshInterval: 20,
        spread: 100,
      },
    };
    const living = startScript("testing-farm", options, "wait");
    await says(living, "lent");
    const kept = server.alive.map(({ id }) => id).sort();
    assert.equal(kept.length, 3);
    for (let moment = 0; moment < MOMENTS; moment++) {
      const child = startScript("testing-farm", options, "wait");
      await says(child, "started");
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 900));
      await kill(child);
      await using _next = await new TestingFarmProvisioner({
        ...options,
        token: TOKEN,
      }).start();
      await until(() => server.alive.length <= 3);
      assert.deepEqual(server.alive.map(({ id }) => id).sort(), kept);
    }
    await kill(living);
  },
});

Deno.test({
  name:
    "a watchdog ends the requests of a script that was killed, and no others",
  ignore: cannotRun("integration/provisioner_hosted_killed", sshdMissing()),
  fn: async () => {
    await using server = new FarmServer();
    await using sshd = await Sshd.start({ config: ["MaxStartups 200"] });
    server.log = guestLog(sshd.user, `127.0.0.1:${sshd.port}`);
    const options = {
      compose: "x",
      url: server.url,
      sshKey: `${sshd.directory}/key`,
      times: {
        pollInterval: 20,
        sshInterval: 20,
        reapInterval: 300,
        spread: 9,
      },
    };
    await using pool = await new TestingFarmProvisioner({
      ...options,
      watchdog: true,
      token: TOKEN,
    }).start();
    pool.provision();
    const { attributes } = await pool.getRemote();
    const [own] = await watchdogsOf(server);
    assert.ok(!own.argv.includes(TOKEN));
    const startGuarded = (then: "wait" | "end") =>
      startScript("testing-farm", { ...options, watchdog: true }, then);
    const isClean = async () => {
      await until(async () => (await watchdogsOf(server)).length === 1);
      assert.deepEqual(
        server.alive.map(({ id }) => id),
        [attributes.request],
      );
    };

    const killed = startGuarded("wait");
    await says(killed, "lent");
    assert.equal(server.alive.length, 4);
    // One that is taken late, and a service in trouble.
    const [, { body, tokenId }] = server.alive;
    server.fail("GET /v0.1/requests", status(503), html, (_, proceed) => {
      server.add(body, tokenId);
      return proceed();
    });
    await kill(killed);
    await until(() => server.requests.size === 5);
    await isClean();

    const forgetful = startGuarded("end");
    await says(forgetful, "lent");
    await forgetful.status;
    await forgetful.stdout.cancel();
    await isClean();

    await pool.stop();
    assert.deepEqual(await watchdogsOf(server), []);
    assert.deepEqual(server.alive, []);
  },
});

Deno.test({
  name:
    "the next start deletes the pods of a script that was killed, and no others",
  ignore: cannotRun("integration/provisioner_hosted_killed", kubectlMissing()),
  fn: async () => {
    await using server = await KubernetesServer.start();
    const options = { image: "x", ...server.options };
    const living = startScript("kubernetes", options, "wait");
    await says(living, "lent");
    const kept = [...server.pods.keys()].sort();
    assert.equal(kept.length, 3);
    for (let moment = 0; moment < MOMENTS; moment++) {
      const child = startScript("kubernetes", options, "wait");
      await says(child, "started");
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 900));
      await kill(child);
      await using next = await new KubernetesProvisioner(options).start();
      await until(() => server.pods.size <= 3);
      await next.stop();
      assert.deepEqual([...server.pods.keys()].sort(), kept);
      assert.equal(server.leases.size, 1);
    }
    await kill(living);
    const flag = `--kubeconfig=${server.kubeconfig}`;
    await until(async () => (await processesWith(flag)).length === 0);
  },
});

Deno.test({
  name: "a script that does not call stop() ends all the same",
  ignore: cannotRun("integration/provisioner_hosted_killed", kubectlMissing()),
  fn: async () => {
    await using server = await KubernetesServer.start();
    const child = startScript(
      "kubernetes",
      { image: "x", ...server.options },
      "end",
    );
    await says(child, "lent");
    assert.equal((await child.status).code, 0);
    await child.stdout.cancel();
    const flag = `--kubeconfig=${server.kubeconfig}`;
    await until(async () => (await processesWith(flag)).length === 0);
  },
});
