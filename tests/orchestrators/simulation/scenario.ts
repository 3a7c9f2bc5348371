/** A simulated run as data: the schema of `tests/conformance/cases/orchestrator/README.md`, and more. */
export interface Scenario {
  kind: "adhoc" | "simple";
  options?: ScenarioOptions;
  /** When the caller aborts the run, or after which event. */
  abort?: { atMs: number } | { afterEvents: number };
  tests: ScenarioTest[];
  provisioners: ScenarioProvisioner[];
  aggregator?: ScenarioAggregator;
  oldAggregator?: ScenarioAggregator;
}

export type Policy =
  | "priority"
  | "duration"
  | "destructive"
  | "affinity"
  | "destructive-on-fresh";

export interface ScenarioOptions {
  maxSpares?: number;
  maxReruns?: number;
  rerunExitCodes?: "nonzero" | number[];
  destructiveExitCodes?: "nonzero" | number[];
  policies?: Policy[];
  maxFailedSetups?: number;
  maxProvisionFailures?: number;
  concurrency?: { setup?: number; ingest?: number; release?: number };
  releaseTimeoutMs?: number;
  invalidNextTestWhenLeft?: number;
  destructive?: boolean;
  // not in the schema of conformance cases
  setupTimeoutMs?: number;
  stallTimeoutMs?: number;
  cancelGraceMs?: number;
  /** This rule throws when it is asked about this test. */
  policyThrows?: { rule: "next" | "rerun" | "destructive"; test: string };
  /** How many results may wait before no test is started. */
  maxWaitingIngests?: number;
  onError?: "stop" | "continue";
}

export interface ScenarioRun {
  ms: number;
  exit?: number;
  throws?: string;
  noResults?: boolean;
}

export interface ScenarioTest {
  name: string;
  runs: ScenarioRun[];
  priority?: number;
  duration?: string;
  tags?: string[];
  cancelMs?: number;
  /** When told to end, the executor goes on until its connection is cut, or for ever. */
  deaf?: "until-cut" | "for-ever";
}

/** What becomes of a reservation, and of its system. */
export interface ScenarioRemote {
  readyMs?: number;
  fail?: string;
  /** The failure says that no other reservation can succeed. */
  fatal?: boolean;
  setupMs?: number;
  setup?: "ok" | "fail" | "hang" | "deaf" | "factory-throws";
  releaseMs?: number;
  release?: "ok" | "fail" | "hang";
  /** So long after it was handed out, the system vanishes. */
  lostMs?: number;
  reusable?: boolean;
  /** What the clean-up of a reusable system does. */
  stop?: "ok" | "fail" | "hang";
}

export interface ScenarioProvisioner {
  name: string;
  capacity: number | null;
  remotes: ScenarioRemote[];
  then: ScenarioRemote;
  /** Waiting for a system does not end at an abort. */
  deaf?: boolean;
}

export interface ScenarioAggregator {
  ingestMs?: number;
  fail?: Record<string, number>;
}
