import { z } from "zod";
import { isForbidden, type Kubectl } from "./_kubernetes_cli.ts";
import {
  ANNOTATION,
  deleteOwner,
  DURATION,
  LABEL,
  OWNER_KINDS,
  type PodOwner,
  timeOfCluster,
} from "./_kubernetes_owner.ts";
import type { Candidate } from "./_leftover.ts";
import { parseOwner, type Run } from "./_run.ts";
import { factsOf, isAbandoned, isMine, livesHere } from "./_verdict.ts";
import { ProvisionError } from "./provisioner.ts";

const listed = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
    managedFields: z.array(z.object({ time: z.string().nullish() })).nullish(),
  }),
  spec: z.object({
    leaseDurationSeconds: z.number().nullish(),
  }).nullish(),
});
type Listed = z.infer<typeof listed>;
const owners = z.object({ items: z.array(z.unknown()) });

/** What `kubectl` lists; whatever is not as ours are is none of ours. */
function readOwners(text: string): Listed[] {
  try {
    return owners.parse(JSON.parse(text)).items.flatMap((item) => {
      const { data } = listed.safeParse(item);
      return data ? [data] : [];
    });
  } catch (cause) {
    throw new ProvisionError(
      "Cannot list owners: what kubectl printed is no list in JSON",
      { cause },
    );
  }
}

/**
 * When somebody wrote it the last time, by the clock of the cluster; `NaN` if
 * that does not tell. What its owner wrote into it is by the clock of the owner.
 */
function lastWrite({ metadata: { managedFields } }: Listed): number {
  const times = (managedFields ?? []).map(({ time }) => Date.parse(time ?? ""));
  return times.length === 0 ? NaN : Math.max(...times);
}

export interface ReapOptions {
  signal?: AbortSignal;
  /** Told of each that was removed. */
  onReaped: (found: { name: string; owner: string }) => void;
}

/**
 * Removes the owners of scripts that died: of this machine if we know that they
 * did, of others if they were not renewed for too long.
 */
export async function reapOwners(
  kubectl: Kubectl,
  me: Run,
  { signal, onReaped }: ReapOptions,
): Promise<void> {
  for await (const found of judgeOwners(kubectl, me, signal)) {
    if (found.verdict !== "dead") continue;
    await deleteOwner(kubectl, found, signal);
    onReaped(found);
  }
}

/** Owners that may have been left behind. */
export async function findOwners(
  kubectl: Kubectl,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for await (const found of judgeOwners(kubectl, me, signal)) {
    const { kind, name, run, owner, silence, verdict } = found;
    candidates.push({
      kind: "lease",
      name,
      run,
      owner,
      age: silence > 0 ? silence : 0,
      verdict,
      mine: verdict === "alive" && isMine({ run, owner }, me),
      remove: (signal) => deleteOwner(kubectl, { kind, name }, signal),
    });
  }
  return candidates;
}

/** An owner of pods, and whether the script that made it is dead. */
interface Judged extends Pick<PodOwner, "kind" | "name"> {
  readonly run: string;
  readonly owner: string;
  /** Milliseconds since it was renewed; `NaN` if that cannot be told. */
  readonly silence: number;
  readonly verdict: "dead" | "alive" | "unknown";
}

async function* judgeOwners(
  kubectl: Kubectl,
  me: Run,
  signal?: AbortSignal,
): AsyncGenerator<Judged> {
  const facts = factsOf(me.directory);
  let clock: Promise<number | undefined> | undefined;
  for (const kind of OWNER_KINDS) {
    const { code, stdout, said } = await kubectl.output([
      ...["get", kind, `--selector=${LABEL.by}=atex`, "--output=json"],
      "--show-managed-fields",
    ], signal && { signal });
    if (code !== 0 && isForbidden(said)) continue;
    if (code !== 0) throw new ProvisionError(`Cannot list owners: ${said}`);
    for (const object of readOwners(stdout)) {
      const { metadata: { name, labels, annotations }, spec } = object;
      const { [LABEL.run]: run } = labels ?? {};
      const { [ANNOTATION.owner]: owner = "" } = annotations ?? {};
      if (run === undefined || !name.startsWith("atex-")) continue;
      const now = await (clock ??= timeOfCluster(kubectl, me, signal)) ?? NaN;
      const silence = now - lastWrite(object);
      const patience = 2000 * (spec?.leaseDurationSeconds ?? DURATION);
      const isHere = parseOwner(owner)?.machine === me.owner.machine;
      const isDead = run !== me.id &&
        (isHere
          ? await isAbandoned({ run, owner }, me.owner, facts)
          : silence > patience);
      const isAlive = run === me.id || silence <= patience ||
        await livesHere({ run, owner }, me, facts);
      const verdict = isDead ? "dead" : isAlive ? "alive" : "unknown";
      yield { kind, name, run, owner, silence, verdict };
    }
  }
}
