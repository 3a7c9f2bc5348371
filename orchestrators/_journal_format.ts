/** The lines of journals, and reading them. */
import type { TestOutcome } from "./orchestrator.ts";

/** A process that ran tests of the run. */
export interface Session {
  /** The directory below which its artifacts are. */
  artifacts: string;
  /** The start of the host that it ran on, if that is known. */
  boot?: string | undefined;
}

/** An attempt of an earlier process. */
export interface PastAttempt {
  test: string;
  attempt: number;
  artifacts: string;
  session: Session;
  /** How often an aggregator had the test when it began. */
  storedBefore?: number | undefined;
  /** What came of it; absent if it was interrupted. */
  ended?: Ended;
  /** Whether an aggregator was given its results. */
  given: boolean;
  /** Whether it took them, if it said so. */
  stored?: boolean;
  /** Where it put the output, if that may be of interest. */
  output?: string;
}

/** The end of an attempt. */
export interface Ended {
  outcome: TestOutcome;
  attributes: Readonly<Record<string, string>>;
  /** Whether the test was to run again. */
  rerun: boolean;
}

/** What earlier processes did. */
export interface Past {
  sessions: Session[];
  /** Attempts of each test, in their order. */
  attempts: Map<string, PastAttempt[]>;
}

/** A line, after the first one. */
export type Entry =
  | { type: "opened"; at: number; boot?: string; artifacts: string }
  | {
    type: "started";
    test: string;
    attempt: number;
    artifacts: string;
    storedBefore?: number | undefined;
  }
  | {
    type: "ended";
    test: string;
    attempt: number;
    exitCode?: number;
    error?: { name: string; message: string };
    remote: string;
    attributes: Readonly<Record<string, string>>;
    startedAt: number;
    finishedAt: number;
    rerun: boolean;
  }
  | {
    type: "storing" | "stored" | "not-stored";
    test: string;
    attempt: number;
    output?: string | undefined;
  };

/** What a journal belongs to. */
export interface Subject {
  /** The path of the journal, for messages. */
  path: string;
  platform: string;
  tests: readonly string[];
}

const VERSION = 1;
const MARK = '{"atex-journal":';
const REMEDY =
  "; to begin anew, remove it and what was stored, or give other paths";

/** The first line. */
export interface Head {
  "atex-journal": number;
  platform: string;
  tests: number;
  digest: string;
}

/** Who a journal belongs to: the order of the tests does not matter. */
export async function headOf({ platform, tests }: Subject): Promise<Head> {
  const names = new TextEncoder().encode(JSON.stringify([...tests].sort()));
  const digest = await crypto.subtle.digest("SHA-256", names);
  return {
    "atex-journal": VERSION,
    platform,
    tests: tests.length,
    digest: new Uint8Array(digest).toHex(),
  };
}

/**
 * Reads a journal; `length` is that of its whole lines.
 *
 * @throws {Error} if it is of another run or version, or damaged
 */
export function readJournal(
  text: string,
  path: string,
  head: Head,
): { past: Past; length: number } {
  const past: Past = { sessions: [], attempts: new Map() };
  const length = text.lastIndexOf("\n") + 1;
  if (length === 0) {
    // a process that was killed at the very beginning leaves a part of the head
    const begun = text.slice(0, MARK.length);
    if (MARK.startsWith(begun)) return { past, length };
    throw refusal(path, "it is no journal; give another path");
  }
  const [first, ...lines] = text.slice(0, length - 1).split("\n");
  checkHead(first, path, head);
  for (const [index, line] of lines.entries()) {
    try {
      take(past, asEntry(JSON.parse(line)));
    } catch (cause) {
      const why = `line ${index + 2} cannot be understood${REMEDY}`;
      throw refusal(path, why, cause);
    }
  }
  return { past, length };
}

function checkHead(line: string, path: string, head: Head): void {
  let found: Partial<Head>;
  try {
    found = JSON.parse(line);
    if (!line.startsWith(MARK)) throw new Error("no head");
  } catch (cause) {
    throw refusal(path, "it is no journal; give another path", cause);
  }
  const version = found["atex-journal"];
  if (version !== VERSION) {
    throw refusal(
      path,
      `it is of version ${version}, this one can go on with version ${VERSION}${REMEDY}`,
    );
  }
  const { platform, tests, digest } = head;
  if (found.platform !== platform) {
    const why = `it is of platform "${found.platform}", not of "${platform}"`;
    throw refusal(path, why + REMEDY);
  }
  if (found.digest !== digest) {
    const why = found.tests === tests
      ? `it is of ${tests} tests with other names`
      : `it is of ${found.tests} tests, not of these ${tests}`;
    throw refusal(path, why + REMEDY);
  }
}

function refusal(path: string, why: string, cause?: unknown): Error {
  return new Error(`the journal "${path}" cannot be used: ${why}`, { cause });
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isFlag: Check = (value) => typeof value === "boolean";
const isWhole: Check = Number.isSafeInteger;
const isTime: Check = Number.isFinite;
const isCount: Check = (value) => isWhole(value) && value as number > 0;
const isRecord: Check = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const optional = (check: Check): Check => (value) =>
  value === undefined || check(value);

const attempt = { test: isText, attempt: isCount };

/** What there has to be in an entry of each type. */
const FIELDS: Record<Entry["type"], Record<string, Check>> = {
  opened: { artifacts: isText, boot: optional(isText) },
  started: {
    ...attempt,
    artifacts: isText,
    storedBefore: optional(isWhole),
  },
  ended: {
    ...attempt,
    exitCode: optional(isWhole),
    error: optional((error) =>
      isRecord(error) && isText((error as Error).name) &&
      isText((error as Error).message)
    ),
    remote: isText,
    attributes: (value) =>
      isRecord(value) && Object.values(value as object).every(isText),
    startedAt: isTime,
    finishedAt: isTime,
    rerun: isFlag,
  },
  storing: attempt,
  stored: { ...attempt, output: optional(isText) },
  "not-stored": attempt,
};

/** Tells entries from what damage, or somebody else, made of them. */
function asEntry(value: unknown): Entry {
  if (!isRecord(value)) throw new Error("it is no entry");
  const entry = value as Entry & Record<string, unknown>;
  const fields = Object.hasOwn(FIELDS, entry.type) && FIELDS[entry.type];
  if (!fields) throw new Error("its type is unknown");
  for (const [name, check] of Object.entries(fields)) {
    if (!check(entry[name])) throw new Error(`its "${name}" is wrong`);
  }
  return entry;
}

function take({ sessions, attempts }: Past, entry: Entry): void {
  if (entry.type === "opened") {
    const { artifacts, boot } = entry;
    sessions.push({ artifacts, boot });
    return;
  }
  const { test, attempt } = entry;
  const list = attempts.get(test) ?? [];
  if (entry.type === "started") {
    const session = sessions.at(-1);
    if (!session) throw new Error("a test was started by nobody");
    const { artifacts, storedBefore } = entry;
    list.push({
      test,
      attempt,
      artifacts,
      session,
      ...(storedBefore !== undefined && { storedBefore }),
      given: false,
    });
    attempts.set(test, list);
    return;
  }
  const found = list.findLast((one) => one.attempt === attempt);
  if (!found) throw new Error(`attempt ${attempt} of ${test} was not started`);
  switch (entry.type) {
    case "ended":
      found.ended = endOf(entry);
      break;
    case "storing":
      found.given = true;
      delete found.stored; // it may have been refused before
      break;
    case "stored":
    case "not-stored":
      found.stored = entry.type === "stored";
      if (entry.output !== undefined) found.output = entry.output;
  }
}

function endOf(entry: Entry & { type: "ended" }): Ended {
  const { type: _, error, attributes, rerun, ...others } = entry;
  const outcome = error
    ? {
      ...others,
      error: Object.assign(new Error(error.message), { name: error.name }),
    }
    : others;
  return { outcome, attributes, rerun };
}
