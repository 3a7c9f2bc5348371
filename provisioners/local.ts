/**
 * Lends the system that the script runs on: to try something out, or inside a
 * virtual machine or container that was made for the tests anyway.
 *
 * Nothing keeps the systems apart: they share files, packages and ports.
 *
 * @example Run something on the system itself, as if it had been lent
 * ```ts
 * import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new LocalProvisioner().start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * console.log(remote.id, await run(remote, ["uname", "-r"]));
 * ```
 *
 * @module
 */
import {
  LocalConnection,
  type LocalConnectionOptions,
} from "../connections/local.ts";
import { checkOptions, type Known } from "../options.ts";
import type { Reserving, System } from "./_backend.ts";
import { nextNumber } from "./_run.ts";
import type { EventOptions } from "./events.ts";
import { PooledProvisioner } from "./pooled.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** Options of {@linkcode LocalProvisioner}. */
export interface LocalProvisionerOptions
  extends EventOptions, LocalConnectionOptions {
  /**
   * Most systems lent at one moment. All of them are the same system: more than
   * one is for tests that do not get in each other's way.
   *
   * @default {1}
   */
  maxRemotes?: number | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
}

const OPTIONS: Known<LocalProvisionerOptions> = {
  maxRemotes: "a number, if given",
  limit: "what sharedLimit() gives, if given",
  onEvent: "a function, if given",
  cwd: "a path or a URL, if given",
  env: "an object of texts, if given",
  clearEnv: "true or false, if given",
};

/**
 * Lends the system that the script runs on. What tests left running goes on after
 * `stop()`. Needs the permission to tell the name of the host.
 */
export class LocalProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if one is misspelt or of the wrong kind
   * @throws {RangeError} if `maxRemotes` is neither a whole number nor `Infinity`
   */
  constructor(options: LocalProvisionerOptions = {}) {
    checkOptions("LocalProvisioner", options, OPTIONS);
    const { maxRemotes = 1, limit, onEvent, ...connection } = options;
    super({
      name: "local",
      maxRemotes,
      limit,
      onEvent,
      backend: {
        reserve: (reserving) => reserve(reserving, connection),
        dispose: () => Promise.resolve(),
      },
    });
  }
}

async function reserve(
  { signal, identify }: Reserving,
  options: LocalConnectionOptions,
): Promise<System> {
  const id = `local:${nextNumber()}`;
  identify(id);
  return {
    id,
    attributes: { host: Deno.hostname() },
    reusable: true,
    connection: await LocalConnection.open({ ...options, signal }),
  };
}
