/** Systems, executors and aggregators that only pretend, in real time. */
import type {
  Aggregator,
  IngestInfo,
  Stored,
} from "../../aggregators/aggregator.ts";
import type { SignalOptions } from "../../connections/connection.ts";
import type { Executor, RunTestOptions } from "../../executors/executor.ts";
import {
  type Provisioner,
  ProvisionerStoppedError,
  type ReleaseReason,
  type Remote,
} from "../../provisioners/provisioner.ts";

/** A system that is nothing. */
export class PretendedRemote implements Remote {
  readonly id: string;
  readonly attributes = { kind: "pretended" };
  readonly reusable: boolean;
  readonly lost: Promise<Error>;
  readonly lose: (error: Error) => void;
  readonly #give: (reason: ReleaseReason) => void;

  constructor(
    id: string,
    reusable: boolean,
    give: (reason: ReleaseReason) => void,
  ) {
    this.id = id;
    this.reusable = reusable;
    this.#give = give;
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.lost = promise;
    this.lose = resolve;
  }

  release(
    { reason = "done" }: { reason?: ReleaseReason } = {},
  ): Promise<void> {
    this.#give(reason);
    return Promise.resolve();
  }

  connect = () => Promise.resolve();
  disconnect = () => Promise.resolve();
  local = () => {
    throw new Error("A pretended system runs no commands");
  };
  command = this.local;
  rsync = this.local;
  [Symbol.asyncDispose] = () => this.release();
}

/** A source of systems that are there at once. */
export class PretendedPool implements Provisioner {
  readonly name = "pool";
  readonly maxRemotes: number;
  readonly reusable: boolean;
  /** All systems that were lent. */
  readonly remotes: PretendedRemote[] = [];
  /** Why systems were given back, in order. */
  readonly reasons: ReleaseReason[] = [];
  asked = 0;
  #wanted = 0;
  #lent = 0;
  readonly #waiting: ((remote: Remote) => void)[] = [];

  constructor({ maxRemotes = 4, reusable = false } = {}) {
    this.maxRemotes = maxRemotes;
    this.reusable = reusable;
  }

  provision(count = 1): void {
    this.asked += count;
    this.#wanted += count;
    this.#serve();
  }

  clear(): void {
    this.#wanted = 0;
  }

  getRemote({ signal }: SignalOptions = {}): Promise<Remote> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(serve), 1);
        reject(signal!.reason);
      };
      const serve = (remote: Remote) => {
        signal?.removeEventListener("abort", abort);
        resolve(remote);
      };
      this.#waiting.push(serve);
      signal?.addEventListener("abort", abort, { once: true });
      this.#serve();
    });
  }

  #serve(): void {
    while (
      this.#wanted > 0 && this.#lent < this.maxRemotes &&
      this.#waiting.length > 0
    ) {
      this.#wanted--;
      this.#lent++;
      const id = `pool#${this.remotes.length + 1}`;
      const remote = new PretendedRemote(id, this.reusable, (reason) => {
        this.reasons.push(reason);
        this.#lent--;
        this.#serve();
      });
      this.remotes.push(remote);
      this.#waiting.shift()!(remote);
    }
  }

  start = () => Promise.resolve(this);
  stop = () => Promise.resolve();
  [Symbol.asyncDispose] = () => this.stop();
}

/** A source of systems that was stopped by somebody. */
export class StoppedPool extends PretendedPool {
  override provision(): never {
    throw new ProvisionerStoppedError("pool was stopped");
  }

  override getRemote(): Promise<never> {
    return Promise.reject(new ProvisionerStoppedError("pool was stopped"));
  }
}

type Work = (
  test: string,
  artifacts: string,
  options: RunTestOptions & { remote: Remote },
) => number | Promise<number>;

/** Runs a function as every test. */
export class PretendedExecutor implements Executor {
  readonly #remote: Remote;
  readonly #work: Work;
  stopped = 0;

  constructor(remote: Remote, work: Work = () => 0) {
    this.#remote = remote;
    this.#work = work;
  }

  async runTest(
    name: string,
    artifacts: string | URL,
    options: RunTestOptions = {},
  ): Promise<number> {
    const remote = this.#remote;
    return await this.#work(name, String(artifacts), { ...options, remote });
  }

  start = () => Promise.resolve(this);
  stop = () => {
    this.stopped++;
    return Promise.resolve();
  };
  [Symbol.asyncDispose] = () => this.stop();
}

type Ingest = (
  test: string,
  artifacts: string,
  info: IngestInfo,
) => Stored | void | Promise<Stored | void>;

/** Notes what it is given. */
export class PretendedAggregator implements Aggregator {
  readonly #ingest: Ingest;
  readonly tests: string[] = [];

  constructor(ingest: Ingest = () => {}) {
    this.#ingest = ingest;
  }

  async ingest(
    _platform: string,
    test: string,
    artifacts: string | URL,
    info: IngestInfo = {},
  ): Promise<Stored | void> {
    const stored = await this.#ingest(test, String(artifacts), info);
    this.tests.push(test);
    return stored;
  }

  start = () => Promise.resolve(this);
  stop = () => Promise.resolve();
  [Symbol.asyncDispose] = () => this.stop();
}

/** Rejects when the signal is aborted, and only then. */
export function untilAborted(signal?: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal?.reason);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
