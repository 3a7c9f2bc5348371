/** What an HTML report knows, as its page gets it. Keys are short, since there are many of them. */

/** Everything. Times are in milliseconds since 1970, spans in milliseconds. */
export interface PageData {
  /** What it is about. */
  title: string;
  /** When the page was written. */
  madeAt: number;
  /** False while tests may still come. */
  final: boolean;
  /** How often such a page is written anew; 0: never. */
  refresh: number;
  /** Where links to files begin, as a URL; null: files cannot be linked to. */
  files: string | null;
  /** Whether earlier results were compared with these. */
  compared: boolean;
  /** Subtests that passed and were left out. */
  leftOut: number;
  /** Names, which others have the indices of. */
  platforms: string[];
  /** Ids of systems. */
  systems: string[];
  /** Tests that have ended. */
  tests: PageTest[];
  /** Tests that have not. */
  waiting: PageWaiting[];
  /** Tests of the earlier results that are not in these. */
  gone: PageGone[];
  /** What happened when. */
  runs: PageRun[];
}

/** How a test differs from the earlier results. */
export type Change = "broken" | "fixed" | "failing" | "changed" | "new";

/** A file: its name, its size in bytes, and what of it is in the page. */
export type PageFile =
  | string
  | [name: string, size: number]
  | [name: string, size: number, all: string]
  | [name: string, size: number, beginning: string, end: string];

/** A test; what is unknown or the usual is left out. */
export interface PageTest {
  /** Index of its platform. */
  p: number;
  /** Its name. */
  t: string;
  /** Its status. */
  s?: string;
  /** 1 if there is no result but those of subtests. */
  x?: 1;
  /** Its note. */
  n?: string;
  /** Its files. */
  f?: PageFile[];
  /** Index of the system. */
  r?: number;
  /** When it began. */
  b?: number;
  /** How long it ran. */
  d?: number;
  /** Which attempt it was, if not the first. */
  a?: number;
  /** Attempts before: status and note. */
  e?: [status: string, note?: string][];
  /** What its parts said. */
  u?: PageSubtest[];
  /** How many subtests were left out. */
  o?: number;
  /** How it differs from the earlier results. */
  c?: Change;
  /** Its status in them. */
  w?: string;
}

/** A subtest: name, status, note, files. */
export type PageSubtest = [
  name: string,
  status: string | null,
  note?: string | null,
  files?: PageFile[],
];

/** A test without a result: platform, name, what it does, system and time since when, if it runs. */
export type PageWaiting = [
  platform: number,
  name: string,
  state: "running" | "queued" | "not run" | "not stored",
  system?: number,
  since?: number,
];

/** A test that is gone: platform and name, and its status. */
export type PageGone = [platform: string, name: string, status: string];

/** A run. */
export interface PageRun {
  /** Index of its platform. */
  platform: number;
  startedAt: number;
  /** Absent while it goes on. */
  finishedAt?: number;
  /** Why it is incomplete. */
  kind?: string;
  /** Its systems, in the order in which they came. */
  systems: PageSystem[];
  /** What went wrong beside tests: when and what. */
  incidents: [time: number, text: string][];
  /** Incidents that were left out. */
  moreIncidents?: number;
  /** What it waited for at its end: a test that ran alone, where, and for how long. */
  tail?: [test: string, system: number, ms: number];
}

/** A system in a run. Times are relative to the start of the run. */
export interface PageSystem {
  /** Index of its id. */
  r: number;
  /** Where it came from. */
  provisioner: string;
  /** What it is. */
  attributes: Record<string, string>;
  /** When it was there. */
  from: number;
  /** When it was gone; absent if it is still there. */
  to?: number;
  /** Why it vanished. */
  lost?: string;
  /** What it did. */
  bars: PageBar[];
}

/** What a system did: its setup, a test, its release. A span of -1 has no end yet. */
export type PageBar =
  | [kind: "setup" | "release", from: number, ms: number, failed?: string]
  | [
    kind: "test",
    from: number,
    ms: number,
    /** The index of the test, or its name if it is in none of the lists. */
    test: number | string,
    attempt: number,
    outcome: "pass" | "fail" | "infra" | "running",
    why?: string,
  ];
