/** An sshd that is killed and comes back, whatever the executor is at. */
import assert from "node:assert/strict";
import { ConnectionError } from "../../connections/connection.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { TestAbortedError } from "../../executors/executor.ts";
import type { FmfExecutorOptions } from "../../executors/fmf/mod.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import { until } from "../_wait.ts";
import { Bench } from "./_executor_suite.ts";

/** A system that goes on while its sshd is killed, and is started again unless there is a file `/down`. */
const KEEPER = [
  "bash",
  "-c",
  `trap exit TERM
  while :; do [ -e /down ] || /bin/sshd -D -e; sleep 0.1; done`,
];

class System implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack;
  readonly #container: Container;
  readonly connection: SshConnection;

  private constructor(
    resources: AsyncDisposableStack,
    container: Container,
    connection: SshConnection,
  ) {
    this.#resources = resources;
    this.#container = container;
    this.connection = connection;
  }

  static async start(): Promise<System> {
    await using resources = new AsyncDisposableStack();
    const container = resources.use(
      await Container.start({ image: "tiny-ssh", command: KEEPER }),
    );
    // the only package manager there is takes its time
    await container.exec(
      "sh",
      "-c",
      `printf '#!/bin/sh\\n[ "$1" != info ] || exit 1\\nsleep 81\\n' >/bin/apk && chmod +x /bin/apk`,
    );
    const connection = resources.use(
      await SshConnection.open({
        ...container.ssh(),
        options: { ConnectTimeout: 2 },
      }),
    );
    return new System(resources.move(), container, connection);
  }

  /** Kills sshd and its sessions. */
  async kill(): Promise<void> {
    // the listener first, or it would let in the next one
    await this.#container.exec("sh", "-c", "killall -KILL sshd; true");
  }

  /** Kills sshd, and keeps it from coming back. */
  async down(): Promise<void> {
    await this.#container.exec("touch", "/down");
    await this.kill();
  }

  /** Runs a script past sshd, and returns what it prints. */
  exec(script: string): Promise<string> {
    return this.#container.exec("sh", "-c", script);
  }

  /** Lets it come back. */
  async up(): Promise<void> {
    await this.#container.exec("rm", "/down");
  }

  /** Connects again, as soon as that is possible. */
  async connect(): Promise<void> {
    await until(() =>
      this.connection.connect().then(() => true, (error) => {
        assert.ok(error instanceof ConnectionError, error.stack);
        return false;
      })
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

type Tests = ConstructorParameters<typeof Bench>[1];

/** Tests what happens on a system of which sshd is killed at some point; then all has to go on as if nothing had been. */
function testKilled(
  what: string,
  tests: Tests,
  options: Partial<FmfExecutorOptions> & { plan?: Record<string, unknown> },
  check: (system: System, bench: Bench) => Promise<void>,
): void {
  Deno.test({
    name: `sshd is killed ${what}`,
    ignore: cannotRun(
      "executor: sshd",
      podmanMissing(["tiny-ssh"]),
      sshdMissing(),
    ),
    async fn() {
      await using system = await System.start();
      {
        await using bench = new Bench(system.connection, tests, options);
        await check(system, bench);
        await bench.gone();
      }
      await system.connect();
      await using bench = new Bench(system.connection, { "/t": "exit 5" });
      await bench.start();
      assert.equal((await bench.run("/t")).exitCode, 5);
    },
  });
}

/** A plan whose steps take their time. */
const plan = (phase: string) => ({
  plan: { [phase]: { how: "shell", script: "echo begun; sleep 82" } },
});

const isConnectionError = (error: unknown) => {
  assert.ok(error instanceof ConnectionError, (error as Error).stack);
  return true;
};

testKilled(
  "while tests are uploaded",
  { "/t": "true" },
  {},
  async (system, bench) => {
    for (let i = 0; i < 15; i++) {
      const file = `${bench.directory}/root/large${i}`;
      await Deno.writeFile(file, new Uint8Array(20_000_000));
    }
    const starting = bench.start();
    starting.catch(() => {});
    await until(async () =>
      Number(await system.exec("du -s /var/atex-* | cut -f1 || echo 0")) > 5000
    );
    await system.kill();
    await assert.rejects(starting, isConnectionError);
    await bench.executor.stop();
  },
);

testKilled(
  "while the system is prepared",
  { "/t": "true" },
  plan("prepare"),
  async (system, bench) => {
    const starting = bench.start();
    starting.catch(() => {});
    await bench.sees("sleep 82");
    await system.kill();
    await assert.rejects(starting, isConnectionError);
    await assert.rejects(
      bench.executor.runTest("/t", bench.directory),
      /the executor is not started/,
    );
  },
);

testKilled(
  "while a test is set up",
  { "/t": { test: "true", require: "package" } },
  {},
  async (system, bench) => {
    await bench.start();
    const running = bench.run("/t");
    await until(async () =>
      await system.exec("ps | grep 'sleep 8[1]' || true") !== ""
    );
    await system.kill();
    const { error, results } = await running;
    isConnectionError(error);
    assert.equal(results.length, 1);
    assert.equal(results[0]!.status, "infra");
    assert.ok(String(results[0]!.note).startsWith(`${error!.name}(`));
    await until(async () =>
      await system.exec("ps | grep 'sleep 8[1]' || true") === ""
    );
  },
);

testKilled(
  "while a test runs",
  {
    "/t":
      "atex-report-result part PASS; trap '' HUP TERM; timeout 60 sleep 83 & sleep 84",
    "/next": "exit 3",
  },
  {},
  async (system, bench) => {
    await bench.start();
    const running = bench.run("/t");
    await bench.sees("sleep 84");
    await system.kill();
    const { error, results } = await running;
    assert.ok(error instanceof TestAbortedError, error?.stack);
    assert.equal(error.reason, "connection");
    assert.deepEqual(results.map(({ name, status }) => [name, status]), [
      ["part", "pass"],
      [undefined, "infra"],
    ]);
    await bench.gone();
    const next = await bench.run("/next");
    isConnectionError(next.error);
    assert.equal(next.results[0]!.status, "infra");
    // the same executor goes on when the link is there again
    await system.connect();
    assert.equal((await bench.run("/next")).exitCode, 3);
  },
);

const ANNOUNCE = `trap '' PIPE HUP
[ "$TMT_REBOOT_COUNT" = 0 ] || exit "$TMT_REBOOT_COUNT"
atex-report-result before PASS; echo disconnect >&8
while echo noop >&8; do sleep 0.1; done 2>/dev/null
`;

testKilled(
  "while the system is said to go down, and does not",
  { "/t": `${ANNOUNCE}sleep 85` },
  {},
  async (system, bench) => {
    await bench.start();
    const running = bench.run("/t");
    await bench.sees("sleep 85");
    await system.kill();
    // it is not started again while it is still there
    await until(() => bench.events.at(-1)?.type === "reconnecting");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(bench.events.at(-1)?.type, "reconnecting");
    bench.killSurvivors();
    const { exitCode, results, error } = await running;
    assert.equal(exitCode, 1, error?.stack);
    assert.equal(results.length, 2);
    assert.deepEqual(bench.events.at(-1), {
      type: "restarted",
      test: "/t",
      count: 1,
      rebooted: false,
    });
  },
);

testKilled(
  "again and again while it is waited for",
  { "/t": `${ANNOUNCE}sleep 86` },
  {},
  async (system, bench) => {
    await bench.start();
    const running = bench.run("/t");
    await bench.sees("sleep 86");
    await system.down();
    // while it lives it is not started again, however long the system is there
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await system.up();
      await new Promise((resolve) => setTimeout(resolve, 250 * i));
      await system.down();
    }
    bench.killSurvivors();
    await system.up();
    const { exitCode, results, error } = await running;
    assert.equal(exitCode, 1, error?.stack);
    assert.equal(results.length, 2);
  },
);

testKilled(
  "for good while it is waited for",
  { "/t": { test: `${ANNOUNCE}sleep 87`, duration: "6" } },
  {},
  async (system, bench) => {
    await bench.start();
    const running = bench.run("/t");
    await bench.sees("sleep 87");
    await system.down();
    const { error, results } = await running;
    assert.ok(error instanceof TestAbortedError, error?.stack);
    assert.equal(error.reason, "timeout");
    assert.deepEqual(results.map(({ status }) => status), ["pass", "infra"]);
    await bench.executor.stop();
    assert.equal(bench.events.at(-1)?.type, "warning");
    // nobody could tell it
    bench.killSurvivors();
    await system.up();
  },
);

testKilled(
  "while the executor stops",
  { "/t": "exit 3" },
  plan("finish"),
  async (system, bench) => {
    await bench.start();
    assert.equal((await bench.run("/t")).exitCode, 3);
    const stopping = bench.executor.stop();
    await bench.sees("sleep 82");
    await system.kill();
    await stopping;
    assert.match(JSON.stringify(bench.events), /"warning"/);
  },
);
