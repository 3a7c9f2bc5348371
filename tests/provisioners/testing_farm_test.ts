import assert from "node:assert/strict";
import { formatOwner } from "../../connections/ownership.ts";
import {
  isAddress,
  ownAddress,
} from "../../provisioners/_testing_farm_address.ts";
import { requestBody } from "../../provisioners/_testing_farm_body.ts";
import { CLEANING_SCRIPT } from "../../provisioners/_testing_farm_clean.ts";
import { holdRun } from "../../provisioners/_run.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import type { ProvisionError } from "../../provisioners/provisioner.ts";
import {
  describeTestingFarm,
  TestingFarmProvisioner,
  type TestingFarmProvisionerOptions,
} from "../../provisioners/testing_farm.ts";
import { cannotRun } from "../_parts.ts";
import { checkScript, shellcheckMissing } from "../_shellcheck.ts";
import { rejected } from "../_thrown.ts";
import { until } from "../_wait.ts";
import {
  dropAfter,
  FarmServer,
  type Fault,
  html,
  slow,
  status,
  TOKEN,
  TOKEN_ID,
} from "./_testing_farm_server.ts";
import { sshKey } from "./_user_key.ts";

const times = {
  retryDelays: [0, 1, 2],
  retryFor: 20_000,
  releaseTimeout: 5000,
  callTimeout: 2000,
  pollInterval: 5,
  lostInterval: 5,
  sshInterval: 5,
  spread: 0,
};

function poolOn(
  server: FarmServer,
  options: Partial<TestingFarmProvisionerOptions> = {},
): TestingFarmProvisioner {
  return new TestingFarmProvisioner({
    compose: "Fedora-42",
    url: server.url,
    token: TOKEN,
    sshKey,
    ...options,
    times: { ...times, ...options.times },
  });
}

Deno.test("requestBody() is what the service's API documents", () => {
  assert.deepEqual(
    requestBody({ compose: "C", arch: "aarch64", timeout: 90_001 }, {
      publicKey: "ssh-ed25519 AAAA",
      tags: { "atex-run": "r" },
    }),
    {
      test: {
        fmf: {
          url: "https://gitlab.com/testing-farm/tests",
          ref: "main",
          path: ".",
          name: "/testing-farm/reserve",
        },
      },
      environments: [{
        arch: "aarch64",
        os: { compose: "C" },
        variables: { TF_RESERVATION_DURATION: "2" },
        secrets: {
          TF_RESERVATION_AUTHORIZED_KEYS_BASE64: btoa(
            "ssh-ed25519 AAAA atex\n",
          ),
        },
        settings: {
          provisioning: {
            tags: { ArtemisUseSpot: "false", "atex-run": "r" },
          },
        },
      }],
      settings: { pipeline: { timeout: 2 } },
    },
  );
  // deno-lint-ignore no-explicit-any -- looked into
  const { environments: [all] }: any = requestBody({
    compose: "C",
    arch: "x86_64",
    timeout: 3_600_000,
    pool: "p",
    hardware: { memory: ">= 8 GB" },
    kickstart: { kernel_options: "quiet" },
    artifacts: [{ type: "fedora-koji-build", id: "1" }],
    variables: { A: "1" },
    secrets: { S: "2" },
    tags: { ArtemisUseSpot: "true", mine: "x" },
    skipGuestSetup: true,
  }, { publicKey: "k k", tags: {}, sourceCidr: "1.2.3.4/32" });
  assert.deepEqual(
    [all.pool, all.hardware, all.kickstart, all.artifacts],
    ["p", { memory: ">= 8 GB" }, { kernel_options: "quiet" }, [
      { type: "fedora-koji-build", id: "1" },
    ]],
  );
  assert.deepEqual(all.variables, { TF_RESERVATION_DURATION: "60", A: "1" });
  assert.equal(all.secrets.S, "2");
  assert.deepEqual(all.settings, {
    provisioning: {
      tags: { ArtemisUseSpot: "true", mine: "x" },
      security_group_rules_ingress: [{
        type: "ingress",
        protocol: "-1",
        cidr: "1.2.3.4/32",
        port_min: 0,
        port_max: 65535,
      }],
    },
    pipeline: { skip_guest_setup: true },
  });
});

Deno.test({
  name: "CLEANING_SCRIPT is a shell script without fault",
  ignore: cannotRun("provisioners/testing_farm", shellcheckMissing()),
  fn: async () => {
    await checkScript(CLEANING_SCRIPT, "bash");
  },
});

Deno.test("ownAddress() asks until somebody tells an address", async () => {
  const answers = ["nonsense", "2001:db8::1", "256.1.1.1", "192.0.2.7\n"];
  const agents: (string | null)[] = [];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      agents.push(request.headers.get("user-agent"));
      const { pathname } = new URL(request.url);
      return pathname === "/x"
        ? new Response("no", { status: 500 })
        : new Response(answers[+pathname.slice(1)]);
    },
  );
  const url = (path: string) => `http://127.0.0.1:${server.addr.port}/${path}`;
  const { signal } = new AbortController();
  const services = ["x", "0", "1", "2", "3"].map(url);
  assert.equal(await ownAddress(signal, services), "192.0.2.7");
  assert.deepEqual(agents, Array(5).fill("curl/8"));
  await assert.rejects(
    ownAddress(signal, services.slice(0, 2)),
    /Cannot find out the address of this machine, "sourceCidr" would tell it: GET .*: status 500; .*not an address of version 4$/,
  );
  await assert.rejects(
    ownAddress(AbortSignal.abort(new Error("enough")), services),
    { message: "enough" },
  );
  assert.deepEqual(
    ["1.2.3.4", "1.2.3", "1.2.3.4.", "1.2.3.4.5", "a.b.c.d"].map(isAddress),
    [true, false, false, false, false],
  );
});

Deno.test("TestingFarmProvisioner refuses options that cannot be used", () => {
  const make = (options: Partial<TestingFarmProvisionerOptions>) => () =>
    new TestingFarmProvisioner({ compose: "x", ...options });
  for (
    const [options, error] of [
      [{ compose: "" }, /^TypeError: .*"compose" must be a string/],
      [{ arch: "" }, /^TypeError: .*"arch" must be a string/],
      [{ url: "ftp://x" }, /^TypeError: Cannot use "ftp:\/\/x" as "url"/],
      [{ url: "https://x?y" }, /^TypeError: Cannot use .* as "url"/],
      [{ sourceCidr: "1.2.3.4" }, /^TypeError: .*"sourceCidr"/],
      [{ sourceCidr: "1.2.3.4/33" }, /^TypeError: .*"192.0.2.0\/24" would be/],
      [{ sourceCidr: 5 as never }, /^TypeError: .*"sourceCidr" of .* a string/],
      [{ variables: "A=1" as never }, /"variables" of .* an object of texts/],
      [
        { variables: { A: 1 } as never },
        /"variables" of .* an object of texts/,
      ],
      [{ secrets: "x" as never }, /"secrets" of .* an object of texts/],
      [{ tags: { a: 5 } as never }, /"tags" of .* an object of texts/],
      [{ watchdog: "no" as never }, /"watchdog" of .* true or false/],
      [{ skipGuestSetup: "no" as never }, /"skipGuestSetup" of .* true or/],
      [{ clean: "yes" as never }, /"clean" of .* an object with "script"/],
      [{ clean: {} as never }, /"clean" of .*: "script" is missing/],
      [{ clean: { script: 5 } as never }, /"script" of "clean" of .* a string/],
      [{ hardware: "memory: 1" as never }, /"hardware" of .* an object/],
      [{ artifacts: {} as never }, /"artifacts" of .* a list/],
      [{ pool: 5 as never }, /"pool" of .* a string/],
      [{ sshKey: 5 as never }, /"sshKey" of .* a path or a URL/],
      [{ onLog: 5 as never }, /"onLog" of .* a function/],
      [{ onEvent: "x" as never }, /"onEvent" of .* a function/],
      [{ limit: 5 as never }, /"limit" of .* what sharedLimit\(\) gives/],
      [{ maxRemotes: 51 }, /^RangeError: .*"maxRemotes" must be .* at most 50/],
      [{ maxRemotes: Infinity }, /^RangeError/],
      [{ retries: -1 }, /^RangeError: .*"retries"/],
      [{ timeout: 0 }, /^RangeError: .*"timeout"/],
      [{ times: { spread: -1 } }, /^RangeError: .*"times.spread"/],
      [{ times: { retryDelays: [NaN] } }, /^RangeError: .*"times.retryDelays"/],
    ] as const
  ) assert.throws(make(options), error);
  const pool = make({})();
  assert.deepEqual([pool.name, pool.maxRemotes], [
    "testing-farm:x@x86_64",
    3,
  ]);
});

Deno.test("start() fails for good without a token or with a wrong one", async () => {
  await using server = new FarmServer();
  const before = Deno.env.get("TESTING_FARM_API_TOKEN");
  Deno.env.delete("TESTING_FARM_API_TOKEN");
  try {
    await assert.rejects(
      new TestingFarmProvisioner({ compose: "x", url: server.url }).start(),
      {
        name: "ProvisionError",
        fatal: true,
        message:
          'Cannot use Testing Farm: there is no token, neither the option "token" nor the variable TESTING_FARM_API_TOKEN',
      },
    );
    assert.deepEqual(server.calls, []);
    Deno.env.set("TESTING_FARM_API_TOKEN", "wrong-token-9876");
    await assert.rejects(
      new TestingFarmProvisioner({ compose: "x", url: server.url, sshKey })
        .start(),
      (error: ProvisionError) => {
        assert.equal(
          error.message,
          "Cannot use Testing Farm: the token was refused, GET /v0.1/whoami: status 401: Unauthorized",
        );
        assert.ok(!Deno.inspect(error).includes("wrong-token"));
        return error.fatal;
      },
    );
  } finally {
    if (before === undefined) Deno.env.delete("TESTING_FARM_API_TOKEN");
    else Deno.env.set("TESTING_FARM_API_TOKEN", before);
  }
});

Deno.test("a token with a line end after it is used without, and hidden in logs and errors", async () => {
  await using server = new FarmServer();
  server.states = ["running"];
  server.log = `${TOKEN} and quite a secret.\n`;
  const lines: string[] = [];
  await using pool = await poolOn(server, {
    token: `${TOKEN}\n`,
    secrets: { S: "quite a secret\n" },
    retries: 0,
    onLog: (line) => lines.push(line),
  }).start();
  pool.provision();
  const failing = rejected(pool.getRemote(), Error);
  await until(() => lines.length === 1);
  server.alive[0].upcoming = ["complete"];
  assert.deepEqual(lines, ["[hidden] and [hidden].\x1b[0m"]);
  const error = await failing;
  assert.match(error.message, /\n\[hidden\] and \[hidden\]\.$/);
  assert.deepEqual(
    new Set(
      server.calls.filter(({ what }) => what.includes("/v0.1/"))
        .map(({ authorization }) => authorization),
    ),
    new Set([`Bearer ${TOKEN}`]),
  );
});

Deno.test("what can be no token is one error at once, without it", async () => {
  await using server = new FarmServer();
  const events: ProvisionerEvent[] = [];
  const before = Deno.env.get("TESTING_FARM_API_TOKEN");
  try {
    for (
      const bad of ["abcd1234\nefgh5678", "abcd1234 efgh5678", "abcd1234é"]
    ) {
      const refused = (error: Error, place: string) => {
        assert.equal(
          error.message,
          `Cannot use Testing Farm: ${place} holds no token, which is a single word of ASCII characters`,
        );
        assert.ok(!Deno.inspect(error).includes("1234"));
        return true;
      };
      assert.throws(
        () => poolOn(server, { token: bad }),
        (error: Error) => refused(error, 'the option "token"'),
      );
      const options = { url: server.url, token: bad };
      const ask = describeTestingFarm(options);
      await assert.rejects(
        ask,
        (error: Error) => refused(error, 'the option "token"'),
      );
      Deno.env.set("TESTING_FARM_API_TOKEN", bad);
      await assert.rejects(
        new TestingFarmProvisioner({
          compose: "x",
          url: server.url,
          onEvent: (event) => events.push(event),
        }).start(),
        (error: ProvisionError) =>
          refused(error, "the variable TESTING_FARM_API_TOKEN") && error.fatal,
      );
    }
  } finally {
    if (before === undefined) Deno.env.delete("TESTING_FARM_API_TOKEN");
    else Deno.env.set("TESTING_FARM_API_TOKEN", before);
  }
  assert.deepEqual(server.calls, []);
  assert.deepEqual(events, []);
});

Deno.test("a request that the service refuses is a fatal error", async () => {
  for (const code of [400, 422, 401, 403]) {
    await using server = new FarmServer();
    server.fail("POST /v0.1/requests", status(code));
    await using pool = await poolOn(server).start();
    pool.provision(2);
    const error = await rejected(pool.getRemote(), Error, `status ${code}`);
    assert.equal((error as ProvisionError).fatal, true);
    assert.match(error.message, /^Cannot reserve "Fedora-42" on x86_64: /);
    await assert.rejects(pool.getRemote(), { message: error.message });
    await pool.stop();
    assert.deepEqual(server.alive, []);
  }
});

Deno.test("failed reservations are repeated until the retries are used up", async () => {
  await using server = new FarmServer();
  server.states = ["queued", "error"];
  server.log = "one\ntwo\n";
  const events: ProvisionerEvent[] = [];
  await using pool = await poolOn(server, {
    retries: 2,
    onEvent: (event) => events.push(event),
  }).start();
  pool.provision(1);
  const error = await rejected(pool.getRemote(), Error);
  assert.match(
    error.message,
    /^Cannot reserve a system with the request [\w-]+: it is in state "error"$/,
  );
  assert.equal((error as ProvisionError).fatal, false);
  const failed = events.filter(({ type }) => type === "reserve-failed");
  assert.deepEqual(
    failed.map((event) => event.type === "reserve-failed" && event.willRetry),
    [true, true, false],
  );
  assert.equal(server.requests.size, 3);
});

Deno.test("a failed reservation tells the last of the log, and ends its request", async () => {
  await using server = new FarmServer();
  server.states = ["running"];
  server.log = Array.from({ length: 150 }, (_, n) => `line ${n} ${TOKEN}\n`)
    .join("");
  const lines: string[] = [];
  await using pool = await poolOn(server, {
    retries: 0,
    onLog: (line, id) => lines.push(`${id.replace(/\d+/, "N")} ${line}`),
  }).start();
  pool.provision(1);
  const failing = rejected(pool.getRemote(), Error);
  await until(() => lines.length === 150);
  server.alive[0].upcoming = ["complete"];
  const { message } = await failing;
  assert.match(message, /: it is in state "complete"\nthe last of its log:\n/);
  assert.match(message, /\nline 50 \[hidden\]\n[^]*\nline 149 \[hidden\]$/);
  assert.doesNotMatch(message, /line 49/);
  assert.equal(lines[0], "testing-farm:N line 0 [hidden]\x1b[0m");
  await pool.stop();
  assert.equal(server.count("DELETE /v0.1/requests/ID"), 1);
});

Deno.test("a request in any state that is not alive is gone", async () => {
  for (
    const state of ["complete", "error", "canceled", "cancel-requested", "new?"]
  ) {
    await using server = new FarmServer();
    server.states = ["queued", state];
    await using pool = await poolOn(server, { retries: 0 }).start();
    pool.provision(1);
    await rejected(pool.getRemote(), Error, `: it is in state "${state}"`);
    await pool.stop();
    assert.equal(server.count("DELETE /v0.1/requests/ID"), 1);
  }
});

Deno.test("states may go backwards as long as the request is alive", async () => {
  await using server = new FarmServer();
  server.states = ["queued", "running", "new", "queued", "running", "new"];
  await using pool = await poolOn(server, { retries: 0 }).start();
  pool.provision(1);
  const failing = rejected(pool.getRemote(), Error, 'in state "canceled"');
  await until(() => server.alive[0]?.upcoming.length === 0);
  server.alive[0].upcoming = ["cancel-requested", "running"].with(
    0,
    "canceled",
  );
  await failing;
});

Deno.test("that a request is in the queue is told once", async () => {
  await using server = new FarmServer();
  server.states = ["new", "queued", "queued", "queued", "running", "error"];
  const events: ProvisionerEvent[] = [];
  await using pool = await poolOn(server, {
    retries: 0,
    onEvent: (event) => events.push(event),
  }).start();
  pool.provision(1);
  await rejected(pool.getRemote(), Error, 'in state "error"');
  const [request] = server.requests.keys();
  assert.deepEqual(
    events.flatMap((event) => event.type === "waiting" ? [event.reason] : []),
    ["new", "queued"].map((state) =>
      `the request ${request} is in state "${state}"`
    ),
  );
});

Deno.test("a request that the service forgets is gone, but not at the first sign", async () => {
  await using server = new FarmServer();
  await using pool = await poolOn(server, { retries: 0 }).start();
  server.fail("GET /v0.1/requests/ID", status(404), (_, proceed) => proceed());
  server.fail("GET /v0.1/requests/ID", status(404), status(404));
  pool.provision(1);
  await rejected(pool.getRemote(), Error, "status 404");
  assert.equal(server.count("GET /v0.1/requests/ID"), 4);
});

Deno.test("a POST whose answer was lost is adopted, not repeated", async () => {
  await using server = new FarmServer();
  server.fail("POST /v0.1/requests", dropAfter);
  await using pool = await poolOn(server).start();
  pool.provision(1);
  await until(() => server.count("GET /v0.1/requests/ID") > 2);
  assert.equal(server.count("POST /v0.1/requests"), 1);
  assert.equal(server.most, 1);
  const [{ body }] = server.alive;
  const { tags } = body.environments[0].settings.provisioning;
  assert.match(tags["atex-submit"], /^[0-9a-f-]{36}$/);
  assert.match(tags["atex-run"], /^[a-z0-9]{10}$/);
  await pool.stop();
  assert.deepEqual(server.alive, []);
});

Deno.test("a POST that was taken long after it seemed lost is ended", async () => {
  await using server = new FarmServer();
  const late = Promise.withResolvers<void>();
  server.fail("POST /v0.1/requests", (_, proceed) => {
    late.promise.then(proceed); // the service was still at it
    return new Response("bad gateway", { status: 502 });
  });
  await using pool = await poolOn(server).start();
  pool.provision(1);
  await until(() => server.count("GET /v0.1/requests/ID") > 2);
  late.resolve();
  await until(() => server.requests.size === 2);
  await pool.stop();
  assert.deepEqual(server.alive, []);
});

Deno.test("requests that are wanted at once are spread", async () => {
  await using server = new FarmServer();
  const at: number[] = [];
  const note: Fault = (_, proceed) => {
    at.push(performance.now());
    return proceed();
  };
  server.fail("POST /v0.1/requests", ...Array(4).fill(note));
  await using pool = await poolOn(server, {
    maxRemotes: 4,
    times: { spread: 400 },
  }).start();
  pool.provision(4);
  await until(() => at.length === 4);
  at.slice(1).forEach((time, index) => {
    assert.ok(time - at[0] >= (index + 1) * 100 - 30, `${at}`);
  });
});

Deno.test("the address of this machine is told to the public ranch only", async () => {
  for (const ranch of ["public", "redhat"]) {
    await using server = new FarmServer();
    server.ranch = ranch;
    await using pool = await poolOn(server, { sourceCidr: "192.0.2.0/24" })
      .start();
    pool.provision();
    await until(() => server.requests.size === 1);
    const [{ body }] = server.alive;
    const rules =
      body.environments[0].settings.provisioning.security_group_rules_ingress;
    assert.equal(
      rules?.[0].cidr,
      ranch === "public" ? "192.0.2.0/24" : undefined,
    );
  }
});

Deno.test("a request that cannot be ended is reported with its id", async () => {
  await using server = new FarmServer();
  const pool = await poolOn(server, { times: { releaseTimeout: 5 } }).start();
  pool.provision();
  await until(() => server.requests.size === 1);
  const events: ProvisionerEvent[] = [];
  const watched = poolOn(server, {
    times: { releaseTimeout: 5 },
    onEvent: (event) => events.push(event),
  });
  await watched.start();
  watched.provision();
  await until(() => server.requests.size === 2);
  server.fail("DELETE /v0.1/requests/ID", ...Array(999).fill(status(503)));
  await watched.stop();
  const [warning] = events.filter(({ type }) => type === "warning").slice(-1);
  const ids = [...server.requests.keys()];
  assert.ok(warning.type === "warning");
  assert.match(
    warning.error.message,
    new RegExp(
      `^Cannot end the request ${
        ids[1]
      }, which may cost until its time is over: DELETE /v0.1/requests/${
        ids[1]
      }: status 503`,
    ),
  );
  server.faults.clear();
  await pool.stop();
});

Deno.test("start() ends requests of scripts that died, and no others", async () => {
  await using server = new FarmServer();
  server.states = [];
  await using run = await holdRun("test");
  const submit = (id: string, owner: string, tokenId = TOKEN_ID) =>
    server.add({
      environments: [{
        settings: {
          provisioning: { tags: { "atex-run": id, "atex-owner": owner } },
        },
      }],
    }, tokenId).id;
  const dead = formatOwner({ ...run.owner, pid: "1", startTime: "1" });
  const gone = submit("deadrun000", dead);
  const kept = [
    submit(run.id, formatOwner(run.owner)), // ours
    submit("otherhost0", dead.replace(/^[^/]*/, "elsewhere")),
    submit("othertoken", dead, "somebody else's"),
    submit("nonsense00", "x"),
    server.add({ environments: [{}] }, TOKEN_ID).id,
  ];
  const events: ProvisionerEvent[] = [];
  const pool = poolOn(server, { onEvent: (event) => events.push(event) });
  await pool.start();
  await pool.stop();
  assert.deepEqual(server.alive.map(({ id }) => id), kept);
  assert.deepEqual(events, [{
    type: "reaped",
    kind: "testing-farm",
    name: gone,
    owner: dead,
  }]);
});

Deno.test("stop() at any moment leaves no request", async () => {
  for (let round = 0; round < 50; round++) {
    await using server = new FarmServer();
    server.log =
      "[x] Guest is ready: ArtemisGuest(a, root@127.0.0.1:1, arch=x)\n" +
      "] starting tests execution\n";
    const random = () => Math.random() * 30;
    server.fail(
      "POST /v0.1/requests",
      slow(random()),
      dropAfter,
      slow(random()),
      html,
    );
    const pool = poolOn(server, { maxRemotes: 4, times: { spread: 20 } });
    const started = pool.start();
    const outcome = started.then(async () => {
      pool.provision(4);
      await pool.getRemote();
    }).catch(({ name }) => name);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 80));
    await pool.stop();
    assert.equal(await outcome, "ProvisionerStoppedError");
    assert.deepEqual(server.alive, [], `round ${round}`);
  }
});
