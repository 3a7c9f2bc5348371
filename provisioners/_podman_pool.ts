import { checkProgram } from "../connections/program.ts";
import { checkMilliseconds, type Known } from "../options.ts";
import { guard } from "./_guard.ts";
import { checkMaxLifetime } from "./_max_lifetime.ts";
import { PodmanBackend, type Variant } from "./_podman_backend.ts";
import type { PoolOptions } from "./_pool.ts";
import type { PullPolicy } from "./_podman_image.ts";
import type { EventOptions } from "./events.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** Options that all provisioners of containers have. */
export interface ContainerOptions extends EventOptions {
  image: string;
  maxRemotes?: number;
  runOptions?: readonly string[];
  command?: readonly string[];
  pull?: PullPolicy;
  maxLifetime?: number;
  podman?: readonly string[];
  parallel?: number;
  reserveTimeout?: number;
  commandTimeout?: number;
  limit?: SharedLimit;
}

/** All of them. */
export const CONTAINER_OPTIONS: Known<ContainerOptions> = {
  image: "a string",
  maxRemotes: "a number, if given",
  runOptions: "a list of strings, if given",
  command: "a list of strings, if given",
  pull: ["never", "missing", "newer", "always"],
  maxLifetime: "optional",
  podman: "optional",
  parallel: "optional",
  reserveTimeout: "optional",
  commandTimeout: "optional",
  limit: "what sharedLimit() gives, if given",
  onEvent: "a function, if given",
};

/** @throws {TypeError} if there is one that we depend on ourselves */
function checkRunOptions(options: readonly string[]): void {
  const ours = options.find((option) =>
    /^--(name|restart|replace)(=|$)/.test(option)
  );
  if (ours === undefined) return;
  throw new TypeError(
    `Cannot use "${
      ours.replace(/=.*/s, "")
    }" in "runOptions": the name and the end of a container are up to its provisioner`,
  );
}

/**
 * What the pool of a provisioner of containers is made of.
 *
 * @throws {TypeError} if a text cannot be used
 * @throws {RangeError} if a number is out of range
 */
export function containerPoolOptions(
  options: ContainerOptions,
  variant: Variant,
  times: Readonly<Record<string, number>> = {},
): PoolOptions {
  const {
    image,
    maxRemotes = 10,
    runOptions = [],
    command = variant.command,
    pull = "never",
    maxLifetime = 86_400_000,
    podman = ["podman"],
    parallel = Math.max(2, Math.min(4, navigator.hardwareConcurrency)),
    reserveTimeout = 300_000,
    commandTimeout = 60_000,
    limit,
    onEvent,
  } = options;
  if (typeof image !== "string" || image === "" || image.startsWith("-")) {
    throw new TypeError(
      `Cannot lend containers of the image "${image}": "image" must be the name or id of an image`,
    );
  }
  if (options.command?.length === 0) {
    throw new TypeError(
      'Cannot lend containers: "command" must be what keeps a container alive',
    );
  }
  if (!Number.isInteger(parallel) || parallel < 1) {
    throw new RangeError(
      `Cannot make ${parallel} containers at a time: "parallel" must be a positive whole number`,
    );
  }
  checkProgram("podman", podman);
  checkRunOptions(runOptions);
  checkMaxLifetime(maxLifetime);
  checkMilliseconds({
    reserveTimeout,
    commandTimeout,
    ...times,
  });
  return {
    name: `${variant.kind}:${image}`,
    maxRemotes,
    reserveTimeout,
    limit,
    onEvent,
    backend: new PodmanBackend({
      image,
      runOptions: [...runOptions],
      command: [...command],
      pull,
      maxLifetime,
      podman: [...podman],
      parallel,
      commandTimeout,
      variant,
    }, guard(onEvent)),
  };
}
