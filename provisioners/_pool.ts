import { abortable } from "@std/async/abortable";
import type { SignalOptions } from "../connections/connection.ts";
import { after } from "../connections/time_limit.ts";
import { checkMilliseconds } from "../options.ts";
import { type Backend, StillAliveError, type System } from "./_backend.ts";
import { Delivery } from "./_delivery.ts";
import { guard } from "./_guard.ts";
import type { EventOptions, ProvisionerEvent } from "./events.ts";
import {
  ProvisionError,
  type ProvisionErrorOptions,
  ProvisionerStoppedError,
  type ReleaseReason,
  type Remote,
} from "./provisioner.ts";
import { PooledRemote } from "./_remote.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** Time as the pool sees it. */
export interface Clock {
  /** Milliseconds from some moment on. */
  now(): number;
  /** Calls back once, in so many milliseconds, unless the function returned is called before. */
  after(ms: number, callback: () => void): () => void;
}

const CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = after(ms, callback);
    return () => clearTimeout(timer);
  },
};

/** What distinguishes a pool from others. */
export interface PoolOptions extends EventOptions {
  /** Names the pool in events and errors. */
  name: string;
  /** Most systems lent at one moment, if the backend does not know of fewer. */
  maxRemotes: number;
  /** Makes systems and takes them back. */
  backend: Backend;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
  /**
   * Milliseconds that a reservation may take once it has a name.
   *
   * @default {Infinity}
   */
  reserveTimeout?: number | undefined;
  /**
   * Least milliseconds between the beginnings of two reservations.
   *
   * @default {0}
   */
  reserveStagger?: number | undefined;
  /**
   * Most systems that `stop()` gives back at the same time.
   *
   * @default {10}
   */
  stopConcurrency?: number | undefined;
  /**
   * Milliseconds that `stop()` waits for each of: a reservation that it told to end, a
   * system that is given back, and what the backend does at its start or end. What takes
   * longer is told by an event and by the error of `stop()`, and left as it is: to
   * watchdogs, and to those who remove what dead scripts left.
   *
   * @default {1_800_000}
   */
  stopTimeout?: number | undefined;
}

/** Longer than any backend of ours needs by its own limits. */
export const STOP_TIMEOUT = 1_800_000;

/** A reservation under way. */
interface Reservation {
  /** What it is called while nobody knows which system it will be. */
  readonly number: string;
  id: string;
  startedAt: number;
  /** How often requests had been dropped: if they were since, it is not repeated. */
  readonly clears: number;
  /** Why it takes long, if others decide about that. */
  waitsFor?: string;
  readonly permit: Permit | undefined;
  readonly abort: AbortController;
  /** Never rejects. Gives the error of a system that came too late and could not be given back. */
  done: Promise<unknown>;
}

/** A system from ready to given back. */
interface Place {
  readonly system: System;
  readonly remote: PooledRemote;
  readonly permit: Permit | undefined;
}

/** A place of a shared limit, which can be left more than once: what was given up may end after all. */
class Permit implements Disposable {
  #permit?: Disposable;

  constructor(permit: Disposable) {
    this.#permit = permit;
  }

  [Symbol.dispose](): void {
    this.#permit?.[Symbol.dispose]();
    this.#permit = undefined;
  }
}

/**
 * The engine of all provisioners: requests, places, delivery and the end. What
 * is lent, and how it is made, is the business of a {@linkcode Backend}.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #emit: (event: ProvisionerEvent) => void;
  #phase: "idle" | "starting" | "started" | "stopping" = "idle";
  #starting?: { done: Promise<void>; abort: AbortController };
  #stopping?: Promise<void>;

  #owed = 0;
  /** How often clear() was called. */
  #clears = 0;
  readonly #reserving = new Set<Reservation>();
  readonly #ready: Delivery<Place>;
  readonly #lent = new Set<Place>();
  readonly #releasing = new Set<Place>();
  /** Could not be given back, and known to be alive. */
  readonly #stuck = new Set<Place>();

  #begun = 0;
  #lastBegun = -Infinity;
  #cancelStagger?: () => void;
  #waitsForPermit = false;
  /** Whether it was told that the shared limit is waited for. */
  #toldOfLimit = false;

  constructor(options: PoolOptions, clock: Clock = CLOCK) {
    this.#options = { ...options };
    this.#backend = options.backend;
    this.#clock = clock;
    this.#emit = guard(options.onEvent);
    this.#ready = new Delivery((place) => {
      this.#lent.add(place);
      this.#emit({ type: "lent", id: place.system.id });
    });
    const {
      maxRemotes,
      reserveTimeout = Infinity,
      reserveStagger = 0,
      stopConcurrency = 10,
      stopTimeout = STOP_TIMEOUT,
    } = options;
    checkMilliseconds({ reserveTimeout, stopTimeout });
    checkMilliseconds({ reserveStagger }, { orZero: true });
    if (
      maxRemotes !== Infinity && !Number.isInteger(maxRemotes) || maxRemotes < 0
    ) {
      throw new RangeError(
        `Cannot lend at most ${
          Deno.inspect(maxRemotes)
        } systems: "maxRemotes" must be a whole number or Infinity`,
      );
    }
    if (
      stopConcurrency !== Infinity &&
      !(Number.isInteger(stopConcurrency) && stopConcurrency > 0)
    ) {
      throw new RangeError(
        `Cannot give back ${
          Deno.inspect(stopConcurrency)
        } systems at once: "stopConcurrency" must be a positive whole number or Infinity`,
      );
    }
  }

  get maxRemotes(): number {
    const { maxRemotes } = this.#options;
    return Math.min(maxRemotes, this.#backend.maxRemotes ?? Infinity);
  }

  start(options: SignalOptions = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#phase === "stopping") {
      return Promise.reject(this.#stoppedError("start"));
    }
    if (this.#phase === "idle") {
      this.#stopping = undefined;
      this.#phase = "starting";
      const abort = new AbortController();
      const either = signal
        ? AbortSignal.any([signal, abort.signal])
        : abort.signal;
      this.#starting = { abort, done: this.#open(either) };
      return this.#starting.done;
    }
    const { done } = this.#starting!;
    return signal ? abortable(done, signal) : done;
  }

  async #open(signal: AbortSignal): Promise<void> {
    try {
      await this.#backend.start?.({ signal });
      if (signal.aborted) await this.#stopBackend();
      signal.throwIfAborted();
    } catch (error) {
      if (this.#phase === "starting") this.#phase = "idle";
      throw signal.aborted ? signal.reason : error;
    }
    this.#ready.reset();
    this.#phase = "started";
    if (this.maxRemotes === 0) {
      this.#fail('"maxRemotes" is 0');
    }
  }

  provision(count = 1): void {
    if (count !== Infinity && !(Number.isInteger(count) && count > 0)) {
      throw new RangeError(
        `Cannot provision ${count} systems: the count must be a positive whole number or Infinity`,
      );
    }
    if (count === Infinity && this.maxRemotes === Infinity) {
      throw new RangeError(
        `Cannot provision without an end: "maxRemotes" of "${this.#options.name}" is Infinity, too`,
      );
    }
    if (this.#phase !== "started") throw this.#stoppedError("provision");
    if (this.#ready.end) return;
    this.#owed += count;
    this.#pump();
  }

  clear(): void {
    this.#owed = 0;
    this.#clears += 1;
    this.#toldOfLimit = false;
    this.#cancelStagger?.();
    this.#cancelStagger = undefined;
  }

  async getRemote(options: SignalOptions = {}): Promise<Remote> {
    options.signal?.throwIfAborted();
    if (this.#phase !== "started") throw this.#stoppedError("get a system");
    const place = this.#ready.next(options.signal);
    this.#pump(); // a failure that was told makes room for endless requests
    return (await place).remote;
  }

  /** Systems that count towards `maxRemotes`. */
  get #taken(): number {
    return this.#reserving.size + this.#ready.items.size + this.#lent.size +
      this.#releasing.size + this.#stuck.size;
  }

  #mayBegin(): boolean {
    if (this.#phase !== "started" || this.#owed === 0) return false;
    const { maxRemotes } = this;
    if (this.#stuck.size >= maxRemotes) {
      this.#fail(
        `all ${maxRemotes} places are taken by systems that could not be given back`,
      );
      return false;
    }
    // Endless requests to a backend that always fails must not pile up failures.
    const untold = this.#owed === Infinity ? this.#ready.failures : 0;
    return this.#taken + untold < maxRemotes;
  }

  /** Begins as many reservations as are asked for and allowed. */
  #pump(): void {
    const { limit, reserveStagger = 0 } = this.#options;
    while (this.#mayBegin()) {
      const wait = this.#lastBegun + reserveStagger - this.#clock.now();
      if (wait > 0) {
        this.#cancelStagger ??= this.#clock.after(wait, () => {
          this.#cancelStagger = undefined;
          this.#pump();
        });
        return;
      }
      const permit = limit?.tryAcquire();
      if (limit && !permit) return this.#waitForPermit(limit);
      this.#reserve(permit && new Permit(permit));
    }
    this.#toldOfLimit = false;
  }

  /** A pool that needs many permits stands in the queue once. */
  #waitForPermit(limit: SharedLimit): void {
    if (!this.#toldOfLimit) {
      this.#toldOfLimit = true;
      this.#emit({
        type: "waiting",
        id: this.#numberOf(this.#begun + 1),
        reason:
          "the limit that is shared with other provisioners leaves no place",
      });
    }
    if (this.#waitsForPermit) return;
    this.#waitsForPermit = true;
    limit.acquire().then((permit) => {
      this.#waitsForPermit = false;
      if (this.#mayBegin()) this.#reserve(new Permit(permit));
      else permit[Symbol.dispose]();
      this.#pump();
    });
  }

  #numberOf(reservation: number): string {
    return `${this.#options.name}:#${reservation}`;
  }

  #reserve(permit: Permit | undefined): void {
    this.#owed -= 1;
    const number = this.#numberOf(++this.#begun);
    const reservation: Reservation = {
      number,
      id: number,
      startedAt: this.#lastBegun = this.#clock.now(),
      clears: this.#clears,
      permit,
      abort: new AbortController(),
      done: Promise.resolve(),
    };
    this.#reserving.add(reservation);
    reservation.done = this.#carryOut(reservation);
  }

  async #carryOut(reservation: Reservation): Promise<unknown> {
    const { reserveTimeout = Infinity } = this.#options;
    const { abort } = reservation;
    const { signal } = abort;
    let cancelTimeout = () => {};
    signal.addEventListener("abort", () => cancelTimeout(), { once: true });
    const identify = (id?: string) => {
      cancelTimeout();
      reservation.id = id ?? reservation.number;
      if (id === undefined) return;
      reservation.waitsFor = undefined;
      reservation.startedAt = this.#clock.now();
      if (!signal.aborted) {
        cancelTimeout = this.#clock.after(reserveTimeout, () => {
          const late = `it is not ready after ${reserveTimeout / 1000} s`;
          abort.abort(reservationError(reservation, late));
        });
      }
      this.#emit({ type: "reserving", id });
    };
    const waits = (reason?: string) => {
      const isNews = reason !== undefined && !this.#isWaitedFor(reason);
      reservation.waitsFor = reason;
      if (isNews) this.#emit({ type: "waiting", id: reservation.id, reason });
    };
    let system: System;
    try {
      system = await this.#backend.reserve({ signal, identify, waits });
      if (!isSystem(system)) {
        const none = 'the backend gave no system with "id" and "connection"';
        throw reservationError(reservation, none, { fatal: true });
      }
    } catch (error) {
      const isAwaited = this.#reserving.delete(reservation);
      reservation.permit?.[Symbol.dispose]();
      const reason = signal.aborted ? signal.reason : error;
      if (isAwaited) this.#reserveFailed(reservation, reason);
      return;
    } finally {
      cancelTimeout();
    }
    const isAwaited = this.#reserving.delete(reservation);
    return await this.#reserved(reservation, system, isAwaited);
  }

  /** Whether a reservation waits for this already: that was told, and is enough for all. */
  #isWaitedFor(reason: string): boolean {
    return this.#reserving.values().some(({ waitsFor }) => waitsFor === reason);
  }

  async #reserved(
    reservation: Reservation,
    system: System,
    isAwaited: boolean,
  ): Promise<unknown> {
    const { abort: { signal }, permit, startedAt } = reservation;
    const remote: PooledRemote = new PooledRemote(
      system,
      (reason) => this.#release(place, reason),
    );
    const place: Place = { system, remote, permit };
    if (signal.aborted) { // it came although it was not wanted any more
      const failure = await remote.release({ reason: "abort" }).then(
        () => undefined,
        (error) => error,
      );
      if (isAwaited) this.#reserveFailed(reservation, signal.reason);
      return failure;
    }
    const { id, attributes, lost } = system;
    if (lost) {
      const vanish = (error: unknown) => this.#vanished(place, toError(error));
      Promise.resolve(lost).then(vanish, vanish);
    }
    const ms = this.#clock.now() - startedAt;
    this.#ready.offer(
      place,
      () => this.#emit({ type: "ready", id, attributes, ms }),
    );
  }

  #reserveFailed(reservation: Reservation, reason: unknown): void {
    if (this.#phase !== "started") return; // ended by stop()
    let error = reason instanceof ProvisionError
      ? reason
      : reservationError(reservation, toError(reason).message, {
        cause: reason,
      });
    let willRetry = false;
    const isWanted = !this.#ready.end && reservation.clears === this.#clears;
    if (isWanted && !error.fatal) {
      try {
        willRetry = this.#backend.retries?.(error) ?? false;
      } catch (cause) {
        error = new ProvisionError(
          `${error.message}, and the backend cannot tell whether to repeat it: ${
            toError(cause).message
          }`,
          { cause, fatal: true },
        );
      }
    }
    if (willRetry) this.#owed += 1;
    this.#emit({
      type: "reserve-failed",
      id: reservation.id,
      error,
      willRetry,
    });
    if (error.fatal) this.#finish(error);
    else if (!willRetry) this.#ready.fail(error);
    this.#pump();
  }

  #fail(what: string): void {
    this.#finish(
      new ProvisionError(
        `Cannot reserve a system of "${this.#options.name}": ${what}`,
        { fatal: true },
      ),
    );
  }

  #finish(error: Error): void {
    this.clear();
    this.#ready.finish(error);
  }

  #vanished(place: Place, error: Error): void {
    const { id } = place.system;
    const unused = this.#ready.items.has(place);
    if (!unused && !this.#lent.has(place)) return; // it is given back already
    this.#emit({ type: "lost", id, error });
    if (this.#phase !== "started" || !this.#ready.items.has(place)) return;
    place.remote.release({ reason: "destroyed" }).catch(() => {}); // told by an event
    this.#ready.fail(
      new ProvisionError(
        `Cannot lend system "${id}": it was lost before anybody took it: ${error.message}`,
        { cause: error },
      ),
    );
  }

  async #release(place: Place, reason: ReleaseReason): Promise<void> {
    const { system, permit } = place;
    const { id } = system;
    this.#ready.withdraw(place);
    this.#lent.delete(place);
    this.#releasing.add(place);
    const startedAt = this.#clock.now();
    let failure: Error | undefined;
    try {
      await this.#backend.sweep?.(system, reason);
    } catch (error) {
      this.#emit({ type: "warning", error: toError(error) });
    }
    try {
      await system.connection.disconnect();
    } catch (error) {
      this.#emit({ type: "warning", error: toError(error) });
    }
    try {
      await this.#backend.dispose(system, reason);
    } catch (error) {
      failure = error instanceof ProvisionError ? error : new ProvisionError(
        `Cannot give back system "${id}": ${toError(error).message}`,
        { cause: error },
      );
    }
    if (!this.#releasing.delete(place)) { // stop() has given it up, and told so
      if (failure) throw failure;
      return;
    }
    if (failure instanceof StillAliveError) this.#stuck.add(place);
    else permit?.[Symbol.dispose]();
    if (failure) this.#emit({ type: "release-failed", id, error: failure });
    else {
      const ms = this.#clock.now() - startedAt;
      this.#emit({ type: "released", id, reason, ms });
    }
    this.#pump();
    if (failure) throw failure;
  }

  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #stop(): Promise<void> {
    const wasStarted = this.#phase === "started";
    this.#phase = "stopping";
    this.clear();
    this.#ready.finish(this.#stoppedError("get a system"));
    const reason = this.#stoppedError("go on");
    for (const { abort } of this.#reserving) abort.abort(reason);
    if (this.#starting) {
      const { abort, done } = this.#starting;
      abort.abort(reason);
      const late = await this.#ended(done); // how is told to the caller of start()
      if (late) this.#warn(`end the start of "${this.#options.name}"`, late);
    }
    this.#starting = undefined;
    try {
      if (wasStarted) await this.#close();
    } finally {
      this.#phase = "idle";
    }
  }

  async #close(): Promise<void> {
    const undone = [...this.#reserving].map((one) => this.#awaitEnd(one));
    const errors: unknown[] = (await Promise.all(undone)).filter((error) =>
      error !== undefined
    );
    const tell = (error: unknown) => errors.push(error);
    // Those who gave these back get to know themselves how that ends.
    const given = [...this.#releasing].map(async (place) => {
      const late = await this.#awaitRelease(place, place.remote.release());
      if (late) tell(late);
    });
    const reasons = new Map<Place, ReleaseReason>([
      ...[...this.#lent].map((place) => [place, "abort"] as const),
      ...[...this.#ready.items].map((place) => [place, "surplus"] as const),
    ]);
    const rest = reasons.entries();
    const worker = async () => {
      for (const [place, reason] of rest) {
        const release = place.remote.release({ reason });
        const late = await this.#awaitRelease(place, release);
        if (late) tell(late);
        else await release.catch(tell);
      }
    };
    const { stopConcurrency = 10, name } = this.#options;
    const length = Math.min(stopConcurrency, reasons.size);
    await Promise.all(Array.from({ length }, worker));
    await Promise.all(given);
    for (const { permit } of this.#stuck) permit?.[Symbol.dispose]();
    this.#stuck.clear();
    const failure = await this.#stopBackend();
    if (failure) errors.push(failure);
    if (errors.length > 0) {
      throw new AggregateError(
        errors,
        `Cannot stop provisioner "${name}" completely: ${
          errors.map((error) => toError(error).message).join("; ")
        }`,
      );
    }
  }

  /** Waits for a reservation that was told to end; gives what it left. */
  async #awaitEnd(reservation: Reservation): Promise<unknown> {
    const late = await this.#ended(reservation.done);
    if (!late) return await reservation.done;
    this.#reserving.delete(reservation);
    reservation.permit?.[Symbol.dispose]();
    return this.#warn(`end the reservation of "${reservation.id}"`, late);
  }

  /** Waits for a system to be given back; gives an error if that takes too long. */
  async #awaitRelease(
    place: Place,
    release: Promise<void>,
  ): Promise<Error | undefined> {
    const late = await this.#ended(release);
    if (!late || !this.#releasing.delete(place)) return undefined;
    place.permit?.[Symbol.dispose]();
    const { id } = place.system;
    const error = new ProvisionError(
      `Cannot give back system "${id}": ${late}`,
    );
    this.#emit({ type: "release-failed", id, error });
    return error;
  }

  /** Waits until work has ended, in whatever way; tells what is so if that takes too long. */
  async #ended(work: Promise<unknown>): Promise<string | undefined> {
    const { stopTimeout = STOP_TIMEOUT } = this.#options;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const cancel = this.#clock.after(
      stopTimeout,
      () => resolve(`it has not ended after ${stopTimeout / 1000} s`),
    );
    const ended = () => resolve(undefined);
    work.then(ended, ended);
    const late = await promise;
    cancel();
    return late;
  }

  /** Tells of a failure, and gives it. */
  async #stopBackend(): Promise<Error | undefined> {
    const stopping = Promise.try(() => this.#backend.stop?.());
    const late = await this.#ended(stopping);
    if (late) return this.#warn(`stop "${this.#options.name}"`, late);
    try {
      await stopping;
    } catch (reason) {
      const error = toError(reason);
      this.#emit({ type: "warning", error });
      return error;
    }
  }

  #warn(what: string, why: string): Error {
    const error = new ProvisionError(`Cannot ${what}: ${why}`);
    this.#emit({ type: "warning", error });
    return error;
  }

  #stoppedError(what: string): ProvisionerStoppedError {
    return new ProvisionerStoppedError(
      `Cannot ${what}: provisioner "${this.#options.name}" ${
        this.#phase === "stopping"
          ? "is being stopped"
          : this.#stopping
          ? "was stopped"
          : "is not started: await its start() first"
      }`,
    );
  }
}

function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}

function reservationError(
  { id }: Reservation,
  what: string,
  options?: ProvisionErrorOptions,
): ProvisionError {
  return new ProvisionError(`Cannot reserve system "${id}": ${what}`, options);
}

/** Backends of one's own may err, and scripts run without a check of types. */
function isSystem(value: Partial<System> | undefined): boolean {
  return typeof value?.id === "string" &&
    typeof value.connection?.disconnect === "function";
}
