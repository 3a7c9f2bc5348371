import assert from "node:assert/strict";
import { ConnectError } from "../../connections/connection.ts";
import { ProvisionError } from "../../provisioners/provisioner.ts";
import { openAfterBoot, waitForSshd } from "../../provisioners/sshd.ts";
import { cannotRun, freePort, Sshd, sshdMissing } from "../_sshd.ts";
import { rejected } from "../_thrown.ts";

const ignore = cannotRun("provisioners/sshd", sshdMissing());

/** A server on loopback that does with its nth connection what the nth function says, and with all later ones as the last. */
class Server implements AsyncDisposable {
  readonly #listener: Deno.Listener;
  readonly #open = new Set<Deno.Conn>();
  readonly #done: Promise<void>;
  #news = Promise.withResolvers<void>();
  connections = 0;

  constructor(
    ...acts: ((connection: Deno.Conn) => Promise<unknown>)[]
  ) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#done = this.#serve(acts);
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  async #serve(
    acts: ((connection: Deno.Conn) => Promise<unknown>)[],
  ): Promise<void> {
    const running: Promise<unknown>[] = [];
    for await (const connection of this.#listener) {
      const act = acts[Math.min(this.connections++, acts.length - 1)];
      this.#news.resolve();
      this.#news = Promise.withResolvers();
      this.#open.add(connection);
      running.push(act(connection).catch(() => {}));
    }
    await Promise.all(running);
  }

  /** Waits until so many have come. */
  async accepted(count: number): Promise<void> {
    while (this.connections < count) await this.#news.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) {
      try {
        connection.close();
      } catch {
        // Closed already.
      }
    }
    await this.#done;
  }
}

/** Says the parts, each on its own. */
const says = (...parts: string[]) => async (connection: Deno.Conn) => {
  for (const part of parts) {
    await connection.write(new TextEncoder().encode(part));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await isClosed(connection);
};

/** Resolves when the other side has closed. */
async function isClosed(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(64);
  while (await connection.read(buffer) !== null);
  connection.close();
}

const hangsUp = (connection: Deno.Conn) => Promise.resolve(connection.close());

const never = new AbortController().signal;
const wait = (
  { port }: { port: number },
  options: { patience?: number; signal?: AbortSignal } = {},
) => waitForSshd({ hostname: "127.0.0.1", port, signal: never, ...options });

Deno.test("waitForSshd() ends when the server greets, however the greeting is cut", async () => {
  const greeting = "SSH-2.0-x\r\n";
  for (let at = 1; at < greeting.length; at++) {
    await using server = new Server(
      says(greeting.slice(0, at), greeting.slice(at)),
    );
    await wait(server);
    assert.equal(server.connections, 1, `cut at ${at}`);
  }
});

Deno.test("waitForSshd() takes lines before the version for a part of the greeting", async () => {
  await using server = new Server(says("Welcome\r\nS", "SH-2.0-x\r\n"));
  await wait(server);
  assert.equal(server.connections, 1);
});

Deno.test("waitForSshd() does not wait where it may not connect", {
  permissions: { net: false },
}, async () => {
  const error = await rejected(wait({ port: 1 }), ProvisionError);
  assert.ok(error.fatal);
  assert.match(
    error.message,
    /^Cannot connect to 127\.0\.0\.1:1: Requires net access to /,
  );
});

Deno.test("waitForSshd() goes on while connections are refused", async () => {
  const port = freePort();
  const waiting = wait({ port });
  await new Promise((resolve) => setTimeout(resolve, 250));
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const connection = await listener.accept();
  await says("SSH-2.0-x\r\n")(connection);
  await waiting;
  listener.close();
});

Deno.test("waitForSshd() asks again where something accepts and hangs up, or is no sshd", async () => {
  await using server = new Server(
    hangsUp,
    says("SS"),
    async (connection) => {
      await connection.write(new TextEncoder().encode("SS"));
      connection.close();
    },
    async (connection) => {
      await connection.write(new TextEncoder().encode("HTTP/1.1 200 SSH-\n"));
      connection.close();
    },
    async (connection) => {
      await connection.write(new Uint8Array(20_000));
      await isClosed(connection);
    },
    says("SSH-2.0-x\r\n"),
  );
  await wait(server, { patience: 50 });
  assert.equal(server.connections, 6);
});

Deno.test("waitForSshd() has more patience with each silent connection, and closes it", async () => {
  const closed: number[] = [];
  const silent = async (connection: Deno.Conn) => {
    const start = performance.now();
    await isClosed(connection);
    closed.push(performance.now() - start);
  };
  await using server = new Server(
    silent,
    silent,
    silent,
    says("SSH-2.0-x\r\n"),
  );
  await wait(server, { patience: 50 });
  assert.equal(closed.length, 3);
  // Timers never end early; how late they are depends on the machine.
  for (const [i, ms] of closed.entries()) {
    assert.ok(ms > 45 * 2 ** i, `${closed}`);
  }
});

Deno.test("waitForSshd() can be aborted at any point", async () => {
  const reason = new Error("enough");
  await using silent = new Server(isClosed);
  const begun = new AbortController();
  const waiting = wait(silent, { signal: begun.signal });
  await silent.accepted(1);
  begun.abort(reason);
  await assert.rejects(waiting, reason);

  await assert.rejects(
    wait(silent, { signal: AbortSignal.abort(reason) }),
    reason,
  );
  assert.equal(silent.connections, 1);

  const pausing = new AbortController(); // between two attempts
  setTimeout(() => pausing.abort(reason), 50);
  await assert.rejects(
    wait({ port: freePort() }, { signal: pausing.signal }),
    reason,
  );
});

Deno.test({
  name:
    "openAfterBoot() tries again when the connection is cut before the login, and not when the login is refused",
  ignore,
  fn: async () => {
    await using sshd = await Sshd.start();
    const { options } = sshd;
    let cuts = 3; // after the greeting, where a connection does not try again by itself
    await using server = new Server(async (connection) => {
      if (cuts-- > 0) {
        await connection.write(new TextEncoder().encode("SSH-2.0-x\r\n"));
        return connection.close();
      }
      const inner = await Deno.connect({
        hostname: "127.0.0.1",
        port: sshd.port,
      });
      await Promise.allSettled([
        connection.readable.pipeTo(inner.writable),
        inner.readable.pipeTo(connection.writable),
      ]);
    });
    const host = `${sshd.user}@127.0.0.1:${server.port}`;
    {
      await using _ = await openAfterBoot({ ...options, host });
    }
    assert.ok(cuts < 0);

    const refused = await rejected(
      openAfterBoot({ ...options, identityFile: "/dev/null" }),
      ConnectError,
    );
    assert.match(refused.message, /Permission denied/);
    const port = freePort();
    const late = openAfterBoot({
      ...options,
      host: `127.0.0.1:${port}`,
      cutTimeout: 0,
    });
    await rejected(late, ConnectError, "refused");
  },
});

Deno.test({
  name: "openAfterBoot() can be aborted between two attempts",
  ignore,
  fn: async () => {
    const reason = new Error("enough");
    const abort = new AbortController();
    const opening = openAfterBoot({
      host: `127.0.0.1:${freePort()}`,
      configFile: "none",
      signal: abort.signal,
    });
    setTimeout(() => abort.abort(reason), 300);
    await assert.rejects(opening, reason);
  },
});

Deno.test("waitForSshd() and openAfterBoot() refuse options that make no sense", async () => {
  for (const port of [0, 1.5, 65_536, NaN]) {
    await assert.rejects(waitForSshd({ hostname: "127.0.0.1", port }), {
      name: "RangeError",
      message:
        `Cannot use ${port} as "port": a whole number from 1 to 65535 would be right`,
    });
  }
  const host = { host: "127.0.0.1" } as unknown as { hostname: string };
  await assert.rejects(waitForSshd(host), {
    name: "TypeError",
    message:
      'Cannot use the options of waitForSshd(): "hostname" is missing, and there is no option "host"',
  });
  await assert.rejects(
    waitForSshd({ hostname: "127.0.0.1", patience: 0 }),
    RangeError,
  );
  await assert.rejects(
    openAfterBoot({ host: "127.0.0.1", cutTimeout: -1 }),
    RangeError,
  );
});
