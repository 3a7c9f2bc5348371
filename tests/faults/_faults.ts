/**
 * Blocks that fail, hang, slow down or lie at calls that a seed chooses. A plan without
 * faults lets every call through.
 *
 * Times pass by a function, so that the same blocks serve runs on a fake clock.
 */
import type {
  Aggregator,
  IngestInfo,
  Stored,
} from "../../aggregators/aggregator.ts";
import {
  ConnectionLostError,
  type LocalCommand,
  type RemoteCommandOptions,
  type SignalOptions,
} from "../../connections/connection.ts";
import {
  type Executor,
  type RunTestOptions,
  SetupError,
} from "../../executors/executor.ts";
import {
  type Provisioner,
  ProvisionError,
  type ReleaseOptions,
  type Remote,
} from "../../provisioners/provisioner.ts";
import { randomFrom } from "../_random.ts";

export type Fault = "fail" | "hang" | "slow" | "lie";

/** The calls at which something can go wrong. */
export type Call =
  | "getRemote"
  | "connect"
  | "local"
  | "release"
  | "start"
  | "runTest"
  | "stop"
  | "ingest";

/** Which faults there may be, by call. */
export type Faults = Partial<Record<Call, readonly Fault[]>>;

export interface FaultPlanOptions {
  /** The same seed makes the same choices, for calls in the same order. */
  seed: number;
  /** Which part of the calls is hit, from 0 to 1. */
  rate: number;
  /** @default {{}} */
  faults?: Faults;
  /** What is slow takes up to so many milliseconds more. */
  slow: number;
  /** Waits; ends early at an abort, without an error. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** A real sleep. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const abort = () => resolve();
  signal?.addEventListener("abort", abort, { once: true });
  await promise;
  clearTimeout(timer);
  signal?.removeEventListener("abort", abort);
}

/** The error of a call that was chosen to fail. */
export class InjectedError extends Error {
  override readonly name = "InjectedError";
}

/** Chooses faults, and tells which were chosen. */
export class FaultPlan {
  readonly #options: FaultPlanOptions;
  readonly #random: () => number;
  /** What was done, in order. */
  readonly done: string[] = [];

  constructor(options: FaultPlanOptions) {
    this.#options = options;
    this.#random = randomFrom(options.seed);
  }

  /** What goes wrong with a call, if anything does. */
  choose(call: Call, about: string): Fault | undefined {
    const { rate, faults = {} } = this.#options;
    const [hit, which] = [this.#random(), this.#random()];
    const possible = faults[call] ?? [];
    if (hit >= rate || possible.length === 0) return undefined;
    const fault = possible[Math.floor(which * possible.length)];
    this.done.push(`${call} of ${about}: ${fault}`);
    return fault;
  }

  /** How often something was done to calls of a kind. */
  count(call: Call, fault?: Fault): number {
    return this.done.filter((one) =>
      one.startsWith(`${call} of `) && (!fault || one.endsWith(`: ${fault}`))
    ).length;
  }

  async slowDown(signal?: AbortSignal): Promise<void> {
    const { slow, sleep } = this.#options;
    await sleep(this.#random() * slow, signal);
  }
}

/** Settles only when the signal is aborted, with its reason. */
function hang(signal?: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal!.reason);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Lends systems of another provisioner. */
export class FaultyProvisioner implements Provisioner {
  readonly remotes: FaultyRemote[] = [];
  readonly #inner: Provisioner;
  readonly #plan: FaultPlan;

  constructor(inner: Provisioner, plan: FaultPlan) {
    this.#inner = inner;
    this.#plan = plan;
  }

  get name(): string {
    return this.#inner.name;
  }

  get maxRemotes(): number {
    return this.#inner.maxRemotes;
  }

  provision(count?: number): void {
    this.#inner.provision(count);
  }

  clear(): void {
    this.#inner.clear();
  }

  async getRemote(options: SignalOptions = {}): Promise<Remote> {
    const fault = this.#plan.choose("getRemote", this.name);
    if (fault === "hang") return await hang(options.signal);
    if (fault === "slow") await this.#plan.slowDown(options.signal);
    const inner = await this.#inner.getRemote(options);
    if (fault === "fail") {
      // what it had is not lost, and was none of the caller's
      await inner.release({ reason: "surplus" });
      throw new ProvisionError("no system this time");
    }
    const remote = new FaultyRemote(inner, this.#plan, fault === "lie");
    this.remotes.push(remote);
    return remote;
  }

  async start(): Promise<this> {
    await this.#inner.start();
    return this;
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A system of another provisioner. */
export class FaultyRemote implements Remote {
  readonly inner: Remote;
  readonly #plan: FaultPlan;
  readonly lost: Promise<Error>;
  /** How often it was given back. */
  released = 0;

  /** `vanishes`: it is told to have vanished, although it is there. */
  constructor(inner: Remote, plan: FaultPlan, vanishes: boolean) {
    this.inner = inner;
    this.#plan = plan;
    const early = () =>
      plan.slowDown().then(() => new InjectedError(`${inner.id} vanished`));
    // it may really vanish before that
    this.lost = vanishes ? Promise.race([inner.lost, early()]) : inner.lost;
  }

  get id(): string {
    return this.inner.id;
  }

  get attributes(): Readonly<Record<string, string>> {
    return this.inner.attributes;
  }

  get reusable(): boolean {
    return this.inner.reusable;
  }

  get canReboot(): boolean {
    return this.inner.canReboot ?? true;
  }

  async connect(options?: SignalOptions): Promise<void> {
    const fault = this.#plan.choose("connect", this.id);
    if (fault === "fail") throw new ConnectionLostError("no way there");
    if (fault === "hang") await hang(options?.signal);
    if (fault === "slow") await this.#plan.slowDown(options?.signal);
    await this.inner.connect(options);
  }

  disconnect(): Promise<void> {
    return this.inner.disconnect();
  }

  local(
    argv: readonly string[],
    options?: RemoteCommandOptions,
  ): LocalCommand {
    const fault = this.#plan.choose("local", this.id);
    if (fault === "fail") throw new ConnectionLostError("the link broke");
    const changed = {
      hang: ["sleep", "600"],
      slow: ["sh", "-c", 'sleep 0.1; exec "$@"', "sh", ...argv],
      lie: ["true"],
    };
    return this.inner.local(fault ? changed[fault] : argv, options);
  }

  command(file: string, options?: Deno.CommandOptions): Deno.Command {
    return this.inner.command(file, options);
  }

  rsync(
    args: readonly string[],
    options?: Deno.CommandOptions,
  ): Deno.Command {
    return this.inner.rsync(args, options);
  }

  /** What it does comes first: only the caller is left in doubt. */
  async release(options?: ReleaseOptions): Promise<void> {
    this.released++;
    const fault = this.#plan.choose("release", this.id);
    if (fault === "lie") {
      this.inner.release(options).catch(() => {});
      return;
    }
    await this.inner.release(options);
    if (fault === "slow") await this.#plan.slowDown();
    if (fault === "fail") throw new InjectedError("it may still be there");
    if (fault === "hang") await hang();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Runs tests by another executor. */
export class FaultyExecutor implements Executor {
  readonly #inner: Executor;
  readonly #plan: FaultPlan;
  readonly #id: string;

  constructor(inner: Executor, plan: FaultPlan, id: string) {
    this.#inner = inner;
    this.#plan = plan;
    this.#id = id;
  }

  async start(options: SignalOptions = {}): Promise<this> {
    const fault = this.#plan.choose("start", this.#id);
    await this.#inner.start(options);
    if (fault === "slow") await this.#plan.slowDown(options.signal);
    if (fault === "hang") await hang(options.signal);
    if (fault === "fail") throw new SetupError("it is not as it should be");
    return this;
  }

  async runTest(
    name: string,
    artifacts: string | URL,
    options: RunTestOptions = {},
  ): Promise<number> {
    const fault = this.#plan.choose("runTest", name);
    const code = await this.#inner.runTest(name, artifacts, options);
    if (fault === "slow") await this.#plan.slowDown(options.signal);
    if (fault === "hang") await hang(options.signal);
    if (fault === "fail") throw new InjectedError("what came of it got lost");
    return fault === "lie" ? code === 0 ? 1 : 0 : code;
  }

  async stop(): Promise<void> {
    const fault = this.#plan.choose("stop", this.#id);
    await this.#inner.stop();
    if (fault === "slow") await this.#plan.slowDown();
    if (fault === "hang") await hang();
    if (fault === "fail") throw new InjectedError("something stays there");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Stores results by another aggregator. */
export class FaultyAggregator implements Aggregator {
  readonly #inner: Aggregator;
  readonly #plan: FaultPlan;
  readonly count?: (platform: string, test: string) => number;
  /** Tests that it took although it said that it did not. */
  readonly lied = new Set<string>();

  constructor(inner: Aggregator, plan: FaultPlan) {
    this.#inner = inner;
    this.#plan = plan;
    if (inner.count) this.count = (...names) => inner.count!(...names);
  }

  get readsOnly(): boolean | undefined {
    return this.#inner.readsOnly;
  }

  get continues(): boolean | undefined {
    return this.#inner.continues;
  }

  async start(): Promise<this> {
    await this.#inner.start();
    return this;
  }

  async ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info?: IngestInfo,
  ): Promise<Stored | void> {
    const fault = this.#plan.choose("ingest", test);
    if (fault === "fail") throw new InjectedError("no space left");
    if (fault === "hang") await hang();
    if (fault === "slow") await this.#plan.slowDown();
    const stored = await this.#inner.ingest(platform, test, artifacts, info);
    if (fault === "lie") {
      this.lied.add(test);
      throw new InjectedError("no answer, but it is stored");
    }
    return stored;
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
