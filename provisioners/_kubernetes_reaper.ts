import { z } from "zod";
import { isForbidden, type Kubectl } from "./_kubernetes_cli.ts";
import {
  ANNOTATION,
  deleteOwner,
  DURATION,
  LABEL,
  type PodOwner,
} from "./_kubernetes_owner.ts";
import { ageOf, type Candidate } from "./_leftover.ts";
import { parseOwner, type Run } from "./_run.ts";
import { factsOf, isAbandoned, isMine, livesHere } from "./_verdict.ts";
import { ProvisionError } from "./provisioner.ts";

const listed = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.object({
    renewTime: z.string().nullish(),
    leaseDurationSeconds: z.number().nullish(),
  }).nullish(),
});
const owners = z.object({ items: z.array(z.unknown()) });

/** What `kubectl` lists; whatever is not as ours are is none of ours. */
function readOwners(text: string): z.infer<typeof listed>[] {
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
    const { kind, name, run, owner, renewed, verdict } = found;
    candidates.push({
      kind: "lease",
      name,
      run,
      owner,
      age: ageOf(renewed),
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
  /** Milliseconds since 1970; absent if it does not say so. */
  readonly renewed?: number;
  readonly verdict: "dead" | "alive" | "unknown";
}

async function* judgeOwners(
  kubectl: Kubectl,
  me: Run,
  signal?: AbortSignal,
): AsyncGenerator<Judged> {
  const facts = factsOf(me.directory);
  for (const kind of ["Lease", "ConfigMap"] as const) {
    const { code, stdout, said } = await kubectl.output([
      ...["get", kind, `--selector=${LABEL.by}=atex`, "--output=json"],
    ], signal && { signal });
    if (code !== 0 && isForbidden(said)) continue;
    if (code !== 0) throw new ProvisionError(`Cannot list owners: ${said}`);
    for (const { metadata, spec } of readOwners(stdout)) {
      const { name, labels, annotations } = metadata;
      const { [LABEL.run]: run } = labels ?? {};
      const { [ANNOTATION.owner]: owner = "", [ANNOTATION.renewed]: said } =
        annotations ?? {};
      if (run === undefined || !name.startsWith("atex-")) continue;
      const renewed = Date.parse(spec?.renewTime ?? said ?? "");
      const seconds = spec?.leaseDurationSeconds ?? DURATION;
      const silence = Date.now() - renewed;
      const isHere = parseOwner(owner)?.machine === me.owner.machine;
      const isDead = run !== me.id &&
        (isHere
          ? await isAbandoned({ run, owner }, me.owner, facts)
          : silence > 2000 * seconds);
      const isAlive = run === me.id || silence <= 2000 * seconds ||
        await livesHere({ run, owner }, me, facts);
      yield {
        kind,
        name,
        run,
        owner,
        ...(!Number.isNaN(renewed) && { renewed }),
        verdict: isDead ? "dead" : isAlive ? "alive" : "unknown",
      };
    }
  }
}
