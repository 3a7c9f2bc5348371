import type {
  Aggregator,
  IngestInfo,
} from "../../../aggregators/aggregator.ts";
import type { SignalOptions } from "../../../connections/connection.ts";
import {
  type Executor,
  type RunTestOptions,
  SetupError,
  TestAbortedError,
} from "../../../executors/executor.ts";
import type { Artifacts } from "../../../orchestrators/_environment.ts";
import type { JournalStore } from "../../../orchestrators/_journal.ts";
import {
  type Provisioner,
  ProvisionError,
  ProvisionerStoppedError,
  type ReleaseOptions,
  type Remote,
} from "../../../provisioners/provisioner.ts";
import { FakeClock } from "./clock.ts";
import type {
  Scenario,
  ScenarioAggregator,
  ScenarioProvisioner,
  ScenarioRemote,
  ScenarioTest,
} from "./scenario.ts";

export type Bounded = "setup" | "ingest" | "release";

/** What is in a directory of artifacts. */
interface Content {
  test?: string;
  attempt?: number;
  /** Whether there is a result for the test itself. */
  result: boolean;
}

/** What is there after a process was killed. */
export class Kept {
  journal = "";
  /** So much of the journal is there after a fault of the host, too. */
  flushed = 0;
  /** How many processes there were. */
  processes = 0;
  /** Changes with each start of the host. */
  boot = 1;
  readonly contents = new Map<string, Content>();
  readonly attempts = new Map<string, number>();
  readonly ranOn = new Map<string, string>();
  readonly ingested: Ingested[] = [];
  readonly ingestedOld: Ingested[] = [];
  /** How often aggregators will still fail, by their suffix. */
  readonly failures: Record<string, Record<string, number>> = {};
}

type Ingested = { test: string; info: IngestInfo };

/** How a process ends early. */
export interface WorldOptions {
  /** What earlier processes left; with it a run has a journal. */
  kept?: Kept;
  /** After so many changes of what is kept, the process is killed. */
  killAfter?: number;
  /** Aggregators cannot tell what they have. */
  countless?: boolean;
}

/** Everything that a run meets: systems, tests, results, and the record of what happened to them. */
export class World {
  readonly clock = new FakeClock();
  readonly tests: ReadonlyMap<string, ScenarioTest>;
  readonly provisioners: FakeProvisioner[];
  readonly aggregator: FakeAggregator;
  readonly oldAggregator?: FakeAggregator;
  /** What happened, by the names of the conformance cases. */
  readonly record: string[] = [];
  readonly indexOf = new Map<string, number>();
  /** What should never happen. */
  readonly violations: string[] = [];
  readonly remotes: FakeRemote[] = [];
  readonly kept: Kept;
  readonly resumable: boolean;
  readonly countless: boolean;
  readonly attempts: Map<string, number>;
  /** The system of each attempt, by `/test#1`. */
  readonly ranOn: Map<string, string>;
  readonly now: Record<Bounded | "test", number> = {
    setup: 0,
    ingest: 0,
    release: 0,
    test: 0,
  };
  readonly peak = { setup: 0, ingest: 0, release: 0, test: 0 };
  readonly contents: Map<string, Content>;
  readonly running = new Set<string>();
  lastEnd = 0;
  readonly releaseTimeout: number;
  cleared = 0;
  /** Called whenever something is asked of a provisioner. */
  asked: () => void = () => {};

  readonly #killed = Promise.withResolvers<void>();
  #changesLeft: number;

  constructor(
    scenario: Scenario,
    { kept, killAfter = Infinity, countless = false }: WorldOptions = {},
  ) {
    this.resumable = kept !== undefined;
    this.kept = kept ?? new Kept();
    this.kept.processes++;
    this.countless = countless;
    this.#changesLeft = killAfter;
    ({
      attempts: this.attempts,
      ranOn: this.ranOn,
      contents: this.contents,
    } = this.kept);
    this.releaseTimeout = scenario.options?.releaseTimeoutMs ?? 5 * 60_000;
    this.tests = new Map(scenario.tests.map((test) => [test.name, test]));
    this.provisioners = scenario.provisioners.map((spec) =>
      new FakeProvisioner(this, spec)
    );
    this.aggregator = new FakeAggregator(this, scenario.aggregator ?? {}, "");
    if (scenario.oldAggregator) {
      this.oldAggregator = new FakeAggregator(
        this,
        scenario.oldAggregator,
        "-old",
      );
    }
  }

  note(event: string): void {
    if (!this.indexOf.has(event)) this.indexOf.set(event, this.record.length);
    this.record.push(event);
  }

  /** Resolves when the process is killed. */
  get killed(): Promise<void> {
    return this.#killed.promise;
  }

  /** Whether something that is kept may still be changed. */
  change(): boolean {
    if (this.#changesLeft < 0) return false;
    if (this.#changesLeft-- > 0) return true;
    this.#killed.resolve();
    return false;
  }

  get #isDead(): boolean {
    return this.#changesLeft < 0;
  }

  violate(message: string): void {
    if (this.#isDead) return;
    this.violations.push(`at ${this.clock.now()}: ${message}`);
  }

  /** Counts what is under way, for as long as the result is not disposed of. */
  enter(kind: Bounded | "test"): Disposable {
    this.now[kind]++;
    this.peak[kind] = Math.max(this.peak[kind], this.now[kind]);
    return {
      [Symbol.dispose]: () => {
        this.now[kind]--;
      },
    };
  }

  openArtifacts(): Artifacts {
    return new FakeArtifacts(this);
  }

  openJournal(): Promise<JournalStore> {
    const { kept } = this;
    return Promise.resolve({
      text: kept.journal,
      cut: (length) => {
        if (this.change()) kept.journal = kept.journal.slice(0, length);
      },
      append: (text) => {
        if (this.change()) kept.journal += text;
        // a process that is killed may have written a part
        else if (this.#partLeft()) kept.journal += text.slice(0, -2);
      },
      sync: () => {
        if (!this.#isDead) kept.flushed = kept.journal.length;
        return Promise.resolve();
      },
      close: () => {},
    });
  }

  #partial = false;

  /** True once, at the moment of the end. */
  #partLeft(): boolean {
    const first = !this.#partial;
    this.#partial = true;
    return first;
  }
}

class FakeArtifacts implements Artifacts {
  readonly #world: World;
  readonly #place: string;
  readonly #kept = new Set<string>();
  #made = 0;
  #closed = false;

  constructor(world: World) {
    this.#world = world;
    this.#place = `artifacts${world.kept.processes}`;
  }

  reserve(): string {
    return this.#place;
  }

  open(): void {}

  make(): string {
    const directory = `${this.#place}/${++this.#made}`;
    if (this.#world.change()) {
      this.#world.contents.set(directory, { result: false });
    }
    return directory;
  }

  addOwnResult(directory: string): Promise<void> {
    if (this.#world.change()) {
      this.#world.contents.get(directory)!.result = true;
    }
    return Promise.resolve();
  }

  remove(directory: string): Promise<void> {
    if (this.#world.change() && !this.#world.contents.delete(directory)) {
      this.#world.violate(`${directory} removed twice`);
    }
    return Promise.resolve();
  }

  keep(directory: string): void {
    this.#kept.add(directory);
  }

  close(): Promise<void> {
    if (this.#closed) this.#world.violate("artifacts closed twice");
    this.#closed = true;
    for (const directory of this.#world.contents.keys()) {
      if (!this.#kept.has(directory)) {
        this.#world.violate(`${directory} left to the end`);
      }
    }
    return Promise.resolve();
  }

  look(directory: string): { results: boolean } | undefined {
    const content = this.#world.contents.get(directory);
    return content && { results: content.result };
  }

  sweep(place: string): Promise<void> {
    for (const directory of [...this.#world.contents.keys()]) {
      if (!directory.startsWith(`${place}/`)) continue;
      if (!this.#kept.has(directory) && this.#world.change()) {
        this.#world.contents.delete(directory);
      }
    }
    return Promise.resolve();
  }
}

export class FakeProvisioner implements Provisioner {
  readonly name: string;
  readonly maxRemotes: number;
  readonly #world: World;
  readonly #spec: ScenarioProvisioner;
  #wanted = 0;
  #reserved = 0;
  #started = 0;
  #dead = false;
  readonly #ready: (FakeRemote | Error)[] = [];
  readonly #waiting: {
    give: (remote: FakeRemote) => void;
    fail: (error: unknown) => void;
  }[] = [];

  constructor(world: World, spec: ScenarioProvisioner) {
    this.#world = world;
    this.#spec = spec;
    this.name = spec.name;
    this.maxRemotes = spec.capacity ?? Infinity;
  }

  /** Systems that nobody took. */
  get left(): number {
    return this.#ready.filter((one) => one instanceof FakeRemote).length;
  }

  start(): Promise<this> {
    return Promise.resolve(this);
  }

  provision(count = 1): void {
    if (!(Number.isInteger(count) && count > 0)) {
      this.#world.violate(`${this.name} asked for ${count} systems`);
    }
    if (this.#dead) throw new ProvisionerStoppedError(`${this.name} is dead`);
    this.#world.asked();
    this.#wanted += count;
    this.#reserve();
  }

  clear(): void {
    this.#wanted = 0;
    this.#world.cleared++;
  }

  getRemote({ signal }: SignalOptions = {}): Promise<Remote> {
    const { promise, resolve, reject } = Promise.withResolvers<Remote>();
    const give = (remote: FakeRemote) => {
      signal?.removeEventListener("abort", abort);
      remote.handOut();
      resolve(remote);
    };
    const fail = (error: unknown) => {
      signal?.removeEventListener("abort", abort);
      reject(error);
    };
    const waiter = { give, fail };
    const abort = () => {
      if (this.#spec.deaf) return;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      reject(signal!.reason);
    };
    const next = this.#ready.shift();
    if (next instanceof Error) fail(next);
    else if (next) give(next);
    else if (signal?.aborted) reject(signal.reason);
    else {
      this.#waiting.push(waiter);
      signal?.addEventListener("abort", abort, { once: true });
    }
    return promise;
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** A place is free again. */
  freed(): void {
    this.#reserved--;
    this.#reserve();
  }

  #reserve(): void {
    while (this.#wanted > 0 && this.#reserved < this.maxRemotes) {
      this.#wanted--;
      this.#reserved++;
      const given = this.#spec.remotes[this.#started++];
      const spec = { ...this.#spec.then, fail: undefined, ...given };
      if (!given) spec.fail = this.#spec.then.fail;
      const id = `${this.name}#${this.#started}`;
      this.#world.clock.after(spec.readyMs ?? 0, () => this.#ended(id, spec));
    }
  }

  #ended(id: string, spec: ScenarioRemote): void {
    const waiter = this.#waiting.shift();
    if (spec.fail !== undefined) {
      const error = new ProvisionError(spec.fail, { fatal: spec.fatal });
      if (spec.fatal) this.#dead = true;
      if (waiter) waiter.fail(error);
      else this.#ready.push(error);
      this.freed();
    } else {
      const remote = new FakeRemote(this.#world, this, id, spec);
      if (waiter) waiter.give(remote);
      else this.#ready.push(remote);
    }
  }
}

export class FakeRemote implements Remote {
  readonly id: string;
  readonly attributes = { kind: "fake" };
  readonly reusable: boolean;
  readonly spec: ScenarioRemote;
  readonly lost: Promise<Error>;
  readonly #world: World;
  readonly #provisioner: FakeProvisioner;
  readonly #lose: (error: Error) => void;
  readonly #cut = Promise.withResolvers<never>();
  state: "new" | "setting-up" | "usable" | "running" | "broken" = "new";
  released = 0;
  /** When it vanished. */
  lostAt?: number;
  /** True if what runs on it does not end, whatever is done. */
  givenUp = false;

  constructor(
    world: World,
    provisioner: FakeProvisioner,
    id: string,
    spec: ScenarioRemote,
  ) {
    this.#world = world;
    this.#provisioner = provisioner;
    this.id = id;
    this.spec = spec;
    this.reusable = spec.reusable ?? false;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.lost = promise;
    this.#lose = resolve;
    this.#cut.promise.catch(() => {});
  }

  /** Rejects when the connection is cut. */
  get cut(): Promise<never> {
    return this.#cut.promise;
  }

  handOut(): void {
    this.#world.remotes.push(this);
    this.#world.note(`ready:${this.id}`);
    if (this.spec.lostMs === undefined) return;
    this.#world.clock.after(this.spec.lostMs, () => {
      if (this.released > 0) return;
      this.lostAt = this.#world.clock.now();
      this.#lose(new Error(`${this.id} vanished`));
    });
  }

  async release({ reason }: ReleaseOptions = {}): Promise<void> {
    const world = this.#world;
    if (this.released++ > 0) return world.violate(`${this.id} released twice`);
    const busy = this.state === "running" || this.state === "setting-up";
    if (busy && !this.givenUp) {
      world.violate(`${this.id} released while ${this.state}`);
    }
    if (!reason) world.violate(`${this.id} released without a reason`);
    world.note(`release:${this.id}`);
    const { releaseMs = 0, release = "ok" } = this.spec;
    const ms = release === "hang" ? Infinity : releaseMs;
    const entered = world.enter("release");
    // for longer than the time limit nobody waits
    world.clock.after(
      Math.min(ms, world.releaseTimeout),
      () => entered[Symbol.dispose](),
    );
    await world.clock.sleep(ms);
    world.note(`released:${this.id}`);
    this.#provisioner.freed();
    if (release === "fail") throw new ProvisionError(`${this.id} stays`);
  }

  disconnect(): Promise<void> {
    this.#cut.reject(new Error(`${this.id} was disconnected`));
    return Promise.resolve();
  }

  connect(): Promise<void> {
    return Promise.resolve();
  }

  local(): never {
    throw new Error("A pretended system runs no commands");
  }

  command(): never {
    return this.local();
  }

  rsync(): never {
    return this.local();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

export class FakeExecutor implements Executor {
  readonly #world: World;
  stopped = 0;
  readonly remote: FakeRemote;

  constructor(world: World, remote: FakeRemote) {
    this.#world = world;
    this.remote = remote;
  }

  async start({ signal }: SignalOptions = {}): Promise<this> {
    const { id, spec } = this.remote;
    const { setup = "ok", setupMs = 0 } = spec;
    if (this.remote.state !== "new") {
      this.#world.violate(`${id} set up while ${this.remote.state}`);
    }
    this.#world.note(`setup:${id}`);
    using _entered = this.#world.enter("setup");
    this.remote.state = "setting-up";
    try {
      if (setup === "deaf") await this.remote.cut;
      const ms = setup === "hang" ? 1e9 : setupMs;
      await this.#world.clock.sleep(ms, signal);
      if (setup === "fail") throw new SetupError(`${id} cannot be set up`);
      this.remote.state = "usable";
    } catch (error) {
      this.remote.state = "broken";
      throw error;
    }
    return this;
  }

  async runTest(
    name: string,
    artifacts: string | URL,
    { signal, attempt = 1 }: RunTestOptions = {},
  ): Promise<number> {
    const world = this.#world;
    const remote = this.remote;
    const label = `${name}#${attempt}`;
    const spec = world.tests.get(name);
    if (!spec) throw new Error(`${name} is no test`);
    if (remote.state !== "usable") {
      world.violate(`${label} began on ${remote.id} while ${remote.state}`);
    }
    if (remote.released > 0) {
      world.violate(`${label} began on ${remote.id} after its release`);
    }
    if (world.running.has(name)) world.violate(`${name} runs twice at once`);
    const before = world.attempts.get(name) ?? 0;
    // an attempt may have been noted that was not begun
    if (world.resumable ? attempt <= before : attempt !== before + 1) {
      world.violate(`${label} follows ${before}`);
    }
    const content = world.contents.get(String(artifacts)) ?? { result: false };
    if (content.test) world.violate(`${label} got used artifacts`);
    Object.assign(content, { test: name, attempt });
    if (world.change()) {
      world.contents.set(String(artifacts), content);
      world.attempts.set(name, attempt);
      world.ranOn.set(label, remote.id);
    }
    world.note(`start:${label}`);
    remote.givenUp = spec.deaf === "for-ever";
    if (!remote.givenUp) world.running.add(name);
    remote.state = "running";
    using _entered = world.enter("test");
    const run = spec.runs[Math.min(attempt, spec.runs.length) - 1];
    try {
      await this.#pass(run.ms, spec, signal);
    } catch (error) {
      remote.state = "broken";
      throw new TestAbortedError(`${label} was ended`, "cancelled", {
        cause: error,
      });
    } finally {
      world.running.delete(name);
      world.note(`end:${label}`);
      world.lastEnd = world.clock.now();
      if (world.change()) {
        content.result ||= run.throws === undefined || !run.noResults;
      }
    }
    if (run.throws !== undefined) {
      remote.state = "broken";
      throw new Error(run.throws);
    }
    const { cancelMs = 0, deaf } = spec;
    if (!deaf && world.clock.now() > (remote.lostAt ?? Infinity) + cancelMs) {
      world.violate(`${label} went on after ${remote.id} vanished`);
    }
    remote.state = "usable";
    return run.exit ?? 0;
  }

  async #pass(
    ms: number,
    { cancelMs, deaf }: ScenarioTest,
    signal?: AbortSignal,
  ): Promise<void> {
    const end = deaf
      ? this.#world.clock.sleep(ms)
      : this.#world.clock.sleep(ms, signal, cancelMs);
    await (deaf === "for-ever" ? end : Promise.race([end, this.remote.cut]));
  }

  async stop(): Promise<void> {
    this.stopped++;
    if (this.remote.released > 0) {
      this.#world.violate(`${this.remote.id} cleaned up after its release`);
    }
    if (!this.remote.reusable) {
      this.#world.violate(`${this.remote.id} cleaned up for nothing`);
    }
    const { stop = "ok" } = this.remote.spec;
    if (stop === "hang") await new Promise(() => {});
    if (stop === "fail") throw new Error(`${this.remote.id} stays dirty`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

export class FakeAggregator implements Aggregator {
  readonly ingested: Ingested[];
  readonly count?: (platform: string, test: string) => number;
  readonly #world: World;
  readonly #spec: ScenarioAggregator;
  readonly #suffix: string;
  readonly #failures: Record<string, number>;
  readonly #now = new Set<string>();

  constructor(world: World, spec: ScenarioAggregator, suffix: string) {
    this.#world = world;
    this.#spec = spec;
    this.#suffix = suffix;
    const { kept } = world;
    this.ingested = suffix ? kept.ingestedOld : kept.ingested;
    if (!world.countless) {
      this.count = (_platform, test) =>
        this.ingested.filter((one) => one.test === test).length;
    }
    this.#failures = kept.failures[suffix] ??= { ...spec.fail };
  }

  start(): Promise<this> {
    return Promise.resolve(this);
  }

  async ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ): Promise<void> {
    const world = this.#world;
    const { attempt } = info;
    const label = `ingest${this.#suffix} of ${test}#${attempt}`;
    using _entered = world.enter("ingest");
    if (platform !== "platform") world.violate(`${label} for ${platform}`);
    if (this.#now.has(test)) world.violate(`${label} while another goes on`);
    this.#now.add(test);
    const content = world.contents.get(String(artifacts));
    if (content?.test !== test || content.attempt !== attempt) {
      world.violate(`${label} got ${Deno.inspect(content)}`);
    }
    if (!content?.result) world.violate(`${label} got no result of the test`);
    if (info.earlier?.length !== attempt! - 1) {
      world.violate(`${label} knows ${info.earlier?.length} attempts`);
    }
    if (world.ranOn.get(`${test}#${attempt}`) !== info.remote) {
      world.violate(`${label} names ${info.remote}`);
    }
    await world.clock.sleep(this.#spec.ingestMs ?? 0);
    this.#now.delete(test);
    if (this.#failures[test]-- > 0) throw new Error(`${label} failed`);
    const twice = this.ingested.some((one) =>
      one.test === test && (!this.#suffix || one.info.attempt === attempt)
    );
    if (twice) world.violate(`${label}, which was stored before`);
    if (world.change()) {
      this.ingested.push({ test, info });
      // without a count all is one step, and with one it need not be
      if (content && (world.countless || world.change())) {
        content.result = false;
      }
    }
    world.note(
      this.#suffix ? `ingested-old:${test}#${attempt}` : `ingested:${test}`,
    );
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
