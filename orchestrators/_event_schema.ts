/** Reading events of runs from lines of JSON: apart from writing, which can do without zod. */
import { z } from "zod";
import type { RunEvent, RunSummary, TestOutcome } from "./orchestrator.ts";

const error: z.ZodType<Error> = z.lazy(() =>
  z.object({
    name: z.string(),
    message: z.string(),
    cause: z.union([error, z.string()]).optional(),
    errors: z.array(error).optional(),
    output: z.string().optional(),
  }).transform(({ name, message, cause, errors, output }) => {
    const options = cause === undefined ? {} : { cause };
    const made = errors
      ? new AggregateError(errors, message, options)
      : new Error(message, options);
    // where it came from is not kept, and where it was read is of no interest
    const stack = `${name}: ${message}`;
    for (const [key, value] of Object.entries({ name, stack })) {
      Object.defineProperty(made, key, {
        value,
        writable: true,
        configurable: true,
      });
    }
    return output === undefined ? made : Object.assign(made, { output });
  })
);

const text = z.string();
const number = z.number();
const flag = z.boolean();
const texts = z.array(text);
const count = z.union([
  number,
  z.literal("Infinity").transform(() => Infinity),
]);
const reason = z.enum([
  "done",
  "destroyed",
  "setup-failed",
  "surplus",
  "abort",
]);
const kind = z.enum([
  "SetupRetriesExceeded",
  "NoRemotes",
  "Stalled",
  "InvalidNextTest",
  "PolicyFailed",
  "IngestFailed",
  "JournalFailed",
  "ResultsExist",
  "UnknownTest",
  "Aborted",
  "ExecutorFailed",
]);

const outcome: z.ZodType<TestOutcome> = z.object({
  test: text,
  attempt: number,
  exitCode: number.optional(),
  error: error.optional(),
  remote: text,
  startedAt: number,
  finishedAt: number,
});

const summary: z.ZodType<RunSummary> = z.object({
  platform: text,
  tests: number,
  passed: number,
  failed: number,
  flaky: number,
  ingested: z.array(outcome).transform((list) =>
    new Map(list.map((one) => [one.test, one]))
  ),
  earlier: z.array(outcome),
  notRun: texts,
  ingestErrors: z.array(
    z.object({ test: text, attempt: number, error, artifacts: text }),
  ),
  releaseErrors: z.array(z.object({ remote: text, error })),
  handedOut: number,
  systems: number,
  released: number,
  setups: number,
  reruns: number,
  startedAt: number,
  finishedAt: number,
});

const remote = { remote: text };
const attempt = { test: text, attempt: number };
const ingest = { ...attempt, earlier: flag };
const release = { remote: text, reason };
const timed = { ms: number };

/** What there is in an event of each type, beside its time. */
const FIELDS = {
  "run-started": { platform: text, tests: texts, journal: text.optional() },
  "run-resumed": {
    done: texts,
    failed: texts,
    outputs: z.record(text, text).optional(),
    interrupted: texts,
    reruns: number,
  },
  "requested": { provisioner: text, count: number },
  "demand-cancelled": { provisioners: texts },
  "reservation-failed": {
    provisioner: text,
    error,
    failures: number,
    dead: flag,
  },
  "remote-ready": {
    ...remote,
    provisioner: text,
    attributes: z.record(text, text),
  },
  "remote-surplus": remote,
  "setup-started": remote,
  "setup-finished": { ...remote, ...timed },
  "setup-failed": {
    ...remote,
    ...timed,
    error,
    left: count,
    cancelled: flag.optional(),
  },
  "remote-idle": remote,
  "remote-lost": { ...remote, error },
  "test-started": { ...attempt, ...remote, artifacts: text },
  "test-finished": {
    ...attempt,
    ...remote,
    ...timed,
    exitCode: number.optional(),
    error: error.optional(),
    destroyed: flag,
    rerun: flag,
  },
  "ingest-started": ingest,
  "ingest-finished": {
    ...ingest,
    ...timed,
    stored: z.object({
      directory: text.optional(),
      output: text.optional(),
    }).optional(),
  },
  "ingest-failed": { ...ingest, ...timed, error, artifacts: text },
  "release-started": release,
  "release-finished": { ...release, ...timed },
  "release-failed": {
    ...release,
    ...timed,
    error,
    givenBack: flag.optional(),
  },
  "draining": { kind, why: text, error: error.optional() },
  "aborting": { reason: z.union([error, text]) },
  "stalled": { waitingFor: texts, ...timed },
  "run-finished": { kind: kind.nullable(), summary },
} satisfies {
  [T in RunEvent["type"]]: {
    [K in Exclude<keyof (RunEvent & { type: T }), "type" | "time">]-?:
      z.ZodType;
  };
};

const SCHEMAS = new Map<string, z.ZodType>(
  Object.entries(FIELDS).map(([type, fields]) => [
    type,
    z.object({
      time: number,
      type: z.literal(type),
      // which run, where several are logged together
      run: number.optional(),
      ...fields,
    }),
  ]),
);

/**
 * An event from a line of JSON.
 *
 * @throws {SyntaxError} if it is something else; the message is what is wrong, to be put behind a place
 */
export function decodeEvent(line: string): RunEvent & { run?: number } {
  let value: { type?: unknown } | null;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new SyntaxError("is not JSON", { cause });
  }
  const type = value?.type;
  const schema = typeof type === "string" ? SCHEMAS.get(type) : undefined;
  if (!schema) throw new SyntaxError("is not an event of a known type");
  const { success, data, error } = schema.safeParse(value);
  if (success) return data as RunEvent & { run?: number };
  const [{ path, message }] = error.issues;
  throw new SyntaxError(
    `is not an event of type "${type}": ${path.join(".")}: ${message}`,
    { cause: error },
  );
}
