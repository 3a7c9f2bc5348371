/**
 * Finds and removes what scripts left behind that died before they could clean
 * up, and that no watchdog could clean up after: containers, virtual machines,
 * directories, and where asked for images, requests of Testing Farm and pods.
 *
 * Provisioners remove what dead scripts of this user left when they start; this is
 * for those who want to see it, or do not start one soon. What belongs to a script
 * that lives, or may live, is never touched, unless `living` asks for it.
 *
 * Needs in practice `deno run -A`.
 *
 * @example What would be removed?
 * ```ts
 * import { reap } from "jsr:@atex/atex/provisioners/reap";
 *
 * for (const { kind, name, age, verdict } of await reap({ dryRun: true })) {
 *   console.log(kind, name, `${Math.round(age / 60_000)} min`, verdict);
 * }
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { checkProgram } from "../connections/program.ts";
import { checkOptions, checkWord, type Known, pathOf } from "../options.ts";
import type { Candidate, Leftover, LeftoverKind } from "./_leftover.ts";
import { type DeadRun, findDeadRuns, signOff } from "./_other_runs.ts";
import { isMissing } from "./_program.ts";
import { holdRun, type Run } from "./_run.ts";

export type { Leftover, LeftoverKind };

/** A system that a living script has. */
export type LivingSystem = Pick<Leftover, "kind" | "name">;

/** Options of {@linkcode reap}. */
export interface ReapOptions extends SignalOptions {
  /**
   * Only look.
   *
   * @default {false}
   */
  dryRun?: boolean | undefined;
  /**
   * What to look for.
   *
   * @default `container`, `domain`, `ssh`, `directory` and `work`; containers only if
   * podman is installed, domains only if libvirt answers
   */
  kinds?: readonly LeftoverKind[] | undefined;
  /**
   * What to look for beside the usual, if `kinds` is not given.
   *
   * @default nothing
   */
  more?: readonly LeftoverKind[] | undefined;
  /**
   * Only what this run has made. What does not tell its run is left out.
   *
   * @default that of all runs
   */
  run?: string | undefined;
  /**
   * Also remove the systems (containers, domains, requests, leases) that living
   * scripts of this user on this machine have, which lose them; never those of this
   * script. A function says which of them.
   *
   * @default {false}
   */
  living?: boolean | ((system: LivingSystem) => boolean) | undefined;
  /**
   * The podman program, and arguments that come before all others, as in
   * `["podman", "--remote"]`. Docker is not supported.
   *
   * @default {["podman"]}
   */
  podman?: readonly string[] | undefined;
  /**
   * Which libvirt to look in, and the `virsh` program.
   *
   * @default what `virsh` takes by itself
   */
  libvirt?:
    | { uri?: string | undefined; virsh?: readonly string[] | undefined }
    | undefined;
  /**
   * Where to look for directories.
   *
   * @default `/tmp`, and `$TMPDIR` if it is set; for work directories also `/var` and `/var/tmp`
   */
  directories?: readonly (string | URL)[] | undefined;
  /**
   * Where Testing Farm is, and the token for it.
   *
   * @default the public service; the token is in the variable `TESTING_FARM_API_TOKEN`
   */
  testingFarm?:
    | { url?: string | undefined; token?: string | undefined }
    | undefined;
  /**
   * Which cluster and namespace to look in, and the `kubectl` program.
   *
   * @default what `kubectl` takes by itself
   */
  kubernetes?: {
    kubectl?: readonly string[] | undefined;
    kubeconfig?: string | URL | undefined;
    context?: string | undefined;
    namespace?: string | undefined;
  } | undefined;
}

const OPTIONS: Known<ReapOptions> = {
  dryRun: "optional",
  kinds: "a list, if given",
  more: "a list, if given",
  run: "optional",
  living: "optional",
  podman: "optional",
  libvirt: "an object, if given",
  directories: "a list, if given",
  testingFarm: "an object, if given",
  kubernetes: "an object, if given",
  signal: "optional",
};

const KINDS: readonly LeftoverKind[] = [
  "container",
  "domain",
  "image",
  "request",
  "lease",
  "ssh",
  "directory",
  "work",
];

/** What is looked for unless something else is asked for: what is on this machine. */
const USUAL: readonly LeftoverKind[] = [
  "container",
  "domain",
  "ssh",
  "directory",
  "work",
];

const PODMAN: readonly string[] = ["podman"];

/** Milliseconds in which a program has to answer. */
const PATIENCE = 60_000;

/**
 * Removes what dead scripts left behind, and tells of all that it found, also of
 * what belongs to those that live.
 *
 * @throws {ProvisionError} if something was asked for that cannot be looked for:
 * podman or libvirt does not work, there is no token, no cluster
 * @throws {TypeError} if a program is no list of words, or a kind is unknown
 */
export async function reap(options: ReapOptions = {}): Promise<Leftover[]> {
  checkOptions("reap()", options, OPTIONS);
  const {
    dryRun = false,
    living = false,
    signal = new AbortController().signal,
  } = options;
  for (const list of ["kinds", "more"] as const) {
    for (const [index, kind] of options[list]?.entries() ?? []) {
      checkWord("reap()", `${list}[${index}]`, kind, KINDS);
    }
  }
  checkPrograms(options);
  signal.throwIfAborted();
  const isTaken = typeof living === "function" ? living : () => living;
  await using me = await holdRun("reap");
  const dead = await findDeadRuns(me);
  const leftovers: Leftover[] = [];
  const { candidates, searched } = await find(options, me, signal);
  for (const { remove, mine = false, ...found } of candidates) {
    if (options.run !== undefined && found.run !== options.run) continue;
    const goes = !dryRun &&
      (found.verdict === "dead" || mine && isTaken(found));
    let error: Error | undefined;
    if (goes) {
      try {
        await remove(signal);
      } catch (reason) {
        signal.throwIfAborted();
        error = reason as Error;
      }
    }
    leftovers.push({
      ...found,
      mine,
      removed: goes && !error,
      ...(error && { error }),
    });
  }
  // All that may need a run file to be found dead.
  if (!dryRun && searched.has("directory")) {
    const ofContainers = searched.has("container");
    await forgetRuns({ dead, leftovers, ofContainers }, options);
  }
  return leftovers;
}

/** What is to be forgotten. */
interface Past {
  readonly dead: readonly DeadRun[];
  readonly leftovers: readonly Leftover[];
  /** Whether containers are among what was looked for. */
  readonly ofContainers: boolean;
}

/** Removes the run files of scripts of which nothing is left. */
async function forgetRuns(
  { dead, leftovers, ofContainers }: Past,
  options: ReapOptions,
): Promise<void> {
  const { PodmanCli } = await import("./_podman_cli.ts");
  const { runKind } = new PodmanCli(options.podman ?? PODMAN, PATIENCE);
  for (const run of dead) {
    if (options.run !== undefined && options.run !== run.id) continue;
    if (leftovers.some((left) => left.run === run.id && !left.removed)) {
      continue;
    }
    await signOff(run, (kind) => {
      if (/^podman( by |$)/.test(kind) && !ofContainers) return false;
      // A container may still exist that we know only by name.
      return kind === runKind || kind !== "podman" && run.isKnownDead;
    });
  }
}

function checkPrograms(
  { podman, libvirt, kubernetes }: ReapOptions,
): void {
  const { virsh } = libvirt ?? {};
  const { kubectl } = kubernetes ?? {};
  for (const [name, argv] of Object.entries({ podman, virsh, kubectl })) {
    if (argv !== undefined) checkProgram(name, argv);
  }
}

/** What may have been left behind. */
interface Findings {
  readonly candidates: readonly Candidate[];
  /** The kinds that were looked for wherever there may be some. */
  readonly searched: ReadonlySet<LeftoverKind>;
}

/** What is looked for, and by whom. */
interface Search {
  readonly options: ReapOptions;
  readonly wanted: ReadonlySet<LeftoverKind>;
  readonly me: Run;
  readonly signal: AbortSignal;
}

/** What was found of one or several kinds. */
interface Found {
  readonly candidates: readonly Candidate[];
  /** Whether it was looked for wherever there may be some. */
  readonly everywhere: boolean;
}

/** What was not looked for, as the program for it is not here. */
const NOWHERE: Found = { candidates: [], everywhere: false };

/** How kinds are looked for, in this order. Each loads only what it needs. */
const FINDERS: readonly {
  readonly kinds: readonly LeftoverKind[];
  find(search: Search): Promise<Found>;
}[] = [
  {
    kinds: ["container"],
    async find({ options: { kinds, podman = PODMAN }, me, signal }) {
      const { findContainers } = await import("./_podman_reaper.ts");
      const { PodmanCli } = await import("./_podman_cli.ts");
      try {
        const cli = new PodmanCli(podman, PATIENCE);
        const candidates = await findContainers(cli, me, signal);
        return { candidates, everywhere: true };
      } catch (error) {
        if (kinds || !isMissing(error)) throw error;
        return NOWHERE;
      }
    },
  },
  {
    kinds: ["domain"],
    async find({ options: { kinds, more, libvirt = {} }, me, signal }) {
      const { findDomains } = await import("./_domain_reaper.ts");
      const { isUnreachable, Virsh } = await import("./_virsh.ts");
      const { uri, virsh = ["virsh"] } = libvirt;
      try {
        const program = new Virsh(virsh, uri, PATIENCE);
        const candidates = await findDomains(program, me, signal);
        return { candidates, everywhere: true };
      } catch (error) {
        const isAskedFor = kinds || more?.includes("domain") || uri;
        const isAbsent = isMissing(error) ||
          isUnreachable((error as Error).message);
        if (isAskedFor || !isAbsent) throw error;
        return NOWHERE;
      }
    },
  },
  {
    kinds: ["image"],
    async find({ options: { podman = PODMAN }, me, signal }) {
      const { findImages } = await import("./_image_reaper.ts");
      const { PodmanCli } = await import("./_podman_cli.ts");
      const cli = new PodmanCli(podman, PATIENCE);
      const candidates = await findImages(cli, me, signal);
      return { candidates, everywhere: true };
    },
  },
  {
    kinds: ["request"],
    async find({ options: { testingFarm = {} }, me, signal }) {
      const { findRequests } = await import("./_testing_farm_reaper.ts");
      const candidates = await findRequests(testingFarm, me, signal);
      return { candidates, everywhere: true };
    },
  },
  {
    kinds: ["lease"],
    async find({ options: { kubernetes = {} }, me, signal }) {
      const { findOwners } = await import("./_kubernetes_reaper.ts");
      const { kubectlFor } = await import("./_kubernetes_cli.ts");
      const kubectl = kubectlFor(kubernetes, PATIENCE);
      const candidates = await findOwners(kubectl, me, signal);
      return { candidates, everywhere: true };
    },
  },
  {
    kinds: ["ssh", "directory", "work"],
    async find({ options, wanted: kinds, me, signal }) {
      const { findDirectories, temporaryDirectories } = await import(
        "./_directory_reaper.ts"
      );
      const usual = [
        ...temporaryDirectories(),
        ...(kinds.has("work") ? ["/var", "/var/tmp"] : []),
      ];
      const directories = options.directories?.map(pathOf) ?? usual;
      return {
        candidates: await findDirectories({ kinds, directories, me, signal }),
        everywhere: usual.every((usual) => directories.includes(usual)),
      };
    },
  },
];

async function find(
  options: ReapOptions,
  me: Run,
  signal: AbortSignal,
): Promise<Findings> {
  const wanted = new Set(options.kinds ?? [...USUAL, ...options.more ?? []]);
  const searched = new Set(wanted);
  const candidates: Candidate[] = [];
  for (const { kinds, find } of FINDERS) {
    if (!kinds.some((kind) => wanted.has(kind))) continue;
    const found = await find({ options, wanted, me, signal });
    candidates.push(...found.candidates);
    if (found.everywhere) continue;
    for (const kind of kinds) searched.delete(kind);
  }
  return { candidates, searched };
}
