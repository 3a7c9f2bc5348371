import {
  deepStrictEqual as equal,
  match,
  ok,
  strictEqual,
} from "node:assert/strict";
import { sendSpans } from "../../orchestrators/telemetry.ts";

interface OtlpSpan {
  name: string;
  spanId: string;
  parentSpanId?: string;
  traceId: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  events?: { name: string }[];
  links?: { spanId: string }[];
  status?: { code?: number; message?: string };
}

/** Runs the module with Deno's exporter and gives what a collector received. */
async function collect(what: string): Promise<OtlpSpan[]> {
  const spans: OtlpSpan[] = [];
  await using collector = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const body = await request.json();
      for (const { scopeSpans } of body.resourceSpans ?? []) {
        for (const { scope, spans: some } of scopeSpans) {
          if (scope.name === "@atex/atex") spans.push(...some);
        }
      }
      return Response.json({});
    },
  );
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-qA",
      "--no-check",
      new URL("_send_spans.ts", import.meta.url).pathname,
      what,
    ],
    cwd: new URL("../..", import.meta.url),
    env: {
      OTEL_DENO: "true",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    },
    stdin: "null",
  }).output();
  ok(success, new TextDecoder().decode(stderr));
  return spans;
}

const attributesOf = ({ attributes }: OtlpSpan) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
  );

Deno.test("sendSpans() makes spans of run, systems, setups, tests, releases and ingests", async () => {
  const spans = await collect("run");
  const by = (kind: string) =>
    spans.filter((span) => attributesOf(span)["atex.span"] === kind);
  const [run] = by("run");
  strictEqual(by("run").length, 1);
  strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1);
  const about = attributesOf(run!);
  equal(
    [
      about["atex.platform"],
      Number(about["atex.tests"]),
      Number(about["atex.flaky"]),
    ],
    ["here", 5, 1],
  );
  const systems = by("system");
  ok(systems.length >= 4);
  ok(systems.every(({ parentSpanId }) => parentSpanId === run!.spanId));
  const ids = new Map(
    systems.map((span) => [attributesOf(span)["atex.remote"], span.spanId]),
  );
  for (const kind of ["setup", "test", "release"]) {
    for (const span of by(kind)) {
      strictEqual(
        span.parentSpanId,
        ids.get(attributesOf(span)["atex.remote"]),
      );
    }
  }
  strictEqual(by("release").length, systems.length);
  strictEqual(by("setup").filter(({ status }) => status?.code === 2).length, 1);
  equal(
    by("test").map(({ name }) => name).sort(),
    ["/a", "/b", "/bad", "/c", "/flaky", "/flaky"],
  );
  const bad = by("test").find(({ name }) => name === "/bad")!;
  equal(bad.status, { code: 2, message: "exit code 1" });
  const result = attributesOf(bad);
  equal(
    [
      result["test.case.name"],
      result["test.case.result.status"],
      Number(result["process.exit.code"]),
    ],
    ["/bad", "fail", 1],
  );
  const [first, second] = by("test").filter(({ name }) => name === "/flaky")
    .sort((a, b) =>
      Number(attributesOf(a)["atex.attempt"]) -
      Number(attributesOf(b)["atex.attempt"])
    );
  equal([first!.status!.code, second!.status!.code], [2, 1]);
  equal(second!.links!.map(({ spanId }) => spanId), [first!.spanId]);
  ok(by("ingest").every(({ parentSpanId }) => parentSpanId === run!.spanId));
  // as long as they took, around each other
  for (const span of spans) {
    const [start, end] = [
      BigInt(span.startTimeUnixNano),
      BigInt(span.endTimeUnixNano),
    ];
    ok(start <= end);
    const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
    if (parent) {
      ok(
        BigInt(parent.startTimeUnixNano) <= start &&
          end <= BigInt(parent.endTimeUnixNano),
      );
    }
  }
});

Deno.test("sendSpans() ends what has no end when the events are over", async () => {
  const spans = await collect("killed");
  equal(spans.map(({ name }) => name).sort(), ["/a", "run", "system"]);
  for (const span of spans) {
    strictEqual(attributesOf(span)["atex.unfinished"], true);
    strictEqual(span.endTimeUnixNano, "1005000000");
  }
});

Deno.test("sendSpans() bears every type of event", async () => {
  const spans = await collect("any");
  const run = spans.find(({ name }) => name === "run")!;
  equal(run.events!.map(({ name }) => name), [
    "reservation-failed",
    "remote-lost",
    "draining",
    "aborting",
    "stalled",
  ]);
  equal(run.status, { code: 2, message: "Aborted" });
  match(JSON.stringify(run), /broken/);
});

Deno.test("sendSpans() does nothing when telemetry is off", async () => {
  let read = false;
  await sendSpans({
    [Symbol.asyncIterator]: () => {
      read = true;
      throw new Error("nobody should look");
    },
  });
  strictEqual(read, false);
});
