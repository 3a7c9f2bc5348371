import { z } from "zod";
import { isForbidden, type Kubectl } from "./_kubernetes_cli.ts";
import {
  ANNOTATION,
  deleteOwner,
  DURATION,
  LABEL,
  OWNER_KINDS,
  timeOfCluster,
} from "./_kubernetes_owner.ts";
import type { Candidate } from "./_leftover.ts";
import type { Run } from "./_run.ts";
import {
  factsOf,
  isAbandoned,
  isMine,
  isOfThisBoot,
  livesHere,
} from "./_verdict.ts";
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

/** What `kubectl` lists, without what does not look like an owner of ours. */
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

/** Owners of pods that may have been left behind. */
export async function findOwners(
  kubectl: Kubectl,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const facts = factsOf(me.directory);
  const candidates: Candidate[] = [];
  let clock: Promise<number | undefined> | undefined;
  for (const kind of OWNER_KINDS) {
    const { code, stdout, said } = await kubectl.output([
      ...["get", kind, `--selector=${LABEL.by}=atex`, "--output=json"],
      "--show-managed-fields",
    ], { signal });
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
      const lives = run === me.id || await livesHere({ run, owner }, me, facts);
      const isDead = !lives && (silence > patience ||
        isOfThisBoot(owner, me.owner) &&
          await isAbandoned({ run, owner }, me.owner, facts));
      const isAlive = lives || silence <= patience;
      const verdict = isDead ? "dead" : isAlive ? "alive" : "unknown";
      candidates.push({
        kind: "lease",
        name,
        run,
        owner,
        age: silence > 0 ? silence : 0,
        verdict,
        mine: verdict === "alive" && isMine({ run, owner }, me),
        remove: (signal) => deleteOwner(kubectl, { kind, name }, { signal }),
      });
    }
  }
  return candidates;
}
