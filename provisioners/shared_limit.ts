/**
 * A bound for what several provisioners lend together, whatever each may lend alone:
 * for a quota, a host with little memory, or a lab that others use, too.
 *
 * A system counts from the moment at which it begins to be made until it has been
 * given back, also while nobody has taken it and while it is held as a spare. So who
 * has it keeps it: a run does as long as it has tests for it. Places that become free
 * go to the provisioners in the order in which they began to wait, one for each at a
 * time.
 *
 * No permission is needed.
 *
 * @example Two runs with never more than four systems together
 * ```ts
 * import { Tally } from "jsr:@atex/atex/aggregators/tally";
 * import { CommandExecutor } from "jsr:@atex/atex/executors/command";
 * import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
 * import { runAll } from "jsr:@atex/atex/orchestrators/run-all";
 * import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
 * import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
 * import { sharedLimit } from "jsr:@atex/atex/provisioners/shared-limit";
 *
 * const tests = { "/kernel": ["uname", "-r"], "/disk": ["df", "/"] };
 * const limit = sharedLimit(4);
 * const fedora = new PodmanProvisioner({ image: "fedora:42", pull: "missing", limit });
 * const here = new LocalProvisioner({ maxRemotes: 2, limit });
 * await using tally = await new Tally().start();
 * await using _fedora = await fedora.start();
 * await using _here = await here.start();
 * await using all = runAll([fedora, here].map((pool) =>
 *   new AdHocOrchestrator({
 *     platform: pool.name,
 *     tests: Object.keys(tests),
 *     provisioners: [pool],
 *     executor: (remote) => new CommandExecutor(remote, { tests }),
 *     aggregator: tally,
 *   })
 * ));
 * Deno.exitCode = (await all.finished).exitCode;
 * ```
 *
 * @module
 */
import { Semaphore } from "@std/async/unstable-semaphore";

/**
 * What bounds several provisioners together. An object of your own is as good as what
 * {@linkcode sharedLimit} gives. Disposing of a permit gives it back; provisioners do
 * that once for each.
 */
export interface SharedLimit {
  /** Waits for a permit. Those who wait should be served in the order of their calls. */
  acquire(): Promise<Disposable>;
  /** A permit, if there is one at once. */
  tryAcquire(): Disposable | undefined;
}

/**
 * Makes a limit for the option `limit` of provisioners.
 *
 * @param max most systems of all of them together
 * @throws {RangeError} if `max` is not a positive whole number
 */
export function sharedLimit(max: number): SharedLimit {
  if (Number.isInteger(max) && max > 0) return new Semaphore(max);
  throw new RangeError(
    `Cannot limit provisioners to ${
      Deno.inspect(max)
    } systems together: a positive whole number would be right`,
  );
}
