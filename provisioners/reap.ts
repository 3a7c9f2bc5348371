/**
 * Finds and removes what scripts left behind on this machine that died before
 * they could clean up, and that no watchdog could clean up after: containers,
 * directories of ssh connections, and temporary directories.
 *
 * Provisioners remove dead containers of this user when they start; this is for
 * those who want to see it, or do not start one soon. What belongs to a script
 * that lives, or may live, is never touched.
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
import { reapDirectories } from "./_directory_reaper.ts";
import type { Leftover, LeftoverKind } from "./_leftover.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { judgeContainers, removeContainers } from "./_podman_reaper.ts";
import { holdRun, type Run } from "./_run.ts";
import { ProvisionError } from "./provisioner.ts";

export type { Leftover, LeftoverKind };

/** Options of {@linkcode reap}. */
export interface ReapOptions extends SignalOptions {
  /**
   * Only look.
   *
   * @default {false}
   */
  dryRun?: boolean;
  /**
   * What to look for.
   *
   * @default everything; containers only if podman is installed
   */
  kinds?: readonly LeftoverKind[];
  /**
   * The podman program.
   *
   * @default {"podman"}
   */
  podman?: string;
  /**
   * Where to look for directories.
   *
   * @default `/tmp`, and `$TMPDIR` if it is set
   */
  directories?: readonly string[];
}

/**
 * Removes what dead scripts left behind, and tells of all that it found, also of
 * what belongs to those that live.
 *
 * @throws {ProvisionError} if containers were asked for, and podman does not work
 */
export async function reap(options: ReapOptions = {}): Promise<Leftover[]> {
  const { dryRun = false, kinds, signal = new AbortController().signal } =
    options;
  signal.throwIfAborted();
  const wanted = new Set(kinds ?? ["container", "ssh", "directory"]);
  await using run = await holdRun();
  const found: Leftover[] = [];
  if (wanted.has("container")) {
    try {
      const cli = new PodmanCli(options.podman ?? "podman", 60_000);
      found.push(...await containers(cli, dryRun, run, signal));
    } catch (error) {
      const missing = error instanceof ProvisionError &&
        error.cause instanceof Deno.errors.NotFound;
      if (kinds || !missing) throw error;
    }
  }
  const temporary = Deno.env.get("TMPDIR");
  const directories = options.directories ??
    ["/tmp", ...(temporary ? [temporary] : [])];
  found.push(
    ...await reapDirectories({
      ssh: wanted.has("ssh"),
      temporary: wanted.has("directory"),
      directories: [...new Set(directories)],
      dryRun,
      signal,
    }),
  );
  return found;
}

async function containers(
  cli: PodmanCli,
  dryRun: boolean,
  run: Run,
  signal: AbortSignal,
): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for (const container of await judgeContainers(cli, run, signal)) {
    const { name, run, owner, created, abandoned } = container;
    let error: Error | undefined;
    if (abandoned && !dryRun) {
      try {
        await removeContainers(cli, [name], signal);
      } catch (reason) {
        signal.throwIfAborted();
        error = reason as Error;
      }
    }
    found.push({
      kind: "container",
      name,
      run,
      ...(owner !== undefined && { owner }),
      age: Math.max(0, Date.now() - created * 1000),
      verdict: abandoned ? "dead" : "alive",
      removed: abandoned && !dryRun && !error,
      ...(error && { error }),
    });
  }
  return found;
}
