import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { run } from "../conformance/aggregator.ts";
import type { CaseOutcome, Runner } from "../conformance/case.ts";

const runCases: Runner = run;

/** Plays a case as `deno task conformance` does. */
async function play(it: Record<string, unknown>): Promise<CaseOutcome> {
  const [outcome] = await Array.fromAsync(
    runCases([{ id: "it", ...it }]),
  );
  return outcome!;
}

const PASSED: CaseOutcome = { name: "it", outcome: "passed" };

/** A step that stores one test. */
function step(files: Record<string, unknown> = {}, listed: string[] = []) {
  const results = `${JSON.stringify({ status: "pass", files: listed })}\n`;
  return { platform: "p", test: "/t", artifacts: { results, files } };
}

for (
  const [aggregator, nothing] of [
    ["jsonl", { target: "" }],
    ["jsonl-gzip", { target: "" }],
    ["jsonl-xz", { target: "" }],
    ["yaml", { documents: [] }],
  ] as const
) {
  Deno.test(`a case of ${aggregator} can say that the results, or the files, are there already`, async () => {
    const refused = { startError: "AlreadyExists", artifactsLeft: [] };
    const cases = [
      {
        preexisting: "target",
        expect: { ...refused, target: "old\n", files: null },
      },
      { preexisting: "files", expect: { ...refused, ...nothing, files: {} } },
    ];
    for (const it of cases) {
      deepStrictEqual(await play({ aggregator, steps: [], ...it }), PASSED);
    }
  });
}

Deno.test("a file that a test compressed by itself is compared as it is", async () => {
  const entry = { base64: gzipSync("a").toBase64() };
  const it = {
    aggregator: "jsonl",
    steps: [step({ "b.gz": entry }, ["b.gz"])],
    expect: {
      errors: [null],
      target: '["p","pass","/t",null,["b.gz"],null]\n',
      files: { "p/t/b.gz": entry },
      artifactsLeft: [[]],
    },
  };
  deepStrictEqual(await play(it), PASSED);
});

Deno.test("an empty directory can be laid out and expected", async () => {
  const it = {
    aggregator: "jsonl",
    steps: [step({ d: {}, f: { text: "1" } })],
    expect: {
      errors: [null],
      target: '["p","pass","/t",null,[],null]\n',
      files: { "p/t/d": {}, "p/t/f": { text: "1" } },
      artifactsLeft: [[]],
    },
  };
  deepStrictEqual(await play(it), PASSED);
  const dropped = { ...it, aggregator: "jsonl-gzip" };
  const { outcome, why } = await play(dropped);
  strictEqual(outcome, "failed");
  ok(why?.startsWith("files is"), why);
});

const PORTAL = { options: { launchName: "l" }, promise: [] };

for (const text of ['{"a":1}', "[1]"]) {
  Deno.test(`an attachment with ${text} is compared as text`, async () => {
    const start = (path: string, json: Record<string, unknown>) => ({
      method: "POST",
      path: `/api/v2/proj${path}`,
      json: { startTime: "<time>", ...json },
    });
    const finish = (path: string, json: Record<string, unknown>) => ({
      method: "PUT",
      path: `/api/v2/proj${path}`,
      json: { endTime: "<time>", ...json },
    });
    const of = { launchUuid: "uuid-1" };
    const it = {
      ...PORTAL,
      steps: [{
        platform: "p",
        test: "/t",
        results: [{ status: "fail", files: ["r.json"] }],
        files: { "r.json": text },
      }],
      expect: {
        errors: [null],
        requests: [
          start("/launch", { name: "l" }),
          start("/item", { ...of, type: "test", name: "p" }),
          start("/item/uuid-2", { ...of, type: "step", name: "/t" }),
          {
            method: "POST",
            path: "/api/v2/proj/log",
            multipart: [{
              name: "r.json",
              contentType: "application/json",
              filename: "r.json",
              text,
            }, {
              name: "json_request_part",
              contentType: "application/json",
              json: [{
                ...of,
                itemUuid: "uuid-3",
                time: "<time>",
                level: "ERROR",
                message: "r.json",
                file: { name: "r.json" },
              }],
            }],
          },
          finish("/item/uuid-3", { ...of, status: "failed" }),
          finish("/launch/uuid-1/finish", {}),
        ],
      },
    };
    deepStrictEqual(await play(it), PASSED);
  });
}

Deno.test("an error of ReportPortal is compared by its kind", async () => {
  const it = {
    ...PORTAL,
    steps: [{
      platform: "p",
      test: "/t",
      results: [{ status: 3 }],
      files: {},
    }],
    expect: { errors: ["BadResults"], requests: [] },
  };
  const { why } = await play(it);
  ok(why?.startsWith("requests is"), why);
});

/** The XML of a suite for each platform. */
function xml(attributes: string, suites = ""): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="atex" ${attributes}>\n${suites}</testsuites>\n`;
}

Deno.test("a case of JUnit may have no ingests at all", async () => {
  const none = 'tests="0" failures="0" errors="0" skipped="0" time="0.000"';
  const it = { ingests: [], expect: { xml: xml(none) } };
  deepStrictEqual(await play(it), PASSED);
});

Deno.test("a case of JUnit may say how long a test ran, but not when", async () => {
  const one = 'tests="1" failures="0" errors="0" skipped="0" time="1.500"';
  const suite = `  <testsuite name="p" ${one}>
    <testcase name="/t" classname="p" time="1.500"/>
  </testsuite>
`;
  const it = {
    ingests: [{
      platform: "p",
      test: "/t",
      results: [{ status: "pass" }],
      info: { durationMs: 1500 },
    }],
    expect: { xml: xml(one, suite) },
  };
  deepStrictEqual(await play(it), PASSED);
});
