/**
 * Who a process is, in a form that can be written on what may outlive it: a
 * container, a directory, a request. Whoever finds that later can tell whether the
 * process still lives.
 *
 * Needs the permissions to read `/proc` and `/etc/machine-id` and to know the name of
 * the system (`--allow-read`, `--allow-sys=hostname`).
 *
 * @example Whose is it?
 * ```ts
 * import {
 *   formatOwner,
 *   parseOwner,
 *   startTimeOf,
 *   thisProcess,
 * } from "jsr:@atex/atex/connections/owner";
 *
 * const label = formatOwner(await thisProcess());
 * // later, in another process of the same system
 * const owner = parseOwner(label)!;
 * console.log(await startTimeOf(owner.pid) === owner.startTime); // true: it lives
 * ```
 *
 * @module
 */
export {
  formatOwner,
  type Owner,
  parseOwner,
  startTimeOf,
  thisProcess,
} from "./ownership.ts";
