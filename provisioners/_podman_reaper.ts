import { delay } from "@std/async/delay";
import type { PodmanCli } from "./_podman_cli.ts";
import { factsOf, isAbandoned, isMine } from "./_verdict.ts";
import type { Run } from "./_run.ts";
import { ageOf, type Candidate } from "./_leftover.ts";
import type { ProvisionerEvent } from "./events.ts";
import { ProvisionError } from "./provisioner.ts";

/** Labels of our containers. */
export const LABEL = {
  run: "atex.run",
  owner: "atex.owner",
  kind: "atex.kind",
  until: "atex.until",
} as const;

/** Most containers removed by one command. */
const BATCH = 50;

/** A container that has our labels and a name of ours. */
interface Found {
  readonly name: string;
  readonly run: string;
  /** Absent where podman lost all but the name. */
  readonly owner?: string;
  readonly until?: number;
  /** Seconds since 1970. */
  readonly created: number;
}

/**
 * Removes the containers of scripts that died.
 *
 * @throws {ProvisionError} if that did not work for some
 */
export async function reap(
  cli: PodmanCli,
  run: Run,
  emit: (event: ProvisionerEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const dead = (await judgeContainers(cli, run, signal))
    .filter(({ abandoned }) => abandoned);
  for (let start = 0; start < dead.length; start += BATCH) {
    const batch = dead.slice(start, start + BATCH);
    await removeContainers(cli, batch.map(({ name }) => name), signal);
    for (const { name, owner = "" } of batch) {
      emit({ type: "reaped", kind: "podman", name, owner });
    }
  }
}

/** All containers that scripts have made, and whether those are dead. */
export async function judgeContainers(
  cli: PodmanCli,
  run: Run,
  signal: AbortSignal,
): Promise<(Found & { abandoned: boolean })[]> {
  const facts = factsOf(run.directory);
  const judged = [];
  for (const found of await findOurs(cli, signal)) {
    const { owner } = found;
    const abandoned = owner === undefined
      ? await facts.runFile(found.run) === "free"
      : await isAbandoned({ ...found, owner }, run.owner, facts);
    judged.push({ ...found, abandoned });
  }
  return judged;
}

/** Containers that may have been left behind. */
export async function findContainers(
  cli: PodmanCli,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  return (await judgeContainers(cli, me, signal)).map(
    ({ name, run, owner, created, abandoned }) => ({
      kind: "container",
      name,
      run,
      ...(owner !== undefined && { owner }),
      age: ageOf(created * 1000),
      verdict: abandoned ? "dead" : "alive",
      mine: !abandoned && owner !== undefined && isMine({ run, owner }, me),
      remove: (signal) => removeContainers(cli, [name], signal),
    }),
  );
}

async function findOurs(
  cli: PodmanCli,
  signal: AbortSignal,
): Promise<Found[]> {
  const stdout = await cli.list(["--filter=name=^atex-", "--format=json"], {
    signal,
  });
  return readContainers(stdout).flatMap(({ Names, Labels, Created }) => {
    const created = Created ?? Date.now() / 1000;
    // Images and what is made of them inherit labels: the name has to fit, too.
    const name = Names?.find((name) => RUN_IN_NAME.test(name));
    const [, run] = RUN_IN_NAME.exec(name ?? "") ?? [];
    if (name === undefined) return [];
    if (!Labels) return [{ name, run, created }];
    const { [LABEL.owner]: owner, [LABEL.until]: until } = Labels;
    if (owner === undefined || Labels[LABEL.run] !== run) return [];
    return [{
      name,
      run,
      owner,
      created,
      ...(until && { until: Number(until) }),
    }];
  });
}

interface Container {
  Names?: string[] | null;
  Labels?: Record<string, string> | null;
  Created?: number;
}

/** What podman lists; whatever is not as ours are is none of ours. */
function readContainers(text: string): Container[] {
  let list: unknown;
  try {
    list = JSON.parse(text || "[]") ?? [];
  } catch (cause) {
    throw badList(cause);
  }
  if (!Array.isArray(list)) throw badList();
  return list.filter(isContainer);
}

function badList(cause?: unknown): ProvisionError {
  return new ProvisionError(
    "Cannot list containers: what podman printed is no list in JSON",
    { cause },
  );
}

function isContainer(value: unknown): value is Container {
  if (typeof value !== "object" || value === null) return false;
  const { Names, Labels, Created } = value as Record<string, unknown>;
  return Array.isArray(Names) && Names.every(isText) &&
    Object.values(Labels ?? {}).every(isText) &&
    (Created === undefined || typeof Created === "number");
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

const RUN_IN_NAME = /^atex-([a-z0-9]{10})-\d+-\d+$/;

/** The first attempt may fail on a mount that is still busy. */
export async function removeContainers(
  cli: PodmanCli,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1;; attempt++) {
    const { code, said } = await cli.output(
      ["container", "rm", "-f", "-t", "0", ...names],
      { signal },
    );
    if (code === 0) return;
    if (attempt === 2) {
      throw new ProvisionError(
        `Cannot remove containers of dead scripts: ${said}`,
      );
    }
    await delay(1000, { signal });
  }
}
