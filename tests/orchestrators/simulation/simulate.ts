import type { Aggregator } from "../../../aggregators/aggregator.ts";
import type { Executor } from "../../../executors/executor.ts";
import type { Provisioner, Remote } from "../../../provisioners/provisioner.ts";
import { startAdHoc } from "../../../orchestrators/_adhoc_run.ts";
import type { Environment } from "../../../orchestrators/_environment.ts";
import { settingsOf } from "../../../orchestrators/_settings.ts";
import {
  type DestructiveRule,
  type NextRule,
  OrchestratorError,
  type OrchestratorErrorKind,
  type RerunRule,
  type Run,
  type RunEvent,
  type RunSummary,
} from "../../../orchestrators/orchestrator.ts";
import {
  affinity,
  byPriority,
  destructiveOnFresh,
  destructiveTag,
  longestFirst,
  reruns,
} from "../../../orchestrators/policies.ts";
import { startSimple } from "../../../orchestrators/_simple_run.ts";
import { simpleSettings } from "../../../orchestrators/_simple_settings.ts";
import type { Policy, Scenario, ScenarioOptions } from "./scenario.ts";
import { FakeExecutor, type FakeRemote, World } from "./world.ts";

/** What came of a simulated run. */
export interface Simulation {
  readonly scenario: Scenario;
  readonly world: World;
  readonly kind: OrchestratorErrorKind | null;
  readonly error?: OrchestratorError;
  readonly summary: RunSummary;
  readonly events: readonly RunEvent[];
  readonly executors: ReadonlyMap<string, FakeExecutor>;
  /** When the run was aborted. */
  readonly abortedAt?: number;
  readonly endedAt: number;
}

const MAX_STEPS = 20_000;

/** What is put around the blocks of a simulated run. */
export interface Wrap {
  provisioner(inner: Provisioner): Provisioner;
  executor(inner: Executor, id: string): Executor;
  aggregator(inner: Aggregator): Aggregator;
}

const BARE: Wrap = {
  provisioner: (inner) => inner,
  executor: (inner) => inner,
  aggregator: (inner) => inner,
};

/** Runs a scenario on a fake clock; `wrapIn` puts something around its blocks. */
export async function simulate(
  scenario: Scenario,
  wrapIn: (world: World) => Wrap = () => BARE,
): Promise<Simulation> {
  const world = new World(scenario);
  const executors = new Map<string, FakeExecutor>();
  const abort = new AbortController();
  const run = start(
    scenario,
    world,
    executors,
    abort.signal,
    wrapIn(world),
  );
  let abortedAt: number | undefined;
  const end = () => {
    abortedAt ??= world.clock.now();
    abort.abort(new Error("the caller had enough"));
  };
  const { abort: when } = scenario;
  if (when && "atMs" in when) world.clock.after(when.atMs, end);
  if (scenario.kind === "adhoc") {
    world.asked = () => checkNeed(scenario, world, run);
  }
  const events: RunEvent[] = [];
  const listening = (async () => {
    for await (const event of run) {
      events.push(event);
      checkStatus(scenario, world, run);
      const limit = when && "afterEvents" in when ? when.afterEvents : NaN;
      if (events.length === limit) end();
    }
  })();
  const ended = await world.clock.run(
    Promise.allSettled([run.finished, listening]),
    MAX_STEPS,
  );
  if (!ended) {
    throw new Error(
      `the run does not end: ${Deno.inspect(run.status)} after ${
        Deno.inspect(events.slice(-5))
      }`,
    );
  }
  const endedAt = world.clock.now();
  let error: OrchestratorError | undefined;
  const summary = await run.finished.catch((thrown) => {
    if (!(thrown instanceof OrchestratorError)) throw thrown;
    error = thrown;
    return thrown.summary;
  });
  await listening;
  return {
    scenario,
    world,
    kind: error?.kind ?? null,
    error,
    summary,
    events,
    executors,
    abortedAt,
    endedAt,
  };
}

/** Begins a run. */
export function start(
  scenario: Scenario,
  world: World,
  executors: Map<string, FakeExecutor>,
  signal: AbortSignal,
  wrap: Wrap = BARE,
): Run {
  const { options = {} } = scenario;
  const common = {
    platform: "platform",
    tests: world.tests.keys(),
    aggregator: wrap.aggregator(world.aggregator),
    executor: (remote: Remote) => {
      const { inner = remote } = remote as { inner?: Remote };
      const fake = inner as FakeRemote;
      if (fake.spec.setup === "factory-throws") {
        throw new Error(`no executor for ${fake.id}`);
      }
      const executor = new FakeExecutor(world, fake);
      executors.set(fake.id, executor);
      return wrap.executor(executor, fake.id);
    },
  };
  const limits = {
    setupTimeout: options.setupTimeoutMs,
    releaseTimeout: options.releaseTimeoutMs,
    cancelGrace: options.cancelGraceMs,
  };
  const environment = environmentOf(world);
  if (scenario.kind === "simple") {
    const [provisioner] = world.provisioners;
    const { destructive, onError } = options;
    const settings = simpleSettings({
      ...common,
      ...limits,
      provisioner: wrap.provisioner(provisioner),
      destructive,
      onError,
    });
    return startSimple(settings, { signal }, environment);
  }
  const settings = settingsOf({
    ...common,
    ...limits,
    provisioners: world.provisioners.map(wrap.provisioner),
    earlier: world.oldAggregator && wrap.aggregator(world.oldAggregator),
    journal: world.resumable ? "run.journal" : undefined,
    ...rules(scenario, world),
    maxSpares: options.maxSpares,
    maxFailedSetups: options.maxFailedSetups,
    maxProvisionFailures: options.maxProvisionFailures,
    concurrency: options.concurrency,
    stallTimeout: options.stallTimeoutMs,
  });
  // without back-pressure unless it is asked for: tests are bounded by the systems only
  const { maxWaitingIngests = Infinity } = options;
  return startAdHoc(settings, { signal }, environment, maxWaitingIngests);
}

function environmentOf(world: World): Environment {
  const { clock } = world;
  return {
    now: () => clock.now(),
    after: (ms, call) => clock.after(ms, call),
    pause: () => clock.pause(),
    openArtifacts: () => world.openArtifacts(),
    openJournal: () => world.openJournal(),
    boot: () => `${world.kept.boot}`,
  };
}

function rules(
  { options = {} }: Scenario,
  world: World,
): { next: NextRule[]; rerun: RerunRule; destructive: DestructiveRule } {
  const { policies = [], policyThrows } = options;
  const data = new Map(
    [...world.tests].map(([name, { priority, duration, tags }]) => [
      name,
      {
        ...(priority !== undefined && { "extra-priority": priority }),
        ...(duration !== undefined && { duration }),
        ...(tags !== undefined && { tag: tags }),
      },
    ]),
  );
  const make: Record<Exclude<Policy, "destructive">, () => NextRule> = {
    priority: () => byPriority({ data }),
    duration: () => longestFirst({ data }),
    affinity: () => affinity((test) => test.length % 2),
    "destructive-on-fresh": () => destructiveOnFresh({ data }),
  };
  const next = policies.filter((policy) => policy !== "destructive")
    .map((policy) => make[policy]());
  const left = options.invalidNextTestWhenLeft;
  if (left !== undefined) {
    next.unshift((candidates) =>
      candidates.length === left ? ["/not-a-test"] : candidates
    );
  }
  let rerun = rerunRule(options);
  let destructive = destructiveRule(options);
  if (policies.includes("destructive")) {
    destructive = destructiveTag({ data }, destructive);
  }
  const refuse = (test: string) => {
    if (test === policyThrows?.test) throw new Error(`not ${test}`);
  };
  if (policyThrows?.rule === "next") {
    next.push((candidates) => {
      refuse(candidates[0]);
      return candidates;
    });
  } else if (policyThrows?.rule === "rerun") {
    const rule = rerun;
    rerun = (info) => (refuse(info.test), rule(info));
  } else if (policyThrows?.rule === "destructive") {
    const rule = destructive;
    destructive = (info) => (refuse(info.test), rule(info));
  }
  return { next, rerun, destructive };
}

function rerunRule(
  { maxReruns = 0, rerunExitCodes = "nonzero" }: ScenarioOptions,
): RerunRule {
  return reruns(
    maxReruns,
    rerunExitCodes === "nonzero" ? {} : { exitCodes: rerunExitCodes },
  );
}

function destructiveRule(
  { destructiveExitCodes: codes = "nonzero" }: ScenarioOptions,
): DestructiveRule {
  return ({ exitCode }) =>
    codes === "nonzero" ? exitCode !== 0 : codes.includes(exitCode!);
}

/** Counts add up, and neither demand nor spares are left without use. */
function checkStatus({ options = {} }: Scenario, world: World, run: Run): void {
  const { maxSpares = 0, maxWaitingIngests = Infinity } = options;
  const status = run.status;
  const { tests, queued, running, done, failed } = status;
  const sum = queued + running + done;
  if (sum !== tests || queued < 0 || failed > done) {
    world.violate(`the status is ${Deno.inspect(status)}`);
  }
  const wanted = Math.min(maxSpares, running + queued);
  const held = maxWaitingIngests < Infinity ? queued : 0;
  if (status.spares > wanted + held) {
    world.violate(`too many spares: ${Deno.inspect(status)}`);
  }
  const enough = queued === 0 && status.spares + status.settingUp >= wanted;
  if (enough && status.requested > 0) {
    world.violate(`systems are wanted for nothing: ${Deno.inspect(status)}`);
  }
}

/** Nothing is asked for unless a test waits or a spare is missing. */
function checkNeed({ options = {} }: Scenario, world: World, run: Run): void {
  const { maxSpares = 0 } = options;
  const { queued, running, spares, settingUp } = run.status;
  const wanted = Math.min(maxSpares, running + queued);
  if (queued === 0 && spares + settingUp >= wanted) {
    world.violate(`systems are asked for although ${Deno.inspect(run.status)}`);
  }
}
