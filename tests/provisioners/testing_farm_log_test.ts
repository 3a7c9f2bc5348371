import assert from "node:assert/strict";
import {
  GuestFinder,
  LineDecoder,
  PipelineLog,
} from "../../provisioners/_testing_farm_log.ts";
import {
  drop,
  FarmServer,
  type Fault,
  status,
} from "./_testing_farm_server.ts";

const READING = { delays: [0, 1], giveUp: 20_000, timeout: 5000 };

Deno.test("LineDecoder gives the same lines wherever its input is cut", () => {
  const text = "grün 🙂\r\n\n€ [x]\nlast\n";
  const bytes = new TextEncoder().encode(text);
  const expected = ["grün 🙂", "", "€ [x]", "last"];
  for (let cut = 0; cut <= bytes.length; cut++) {
    const decoder = new LineDecoder();
    assert.deepEqual([
      ...decoder.feed(bytes.subarray(0, cut)),
      ...decoder.feed(bytes.subarray(cut)),
    ], expected);
  }
  const decoder = new LineDecoder();
  assert.deepEqual(
    [...bytes].flatMap((b) => decoder.feed(Uint8Array.of(b))),
    expected,
  );
});

Deno.test("LineDecoder does not wait for the end of an endless line", () => {
  const decoder = new LineDecoder();
  const lines = decoder.feed(new TextEncoder().encode("x".repeat(70_000)));
  assert.equal(lines[0].length, 70_000);
});

Deno.test("GuestFinder is not kept busy by a line that is made for it", () => {
  const finder = new GuestFinder();
  const start = performance.now();
  finder.feed("Guest is ready: " + "x".repeat(500_000));
  finder.feed(`Guest is ready: ${"x".repeat(2000)} root@10.0.0.7`);
  assert.equal(finder.feed("starting tests execution"), undefined);
  assert.ok(performance.now() - start < 20_000);
});

async function logOf(
  server: FarmServer,
  text: string,
): Promise<{ log: PipelineLog; set(bytes: Uint8Array<ArrayBuffer>): void }> {
  const request = server.add({}, "t");
  request.log = new TextEncoder().encode(text);
  const log = new PipelineLog(`${server.url}/artifacts/${request.id}`);
  return await Promise.resolve({ log, set: (bytes) => request.log = bytes });
}

const GET = "GET /artifacts/ID/pipeline.log";
const HEAD = "HEAD /artifacts/ID/pipeline.log";

Deno.test("PipelineLog reads what was added, cut at every byte", async () => {
  await using server = new FarmServer();
  const bytes = new TextEncoder().encode("ä€🙂\nzwei\n");
  const { log, set } = await logOf(server, "");
  const lines: string[] = [];
  for (let end = 0; end <= bytes.length; end++) {
    set(bytes.slice(0, end));
    lines.push(...await log.read(READING)); // 416 before the first byte
  }
  lines.push(...await log.read(READING)); // 416: nothing new
  assert.deepEqual(lines, ["ä€🙂", "zwei"]);
  const { range, authorization } = server.calls.at(-1)!;
  assert.deepEqual([range, authorization], [`bytes=${bytes.length}-`, null]);
});

Deno.test("PipelineLog copes with servers that ignore ranges or begin too early", async () => {
  await using server = new FarmServer();
  const { log, set } = await logOf(server, "one\nt");
  assert.deepEqual(await log.read(READING), ["one"]);
  const text = "one\ntwo\nthree\n";
  set(new TextEncoder().encode(text));
  server.fail(GET, () => new Response("one\ntwo\n"));
  assert.deepEqual(await log.read(READING), ["two"]);
  server.fail(GET, () =>
    new Response(text.slice(4), {
      status: 206,
      headers: { "content-range": "bytes 4-13/14" },
    }));
  assert.deepEqual(await log.read(READING), ["three"]);
  server.fail(GET, () => new Response("one\n")); // became shorter
  assert.deepEqual(await log.read(READING), []);
});

Deno.test("PipelineLog goes on where the connection broke", async () => {
  await using server = new FarmServer();
  const { log } = await logOf(server, "one\ntwo\nthree\n");
  const halfway: Fault = () =>
    new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode("one\ntw"));
          await new Promise((resolve) => setTimeout(resolve, 50));
          controller.error(new Error("cut"));
        },
      }),
      { status: 206, headers: { "content-range": "bytes 0-13/14" } },
    );
  server.fail(GET, halfway, drop, status(500));
  assert.deepEqual(await log.read(READING), ["one", "two", "three"]);
  assert.equal(server.calls.at(-1)!.range, "bytes=6-");
});

Deno.test("PipelineLog tells a log that is not there yet from one that cannot be had", async () => {
  await using server = new FarmServer();
  const { log } = await logOf(server, "x\n");
  server.fail(HEAD, status(404), status(403), status(503), drop);
  assert.equal(await log.exists(READING), false);
  assert.equal(await log.exists(READING), false);
  assert.equal(await log.exists(READING), true);
  server.fail(HEAD, status(401));
  await assert.rejects(
    log.exists(READING),
    /^HttpError: HEAD pipeline.log: status 401$/,
  );
  for (const code of [403, 404, 410]) {
    server.fail(GET, status(code));
    await assert.rejects(log.read(READING), new RegExp(`status ${code}`));
  }
  const late: Fault = () =>
    new Response("x", {
      status: 206,
      headers: { "content-range": "bytes 9-9/10" },
    });
  server.fail(GET, late, late, late, late);
  await assert.rejects(log.read(READING), /begins too late/);
});

Deno.test("GuestFinder finds the system when its key is installed", () => {
  const find = (...lines: string[]) => {
    const finder = new GuestFinder();
    return lines.map((line) => finder.feed(line)).at(-1);
  };
  const ready =
    "[10:00] [x] Guest is ready: ArtemisGuest(id-1, root@3.4.5.6, arch=x86_64)";
  const tests = "[10:01] [x] starting tests execution";
  const guest = { user: "root", host: "3.4.5.6" };
  assert.deepEqual(find(ready, tests), guest);
  assert.deepEqual(find(ready, "execute task #1"), guest);
  assert.deepEqual(find(`\x1b[32m${ready}\x1b[0m`, `\x1b[1m${tests}`), guest);
  assert.equal(find(ready), undefined);
  assert.equal(find(tests, ready), undefined);
  assert.equal(find(tests), undefined);
  assert.equal(find(ready, "execute task #10"), undefined);
  assert.deepEqual(
    find("Guest is ready on ec2: cloud-user@host-1.example.org.", tests),
    { user: "cloud-user", host: "host-1.example.org" },
  );
  assert.deepEqual(
    find(ready.replace("3.4.5.6", "2001:db8::1"), tests),
    { user: "root", host: "[2001:db8::1]" },
  );
  // What ssh would take for an option.
  for (const bad of ["root@-oProxyCommand=x", "-l@host", "root@a b"]) {
    assert.equal(find(ready.replace("root@3.4.5.6", bad), tests), undefined);
  }
});

Deno.test("PipelineLog reads nothing but the web", () => {
  assert.throws(() => new PipelineLog("file:///etc"), {
    name: "TypeError",
    message:
      'Cannot read a log at "file:///etc/pipeline.log": it is no address of the web',
  });
});
