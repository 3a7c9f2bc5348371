import { resolve } from "@std/path/posix/resolve";
import type { SignalOptions } from "../connections/connection.ts";
import { formatOwner } from "../connections/ownership.ts";
import { checkProgram } from "../connections/program.ts";
import { within } from "../connections/time_limit.ts";
import { checkMilliseconds } from "../options.ts";
import { INSTALL_SCRIPT, WRITE_SCRIPT } from "./_image_scripts.ts";
import { lockImage } from "./_image_lock.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { imageExists, provideImage } from "./_podman_image.ts";
import { LABEL } from "./_podman_reaper.ts";
import { removing } from "./_podman_removal.ts";
import { holdRun, newPrefix, nextNumber } from "./_run.ts";
import { Watchdog, WATCHDOG_SCRIPT } from "./_watchdog.ts";
import { ProvisionError } from "./provisioner.ts";

/** Options of `buildImage()`. */
export interface BuildImageOptions extends SignalOptions {
  /**
   * Packages to install, by the first of `dnf`, `yum`, `apt-get`, `zypper` and
   * `apk` that the origin has. With `dnf` and `yum` those that do not exist are left out.
   *
   * @default {["rsync"]}
   */
  packages?: readonly string[] | undefined;
  /**
   * Files to write: their text by their absolute path, which must not lead into a
   * volume of the origin.
   *
   * @default `{}`
   */
  files?: Readonly<Record<string, string>> | undefined;
  /**
   * What the image is called.
   *
   * @default `localhost/atex-` and a number that depends on all that goes into it
   */
  tag?: string | undefined;
  /**
   * Whether the origin is fetched, see `PodmanProvisioner`.
   *
   * @default {"never"}
   */
  pull?: "never" | "missing" | "newer" | "always" | undefined;
  /**
   * More options of `podman container run` for the build, such as `--network`.
   *
   * @default {[]}
   */
  runOptions?: readonly string[] | undefined;
  /**
   * The podman program, and arguments that come before all others, as in
   * `["podman", "--remote"]`. Docker is not supported.
   *
   * @default {["podman"]}
   */
  podman?: readonly string[] | undefined;
  /**
   * Milliseconds that the build may take.
   *
   * @default `1_800_000`, half an hour
   */
  timeout?: number | undefined;
}

/** What is told of a build beside its end. */
export interface BuildOptions extends BuildImageOptions {
  /** Whether it is for containers that boot: as root, whoever the user of the origin is. */
  readonly boots?: boolean;
  /** Called before the origin is fetched. */
  readonly pulling?: () => void;
  /** Called before it is looked whether the image is there. One that is built then says that it is borrowed. */
  readonly claim?: (image: string) => Promise<void>;
}

/** Label of an image that is to go with its last borrower. Its value is the image's name: what is built on the image inherits it. */
const BORROWED = "atex.borrowed";

/** Changes with the way in which images are built. */
const FORMAT = 2;

/** See `buildImage()`. */
export async function buildOnce(
  origin: string,
  options: BuildOptions = {},
): Promise<string> {
  const {
    packages = ["rsync"],
    files = {},
    pull = "never",
    runOptions = [],
    podman = ["podman"],
    timeout = 1_800_000,
    pulling,
    claim,
    boots = false,
    signal,
  } = options;
  const wrong = Object.keys(files).find((path) => !path.startsWith("/"));
  if (wrong !== undefined) {
    throw new TypeError(
      `Cannot write "${wrong}" into an image: an absolute path would be right`,
    );
  }
  checkProgram("podman", podman);
  checkMilliseconds({ timeout });
  const late = () =>
    new ProvisionError(
      `Cannot build an image on "${origin}": it is not done after ${
        timeout / 1000
      } s`,
    );
  const cli = new PodmanCli(podman, timeout);
  return await within({ ms: timeout, late, signal }, async (signal) => {
    await provideImage(cli, origin, pull, { signal, pulling });
    const found = await inspect(cli, origin, signal);
    checkVolumes(origin, found, files);
    const id = found.Id;
    const changes = changesFor(found, boots);
    const tag = options.tag ??
      await deriveTag([FORMAT, id, packages, Object.entries(files)]);
    await claim?.(tag);
    using _lock = await lockImage(cli, tag, { signal });
    const here = await imageExists(cli, tag, signal);
    if (here && (claim || !await isBorrowed(cli, tag, signal))) return tag;
    changes.push(`LABEL ${BORROWED}=${claim ? tag : ""}`);
    const build = {
      ...{ cli, id, tag, changes, packages, files, runOptions },
      ...keeping(found),
    };
    await make(here ? relabel(build) : build, signal);
    return tag;
  });
}

/** As an image that is there, but for its labels. */
function relabel(build: Build): Build {
  return { ...build, id: build.tag, packages: [], files: {} };
}

/** Whether an image that is there goes with its last borrower. */
export async function isBorrowed(
  cli: PodmanCli,
  image: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const { Config } = await inspect(cli, image, signal);
  return Config?.Labels?.[BORROWED] === image;
}

/** See `buildSystemdImage()`. */
export function buildSystemdOnce(
  origin: string,
  options: BuildOptions = {},
): Promise<string> {
  const { packages = ["rsync"], files } = options;
  return buildOnce(origin, {
    ...options,
    boots: true,
    packages: ["@systemd", ...packages],
    files: { ...SYSTEMD_FILES, ...files },
  });
}

/**
 * Old releases wait at their shutdown for processes that came from outside and
 * that they can never collect: for longer than a boot may take.
 */
const SYSTEMD_FILES = {
  "/etc/systemd/system.conf.d/container.conf":
    "[Manager]\nDefaultTimeoutStopSec=30s\n",
};

interface Build {
  readonly cli: PodmanCli;
  readonly id: string;
  readonly tag: string;
  readonly changes: readonly string[];
  readonly packages: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  readonly runOptions: readonly string[];
  /** Options of the container, so that nothing of it gets into the image. */
  readonly without: readonly string[];
  /** Options of the commit. */
  readonly format: readonly string[];
}

/** What a container for a build overrides of an image. */
function changesFor({ Config }: Inspected, boots: boolean): string[] {
  const { Entrypoint, Cmd, User } = Config ?? {};
  return [
    `ENTRYPOINT ${JSON.stringify(Entrypoint ?? [])}`,
    `CMD ${JSON.stringify(Cmd ?? [])}`,
    ...(User ? [`USER ${boots ? "0" : User}`] : []),
    "LABEL atex.image=1",
  ];
}

/** How to keep other things of an image as they are. */
function keeping(
  { Config, Healthcheck }: Inspected,
): Pick<Build, "without" | "format"> {
  const has = (name: string) =>
    Config?.Env?.some((entry) => entry.startsWith(`${name}=`));
  const added = ["TERM", "container"].filter((name) => !has(name));
  return {
    without: [
      ...added.map((name) => `--unsetenv=${name}`),
      ...(Config?.User ? ["--user=0"] : []),
    ],
    // there is none in the other format
    format: Healthcheck ? ["--format=docker"] : [],
  };
}

/** @throws {ProvisionError} if a file would not be in the image */
function checkVolumes(
  origin: string,
  { Config }: Inspected,
  files: Readonly<Record<string, string>>,
): void {
  const volumes = Object.keys(Config?.Volumes ?? {}).map((it) => resolve(it));
  for (const path of Object.keys(files)) {
    const volume = volumes.find((volume) =>
      `${resolve(path)}/`.startsWith(volume.replace(/\/?$/, "/"))
    );
    if (volume === undefined) continue;
    throw new ProvisionError(
      `Cannot write "${path}" into an image: "${volume}" is a volume of "${origin}", and what is in it becomes no part of the image`,
    );
  }
}

interface Inspected {
  readonly Id: string;
  readonly Healthcheck?: unknown;
  readonly Config?: {
    readonly User?: string | null;
    readonly Env?: readonly string[] | null;
    readonly Volumes?: Readonly<Record<string, unknown>> | null;
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly Labels?: Readonly<Record<string, string>> | null;
  } | null;
}

async function inspect(
  cli: PodmanCli,
  image: string,
  signal?: AbortSignal,
): Promise<Inspected> {
  const { code, stdout, said } = await cli.output(
    ["image", "inspect", "--format=json", image],
    { signal },
  );
  if (code !== 0) {
    throw new ProvisionError(`Cannot look at the image "${image}": ${said}`);
  }
  return JSON.parse(stdout)[0];
}

async function deriveTag(ingredients: unknown[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(ingredients));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `localhost/atex-${digest.slice(0, 8).toHex()}`;
}

async function make(build: Build, signal: AbortSignal): Promise<void> {
  const { cli, id, tag, changes, packages, files, runOptions } = build;
  const { without, format } = build;
  const podman = async (args: string[], what: string, stdin?: string) => {
    const { code, said } = await cli.output(args, {
      signal,
      patience: 2000,
      stdin,
    });
    if (code !== 0) {
      throw new ProvisionError(
        `Cannot build the image "${tag}": ${what}: ${
          said || `exit code ${code}`
        }`,
      );
    }
  };
  await using run = await holdRun(cli.runKind);
  const prefix = newPrefix(run);
  const name = prefix + nextNumber();
  await using undo = new AsyncDisposableStack();
  const watchdog = undo.use(
    new Watchdog(WATCHDOG_SCRIPT, cli.argv, prefix, run.file),
  );
  undo.defer(async () => {
    const { code } = await cli.output(removing([name]), { timeout: 60_000 })
      .catch(() => ({ code: 1 }));
    // Otherwise it goes on trying; after an abort it looks whether more comes.
    if (code === 0 && !signal.aborted) await watchdog.dismiss();
  });
  await podman([
    ...["container", "run", "--detach", "--rm", "--pull=never", "--init"],
    ...[`--name=${name}`, "--stop-timeout=1", "--timeout=86400"],
    `--label=${LABEL.run}=${run.id}`,
    `--label=${LABEL.owner}=${formatOwner(run.owner)}`,
    ...["--entrypoint=sleep", ...without, ...runOptions, id, "86400"],
  ], "its container cannot be started");
  const exec = (script: string, ...args: string[]) => [
    ...["exec", "--interactive", "--user=0", name],
    ...["sh", "-c", script, "sh", ...args],
  ];
  if (packages.length > 0) {
    await podman(
      exec(INSTALL_SCRIPT, ...packages),
      `${packages.join(", ")} cannot be installed`,
    );
  }
  for (const [path, text] of Object.entries(files)) {
    await podman(exec(WRITE_SCRIPT, path), `${path} cannot be written`, text);
  }
  await podman([
    ...["container", "commit", "-q", ...format],
    ...changes.flatMap((change) => ["--change", change]),
    ...[name, tag],
  ], "it cannot be stored");
}
