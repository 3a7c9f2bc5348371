import assert from "node:assert/strict";
import { RequestWatchdog } from "../../provisioners/_testing_farm_watchdog.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  TestingFarmProvisioner,
  type TestingFarmProvisionerOptions,
} from "../../provisioners/testing_farm.ts";
import { exists, until } from "../_wait.ts";
import {
  dropAfter,
  FarmServer,
  type Fault,
  status,
  TOKEN,
  TOKEN_ID,
} from "./_testing_farm_server.ts";
import { watchdogsOf } from "./_testing_farm_watchdogs.ts";
import { sshKey } from "./_user_key.ts";

function startWatchdog(
  server: FarmServer,
  signal = new AbortController().signal,
): Promise<RequestWatchdog> {
  const duty = {
    url: server.url,
    tokenId: TOKEN_ID,
    pool: "ours",
    interval: 10,
    retryDelays: [0, 1],
  };
  const onEnd = (error: Error) => {
    throw error;
  };
  return RequestWatchdog.start(duty, { token: TOKEN, signal, onEnd });
}

/** Makes a request of a pool, and gives its id. */
function add(server: FarmServer, pool: string): string {
  const settings = { provisioning: { tags: { "atex-pool": pool } } };
  return server.add({ environments: [{ settings }] }, TOKEN_ID).id;
}

function aliveAt(server: FarmServer): string[] {
  return server.alive.map(({ id }) => id);
}

/** Something to wait with until the one watchdog for a service has ended, and we know that. */
async function endOfWatchdog(server: FarmServer): Promise<() => Promise<void>> {
  const [{ pid }] = await watchdogsOf(server);
  return () => until(async () => !await exists(`/proc/${pid}`));
}

async function isAlone(server: FarmServer): Promise<boolean> {
  return (await watchdogsOf(server)).length === 0;
}

async function startPool(
  server: FarmServer,
  options: Partial<TestingFarmProvisionerOptions> = {},
): Promise<TestingFarmProvisioner> {
  return await new TestingFarmProvisioner({
    compose: "Fedora-42",
    url: server.url,
    token: TOKEN,
    sshKey,
    watchdog: true,
    ...options,
    times: {
      retryDelays: [0, 1],
      releaseTimeout: 5,
      pollInterval: 5,
      spread: 0,
      reapInterval: 10,
    },
  }).start();
}

const redirectTo = (base: string): Fault => ({ query }) =>
  query.has("redirected") ? undefined : new Response(null, {
    status: 307,
    headers: { location: `${base}/v0.1/requests?${query}&redirected` },
  });

Deno.test("RequestWatchdog follows redirects of the service", async () => {
  await using server = new FarmServer();
  server.fail("GET /v0.1/requests", ...Array(99).fill(redirectTo(server.url)));
  const watchdog = await startWatchdog(server);
  const ended = await endOfWatchdog(server);
  add(server, "ours");
  const other = add(server, "another");
  await watchdog[Symbol.asyncDispose]();
  await ended();
  assert.deepEqual(aliveAt(server), [other]);
});

Deno.test("RequestWatchdog.start() rejects if it cannot see requests", async () => {
  await using server = new FarmServer();
  await using elsewhere = new FarmServer();
  for (
    const [fault, why] of [
      [status(503), "status 503"],
      [
        redirectTo(elsewhere.url),
        `it was redirected to ${elsewhere.url}, where the token does not go`,
      ],
    ] as const
  ) {
    server.faults.set("GET /v0.1/requests", Array(99).fill(fault));
    await assert.rejects(startWatchdog(server), {
      name: "ProvisionError",
      message: `Cannot use "watchdog": it cannot see requests: ${why}`,
    });
    assert.ok(await isAlone(server));
  }
  assert.deepEqual(elsewhere.calls, []);
});

Deno.test("RequestWatchdog.start() survives a service that is in trouble for a moment", async () => {
  await using server = new FarmServer();
  server.fail("GET /v0.1/requests", status(503), dropAfter, status(502));
  const watchdog = await startWatchdog(server);
  await watchdog.dismiss();
  assert.ok(await isAlone(server));
});

Deno.test("RequestWatchdog.start() ends with its signal, and leaves no process", async () => {
  await using server = new FarmServer();
  const answer = Promise.withResolvers<Response>();
  const abort = new AbortController();
  server.fail("GET /v0.1/requests", () => {
    abort.abort(new Error("enough"));
    return answer.promise;
  });
  await assert.rejects(startWatchdog(server, abort.signal), {
    message: "enough",
  });
  assert.ok(await isAlone(server));
  answer.resolve(new Response());
});

Deno.test("RequestWatchdog ends what it can beside a request that goes elsewhere", async () => {
  await using server = new FarmServer();
  const watchdog = await startWatchdog(server);
  const ended = await endOfWatchdog(server);
  const stubborn = add(server, "ours");
  add(server, "ours");
  const elsewhere: Fault = () => Response.redirect("http://127.0.0.1:1/", 307);
  server.fail(
    "DELETE /v0.1/requests/ID",
    elsewhere, // the first one, and then that alone
    (_, proceed) => proceed(),
    ...Array(999).fill(elsewhere),
  );
  await watchdog[Symbol.asyncDispose]();
  await until(() => server.count("DELETE /v0.1/requests/ID") > 4);
  assert.deepEqual(aliveAt(server), [stubborn]);
  server.faults.clear();
  await ended();
});

Deno.test("a warning tells that a watchdog ended before its time", async () => {
  await using server = new FarmServer();
  const events: ProvisionerEvent[] = [];
  const pool = await startPool(server, { onEvent: (it) => events.push(it) });
  const [{ pid }] = await watchdogsOf(server);
  Deno.kill(pid, "SIGKILL");
  await until(() => events.length > 0);
  const [event] = events;
  assert.ok(event.type === "warning");
  assert.equal(
    event.error.message,
    "The watchdog ended with SIGKILL: requests of this script will not be ended when it is killed",
  );
  await pool.stop();
  assert.equal(events.length, 1);
});

Deno.test("stop() dismisses the watchdog if nothing is left to end", async () => {
  await using server = new FarmServer();
  const events: ProvisionerEvent[] = [];
  const pool = await startPool(server, { onEvent: (it) => events.push(it) });
  pool.provision();
  await until(() => server.alive.length === 1);
  await pool.stop();
  assert.ok(await isAlone(server));
  assert.deepEqual(events.filter(({ type }) => type === "warning"), []);
});

Deno.test("stop() after a POST without a clear outcome leaves no watchdog behind", async () => {
  await using server = new FarmServer();
  await using other = await startPool(server, { watchdog: false });
  other.provision();
  await until(() => server.alive.length === 1);
  const kept = aliveAt(server);
  server.fail("POST /v0.1/requests", dropAfter);
  const pool = await startPool(server);
  const ended = await endOfWatchdog(server);
  pool.provision();
  await until(() => server.alive.length === 2);
  await pool.stop();
  await ended();
  assert.deepEqual(aliveAt(server), kept);
});

Deno.test("what stop() could not end is ended by the watchdog, that of other pools is not", async () => {
  await using server = new FarmServer();
  await using other = await startPool(server, { watchdog: false });
  other.provision();
  await until(() => server.alive.length === 1);
  const kept = aliveAt(server);
  const events: ProvisionerEvent[] = [];
  const pool = await startPool(server, { onEvent: (it) => events.push(it) });
  const ended = await endOfWatchdog(server);
  pool.provision();
  await until(() => server.alive.length === 2);
  const refused = Array<Fault>(999).fill(status(403));
  server.fail("DELETE /v0.1/requests/ID", ...refused);
  await pool.stop();
  assert.ok(events.some((event) =>
    event.type === "warning" &&
    event.error.message.startsWith("Cannot end the request")
  ));
  assert.equal(server.alive.length, 2);
  server.faults.clear();
  await ended();
  assert.deepEqual(aliveAt(server), kept);
});
