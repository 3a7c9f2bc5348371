import type { Connection } from "../../connections/connection.ts";
import type {
  Backend,
  Reserving,
  Starting,
  System,
} from "../../provisioners/_backend.ts";
import type { Clock } from "../../provisioners/_pool.ts";
import type { ReleaseReason } from "../../provisioners/provisioner.ts";

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await null;
}

/** Time that stands still until it is told. */
export class FakeClock implements Clock {
  #now = 0;
  readonly timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  async advance(ms: number): Promise<void> {
    this.#now += ms;
    for (const timer of [...this.timers]) {
      if (timer.at > this.#now || !this.timers.delete(timer)) continue;
      timer.callback();
      await settle();
    }
  }
}

/** A connection that counts, and can be made to fail. */
export class FakeConnection implements Connection {
  disconnected = 0;
  disconnectError?: Error;
  connect = () => Promise.resolve();
  disconnect = () => {
    this.disconnected++;
    return this.disconnectError
      ? Promise.reject(this.disconnectError)
      : Promise.resolve();
  };
  local = (argv: readonly string[]) => ({ argv });
  command = (file: string) => new Deno.Command(file);
  rsync = () => new Deno.Command("rsync");
  [Symbol.asyncDispose] = () => this.disconnect();
}

/** A reservation that a test decides about. */
export class FakeSystem implements System {
  readonly attributes = { kind: "fake" };
  readonly reusable = false;
  readonly connection = new FakeConnection();
  readonly lost: Promise<Error>;
  readonly lose: (error: Error) => void;
  readonly #reserved = Promise.withResolvers<System>();
  readonly #disposed = Promise.withResolvers<void>();
  state: "reserving" | "failed" | "up" | "disposing" | "gone" = "reserving";
  disposals: ReleaseReason[] = [];

  constructor(readonly id: string, readonly reserving: Reserving) {
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.lost = promise;
    this.lose = resolve;
    reserving.identify(id);
  }

  get reserved(): Promise<System> {
    return this.#reserved.promise;
  }

  succeed(): void {
    this.state = "up";
    this.#reserved.resolve(this);
  }

  fail(error: unknown): void {
    this.state = "failed";
    this.#reserved.reject(error);
  }

  dispose(reason: ReleaseReason): Promise<void> {
    this.disposals.push(reason);
    this.state = "disposing";
    return this.#disposed.promise;
  }

  finishDispose(error?: unknown): void {
    this.state = "gone";
    if (error) this.#disposed.reject(error);
    else this.#disposed.resolve();
  }
}

/** Reserves and disposes when a test says so. */
export class FakeBackend implements Backend {
  readonly systems: FakeSystem[] = [];
  starts = 0;
  stops = 0;
  retriesLeft = 0;
  startGate?: Promise<void>;
  stopError?: Error;
  /** Aborted reservations fail, and disposals end, by themselves. */
  obedient = false;

  async start({ signal }: Starting): Promise<void> {
    this.starts++;
    await this.startGate;
    signal.throwIfAborted();
  }

  reserve(reserving: Reserving): Promise<System> {
    const system = new FakeSystem(`fake:${this.systems.length + 1}`, reserving);
    this.systems.push(system);
    reserving.signal.addEventListener("abort", () => {
      if (this.obedient && system.state === "reserving") {
        system.fail(reserving.signal.reason);
      }
    });
    return system.reserved;
  }

  retries(): boolean {
    return this.retriesLeft-- > 0;
  }

  dispose(system: FakeSystem, reason: ReleaseReason): Promise<void> {
    const disposed = system.dispose(reason);
    if (this.obedient) system.finishDispose();
    return disposed;
  }

  stop(): Promise<void> {
    this.stops++;
    return this.stopError ? Promise.reject(this.stopError) : Promise.resolve();
  }
}

/** What became of a promise so far. */
export interface Watched<T> {
  state: "pending" | "resolved" | "rejected";
  value?: T;
  // deno-lint-ignore no-explicit-any
  error?: any;
}

export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched: Watched<T> = { state: "pending" };
  promise.then(
    (value) => Object.assign(watched, { state: "resolved", value }),
    (error) => Object.assign(watched, { state: "rejected", error }),
  );
  return watched;
}
