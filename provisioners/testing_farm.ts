/**
 * Lends systems of a Testing Farm: each is a request for the service's own
 * "reserve" test, which lets us in by `ssh` and then waits.
 *
 * Requests are ended when their systems are given back, and by the service when
 * their `timeout` is over. Those of scripts of this machine that died are ended
 * when the next one starts with the same token, or at once with `watchdog`.
 *
 * The token is in no error, event, log or argument of a process, and is sent to
 * the service only.
 *
 * Needs `ssh` and `ssh-keygen` of OpenSSH, the permissions that connections by
 * it need, and the network (`--allow-net`).
 *
 * @example Run something on a system that is there for two hours at most
 * ```ts no-run
 * import { TestingFarmProvisioner } from "jsr:@atex/atex/provisioners/testing-farm";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * // The token is in the environment: TESTING_FARM_API_TOKEN.
 * await using pool = await new TestingFarmProvisioner({
 *   compose: "CentOS-Stream-9",
 *   timeout: 120 * 60_000,
 * }).start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * console.log(remote.attributes.request, await run(remote, ["uname", "-a"]));
 * ```
 *
 * @example Hardware, and a look at what the service is doing
 * ```ts no-run
 * import { TestingFarmProvisioner } from "jsr:@atex/atex/provisioners/testing-farm";
 *
 * await using pool = new TestingFarmProvisioner({
 *   compose: "Fedora-Rawhide",
 *   arch: "aarch64",
 *   hardware: { memory: ">= 8 GB" },
 *   clean: true,
 *   onLog: (line, id) => console.error(id, line),
 * });
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { checkMilliseconds, checkOptions, type Known } from "../options.ts";
import { guard } from "./_guard.ts";
import type { PoolOptions } from "./_pool.ts";
import { isAddress } from "./_testing_farm_address.ts";
import { TestingFarmBackend, type Times } from "./_testing_farm_backend.ts";
import { CLEANING_SCRIPT } from "./_testing_farm_clean.ts";
import {
  askService,
  checkToken,
  DEFAULT_URL,
} from "./_testing_farm_service.ts";
import type { EventOptions } from "./events.ts";
import { PooledProvisioner } from "./pooled.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** How often and how long {@linkcode TestingFarmProvisioner} tries. */
export interface TestingFarmTimes {
  /**
   * Milliseconds before the first, second … repetition of a call that failed; the
   * last counts for all further ones. A time that the service asks for is kept, too.
   *
   * @default {[0, 4_000, 8_000, 16_000, 32_000, 64_000, 120_000]}
   */
  retryDelays?: readonly number[] | undefined;
  /**
   * Milliseconds after which a call is given up.
   *
   * @default `14_400_000`, four hours
   */
  retryFor?: number | undefined;
  /**
   * Milliseconds after which ending a request is given up.
   *
   * @default {300_000}
   */
  releaseTimeout?: number | undefined;
  /**
   * Milliseconds that one attempt of a call may take.
   *
   * @default {60_000}
   */
  callTimeout?: number | undefined;
  /**
   * Milliseconds between two looks at a request or at its log, until its system is
   * there.
   *
   * @default {30_000}
   */
  pollInterval?: number | undefined;
  /**
   * Milliseconds between two looks at a request whose system is lent, give or take a
   * tenth.
   *
   * @default {60_000}
   */
  lostInterval?: number | undefined;
  /**
   * Milliseconds between two attempts to log in.
   *
   * @default {1000}
   */
  sshInterval?: number | undefined;
  /**
   * Milliseconds over which requests that are wanted at once are spread.
   *
   * @default {30_000}
   */
  spread?: number | undefined;
  /**
   * Milliseconds between two looks for requests of scripts that died: one may be
   * taken by the service after the death of its script.
   *
   * @default {30_000}
   */
  reapInterval?: number | undefined;
}

const TIMES: Times = {
  retryDelays: [0, 4_000, 8_000, 16_000, 32_000, 64_000, 120_000],
  retryFor: 14_400_000,
  releaseTimeout: 300_000,
  callTimeout: 60_000,
  pollInterval: 30_000,
  lostInterval: 60_000,
  sshInterval: 1000,
  spread: 30_000,
  reapInterval: 30_000,
};

/** Options of {@linkcode TestingFarmProvisioner}. */
export interface TestingFarmProvisionerOptions extends EventOptions {
  /** The operating system to install, by the name that the service has for it. */
  compose: string;
  /**
   * The architecture.
   *
   * @default {"x86_64"}
   */
  arch?: string | undefined;
  /**
   * Most requests alive at one moment, those that wait in the service's queue
   * included; at most 50.
   *
   * @default {3}
   */
  maxRemotes?: number | undefined;
  /**
   * How many failed reservations are repeated, in the life of the provisioner;
   * the failures of further ones are told to those who wait for systems.
   *
   * @default {10}
   */
  retries?: number | undefined;
  /**
   * Milliseconds that a request lives: the time in the queue, for the
   * installation and in use together. Rounded up to minutes.
   *
   * @default `3_600_000`, an hour
   */
  timeout?: number | undefined;
  /**
   * Where in the service to install.
   *
   * @default the service chooses
   */
  pool?: string | undefined;
  /**
   * What the hardware has to be like, as in the `hardware` key of tmt.
   *
   * @default anything
   */
  hardware?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Changes to the installation.
   *
   * @default none
   */
  kickstart?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Packages of build systems to install.
   *
   * @default none
   */
  artifacts?: readonly Readonly<Record<string, unknown>>[] | undefined;
  /**
   * Environment of the reserve test.
   *
   * @default `{}`
   */
  variables?: Readonly<Record<string, string>> | undefined;
  /**
   * More of its environment, not shown by the service's API, but its log may show
   * it. Values of at least 4 characters are hidden in errors and in what `onLog` gets.
   *
   * @default `{}`
   */
  secrets?: Readonly<Record<string, string>> | undefined;
  /**
   * Tags by which the requests, and in some clouds the machines, can be found.
   *
   * @default `{}`
   */
  tags?: Readonly<Record<string, string>> | undefined;
  /**
   * Whether to leave out what the service itself does to each system.
   *
   * @default {false}
   */
  skipGuestSetup?: boolean | undefined;
  /**
   * Whether to run a script on each system, with `bash` as the user who logs in:
   * `true` for one that removes commands that the service put there; an object
   * for one of your own. If it fails, the reservation fails.
   *
   * @default {false}
   */
  clean?: boolean | { readonly script: string } | undefined;
  /**
   * File with the private key to log in with, and its public half beside it with
   * `.pub` appended to the name. If it needs a passphrase, an agent has to have it.
   *
   * @default the user's own, or a new one
   */
  sshKey?: string | URL | undefined;
  /**
   * Who may reach the systems, where the service wants to know that (on its
   * public ranch): an address of version 4 and the length of its prefix.
   *
   * @default the address of this machine, asked from `https://ifconfig.me` or `https://ifconfig.co`
   */
  sourceCidr?: string | undefined;
  /**
   * Whether a process beside the script ends its requests when the script is
   * killed. `start()` waits until it has seen the list of requests, and fails if
   * it cannot; if it ends early, an event says so (`warning`). What it could not
   * end in a hundred looks, `reapInterval` apart, goes on until its `timeout`.
   *
   * It is another Deno, and has the token in its environment. Needs the permission
   * to run Deno (`--allow-run` for all programs, or also for `Deno.execPath()`); a
   * compiled script cannot have one. It has the environment of the script, such as
   * `DENO_CERT` and `HTTPS_PROXY`, but not its flags, such as `--cert`.
   *
   * @default {false}
   */
  watchdog?: boolean | undefined;
  /**
   * Address of the service.
   *
   * @default {"https://api.testing-farm.io"}
   */
  url?: string | undefined;
  /**
   * The token for the service; blanks and line ends around it are left out.
   *
   * @default the environment variable `TESTING_FARM_API_TOKEN`
   */
  token?: string | undefined;
  /**
   * How often and how long something is tried.
   *
   * @default `{}`
   */
  times?: TestingFarmTimes | undefined;
  /**
   * Called with each line of the log of a reservation, and of what the cleaning
   * script printed, and with the id of the system. Lines may be coloured.
   *
   * @default nothing is called
   */
  onLog?: ((line: string, id: string) => void) | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
}

const OPTIONS: Known<TestingFarmProvisionerOptions> = {
  compose: "a string",
  arch: "optional",
  maxRemotes: "a number, if given",
  retries: "a number, if given",
  timeout: "optional",
  pool: "a string, if given",
  hardware: "an object, if given",
  kickstart: "an object, if given",
  artifacts: "a list, if given",
  variables: "an object of texts, if given",
  secrets: "an object of texts, if given",
  tags: "an object of texts, if given",
  skipGuestSetup: "true or false, if given",
  clean: "optional",
  sshKey: "a path or a URL, if given",
  sourceCidr: "a string, if given",
  watchdog: "true or false, if given",
  url: "a string, if given",
  token: "a string, if given",
  times: "optional",
  onLog: "a function, if given",
  limit: "what sharedLimit() gives, if given",
  onEvent: "a function, if given",
};

const CLEAN_OPTIONS: Known<{ readonly script: string }> = {
  script: "a string",
};

const SERVICE_OPTIONS: Known<TestingFarmServiceOptions> = {
  url: "a string, if given",
  token: "a string, if given",
  signal: "optional",
};

const TIMES_OPTIONS: Known<TestingFarmTimes> = {
  retryDelays: "optional",
  retryFor: "optional",
  releaseTimeout: "optional",
  callTimeout: "optional",
  pollInterval: "optional",
  lostInterval: "optional",
  sshInterval: "optional",
  spread: "optional",
  reapInterval: "optional",
};

/**
 * Lends systems of a Testing Farm.
 *
 * The attributes of a system are `compose`, `arch`, `request` (the id of the
 * request) and `host`.
 *
 * `start()` finds the key, asks the service whose token it is, and ends requests
 * of scripts that died, for which it waits at most 5 s. `getRemote()` rejects with
 * a `fatal` {@linkcode ProvisionError} if the service refuses the token or the
 * request. `stop()` ends all requests; its error tells the ids of those that
 * could not be ended.
 */
export class TestingFarmProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if `compose` is missing or empty, `url`, `token` or `sourceCidr` cannot be used, or a time is no number
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: TestingFarmProvisionerOptions) {
    super(poolOptions(options));
  }
}

/** Which service is asked, and by whom. */
export interface TestingFarmServiceOptions extends SignalOptions {
  /**
   * Address of the service.
   *
   * @default {"https://api.testing-farm.io"}
   */
  url?: string | undefined;
  /**
   * The token for the service; blanks and line ends around it are left out.
   *
   * @default the environment variable `TESTING_FARM_API_TOKEN`
   */
  token?: string | undefined;
}

/** Who we are to a service, and what it is. */
export interface TestingFarmService {
  /** Where systems are made for this token: `public` or `redhat`. */
  readonly ranch: string;
  /** What the service says about itself, as it says it. */
  readonly about: Readonly<Record<string, unknown>>;
}

/** Something that the service can install. */
export interface TestingFarmCompose {
  /** What {@linkcode TestingFarmProvisionerOptions.compose} calls it. */
  readonly name: string;
  /** What kind of an image it is, if the service says so. */
  readonly type?: string | undefined;
}

/**
 * Asks the service once who we are, and what it says about itself.
 *
 * @example Does the token work?
 * ```ts no-run
 * import { describeTestingFarm } from "jsr:@atex/atex/provisioners/testing-farm";
 *
 * const { ranch, about } = await describeTestingFarm();
 * console.log(`systems would be in the ranch "${ranch}"`, about);
 * ```
 *
 * @throws {ProvisionError} if there is no token, or the service does not answer or refuses it
 */
export function describeTestingFarm(
  options: TestingFarmServiceOptions = {},
): Promise<TestingFarmService> {
  checkOptions("describeTestingFarm()", options, SERVICE_OPTIONS);
  const { signal } = options;
  const call = { giveUp: 0, signal };
  return askService("a description of itself", options, async (api) => {
    const { ranch } = await api.whoami(call);
    return { ranch, about: await api.about(call) };
  }, signal);
}

/**
 * What the service can install for us.
 *
 * @example
 * ```ts no-run
 * import { listComposes } from "jsr:@atex/atex/provisioners/testing-farm";
 *
 * for (const { name } of await listComposes()) console.log(name);
 * ```
 *
 * @throws {ProvisionError} if there is no token, or the service cannot be asked
 */
export function listComposes(
  options: TestingFarmServiceOptions = {},
): Promise<TestingFarmCompose[]> {
  checkOptions("listComposes()", options, SERVICE_OPTIONS);
  const { signal } = options;
  const call = signal ? { signal } : {};
  return askService("composes", options, async (api) => {
    const { ranch } = await api.whoami(call);
    return await api.composes(ranch, call);
  }, signal);
}

/** What the pool is made of; checks the options. */
function poolOptions(options: TestingFarmProvisionerOptions): PoolOptions {
  checkOptions("TestingFarmProvisioner", options, OPTIONS);
  const {
    compose,
    arch = "x86_64",
    maxRemotes = 3,
    retries = 10,
    timeout = 3_600_000,
    clean = false,
    sshKey,
    sourceCidr,
    watchdog = false,
    url = DEFAULT_URL,
    token,
    limit,
    onEvent,
    onLog,
    times: given = {},
    ...wanted
  } = options;
  checkOptions('"times" of TestingFarmProvisioner', given, TIMES_OPTIONS);
  const times = { ...TIMES, ...given };
  checkTexts({ compose, arch, url, sourceCidr });
  checkToken(token);
  checkNumbers({ maxRemotes, retries, timeout, times });
  if (typeof clean !== "boolean") {
    checkOptions('"clean" of TestingFarmProvisioner', clean, CLEAN_OPTIONS);
  }
  const cleaningScript = typeof clean === "object"
    ? clean.script
    : clean
    ? CLEANING_SCRIPT
    : undefined;
  return {
    name: `testing-farm:${compose}@${arch}`,
    maxRemotes,
    limit,
    onEvent,
    backend: new TestingFarmBackend({
      url,
      wanted: { ...wanted, compose, arch, timeout },
      retries,
      watchdog,
      times,
      token,
      cleaningScript,
      sshKey,
      sourceCidr,
      onLog,
    }, guard(onEvent)),
  };
}

function checkTexts(
  { compose, arch, url, sourceCidr }: {
    compose: string;
    arch: string;
    url: string;
    sourceCidr?: string;
  },
): void {
  for (const [name, value] of Object.entries({ compose, arch })) {
    if (typeof value !== "string" || value === "") {
      throw new TypeError(
        `Cannot lend systems of Testing Farm: "${name}" must be a string that is not empty`,
      );
    }
  }
  if (!/^https?:\/\/[^?#]+$/.test(url) || !URL.canParse(url)) {
    throw new TypeError(
      `Cannot use "${url}" as "url": the address of a web service would be right`,
    );
  }
  if (sourceCidr !== undefined) {
    const [address, length, ...rest] = sourceCidr.split("/");
    const bits = /^\d{1,2}$/.test(length ?? "") ? Number(length) : NaN;
    if (!isAddress(address) || !(bits <= 32) || rest.length > 0) {
      throw new TypeError(
        `Cannot use "${sourceCidr}" as "sourceCidr": something like "192.0.2.0/24" would be right`,
      );
    }
  }
}

function checkNumbers(
  { maxRemotes, retries, timeout, times }: {
    maxRemotes: number;
    retries: number;
    timeout: number;
    times: Times;
  },
): void {
  if (!(Number.isInteger(maxRemotes) && maxRemotes >= 0 && maxRemotes <= 50)) {
    throw new RangeError(
      `Cannot lend at most ${
        Deno.inspect(maxRemotes)
      } systems: "maxRemotes" must be a whole number, at most 50`,
    );
  }
  if (!(retries === Infinity || Number.isInteger(retries) && retries >= 0)) {
    throw new RangeError(
      `Cannot repeat reservations ${retries} times: "retries" must be a whole number or Infinity`,
    );
  }
  checkMilliseconds({ timeout });
  if (timeout === Infinity) {
    throw new RangeError(
      'Cannot use Infinity as "timeout": a time that ends would be right',
    );
  }
  for (const [name, value] of Object.entries(times)) {
    for (const ms of [value].flat()) {
      checkMilliseconds({ [`times.${name}`]: ms }, { orZero: true });
    }
  }
}
