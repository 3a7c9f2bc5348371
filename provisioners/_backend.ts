import type { Connection } from "../connections/connection.ts";
import { ProvisionError, type ReleaseReason } from "./provisioner.ts";

/** A system that a backend made or found. */
export interface System {
  /** Names it in logs and reports, unique in the process: `podman:3`. */
  readonly id: string;
  /** What it is: image, host, domain … For logs and reports. */
  readonly attributes: Readonly<Record<string, string>>;
  /** True if the same system may be lent again. */
  readonly reusable: boolean;
  /** Connected, and answered a command. */
  readonly connection: Connection;
  /** Resolves when it vanishes by itself. Absent if nobody would notice. */
  readonly lost?: Promise<Error> | undefined;
  /** Called when the user of the system may wait for `lost` and for nothing else. */
  readonly expectLoss?: (() => void) | undefined;
}

/** What a backend is told about the reservation it shall carry out. */
export interface Reserving {
  /** Aborted when the reservation takes too long or the pool is stopped. */
  readonly signal: AbortSignal;
  /**
   * Names the system in events, and begins to count its time: the work begins. Without
   * an id it ends: any other system may be the one, and until then events have the
   * number of the reservation.
   */
  identify(id?: string): void;
  /**
   * Says why it takes long, for an event, when others decide about that; without a
   * reason, that it goes on, as `identify()` does. To say the same again is harmless,
   * also for several reservations: one event tells it.
   */
  waits(reason?: string): void;
}

/** What a backend is told when the pool starts. */
export interface Starting {
  /** Aborted when the start, or the pool, is to end. */
  readonly signal: AbortSignal;
}

/** One kind of systems: makes or finds them, and takes them back. */
export interface Backend {
  /** Most systems that there can be, as far as it is known; asked again after `start()`. */
  readonly maxRemotes?: number | undefined;
  /** Checks what is needed. Undoes everything if it fails or is aborted. */
  start?(starting: Starting): Promise<void>;
  /**
   * Makes one system ready. Undoes everything if it fails or is aborted. To give
   * none is a mistake, which ends the pool.
   */
  reserve(reserving: Reserving): Promise<System>;
  /** True if a reservation that failed this way shall be tried once more; not asked after `clear()`. */
  retries?(error: Error): boolean;
  /**
   * Cleans up a system that is given back, before it is disconnected; if it is
   * connected still. A failure is only told.
   */
  sweep?(system: System, reason: ReleaseReason): Promise<void>;
  /**
   * Takes back a system that was disconnected; called once for each that
   * `reserve()` returned.
   *
   * @throws {StillAliveError} if its place is not free again
   */
  dispose(system: System, reason: ReleaseReason): Promise<void>;
  /** Frees what `start()` opened. By then every system was disposed of. */
  stop?(): Promise<void>;
}

/** A system could not be given back and is known to go on. */
export class StillAliveError extends ProvisionError {}
