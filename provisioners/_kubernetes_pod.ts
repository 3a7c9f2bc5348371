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

const state = z.object({
  waiting: waiting.nullish(),
  running: z.unknown().optional(),
  terminated: terminated.nullish(),
});

const containerStatus = z.object({
  name: z.string(),
  ready: z.boolean().nullish(),
  restartCount: z.number().nullish(),
  state: state.nullish(),
  lastState: state.nullish(),
});

type ContainerStatus = z.infer<typeof containerStatus>;

/** What we look at of a pod. */
export const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string().nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
  spec: z.object({
    nodeName: z.string().nullish(),
    restartPolicy: z.string().nullish(),
  }).nullish(),
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
  /** If it says what keeps it, that is nothing that has to change by itself. */
  | { readonly is: "coming"; readonly why?: string };

/** What only a change of the manifest or of the cluster ends. */
const HOPELESS = new Set([
  "InvalidImageName",
  "CreateContainerConfigError",
  "ErrImageNeverPull",
]);
/** What every container waits for. All else is trouble, whatever a cluster calls it. */
const USUAL = new Set(["ContainerCreating", "PodInitializing"]);

/** What the status of a pod says. */
export function judgePod(
  { metadata, spec, status }: Pod,
  main: string,
): PodState {
  const { phase, conditions, initContainerStatuses, containerStatuses } =
    status ?? {};
  if (metadata.deletionTimestamp) {
    return { is: "failed", why: "it is being deleted", fatal: false };
  }
  if (phase === "Failed" || phase === "Succeeded") {
    return { is: "failed", why: endOf(status!), fatal: false };
  }
  // A pod is ready if all of its containers are.
  const states = [
    ...initContainerStatuses?.flatMap((container) =>
      judgeWaiting(container, main)
    ) ?? [],
    ...containerStatuses?.flatMap((container) => [
      ...judgeWaiting(container, main),
      ...judgeEnd(container, spec?.restartPolicy),
    ]) ?? [],
  ];
  const worst = states.find(({ is }) => is === "failed") ?? states[0];
  if (worst) return worst;
  const of = (type: string) =>
    conditions?.find((condition) => condition.type === type);
  const ready = of("Ready");
  if (ready?.status === "True") return { is: "ready" };
  const scheduled = of("PodScheduled");
  if (scheduled?.status !== "True") {
    const { message: why } = scheduled ?? {};
    return { is: "unscheduled", ...(why && { why }) };
  }
  const unready = containerStatuses?.find(({ state, ready }) =>
    state?.running && ready === false
  );
  const why = unready
    ? describeUnready(unready)
    : containerStatuses?.every((container) => container.ready) &&
      ready?.message;
  return { is: "coming", ...(why && { why }) };
}

function judgeWaiting(container: ContainerStatus, main: string): PodState[] {
  const { name, state, lastState } = container;
  const { reason, message } = state?.waiting ?? {};
  if (!reason || USUAL.has(reason)) return [];
  const end = lastState?.terminated && describeEnd(name, lastState.terminated);
  const why = words(
    name !== main && !end && `the container "${name}"`,
    reason,
    message,
    end,
  );
  return HOPELESS.has(reason)
    ? [{ is: "failed", why, fatal: reason === "InvalidImageName" }]
    : [{ is: "troubled", why }];
}

/** Of a container that is to run as long as the pod. */
function judgeEnd(
  { name, state }: ContainerStatus,
  restartPolicy: string | null | undefined,
): PodState[] {
  const end = state?.terminated;
  if (!end) return [];
  const why = describeEnd(name, end);
  const forEver = restartPolicy === "Never" ||
    (restartPolicy === "OnFailure" && end.exitCode === 0);
  return forEver
    ? [{ is: "failed", why, fatal: false }]
    : [{ is: "troubled", why }];
}

function describeUnready({ name, restartCount }: ContainerStatus): string {
  const times = restartCount === 1 ? "once" : `${restartCount} times`;
  const restarted = restartCount ? `, restarted ${times}` : "";
  return `the container "${name}" runs${restarted}, but is not ready`;
}

function describeEnd(
  name: string,
  { exitCode, reason, message }: z.infer<typeof terminated>,
): string {
  const usual = reason === "Error" || reason === "Completed";
  return words(
    `the container "${name}" ended with exit code ${exitCode}`,
    !usual && reason,
    message,
  );
}

function statusOf({ status }: Pod, main: string): ContainerStatus | undefined {
  return status?.containerStatuses?.find(({ name }) => name === main);
}

/** How often the container in which commands run was started again. */
export function restartsOf(pod: Pod, main: string): number {
  return statusOf(pod, main)?.restartCount ?? 0;
}

/** Why a pod that was ready, after so many restarts, is lost, if it is. */
export function lossOf(
  pod: Pod,
  main: string,
  restarts: number,
): string | undefined {
  const { metadata, status } = pod;
  const { phase, reason, message } = status ?? {};
  if (phase && phase !== "Running") return endOf(status!);
  if (metadata.deletionTimestamp) {
    return words("it is being deleted", reason, message);
  }
  // The pod goes on without it, or with another one in its place.
  const { state, lastState } = statusOf(pod, main) ?? {};
  if (state?.terminated) return describeEnd(main, state.terminated);
  if (restartsOf(pod, main) <= restarts) return undefined;
  return lastState?.terminated
    ? describeEnd(main, lastState.terminated)
    : `the container "${main}" was started again`;
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
    const end = state?.terminated;
    return end && end.exitCode !== 0 ? [describeEnd(name, end)] : [];
  });
  return words(over, ends.join("; "));
}

function words(...parts: (string | null | undefined | false)[]): string {
  return parts.filter((part) => part).join(": ");
}
