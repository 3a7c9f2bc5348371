/**
 * What the provisioners of this package tell about themselves: reservations,
 * releases, losses, and what was cleaned up after scripts that died.
 *
 * @example Log what happens in a pool
 * ```ts
 * import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
 * import type { ProvisionerEvent } from "jsr:@atex/atex/provisioners/events";
 *
 * const log = (event: ProvisionerEvent) => console.error(event.type, event);
 * await using pool = new PodmanProvisioner({ image: "fedora:42", onEvent: log });
 * await pool.start();
 * ```
 *
 * @module
 */
import type { ReleaseReason } from "./provisioner.ts";

/**
 * Something that happened in a provisioner. Times are in milliseconds, `id` is
 * that of the system, or the number of the reservation, such as `hosts:#2`, while it
 * is not known which system it will be.
 *
 * - `pulling`: an image that is not here, or not the newest, is being fetched, before
 *   any system can be made of it.
 * - `reserving`: a system is being made or looked for.
 * - `waiting`: somebody else decides how long it takes: others have all hosts, a
 *   service has put it into a queue, its system lets nobody in yet, a cluster has no
 *   place for it, other provisioners have all of the shared `limit`. Told when a
 *   `reason` begins or changes, once for all systems that wait for the same. Its end
 *   is not told: `ready` or `reserve-failed` follows, when it is so far.
 * - `ready`: it is connected and waits to be lent; `ms` after `reserving`.
 * - `reserve-failed`: it could not be had. With `willRetry` the provisioner tries
 *   again by itself, otherwise a caller of `getRemote()` gets the error.
 * - `lent`: `getRemote()` gave it out.
 * - `released`: it was given back; `ms` after the release began.
 * - `release-failed`: it could not be given back.
 * - `lost`: it vanished by itself.
 * - `reaped`: something that a dead script had left behind was removed.
 * - `warning`: something beside the systems did not work, such as the removal
 *   of what dead scripts had left. Systems are lent all the same.
 */
export type ProvisionerEvent =
  | { readonly type: "pulling"; readonly image: string }
  | { readonly type: "reserving"; readonly id: string }
  | { readonly type: "waiting"; readonly id: string; readonly reason: string }
  | {
    readonly type: "ready";
    readonly id: string;
    readonly attributes: Readonly<Record<string, string>>;
    readonly ms: number;
  }
  | {
    readonly type: "reserve-failed";
    readonly id: string;
    readonly error: Error;
    readonly willRetry: boolean;
  }
  | { readonly type: "lent"; readonly id: string }
  | {
    readonly type: "released";
    readonly id: string;
    readonly reason: ReleaseReason;
    readonly ms: number;
  }
  | {
    readonly type: "release-failed";
    readonly id: string;
    readonly error: Error;
  }
  | { readonly type: "lost"; readonly id: string; readonly error: Error }
  | {
    readonly type: "reaped";
    readonly kind: string;
    readonly name: string;
    readonly owner: string;
  }
  | { readonly type: "warning"; readonly error: Error };

/** Options that the provisioners of this package have in common. */
export interface EventOptions {
  /**
   * Called with each event, in order, while it happens. It should return soon; an
   * error that it throws is reported as uncaught.
   *
   * @default nothing is called
   */
  onEvent?: ((event: ProvisionerEvent) => void) | undefined;
}
