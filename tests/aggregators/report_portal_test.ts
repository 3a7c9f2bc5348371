import {
  deepStrictEqual as equal,
  doesNotMatch,
  match,
  ok,
  strictEqual,
} from "node:assert/strict";
import {
  existingTests,
  ReportPortalAggregator,
  type ReportPortalAggregatorOptions,
  ReportPortalApi,
  type ReportPortalApiOptions,
  ReportPortalError,
} from "../../aggregators/report_portal.ts";
import { BadResultsError, type Result } from "../../executors/results.ts";
import {
  brokenOff,
  FakeReportPortal,
  type Received,
  TOKEN,
} from "../_report_portal.ts";
import { rejected, thrown } from "../_thrown.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { contents, layOut, temporary } from "./_artifacts.ts";

/** A client that does not wait long. */
function clientOf(
  server: { url: string },
  options: ReportPortalApiOptions = {},
): ReportPortalApi {
  return new ReportPortalApi({
    url: `${server.url}/`,
    project: "proj",
    token: TOKEN,
    retryDelays: [0, 1],
    retryFor: 2000,
    ...options,
  });
}

/** The URL of a server that is not there. */
function nowhere(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${listener.addr.port}`;
}

function open(
  api: ReportPortalApi,
  options: Partial<ReportPortalAggregatorOptions> = {},
): ReportPortalAggregator {
  return new ReportPortalAggregator({ api, launch: "nightly", ...options });
}

/** Directories of artifacts, below one that is removed at the end. */
function workplace() {
  const directory = temporary();
  let n = 0;
  return {
    ...directory,
    lay: (results: Result[], files: Record<string, string> = {}) =>
      layOut(`${directory.path}/${n++}`, results, files),
  };
}

const passed: Result[] = [{ status: "pass" }];
const mixed: Result[] = [
  { name: "a/b", status: "pass", files: ["x.log"] },
  { name: "c", status: "fail", note: "why", files: ["output.txt", "x.log"] },
  { status: "fail", note: "all in all", files: ["output.txt"] },
];
const mixedFiles = {
  "output.txt": "all\n",
  "a/b/x.log": "b\n",
  "c/output.txt": "of c\n",
  "c/x.log": "log of c\n",
};

Deno.test("ReportPortalAggregator reports platforms, tests, subtests and files", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  {
    await using aggregator = await open(api, {
      attributes: { build: "7" },
      description: "of tonight",
    }).start();
    ok(server.launches.has(aggregator.launchUuid!));
    await aggregator.ingest("p", "/t", place.lay(mixed, mixedFiles));
    await aggregator.ingest("q", "/t", place.lay(passed));
  }
  const [launch] = server.launches.values();
  equal([launch!.name, launch!.attributes, launch!.description], [
    "nightly",
    [{ key: "build", value: "7" }],
    "of tonight",
  ]);
  ok(launch!.endTime);
  const [p, q] = server.children(launch!.uuid);
  equal([p!.name, p!.type, q!.name], ["p", "test", "q"]);
  const [test] = server.children(p!.uuid);
  const shown = (
    { name, type, hasStats, status, description, logs }: typeof test & object,
  ) => ({ name, type, hasStats, status, description, logs });
  equal(shown(test!), {
    name: "/t",
    type: "step",
    hasStats: true,
    status: "failed",
    description: "all in all",
    logs: [{ level: "ERROR", message: "all\n" }],
  });
  equal(server.children(test!.uuid).map(shown), [
    {
      name: "a/b",
      type: "step",
      hasStats: false,
      status: "passed",
      description: undefined,
      logs: [],
    },
    {
      name: "c",
      type: "step",
      hasStats: false,
      status: "failed",
      description: "why",
      logs: [
        { level: "ERROR", message: "of c\n" },
        { level: "ERROR", message: "x.log", file: "log of c\n" },
      ],
    },
  ]);
});

for (const joinSubtest of [undefined, "/"]) {
  const how = joinSubtest ? "beside" : "within";
  Deno.test(`results without status are ignored, with subtests ${how} tests`, async () => {
    await using server = new FakeReportPortal();
    await using place = workplace();
    using api = clientOf(server);
    const options = joinSubtest === undefined ? {} : { joinSubtest };
    await using aggregator = await open(api, options).start();
    const artifacts = place.lay(
      [
        { note: "n", files: ["a.log"] },
        { name: "part", note: "n", files: ["a.log"] },
        { status: "fail" },
      ],
      { "a.log": "a\n", "part/a.log": "b\n" },
    );
    await aggregator.ingest("p", "/t", artifacts);
    const test = server.item("/t")!;
    equal([test.status, test.description, test.logs], [
      "failed",
      undefined,
      [],
    ]);
    equal([...server.items.values()].map(({ name }) => name), ["p", "/t"]);
  });
}

Deno.test("ReportPortalAggregator removes artifacts that it has reported", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const artifacts = place.lay(mixed, mixedFiles);
  await aggregator.ingest("p", "/t", artifacts);
  equal(contents(artifacts), {});
  const without = place.lay(passed);
  await Deno.remove(`${without}/files`);
  await aggregator.ingest("p", "/without", without);
  equal(contents(without), {});
});

Deno.test("ReportPortalAggregator gives tests the times of their runs, within those of the launch", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  const before = Date.now();
  await using aggregator = await open(api).start();
  const startedAt = Date.now() + 1000;
  await aggregator.ingest("p", "/t", place.lay(passed), {
    startedAt,
    finishedAt: startedAt + 5000,
  });
  await aggregator.ingest("p", "/early", place.lay(passed), {
    startedAt: 5,
    finishedAt: 6,
  });
  await aggregator.ingest("p", "/backwards", place.lay(passed), {
    startedAt,
    finishedAt: startedAt - 5000,
  });
  const timesOf = (name: string) => {
    const { startTime, endTime } = server.item(name)!;
    return [Date.parse(startTime), Date.parse(endTime!)];
  };
  equal(timesOf("/t"), [startedAt, startedAt + 5000]);
  ok(timesOf("/early")[0]! >= before);
  equal(timesOf("/backwards"), [startedAt, startedAt]);
});

Deno.test("ReportPortalAggregator asks which subtests and files to report, and how", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api, {
    subtest: ({ result }) => result.name !== "c",
    file: ({ name, size, result }) =>
      result.name
        ? { level: "INFO", inline: true }
        : size > 1
        ? { level: `${name} ${size}` }
        : undefined,
  }).start();
  await aggregator.ingest("p", "/t", place.lay(mixed, mixedFiles));
  const test = server.item("/t")!;
  equal(test.logs, [{
    level: "output.txt 4",
    message: "output.txt",
    file: "all\n",
  }]);
  equal(server.children(test.uuid).map(({ name, logs }) => [name, logs]), [
    ["a/b", [{ level: "INFO", message: "b\n" }]],
  ]);
});

Deno.test("ReportPortalAggregator sends the end of a file that is too large", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api, { maxFileSize: 10 }).start();
  await aggregator.ingest(
    "p",
    "/t",
    place.lay([{ status: "fail", files: ["output.txt", "large.log"] }], {
      "output.txt": "0123456789abcdef",
      "large.log": "0123456789abcdef",
    }),
  );
  equal(server.item("/t")!.logs, [
    {
      level: "ERROR",
      message: "(the last 10 of 16 bytes)\n6789abcdef",
    },
    {
      level: "ERROR",
      message: "large.log (the last 10 of 16 bytes)",
      file: "6789abcdef",
    },
  ]);
});

Deno.test("ReportPortalAggregator attaches a long output, and reads bytes that are no text", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const artifacts = place.lay([{
    status: "fail",
    files: ["a/output.txt", "output.txt"],
  }], {
    "a/output.txt": "x".repeat(1024 * 1024 + 1),
  });
  await Deno.writeFile(
    `${artifacts}/files/output.txt`,
    new Uint8Array([65, 255, 66]),
  );
  await aggregator.ingest("p", "/t", artifacts);
  const [long, bytes] = server.item("/t")!.logs;
  equal([long!.message, long!.file!.length], ["a/output.txt", 1024 * 1024 + 1]);
  strictEqual(bytes!.message, "A\ufffdB");
});

Deno.test("ReportPortalAggregator refuses a size that is none", () => {
  using api = new ReportPortalApi();
  for (const maxFileSize of [-1, NaN]) {
    thrown(
      () => open(api, { maxFileSize }),
      RangeError,
      '"maxFileSize" must be',
    );
  }
});

Deno.test("ReportPortalAggregator cuts a text between characters", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api, { maxFileSize: 4 }).start();
  const files = { "output.txt": "ěšč" };
  const results = [{ status: "fail", files: ["output.txt"] }];
  await aggregator.ingest("p", "/t", place.lay(results, files));
  await aggregator.ingest(
    "p",
    "/u",
    place.lay(results, { "output.txt": "€€" }),
  );
  equal(server.item("/t")!.logs.map(({ message }) => message), [
    "(the last 4 of 6 bytes)\nšč",
  ]);
  equal(server.item("/u")!.logs.map(({ message }) => message), [
    "(the last 4 of 6 bytes)\n€",
  ]);
});

Deno.test("ReportPortalAggregator finds files where they are stored, whatever way they are listed", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const names = ["/abs.log", "..//s/./x", "\u0007"];
  const artifacts = place.lay([{ status: "fail", files: names }], {
    "abs.log": "1",
    "s/x": "2",
    "_": "3",
  });
  await aggregator.ingest("p", "/t", artifacts);
  equal(
    server.item("/t")!.logs.map(({ message, file }) => [message, file]),
    names.map((name, n) => [name, `${n + 1}`]),
  );
});

Deno.test("ReportPortalAggregator sends nothing but regular files of the test", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  const warnings: string[] = [];
  await using aggregator = await open(api, {
    onWarning: (message) => warnings.push(message),
  }).start();
  const secret = `${place.path}/secret`;
  await Deno.writeTextFile(secret, "secret");
  const files = ["link", "none", "../../secret", secret, "folder"];
  const artifacts = place.lay([{ status: "fail", files }]);
  await Deno.symlink(secret, `${artifacts}/files/link`);
  await Deno.mkdir(`${artifacts}/files/folder`);
  await aggregator.ingest("p", "/t", artifacts);
  equal(server.item("/t")!.logs, []);
  equal(
    warnings,
    files.map((name) =>
      `test "/t" of platform "p": there is no file ${JSON.stringify(name)}`
    ),
  );
  strictEqual(await Deno.readTextFile(secret), "secret");
});

Deno.test("names of files cannot add anything to a form, and tell what is in them", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const names = [
    'a"; filename="evil',
    "b\r\n\r\nc",
    "d.html",
    "e.svg",
    "f.png",
    "ü.log",
    "x/g.JSON",
    ".log",
    ".html",
    "h.xml",
    "i.js",
    "j.md",
    "k.sh",
    "l.py",
    "m.bin",
    "n.rpm",
    "o.toString",
    "p.html.log",
  ];
  const artifacts = place.lay([{ status: "fail", files: names }]);
  await Deno.mkdir(`${artifacts}/files/x`);
  for (const name of names) {
    await Deno.writeTextFile(
      `${artifacts}/files/${name.replaceAll(/[\r\n]/g, "_")}`,
      name,
    );
  }
  await aggregator.ingest("p", "/t", artifacts);
  const parts = server.requests.filter(({ parts }) => parts).map(({ parts }) =>
    parts!
  );
  equal(parts.map((some) => some.length), names.map(() => 2));
  equal(parts.map(([file]) => [file!.name, file!.contentType]), [
    ["a_; filename=_evil", "text/plain"],
    ["b____c", "text/plain"],
    ["d.html", "text/html"],
    ["e.svg", "image/svg+xml"],
    ["f.png", "image/png"],
    ["ü.log", "text/plain"],
    ["g.JSON", "application/json"],
    [".log", "text/plain"],
    [".html", "text/plain"],
    ["h.xml", "text/xml"],
    ["i.js", "text/javascript"],
    ["j.md", "text/markdown"],
    ["k.sh", "application/x-sh"],
    ["l.py", "text/x-python"],
    ["m.bin", "application/octet-stream"],
    ["n.rpm", "application/x-rpm"],
    ["o.toString", "text/plain"],
    ["p.html.log", "text/plain"],
  ]);
  equal(parts.map(([file]) => new TextDecoder().decode(file!.content)), names);
});

Deno.test("whatever is in names and notes is in ReportPortal as it was", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const texts = [
    '"}]',
    "\u2028\0\x1b[31m",
    "../../x?y=z#w",
    "<script>",
    "ü€😀",
  ];
  for (const text of texts) {
    await aggregator.ingest(
      text,
      text,
      place.lay([
        { name: text, status: text, note: text },
        { status: "fail", note: text },
      ]),
    );
    const [, test, subtest] = [...server.items.values()].slice(-3);
    equal([
      test!.name,
      test!.description,
      subtest!.name,
      subtest!.description,
      subtest!.status,
    ], [
      text,
      text,
      text,
      text,
      "info",
    ]);
  }
});

const STATUSES = [408, 429, 500, 502, 503, 504];

for (const how of [...STATUSES, "broken off", "not JSON"] as const) {
  for (const when of ["before", "after"] as const) {
    Deno.test(`ReportPortalAggregator goes on when each call fails once with ${how}, ${when} it was carried out`, async () => {
      const failed = new Set<string>();
      const fault = ({ method, path, json, parts }: Received) => {
        // the same call, whatever else is in it
        const key = JSON.stringify([
          method,
          path,
          json?.name,
          json?.status,
          parts?.length,
          json?.uuid,
        ]);
        if (failed.has(key)) return;
        failed.add(key);
        return how === "broken off"
          ? brokenOff()
          : how === "not JSON"
          ? new Response('{"id":', {
            headers: { "content-type": "application/json" },
          })
          : new Response("no", { status: how });
      };
      await using server = new FakeReportPortal({
        [when]: fault,
      });
      await using place = workplace();
      using api = clientOf(server);
      {
        await using aggregator = await open(api).start();
        await aggregator.ingest("p", "/t", place.lay(mixed, mixedFiles));
        await aggregator.ingest("p", "/u", place.lay(passed));
      }
      ok(failed.size >= 7);
      strictEqual(server.launches.size, 1);
      equal(
        [...server.items.values()].map(({ name, status }) => [name, status]),
        [
          ["p", "interrupted"],
          ["/t", "failed"],
          ["a/b", "passed"],
          ["c", "failed"],
          ["/u", "passed"],
        ],
      );
    });
  }
}

Deno.test("a finish whose answer got lost is not an error", async () => {
  let lost = 0;
  await using server = new FakeReportPortal({
    after: ({ method }) =>
      method === "PUT" && lost++ % 2 === 0 ? brokenOff() : undefined,
  });
  await using place = workplace();
  using api = clientOf(server);
  {
    await using aggregator = await open(api).start();
    await aggregator.ingest("p", "/t", place.lay(mixed, mixedFiles));
  }
  strictEqual(server.item("/t")!.status, "failed");
  ok([...server.launches.values()][0]!.endTime);
});

Deno.test("ReportPortalAggregator keeps artifacts that could not be reported, and tries again", async () => {
  for (let fail = 2; fail <= 9; fail++) {
    let broken = true;
    await using server = new FakeReportPortal({
      // the n-th call and all after it
      before: (_, number) =>
        broken && number >= fail
          ? Response.json({ message: "bad luck" }, { status: 400 })
          : undefined,
    });
    await using place = workplace();
    using api = clientOf(server);
    await using aggregator = await open(api).start();
    const artifacts = place.lay(mixed, mixedFiles);
    const before = contents(artifacts);
    const error = await rejected(
      aggregator.ingest("p", "/t", artifacts),
      ReportPortalError,
      "at ReportPortal: status 400, bad luck",
    );
    strictEqual(error.status, 400);
    match(error.call, /^(POST|PUT) \/api\/v2\/proj\//);
    equal(contents(artifacts), before);
    broken = false;
    await aggregator.ingest("p", "/t", artifacts);
    equal(contents(artifacts), {});
    strictEqual(server.item("/t")!.status, "failed");
    const tries = [...server.items.values()].filter(({ name }) =>
      name === "/t"
    );
    equal(
      tries.map(({ retry }) => retry),
      tries.length === 1 ? [false] : [false, true],
    );
  }
});

Deno.test("what was begun of a test that could not be reported is interrupted", async () => {
  let broken = true;
  await using server = new FakeReportPortal({
    before: ({ path }) =>
      broken && path.endsWith("/log")
        ? Response.json({ message: "full" }, { status: 507 })
        : undefined,
  });
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const artifacts = place.lay(mixed, mixedFiles);
  await rejected(
    aggregator.ingest("p", "/t", artifacts),
    ReportPortalError,
    "status 507, full",
  );
  const test = server.item("/t")!;
  equal([test.status, test.description], [
    "interrupted",
    "The results could not be reported",
  ]);
  equal(server.children(test.uuid).map(({ status }) => status), [
    "passed",
    "interrupted",
  ]);
  broken = false;
  await aggregator.ingest("p", "/t", artifacts);
  equal([server.item("/t")!.retry, server.item("/t")!.status], [
    true,
    "failed",
  ]);
});

Deno.test("a platform that could not be started is tried again by the next test", async () => {
  let broken = true;
  await using server = new FakeReportPortal({
    before: ({ path }) =>
      broken && path.endsWith("/item")
        ? new Response("no", { status: 403 })
        : undefined,
  });
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const artifacts = place.lay(passed);
  await rejected(
    aggregator.ingest("p", "/t", artifacts),
    ReportPortalError,
    "status 403, no",
  );
  broken = false;
  await aggregator.ingest("p", "/t", artifacts);
  strictEqual(server.item("/t")!.status, "passed");
});

Deno.test("results that cannot be understood lead to no call", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  const artifacts = place.lay(passed);
  await Deno.writeTextFile(
    `${artifacts}/results`,
    '{"name":"a","status":"pass"}\nno\n',
  );
  await rejected(aggregator.ingest("p", "/t", artifacts), BadResultsError);
  await rejected(
    aggregator.ingest("p", "/t", `${place.path}/none`),
    Deno.errors.NotFound,
  );
  strictEqual(server.requests.length, 1);
});

Deno.test("ReportPortalAggregator reports many tests at once, each platform once, at most 10 calls at a time", async () => {
  await using server = new FakeReportPortal({
    delay: () => new Promise((resolve) => setTimeout(resolve, 2)),
  });
  await using place = workplace();
  using api = clientOf(server);
  {
    await using aggregator = await open(api).start();
    await Promise.all(
      Array.from(
        { length: 60 },
        (_, n) =>
          aggregator.ingest(
            `p${n % 3}`,
            `/t${n}`,
            place.lay(mixed, mixedFiles),
          ),
      ),
    );
  }
  const platforms = [...server.items.values()].filter(({ type }) =>
    type === "test"
  );
  equal(platforms.map(({ name }) => name).sort(), ["p0", "p1", "p2"]);
  strictEqual(
    [...server.items.values()].filter(({ name }) => name.startsWith("/t"))
      .length,
    60,
  );
  ok(server.mostAtOnce <= 10 && server.mostAtOnce > 3, `${server.mostAtOnce}`);
});

Deno.test("the same test is reported by one ingest after the other", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  await using aggregator = await open(api).start();
  await Promise.all(
    [1, 2, 3].map(() =>
      aggregator.ingest("p", "/t", place.lay(mixed, mixedFiles))
    ),
  );
  equal(
    [...server.items.values()].filter(({ name }) => name === "/t").map((
      { retry, status },
    ) => [retry, status]),
    [[false, "failed"], [true, "failed"], [true, "failed"]],
  );
});

Deno.test("stop() waits for ingests under way, and finishes the launch once", async () => {
  const go = Promise.withResolvers<void>();
  await using server = new FakeReportPortal({
    delay: ({ path }) =>
      path.includes("/item") ? go.promise : Promise.resolve(),
  });
  await using place = workplace();
  using api = clientOf(server);
  const aggregator = open(api);
  await aggregator.stop();
  strictEqual(server.requests.length, 0);
  await aggregator.start();
  await rejected(aggregator.start(), Error, "Cannot start a launch twice");
  const ingest = aggregator.ingest("p", "/t", place.lay(passed));
  const stops = [aggregator.stop(), aggregator.stop()];
  await rejected(
    aggregator.ingest("p", "/u", place.lay(passed)),
    Error,
    "not started",
  );
  go.resolve();
  await Promise.all([ingest, ...stops]);
  await aggregator.stop();
  strictEqual(
    server.requests.filter(({ path }) => path.endsWith("/finish")).length,
    1,
  );
  strictEqual(server.requests.at(-1)!.path.endsWith("/finish"), true);
});

Deno.test("promised tests are in progress until they are ingested, or for ever", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  const aggregator = open(api);
  await aggregator.promise("p", ["/a", "/b"]);
  await aggregator.start();
  await aggregator.promise("p", ["/b", "/c"]);
  await aggregator.promise("q", ["/d"]);
  equal(
    [...server.items.values()].map(({ name, status }) => [name, status]).sort(),
    ["/a", "/b", "/c", "/d", "p", "q"].map((name) => [name, undefined]),
  );
  await aggregator.ingest("p", "/b", place.lay(passed), {
    startedAt: 1,
    finishedAt: 2,
  });
  await aggregator.ingest("p", "/b", place.lay(passed));
  await aggregator.promise("p", ["/b"]);
  await aggregator.stop();
  equal(
    [...server.items.values()].filter(({ name }) => name === "/b").map((
      { retry, status },
    ) => [retry, status]),
    [[false, "passed"], [true, "passed"]],
  );
  strictEqual(server.item("/a")!.status, "interrupted");
});

Deno.test("tests are promised at once, not one after the other", async () => {
  const all = Promise.withResolvers<void>();
  let waiting = 0;
  await using server = new FakeReportPortal({
    async delay({ json }) {
      if (json?.type !== "step") return;
      if (++waiting === 5) all.resolve();
      await all.promise;
    },
  });
  using api = clientOf(server, { callTimeout: 5000, retryFor: 0 });
  const aggregator = open(api);
  await aggregator.promise("p", Array.from({ length: 5 }, (_, n) => `/${n}`));
  await aggregator.start();
  await aggregator.stop();
  strictEqual(server.children(server.item("p")!.uuid).length, 5);
});

Deno.test("a launch that cannot be started leaves nothing open, and can be started again", async () => {
  let broken = true;
  await using server = new FakeReportPortal({
    before: ({ path }) =>
      broken && path.includes("/item")
        ? new Response(null, { status: 400 })
        : undefined,
  });
  using api = clientOf(server);
  const aggregator = open(api);
  await aggregator.promise("p", ["/a"]);
  await rejected(aggregator.start(), ReportPortalError, "status 400");
  ok([...server.launches.values()].every(({ endTime }) => endTime));
  broken = false;
  await using started = await aggregator.start();
  strictEqual(server.item("/a")!.launch, started.launchUuid);
});

Deno.test("ReportPortalApi waits as long as the server asks for", async () => {
  await using server = new FakeReportPortal({
    before: (_, number) =>
      number === 1
        ? new Response(null, { status: 503, headers: { "retry-after": "1" } })
        : undefined,
  });
  using api = clientOf(server);
  const start = performance.now();
  await api.startLaunch({ name: "n" });
  ok(performance.now() - start >= 1000);
});

Deno.test("ReportPortalApi gives up in time", async () => {
  await using server = new FakeReportPortal({
    before: () => new Response("<h1>Bad gateway</h1>", { status: 502 }),
  });
  using api = clientOf(server, { retryFor: 50, retryDelays: [1] });
  const error = await rejected(
    api.startLaunch({ name: "n" }),
    ReportPortalError,
    "Cannot POST /api/v2/proj/launch at ReportPortal: status 502, Bad gateway",
  );
  strictEqual(error.status, 502);
  ok(server.requests.length >= 2);
  const { length } = server.requests;
  // it would have to wait longer than it may
  using hasty = clientOf(server, { retryFor: 1000, retryDelays: [60_000] });
  await rejected(hasty.startLaunch({ name: "n" }), ReportPortalError);
  strictEqual(server.requests.length, length + 1);
});

Deno.test("ReportPortalApi does not wait for ever for an answer, or a server that is not there", async () => {
  const go = Promise.withResolvers<void>();
  await using server = new FakeReportPortal({ delay: () => go.promise });
  using api = clientOf(server, { callTimeout: 50, retryFor: 0 });
  await rejected(
    api.startLaunch({ name: "n" }),
    ReportPortalError,
    "no answer within 0.05 s",
  );
  go.resolve();
  using nobody = clientOf({ url: nowhere() }, { retryFor: 20 });
  const error = await rejected(
    nobody.startLaunch({ name: "n" }),
    ReportPortalError,
    "refused",
  );
  strictEqual(error.status, undefined);
});

Deno.test("ReportPortalApi goes on when the server comes back", async () => {
  let server = new FakeReportPortal();
  const { port } = server;
  await server[Symbol.asyncDispose]();
  using api = clientOf({ url: `http://127.0.0.1:${port}` }, {
    retryDelays: [0, 5],
    retryFor: 30_000,
  });
  const launch = api.startLaunch({ name: "n" });
  await new Promise((resolve) => setTimeout(resolve, 50));
  server = new FakeReportPortal({}, { port });
  ok(server.launches.has(await launch));
  await server[Symbol.asyncDispose]();
});

for (const call of ["a log", "a rerun", "a question"] as const) {
  Deno.test(`${call} is not taken for carried out while the server is away`, async () => {
    const launchUuid = crypto.randomUUID();
    const calls = {
      "a log": (api: ReportPortalApi) =>
        api.log({
          launchUuid,
          itemUuid: launchUuid,
          time: 0,
          level: "ERROR",
          message: "m",
        }),
      "a rerun": (api: ReportPortalApi) =>
        api.startLaunch({ rerunOf: launchUuid }),
      "a question": (api: ReportPortalApi) => api.readLaunch(launchUuid),
    };
    using nobody = clientOf({ url: nowhere() }, {
      retryDelays: [0, 1],
      retryFor: 50,
    });
    await rejected(calls[call](nobody), ReportPortalError, "refused");
  });
}

Deno.test("no log is lost and a rerun has its id when the server was away for several attempts", async () => {
  let away = 3;
  await using server = new FakeReportPortal({
    before: ({ path }) =>
      /log$|launch$/.test(path) && away-- > 0 ? brokenOff() : undefined,
  });
  await using place = workplace();
  using api = clientOf(server);
  const { launchUuid: first } = await open(api).start();
  away = 3;
  await using aggregator = await open(api, { launch: { rerunOf: first! } })
    .start();
  strictEqual(aggregator.launchUuid, first);
  away = 3;
  await aggregator.ingest("p", "/t", place.lay(mixed, mixedFiles));
  equal(server.item("/t")!.logs.map(({ message }) => message), ["all\n"]);
});

Deno.test("ReportPortalApi tells once that calls fail, until one succeeds", async () => {
  let bad = 3;
  await using server = new FakeReportPortal({
    before: () => bad-- > 0 ? new Response("", { status: 503 }) : undefined,
  });
  const warnings: string[] = [];
  using api = clientOf(server, { onWarning: (it) => warnings.push(it) });
  await api.startLaunch({ name: "a" });
  const warning =
    "Cannot POST /api/v2/proj/launch at ReportPortal: status 503; it is tried again";
  equal(warnings, [warning]);
  bad = 2;
  await api.startLaunch({ name: "b" });
  equal(warnings, [warning, warning]);
});

Deno.test("a signal ends calls, and waiting for the next attempt", async () => {
  await using server = new FakeReportPortal({
    before: () => new Response(null, { status: 503 }),
  });
  const abort = new AbortController();
  using api = clientOf(server, {
    retryDelays: [600_000],
    retryFor: 1e9,
    signal: abort.signal,
  });
  const calls = [
    api.startLaunch({ name: "a" }),
    api.startLaunch({ name: "b" }),
  ];
  setTimeout(() => abort.abort(new Error("enough")), 50);
  for (const call of calls) await rejected(call, Error, "enough");
  await rejected(api.startLaunch({ name: "c" }), Error, "enough");
});

Deno.test("ReportPortalApi follows no redirect: elsewhere nobody may have the token", async () => {
  await using elsewhere = new FakeReportPortal();
  await using server = new FakeReportPortal({
    before: () =>
      new Response(null, {
        status: 307,
        headers: { location: `${elsewhere.url}/x` },
      }),
  });
  using api = clientOf(server);
  await rejected(
    api.startLaunch({ name: "n" }),
    ReportPortalError,
    `status 307, it leads to ${elsewhere.url}/x`,
  );
  strictEqual(elsewhere.requests.length, 0);
});

Deno.test("ReportPortalApi recognizes what is not ReportPortal", async () => {
  for (
    const [answer, why] of [
      [
        new Response("<html>log in</html>", {
          headers: { "content-type": "text/html" },
        }),
        "is the URL that of ReportPortal?",
      ],
      [Response.json({ number: 1 }), "the answer is not what it should be: id"],
      [Response.json({ id: "" }), "id"],
      [
        Response.json({ message: "wrong\ntoken" }, { status: 401 }),
        "status 401, wrong",
      ],
    ] as const
  ) {
    await using server = new FakeReportPortal({ before: () => answer });
    using api = clientOf(server);
    await rejected(api.startLaunch({ name: "n" }), ReportPortalError, why);
  }
});

Deno.test("ReportPortalApi takes what is not given from the environment, and says what is missing", async () => {
  await using server = new FakeReportPortal();
  const names = ["URL", "PROJECT", "TOKEN"];
  const variables = names.flatMap((name) => [
    `ATEX_REPORTPORTAL_${name}`,
    `TMT_PLUGIN_REPORT_REPORTPORTAL_${name}`,
  ]);
  const before = variables.map((name) => Deno.env.get(name));
  const clear = () => variables.forEach((name) => Deno.env.delete(name));
  try {
    for (
      const prefix of ["ATEX_REPORTPORTAL_", "TMT_PLUGIN_REPORT_REPORTPORTAL_"]
    ) {
      clear();
      const values = [server.url, "proj", TOKEN];
      for (const [n, name] of names.entries()) {
        using lacking = new ReportPortalApi();
        await rejected(
          open(lacking).start(),
          TypeError,
          `there is no ${
            ["url", "token", "project"].find((it) =>
              !Deno.env.has(prefix + it.toUpperCase())
            )
          }; give the option, or set ATEX_REPORTPORTAL_`,
        );
        Deno.env.set(prefix + name, values[n]!);
      }
      using api = new ReportPortalApi();
      await using _aggregator = await open(api).start();
    }
    strictEqual(server.launches.size, 2);
    using odd = new ReportPortalApi({ url: "ftp://x" });
    await rejected(
      odd.readLaunch("x"),
      TypeError,
      'Cannot use "ftp://x" as the URL of ReportPortal',
    );
  } finally {
    clear();
    variables.forEach((name, n) =>
      before[n] !== undefined && Deno.env.set(name, before[n])
    );
  }
});

Deno.test("the token is in no error, warning or object, whatever the server sends back", async () => {
  const seen: string[] = [];
  const keep = (thing: unknown) => {
    for (
      let error = thing as { cause?: unknown } | undefined;
      error;
      error = error.cause as undefined
    ) {
      seen.push(
        String(error),
        Deno.inspect(error, { depth: 20, showHidden: true, getters: true }),
        JSON.stringify(error) ?? "",
      );
      if (error instanceof Error) seen.push(error.message, error.stack ?? "");
    }
  };
  const echoes = [
    Response.json({ message: `wrong token: Bearer ${TOKEN}` }, { status: 401 }),
    new Response(`${TOKEN} ${TOKEN}`, { status: 400 }),
    new Response(null, {
      status: 302,
      headers: {
        location: `http://x/?t=${encodeURIComponent(TOKEN)}&u=${TOKEN}`,
      },
    }),
    Response.json({ id: 1, token: TOKEN }),
    brokenOff(),
  ];
  for (const answer of echoes) {
    await using server = new FakeReportPortal({ before: () => answer.clone() });
    using api = clientOf(server, { retryFor: 0 });
    const aggregator = open(api, { onWarning: keep });
    keep(api);
    keep(aggregator);
    await aggregator.start().catch(keep);
    await api.readItem("x").catch(keep);
  }
  using nobody = clientOf({ url: nowhere() }, { retryFor: 0 });
  await open(nobody).start().catch(keep);
  ok(seen.length > 30);
  for (const text of seen) {
    ok(
      !text.includes(TOKEN) && !text.includes(encodeURIComponent(TOKEN)),
      text,
    );
  }
});

Deno.test("existingTests() gives the tests of a platform, of all pages, by status", async () => {
  await using server = new FakeReportPortal();
  await using place = workplace();
  using api = clientOf(server);
  const aggregator = await open(api).start();
  const uuid = aggregator.launchUuid!;
  for (let n = 0; n < 120; n++) {
    await aggregator.ingest(
      "p",
      `/t${n}`,
      place.lay([{ name: "part", status: "pass" }, {
        status: n % 60 === 7 ? "fail" : "pass",
      }]),
    );
  }
  await aggregator.ingest("q", "/other", place.lay([{ status: "fail" }]));
  await aggregator.stop();
  const names = (platform: string, statuses?: string[]) =>
    Array.fromAsync(
      existingTests(api, uuid, platform, { ...(statuses && { statuses }) }),
    );
  strictEqual((await names("p")).length, 120);
  equal(await names("p", ["failed", "interrupted"]), ["/t7", "/t67"]);
  equal(await names("q"), ["/other"]);
  equal(await names("none"), []);
  await rejected(
    Array.fromAsync(existingTests(api, "none", "p")),
    ReportPortalError,
    "status 404, there is none",
  );
});

Deno.test("ReportPortalApi reads launches and items", async () => {
  await using server = new FakeReportPortal();
  using api = clientOf(server);
  for (let n = 0; n < 60; n++) await api.startLaunch({ name: `n${n}` });
  const launches = await Array.fromAsync(api.launches());
  equal([launches.length, launches[0]!.name, launches[59]!.name], [
    60,
    "n59",
    "n0",
  ]);
  const item = await api.startItem({
    launchUuid: launches[0]!.uuid,
    type: "test",
    name: "p",
    startTime: Date.now() + 1000,
  });
  strictEqual((await api.readItem(item)).name, "p");
});

const noOpenssl = cannotRun(
  "ReportPortal with TLS",
  missingPrograms("openssl"),
);

Deno.test({
  name:
    "ReportPortalApi trusts a server of an authority that it is told of, and no other",
  ignore: noOpenssl,
  fn: async () => {
    await using directory = temporary();
    const run = async (...args: string[]) => {
      const { success, stderr } = await new Deno.Command("openssl", {
        args,
        cwd: directory.path,
      }).output();
      ok(success, new TextDecoder().decode(stderr));
    };
    const key = [
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
    ];
    await run(
      "req",
      "-x509",
      ...key,
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-subj",
      "/CN=test authority",
      "-days",
      "2",
    );
    await run(
      "req",
      ...key,
      "-keyout",
      "key.pem",
      "-out",
      "request.pem",
      "-subj",
      "/CN=localhost",
    );
    await Deno.writeTextFile(
      `${directory.path}/names`,
      "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
    );
    await run(
      "x509",
      "-req",
      "-in",
      "request.pem",
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      "names",
      "-out",
      "cert.pem",
    );
    const read = (name: string) =>
      Deno.readTextFile(`${directory.path}/${name}`);
    await using server = new FakeReportPortal({}, {
      cert: await read("cert.pem"),
      key: await read("key.pem"),
    } as Partial<Deno.ServeTcpOptions>);
    const url = `https://localhost:${server.port}`;
    using api = clientOf({ url }, { caCerts: [await read("ca.pem")] });
    ok(server.launches.has(await api.startLaunch({ name: "n" })));
    const warnings: string[] = [];
    const onWarning = (it: string) => void warnings.push(it);
    using stranger = clientOf({ url }, { onWarning });
    const error = await rejected(
      stranger.startLaunch({ name: "n" }),
      ReportPortalError,
      "certificate",
    );
    doesNotMatch(error.message, /SECRET/);
    using elsewhere = clientOf(
      { url: `https://127.0.0.1:${server.port}` },
      { caCerts: [await read("ca.pem")], onWarning },
    );
    await rejected(
      elsewhere.startLaunch({ name: "n" }),
      ReportPortalError,
      "certificate",
    );
    // it would not be better later
    equal(warnings, []);
    strictEqual(server.launches.size, 1);
  },
});
