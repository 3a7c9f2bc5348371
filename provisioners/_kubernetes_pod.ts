import { z } from "zod";

const condition = z.object({
  type: z.string(),
  status: z.string(),
  message: z.string().nullish(),
});

const waiting = z.object({
  reason: z.string().nullish(),
  message: z.string().nullish(),
});

const terminated = z.object({
  exitCode: z.number(),
  reason: z.string().nullish(),
  message: z.string().nullish(),
});

const containerStatus = z.object({
  name: z.string(),
  state: z.object({
    waiting: waiting.nullish(),
    terminated: terminated.nullish(),
  }).nullish(),
});

/** What we look at of a pod. */
export const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
  spec: z.object({ nodeName: z.string().nullish() }).nullish(),
  status: z.object({
    phase: z.string().nullish(),
    reason: z.string().nullish(),
    message: z.string().nullish(),
    conditions: z.array(condition).nullish(),
    initContainerStatuses: z.array(containerStatus).nullish(),
    containerStatuses: z.array(containerStatus).nullish(),
  }).nullish(),
});

export type Pod = z.infer<typeof podSchema>;

/** What a pod is up to. */
export type PodState =
  | { readonly is: "ready" }
  /** It will never be. */
  | { readonly is: "failed"; readonly why: string; readonly fatal: boolean }
  /** It will not be if this goes on. */
  | { readonly is: "troubled"; readonly why: string }
  /** The cluster has no place for it, or has not looked yet: then it says nothing. */
  | { readonly is: "unscheduled"; readonly why?: string }
  | { readonly is: "coming" };

const HOPELESS = new Set(["InvalidImageName", "CreateContainerConfigError"]);
const TROUBLE = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "CreateContainerError",
]);

/** What the status of a pod says. */
export function judgePod({ metadata, status }: Pod, main: string): PodState {
  const { phase, conditions, initContainerStatuses, containerStatuses } =
    status ?? {};
  if (metadata.deletionTimestamp) {
    return { is: "failed", why: "it is being deleted", fatal: false };
  }
  if (phase === "Failed" || phase === "Succeeded") {
    return { is: "failed", why: endOf(status!), fatal: false };
  }
  const needed = [
    ...initContainerStatuses ?? [],
    ...containerStatuses?.filter(({ name }) => name === main) ?? [],
  ];
  for (const { reason, message } of needed.flatMap(waitOf)) {
    if (!reason) continue;
    const why = words(reason, message);
    if (HOPELESS.has(reason)) {
      return { is: "failed", why, fatal: reason === "InvalidImageName" };
    }
    if (TROUBLE.has(reason)) return { is: "troubled", why };
  }
  const of = (type: string) =>
    conditions?.find((condition) => condition.type === type);
  if (of("Ready")?.status === "True") return { is: "ready" };
  const scheduled = of("PodScheduled");
  if (scheduled?.status !== "True") {
    const { message: why } = scheduled ?? {};
    return { is: "unscheduled", ...(why && { why }) };
  }
  return { is: "coming" };
}

function waitOf({ state }: z.infer<typeof containerStatus>) {
  return state?.waiting ?? [];
}

/** Why a pod that was ready is lost, if it is. */
export function lossOf({ metadata, status }: Pod): string | undefined {
  const { phase, reason, message } = status ?? {};
  if (phase && phase !== "Running") return endOf(status!);
  if (metadata.deletionTimestamp) {
    return words("it is being deleted", reason, message);
  }
}

/** What the cluster says about a pod that is over; if that is nothing, what its containers say. */
function endOf(status: NonNullable<Pod["status"]>): string {
  const { phase, reason, message, initContainerStatuses, containerStatuses } =
    status;
  const over = `it is in phase "${phase}"`;
  if (reason || message) return words(over, reason, message);
  const containers = [
    ...initContainerStatuses ?? [],
    ...containerStatuses ?? [],
  ];
  const ends = containers.flatMap(({ name, state }) => {
    const { exitCode = 0, reason, message } = state?.terminated ?? {};
    if (exitCode === 0) return [];
    const what = `the container "${name}" ended with exit code ${exitCode}`;
    return [words(what, reason === "Error" ? undefined : reason, message)];
  });
  return words(over, ends.join("; "));
}

function words(...parts: (string | null | undefined)[]): string {
  return parts.filter((part) => part).join(": ");
}
