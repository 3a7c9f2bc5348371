import { delay } from "@std/async/delay";
import type { PodmanCli } from "./_podman_cli.ts";
import { type Facts, factsOf, isAbandoned, isMine } from "./_verdict.ts";
import { removing } from "./_podman_removal.ts";
import { type Run, runInName } from "./_run.ts";
import { ageOf, type Candidate } from "./_leftover.ts";
import { ProvisionError } from "./provisioner.ts";

/** Labels of our containers. */
export const LABEL = {
  run: "atex.run",
  owner: "atex.owner",
  kind: "atex.kind",
  until: "atex.until",
} as const;

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

/** Containers that may have been left behind. */
export async function findContainers(
  cli: PodmanCli,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const facts = factsOf(me.directory);
  const candidates: Candidate[] = [];
  const ours = await findOurs(cli, signal);
  for (const found of [...ours, ...await findLost(cli, ours, facts, signal)]) {
    const { name, run, owner, created } = found;
    const isDead = owner === undefined
      ? await facts.runFile(run) === "free"
      : await isAbandoned({ ...found, owner }, me.owner, facts);
    candidates.push({
      kind: "container",
      name,
      run,
      ...(owner !== undefined && { owner }),
      age: ageOf(created * 1000),
      verdict: isDead ? "dead" : "alive",
      mine: !isDead && owner !== undefined && isMine({ run, owner }, me),
      remove: (signal) => removeContainer(cli, name, signal),
    });
  }
  return candidates;
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
    const name = Names?.find((name) => runInName(name) !== undefined);
    if (name === undefined) return [];
    const run = runInName(name)!;
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

/** Containers that podman does not list, though something of them is there; only those of dead scripts, as others may be just being made. */
async function findLost(
  cli: PodmanCli,
  ours: readonly Found[],
  facts: Facts,
  signal: AbortSignal,
): Promise<Found[]> {
  const found: Found[] = [];
  for (const name of await cli.conmons(signal)) {
    const run = runInName(name);
    if (run === undefined || ours.some((known) => known.name === name)) {
      continue;
    }
    if (await facts.runFile(run) !== "free") continue;
    found.push({ name, run, created: Date.now() / 1000 });
  }
  return found;
}

interface Container {
  Names?: string[] | null;
  Labels?: Record<string, string> | null;
  Created?: number;
}

/** What podman lists, without what does not look like a container of ours. */
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

/** The first attempt may fail on a mount that is still busy. */
async function removeContainer(
  cli: PodmanCli,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1;; attempt++) {
    const { code, said } = await cli.output(removing([name]), { signal });
    if (code === 0) return await cli.endConmon(name, signal);
    if (attempt === 2) {
      throw new ProvisionError(
        `Cannot remove the container "${name}": ${said}`,
      );
    }
    await delay(1000, { signal });
  }
}
