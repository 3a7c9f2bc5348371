/** What the command line tells of Testing Farm: a service of ours is in its place. */
import assert from "node:assert/strict";
import { FarmServer, TOKEN } from "../provisioners/_testing_farm_server.ts";
import { printed } from "../_printed.ts";

/** A service in the place of the public one, and a token for it. */
class PublicFarm extends FarmServer {
  readonly #fetch = globalThis.fetch;
  readonly #token = Deno.env.get("TESTING_FARM_API_TOKEN");

  constructor(token: string) {
    super();
    Deno.env.set("TESTING_FARM_API_TOKEN", token);
    globalThis.fetch = (input, init) => {
      const { origin, pathname, search } = new URL(String(input));
      assert.equal(origin, "https://api.testing-farm.io");
      return this.#fetch(this.url + pathname + search, init);
    };
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    globalThis.fetch = this.#fetch;
    if (this.#token === undefined) Deno.env.delete("TESTING_FARM_API_TOKEN");
    else Deno.env.set("TESTING_FARM_API_TOKEN", this.#token);
    await super[Symbol.asyncDispose]();
  }
}

Deno.test("atex systems tf: tells our requests, and with --composes what can be installed", async () => {
  await using farm = new PublicFarm(TOKEN);
  assert.deepEqual(await printed("systems", "tf:"), {
    status: 0,
    out: [],
    err: ["nobody has any"],
  });
  const { out } = await printed("systems", "tf:", "--composes");
  assert.deepEqual(out, ["Fedora-42  aws", "Fedora-43"]);
  const json = await printed("systems", "tf", "--composes", "--json");
  assert.deepEqual(json.out.map((line) => JSON.parse(line)), [
    { name: "Fedora-42", type: "aws" },
    { name: "Fedora-43" },
  ]);
  assert.equal(farm.count("GET /v0.2/composes/redhat"), 2);
  await assert.rejects(printed("systems", "podman:", "--composes"), {
    name: "UsageError",
    message: 'Cannot tell composes of "podman:": "tf:" would be right',
  });
});

Deno.test("atex doctor testing-farm tells whether the token works", async () => {
  {
    await using _farm = new PublicFarm(TOKEN);
    assert.deepEqual(await printed("doctor", "testing-farm"), {
      status: 0,
      out: [
        'testing-farm  works    the token is for the ranch "redhat", name farm, version 0.1  (for systems of Testing Farm)',
      ],
      err: [],
    });
  }
  await using farm = new PublicFarm("wrong-token-123");
  const { status, out: [line] } = await printed("doctor", "testing-farm");
  assert.equal(status, 2);
  assert.match(
    line!,
    /^testing-farm {2}broken {3}Cannot ask Testing Farm for a description of itself: GET \/v0.1\/whoami: status 401/,
  );
  assert.doesNotMatch(line!, /wrong-token/);
  farm.fail("GET /v0.1/whoami", () => new Response("x", { status: 503 }));
  const begin = performance.now();
  await printed("doctor", "testing-farm");
  assert.equal(farm.count("GET /v0.1/whoami"), 2); // not repeated
  assert.ok(performance.now() - begin < 10_000);
});
