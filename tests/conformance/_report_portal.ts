/** Cases of ReportPortal: artifacts, and the requests that they lead to. */
import {
  ReportPortalAggregator,
  type ReportPortalAggregatorOptions,
  ReportPortalApi,
} from "../../aggregators/report_portal.ts";
import { FakeReportPortal, type Received, TOKEN } from "../_report_portal.ts";
import { layOut } from "../aggregators/_artifacts.ts";
import { kindOf } from "./_aggregators.ts";

/** A case. */
export interface ReportPortalCase {
  id: string;
  options: { launchName?: string; launchRerun?: string; joinSubtest?: string };
  promise?: { platform: string; tests: string[] }[];
  steps: {
    platform: string;
    test: string;
    results: Record<string, unknown>[];
    files?: Record<string, string>;
  }[];
  expect: { errors?: (string | null)[]; requests: Record<string, unknown>[] };
}

interface Played {
  errors: unknown;
  requests: unknown;
}

/** Plays a case; gives the errors and requests as they are expected. */
export async function playReportPortal(
  { options, promise = [], steps, expect }: ReportPortalCase,
  root: string,
): Promise<{ actual: Played; expected: Played }> {
  const { launchName, launchRerun, joinSubtest } = options;
  const launch: ReportPortalAggregatorOptions["launch"] =
    launchRerun === undefined ? launchName! : { rerunOf: launchRerun };
  await using server = new FakeReportPortal({ numberedIds: true });
  using api = new ReportPortalApi({
    url: server.url,
    project: "proj",
    token: TOKEN,
    retryFor: 0,
  });
  const aggregator = new ReportPortalAggregator({
    api,
    launch,
    ...(joinSubtest !== undefined && { joinSubtest }),
  });
  for (const { platform, tests } of promise) {
    await aggregator.promise(platform, tests);
  }
  await aggregator.start();
  const errors: (string | null)[] = [];
  for (const [n, { platform, test, results, files = {} }] of steps.entries()) {
    const artifacts = layOut(`${root}/${n}`, results, files);
    errors.push(
      await aggregator.ingest(platform, test, artifacts)
        .then(() => null, kindOf),
    );
  }
  await aggregator.stop();
  return {
    actual: {
      errors,
      requests: server.requests.map((request, n) =>
        comparable(request, expect.requests[n])
      ),
    },
    expected: {
      errors: expect.errors ?? steps.map(() => null),
      requests: expect.requests.map((request) =>
        // what is null may be left out
        JSON.parse(JSON.stringify(request, (_key, value) => value ?? undefined))
      ),
    },
  };
}

/** A request as it is written down in cases. */
function comparable(
  { method, path, json, parts }: Received,
  expected: Record<string, unknown> | undefined,
): Record<string, unknown> {
  const wanted = expected?.json as Record<string, unknown> | undefined;
  const anyText = wanted?.description === "<text>" && json?.description !== "";
  return {
    method,
    path,
    ...(json && {
      json: withoutTimes({
        ...json,
        ...(anyText && { description: "<text>" }),
      }),
    }),
    ...(parts && {
      multipart: parts.map(({ name, contentType, filename, content }) => {
        const text = new TextDecoder().decode(content);
        return {
          name,
          contentType,
          ...(filename !== undefined && { filename }),
          ...(name === "json_request_part"
            ? { json: JSON.parse(text).map(withoutTimes) }
            : { text }),
        };
      }),
    }),
  };
}

function withoutTimes(
  { uuid: _free, ...body }: Record<string, unknown>,
): Record<string, unknown> {
  for (const key of ["startTime", "endTime", "time"]) {
    const time = body[key];
    if (typeof time === "string" && new Date(time).toISOString() === time) {
      body[key] = "<time>";
    }
  }
  return body;
}
