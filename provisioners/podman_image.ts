/**
 * Builds container images with what tests need, once: to install it in every
 * container anew is slow.
 *
 * An image is made of a container in which packages are installed and files are
 * written. Nothing is left of a build that was aborted or whose script died.
 *
 * Needs podman 4.0 or later, the network, and in practice `deno run -A`.
 *
 * @example Containers with rsync and Python
 * ```ts no-run
 * import { buildImage } from "jsr:@atex/atex/provisioners/podman-image";
 * import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
 *
 * const image = await buildImage("registry.fedoraproject.org/fedora:42", {
 *   pull: "missing",
 *   packages: ["rsync", "python3"],
 * });
 * await using pool = await new PodmanProvisioner({ image }).start();
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { within } from "../connections/time_limit.ts";
import { INSTALL_SCRIPT, WRITE_SCRIPT } from "./_image_scripts.ts";
import { checkMilliseconds } from "./_milliseconds.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { imageExists, provideImage } from "./_podman_image.ts";
import { LABEL } from "./_podman_reaper.ts";
import { formatOwner, holdRun, nextNumber } from "./_run.ts";
import { Watchdog, WATCHDOG_SCRIPT } from "./_watchdog.ts";
import { ProvisionError } from "./provisioner.ts";

/** Options of {@linkcode buildImage}. */
export interface BuildImageOptions extends SignalOptions {
  /**
   * Packages to install, by the first of `dnf`, `yum`, `apt-get`, `zypper` and
   * `apk` that the origin has. With `dnf` and `yum` those that do not exist are left out.
   *
   * @default {["rsync"]}
   */
  packages?: readonly string[];
  /**
   * Files to write: their text by their absolute path.
   *
   * @default {{}}
   */
  files?: Readonly<Record<string, string>>;
  /**
   * What the image is called.
   *
   * @default `localhost/atex-` and a number that depends on all that goes into it
   */
  tag?: string;
  /**
   * Whether the origin is fetched, see `PodmanProvisioner`.
   *
   * @default {"never"}
   */
  pull?: "never" | "missing" | "newer" | "always";
  /**
   * More options of `podman container run` for the build, such as `--network`.
   *
   * @default {[]}
   */
  runOptions?: readonly string[];
  /**
   * The podman program, and arguments that come before all others, as in
   * `["podman", "--remote"]`. Docker is none.
   *
   * @default {["podman"]}
   */
  podman?: readonly string[];
  /**
   * Milliseconds that the build may take.
   *
   * @default {1_800_000} half an hour
   */
  timeout?: number;
}

/** Changes with the way in which images are built. */
const FORMAT = 1;

/**
 * Builds an image on top of another one, unless it is there already.
 *
 * @returns its name
 * @throws {ProvisionError} if the origin is missing, or something cannot be installed
 * @throws {RangeError} if `timeout` is no positive number
 */
export async function buildImage(
  origin: string,
  options: BuildImageOptions = {},
): Promise<string> {
  const {
    packages = ["rsync"],
    files = {},
    pull = "never",
    runOptions = [],
    podman = ["podman"],
    timeout = 1_800_000,
    signal,
  } = options;
  const wrong = Object.keys(files).find((path) => !path.startsWith("/"));
  if (wrong !== undefined) {
    throw new TypeError(
      `Cannot write "${wrong}" into an image: an absolute path would be right`,
    );
  }
  checkMilliseconds({ timeout });
  const late = () =>
    new ProvisionError(
      `Cannot build an image on "${origin}": it is not done after ${
        timeout / 1000
      } s`,
    );
  const cli = new PodmanCli(podman, timeout);
  return await within({ ms: timeout, late, signal }, async (signal) => {
    await provideImage(cli, origin, pull, { signal });
    const { id, changes } = await describe(cli, origin, signal);
    const tag = options.tag ??
      await deriveTag([FORMAT, id, packages, Object.entries(files)]);
    if (await imageExists(cli, tag, signal)) return tag;
    const build = { cli, id, tag, changes, packages, files, runOptions };
    await make(build, signal);
    return tag;
  });
}

/**
 * As {@linkcode buildImage}, for `SystemdProvisioner`: with systemd beside the
 * packages asked for.
 *
 * @returns its name
 * @throws {ProvisionError} if the origin is missing, or something cannot be installed
 *
 * @example
 * ```ts no-run
 * import { buildSystemdImage } from "jsr:@atex/atex/provisioners/podman-image";
 * import { SystemdProvisioner } from "jsr:@atex/atex/provisioners/systemd";
 *
 * const image = await buildSystemdImage("fedora:42", { pull: "missing" });
 * await using pool = await new SystemdProvisioner({ image }).start();
 * ```
 */
export function buildSystemdImage(
  origin: string,
  options: BuildImageOptions = {},
): Promise<string> {
  const { packages = ["rsync"], files } = options;
  return buildImage(origin, {
    ...options,
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
}

/** The id of an image, and what of it a container for a build overrides. */
async function describe(
  cli: PodmanCli,
  image: string,
  signal: AbortSignal,
): Promise<{ id: string; changes: string[] }> {
  const { code, stdout, said } = await cli.output(
    ["image", "inspect", "--format=json", image],
    { signal },
  );
  if (code !== 0) {
    throw new ProvisionError(`Cannot look at the image "${image}": ${said}`);
  }
  const [{ Id, Config }] = JSON.parse(stdout);
  const { Entrypoint, Cmd } = Config ?? {};
  return {
    id: Id,
    changes: [
      `ENTRYPOINT ${JSON.stringify(Entrypoint ?? [])}`,
      `CMD ${JSON.stringify(Cmd ?? [])}`,
      "LABEL atex.image=1",
    ],
  };
}

async function deriveTag(ingredients: unknown[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(ingredients));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `localhost/atex-${digest.slice(0, 8).toHex()}`;
}

async function make(build: Build, signal: AbortSignal): Promise<void> {
  const { cli, id, tag, changes, packages, files, runOptions } = build;
  const podman = async (args: string[], what: string, stdin?: string) => {
    const { code, said } = await cli.output(args, {
      signal,
      patience: 2000,
      ...(stdin !== undefined && { stdin }),
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
  const prefix = `atex-${run.id}-${nextNumber()}-`;
  const name = prefix + nextNumber();
  await using undo = new AsyncDisposableStack();
  const watchdog = undo.use(
    new Watchdog(WATCHDOG_SCRIPT, cli.argv, prefix, run.file),
  );
  undo.defer(async () => {
    const { code } = await cli.output(
      ["container", "rm", "-f", "-t", "0", name],
      { timeout: 60_000 },
    ).catch(() => ({ code: 1 }));
    // Otherwise it goes on trying; after an abort it looks whether more comes.
    if (code === 0 && !signal.aborted) await watchdog.dismiss();
  });
  await podman([
    ...["container", "run", "--detach", "--rm", "--pull=never", "--init"],
    ...[`--name=${name}`, "--stop-timeout=1", "--timeout=86400"],
    `--label=${LABEL.run}=${run.id}`,
    `--label=${LABEL.owner}=${formatOwner(run.owner)}`,
    ...["--user=0", "--entrypoint=sleep", ...runOptions, id, "86400"],
  ], "its container cannot be started");
  const exec = (script: string, ...args: string[]) => [
    ...[
      "exec",
      "--interactive",
      "--user=0",
      name,
      "sh",
      "-c",
      script,
      "sh",
      ...args,
    ],
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
    ...["container", "commit", "-q"],
    ...changes.flatMap((change) => ["--change", change]),
    ...[name, tag],
  ], "it cannot be stored");
}
