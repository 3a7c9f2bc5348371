import assert from "node:assert/strict";
import {
  ApiError,
  redact,
  TestingFarmApi,
} from "../../provisioners/_testing_farm_api.ts";
import {
  HttpError,
  retryAfterOf,
} from "../../provisioners/_testing_farm_http.ts";
import {
  drop,
  dropAfter,
  FarmServer,
  type Fault,
  html,
  slow,
  status,
  TOKEN,
  TOKEN_ID,
} from "./_testing_farm_server.ts";

const TIMES = {
  retryDelays: [0, 1, 2],
  retryFor: 20_000,
  callTimeout: 200,
};

function client(
  server: FarmServer,
  options: Partial<ConstructorParameters<typeof TestingFarmApi>[0]> = {},
): TestingFarmApi {
  return new TestingFarmApi({
    url: server.url,
    token: TOKEN,
    ...TIMES,
    ...options,
  });
}

const faults: Record<string, Fault[]> = {
  "dropped connections": [drop, drop],
  "statuses that pass": [408, 429, 500, 502, 503, 504].map((code) =>
    status(code)
  ),
  "slow answers": [slow(400)],
  "pages instead of JSON": [html, html],
  "too large, but not later": [status(413, { "retry-after": "0" })],
};

for (const [name, list] of Object.entries(faults)) {
  Deno.test(`TestingFarmApi repeats a call after ${name}`, async () => {
    await using server = new FarmServer();
    server.fail("GET /v0.1/whoami", ...list);
    const troubles: Error[] = [];
    const api = client(server, { onTrouble: (error) => troubles.push(error) });
    assert.deepEqual(await api.whoami(), {
      ranch: "redhat",
      tokenId: TOKEN_ID,
    });
    assert.equal(server.count("GET /v0.1/whoami"), list.length + 1);
    assert.equal(troubles.length, list.length >= 3 ? 1 : 0);
  });
}

Deno.test("TestingFarmApi does not repeat what will fail again, and says what failed", async () => {
  for (const code of [400, 401, 403, 404, 413, 422]) {
    await using server = new FarmServer();
    server.fail("GET /v0.1/whoami", status(code));
    await assert.rejects(client(server).whoami(), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(
        error.message,
        `GET /v0.1/whoami: status ${code}: status ${code}`,
      );
      assert.equal(error.status, code);
      return true;
    });
    assert.equal(server.calls.length, 1);
  }
});

Deno.test("TestingFarmApi gives up pages instead of JSON after four", async () => {
  await using server = new FarmServer();
  server.fail("GET /v0.1/whoami", ...Array(9).fill(html));
  await assert.rejects(
    client(server).whoami(),
    /^HttpError: GET \/v0.1\/whoami: the answer is not JSON but text\/html$/,
  );
  assert.equal(server.calls.length, 4);
});

Deno.test("TestingFarmApi says which part of an answer is wrong", async () => {
  await using server = new FarmServer();
  const wrong: Fault = () => Response.json({ token: { id: 1 } });
  server.fail("GET /v0.1/whoami", ...Array(4).fill(wrong));
  await assert.rejects(
    client(server).whoami(),
    /the answer is not as expected: token\.id: /,
  );
});

Deno.test("TestingFarmApi takes a callTimeout of Infinity for no limit", async () => {
  await using server = new FarmServer();
  const api = client(server, { callTimeout: Infinity });
  assert.equal((await api.whoami()).tokenId, TOKEN_ID);
  assert.equal(server.calls.length, 1);
});

Deno.test("TestingFarmApi tells what the service is, and what it can install", async () => {
  await using server = new FarmServer();
  const api = client(server);
  assert.equal((await api.about()).version, "0.1");
  assert.deepEqual(await api.composes("redhat"), [
    { name: "Fedora-42", type: "aws" },
    { name: "Fedora-43" },
  ]);
  await assert.rejects(
    api.composes("a/b"),
    /GET \/v0.2\/composes\/a%2Fb: status 404: /,
  );
});

Deno.test("TestingFarmApi waits as long as the service asks", async () => {
  await using server = new FarmServer();
  server.fail("GET /v0.1/whoami", status(429, { "retry-after": "1" }));
  const begin = performance.now();
  await client(server).whoami();
  assert.ok(performance.now() - begin >= 990);
  server.fail("GET /v0.1/whoami", status(503, { "retry-after": "3600" }));
  // It would be too late: no waiting in vain.
  await assert.rejects(client(server).whoami(), /status 503/);
});

Deno.test("retryAfterOf() reads seconds and dates of statuses that have them", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  const read = (code: number, text: string) =>
    retryAfterOf(
      new Response(null, { status: code, headers: { "retry-after": text } }),
      now,
    );
  assert.equal(read(429, "7"), 7000);
  assert.equal(read(503, "Thu, 01 Jan 2026 00:00:09 GMT"), 9000);
  assert.equal(read(413, "Wed, 31 Dec 2025 00:00:00 GMT"), 0);
  assert.equal(read(429, "soon"), undefined);
  assert.equal(read(500, "7"), undefined);
});

Deno.test("TestingFarmApi can be aborted while it waits for anything", async () => {
  await using server = new FarmServer();
  for (
    const fault of [status(503, { "retry-after": "10" }), slow(100)]
  ) {
    server.fail("GET /v0.1/whoami", fault);
    const abort = new AbortController();
    const called = client(server).whoami({ signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 20);
    await assert.rejects(called, { message: "enough" });
  }
});

Deno.test("TestingFarmApi keeps the token to itself", async (t) => {
  await t.step("not sent to another place", async () => {
    await using server = new FarmServer();
    await using other = new FarmServer();
    const elsewhere: Fault = ({ what }) =>
      Response.redirect(`${other.url}${what.split(" ")[1]}`, 307);
    server.fail("GET /v0.1/whoami", elsewhere);
    server.fail("POST /v0.1/requests", elsewhere);
    await assert.rejects(client(server).whoami(), /redirected to http/);
    await assert.rejects(
      client(server).submit({}, () => Promise.resolve(undefined)),
      /redirected to http:.*, where the token does not go$/,
    );
    assert.deepEqual(other.calls, []);
  });
  await t.step("followed in the same place", async () => {
    await using server = new FarmServer();
    server.fail("GET /v0.1/whoami", () =>
      new Response(null, {
        status: 308,
        headers: { location: "/v0.1/whoami" },
      }));
    assert.equal((await client(server).whoami()).tokenId, TOKEN_ID);
  });
  await t.step("not in errors, nor are secrets", async () => {
    await using server = new FarmServer();
    server.fail("GET /v0.1/whoami", () =>
      Response.json({
        message: `no ${TOKEN}, no hush-hush`,
        api_key: "other-key",
        environments: [{ secrets: { A: "b-secret" } }],
        notification: { webhook: { token: "wh-secret" } },
      }, { status: 400 }));
    await assert.rejects(
      client(server, { secrets: ["hush-hush"] }).whoami(),
      (error) => {
        const text = Deno.inspect(error);
        for (
          const secret of [
            TOKEN,
            "hush-hush",
            "other-key",
            "b-secret",
            "wh-secret",
          ]
        ) assert.ok(!text.includes(secret), secret);
        assert.match(text, /no \[hidden\], no \[hidden\]/);
        return true;
      },
    );
    assert.ok(!Deno.inspect(client(server)).includes(TOKEN));
  });
});

Deno.test("redact() hides what the service echoes", () => {
  assert.deepEqual(
    redact({ secrets: { A: 1 }, api_key: "x", a: [{ token: "y", b: 2 }] }),
    {
      secrets: "[hidden]",
      api_key: "[hidden]",
      a: [{ token: "[hidden]", b: 2 }],
    },
  );
});

const body = (tag: string) => ({
  environments: [{ settings: { provisioning: { tags: { tag } } } }],
});

Deno.test("submit() makes one request, whatever happens to the answer", async (t) => {
  const unclear: Record<string, Fault[]> = {
    "taken, then dropped": [dropAfter],
    "not taken, dropped": [drop],
    "taken, then 502": [async (_, proceed) => {
      await proceed();
      return new Response("bad gateway", { status: 502 });
    }],
    "taken, then a page": [async (call, proceed) => {
      await proceed();
      return await html(call, proceed)!;
    }],
    "taken, then silence": [async (_, proceed) => {
      const response = await proceed();
      await new Promise((resolve) => setTimeout(resolve, 400));
      return response;
    }],
    "refused for now": [status(429, { "retry-after": "0" })],
    "all together": [drop, status(503), dropAfter],
  };
  for (const [name, list] of Object.entries(unclear)) {
    await t.step(name, async () => {
      await using server = new FarmServer();
      server.fail("POST /v0.1/requests", ...list);
      const api = client(server);
      let told = false;
      const id = await api.submit(body("x"), async () => {
        const alive = await api.listAlive(TOKEN_ID);
        return alive.find(({ tags }) => tags.tag === "x")?.id;
      }, { onUnclear: () => told = true });
      assert.deepEqual(server.alive.map(({ id }) => id), [id]);
      assert.equal(told, name !== "refused for now");
    });
  }
  for (const code of [400, 401, 403, 422]) {
    await t.step(`refused with ${code}`, async () => {
      await using server = new FarmServer();
      server.fail("POST /v0.1/requests", status(code));
      const find = () => assert.fail("nothing to find");
      await assert.rejects(client(server).submit({}, find), HttpError);
      assert.equal(server.count("POST /v0.1/requests"), 1);
    });
  }
});

Deno.test("submit() that is aborted lets the answer come that is on its way", async () => {
  await using server = new FarmServer();
  server.fail("POST /v0.1/requests", slow(100));
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 20);
  const id = await client(server).submit(
    body("x"),
    () => Promise.resolve(undefined),
    { signal: abort.signal },
  );
  assert.deepEqual(server.alive.map(({ id }) => id), [id]);
});

Deno.test("cancel() succeeds when nothing is left to end", async () => {
  await using server = new FarmServer();
  const api = client(server);
  const { id } = server.add(body("x"), TOKEN_ID);
  server.fail("DELETE /v0.1/requests/ID", dropAfter); // then it is ended already
  await api.cancel(id);
  assert.deepEqual(server.alive, []);
  await api.cancel(id);
  await api.cancel("unknown");
  const other = server.add(body("y"), TOKEN_ID);
  server.fail(
    "DELETE /v0.1/requests/ID",
    () => new Response(null, { status: 204 }),
  );
  await api.cancel(other.id);
});

Deno.test("cancel() that is refused for what is alive fails", async () => {
  await using server = new FarmServer();
  server.states = [];
  const { id } = server.add(body("x"), TOKEN_ID);
  for (const code of [401, 403, 409]) {
    server.fail("DELETE /v0.1/requests/ID", status(code));
    await assert.rejects(
      client(server).cancel(id),
      new RegExp(`^ApiError|DELETE /v0.1/requests/${id}: status ${code}`),
    );
  }
  server.fail("DELETE /v0.1/requests/ID", ...Array(99).fill(status(503)));
  await assert.rejects(
    client(server).cancel(id, { giveUp: 5 }),
    /status 503/,
  );
});

Deno.test("no more than ten calls are under way, whoever makes them", async () => {
  await using server = new FarmServer();
  let now = 0, most = 0;
  const count: Fault = async (_, proceed) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    return await proceed();
  };
  server.fail("GET /v0.1/whoami", ...Array(40).fill(count));
  await Promise.all(
    Array.from({ length: 40 }, () => client(server).whoami()),
  );
  assert.ok(most <= 10 && most > 1, `${most}`);
});
