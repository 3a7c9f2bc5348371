import { delay } from "@std/async/delay";
import { z } from "zod";
import { formatOwner } from "../connections/ownership.ts";
import {
  isForbidden,
  isNotFound,
  isRefused,
  type Kubectl,
} from "./_kubernetes_cli.ts";
import type { ProgramRunOptions } from "./_program.ts";
import { nextNumber, type Run } from "./_run.ts";
import { ProvisionError } from "./provisioner.ts";

/** Marks what is ours. */
export const LABEL = {
  by: "app.kubernetes.io/managed-by",
  run: "atex.run",
  /** Name of the owner. */
  owner: "atex.lease",
} as const;

/** What an owner says beside its labels. */
export const ANNOTATION = {
  owner: "atex.owner",
  renewed: "atex.renewed",
} as const;

/** Seconds after which an owner that was not renewed may be taken for dead, twice over. */
export const DURATION = 120;

/** Milliseconds within which an owner may come into being whose maker was killed. */
const LATE = 1000;

/** Milliseconds that the removal of such an owner may take: somebody waits for it. */
const REMOVAL = 3000;

/** What is tried for an owner, in this order: leases may be forbidden. */
export const OWNER_KINDS = ["Lease", "ConfigMap"] as const;

/** The cluster did not take the owner: there is none. */
class RefusedError extends ProvisionError {}

/** An object that owns pods: when it goes, they go. */
export interface PodOwner {
  readonly kind: "Lease" | "ConfigMap";
  readonly name: string;
  /** As `metadata.ownerReferences` wants it. */
  readonly reference: Readonly<Record<string, string>>;
}

const created = z.object({
  metadata: z.object({ uid: z.string(), creationTimestamp: z.string() }),
});

/** What `kubectl` prints of an object that it made. */
function readCreated(text: string): z.infer<typeof created>["metadata"] {
  try {
    return created.parse(JSON.parse(text)).metadata;
  } catch (cause) {
    throw new ProvisionError(
      "Cannot read what kubectl printed of an owner that it made",
      { cause },
    );
  }
}

const API: Readonly<Record<PodOwner["kind"], string>> = {
  Lease: "coordination.k8s.io/v1",
  ConfigMap: "v1",
};

/** Now, as leases have it. */
function microTime(): string {
  return new Date().toISOString().replace("Z", "000Z");
}

function manifest(kind: PodOwner["kind"], name: string, run: Run): unknown {
  const now = microTime();
  const lease = kind === "Lease";
  return {
    apiVersion: API[kind],
    kind,
    metadata: {
      name,
      labels: { [LABEL.by]: "atex", [LABEL.run]: run.id },
      annotations: {
        [ANNOTATION.owner]: formatOwner(run.owner),
        ...(!lease && { [ANNOTATION.renewed]: now }),
      },
    },
    ...(lease && {
      spec: {
        holderIdentity: `${run.owner.hostname}/${run.id}`,
        leaseDurationSeconds: DURATION,
        renewTime: now,
      },
    }),
  };
}

/** A name for an owner, which no other has. */
export function nameOwner(run: Run): string {
  return `atex-${run.id}-${nextNumber()}`;
}

/** Makes a Lease, or a ConfigMap where leases are forbidden. */
export async function createOwner(
  kubectl: Kubectl,
  name: string,
  run: Run,
  signal: AbortSignal,
): Promise<PodOwner> {
  for (const kind of OWNER_KINDS) {
    try {
      const owner = await tryToCreate(kubectl, { kind, name }, run, signal);
      if (owner) return owner;
    } catch (error) {
      if (!(error instanceof RefusedError)) {
        await deleteUnclear(kubectl, { kind, name });
      }
      throw error;
    }
  }
  throw new Error("unreachable");
}

/** `undefined` if it is forbidden, and something else may be tried. */
async function tryToCreate(
  kubectl: Kubectl,
  { kind, name }: Pick<PodOwner, "kind" | "name">,
  run: Run,
  signal: AbortSignal,
): Promise<PodOwner | undefined> {
  const { code, stdout, said } = await kubectl.output(
    ["create", "--filename=-", "--output=json"],
    {
      signal,
      stdin: JSON.stringify(manifest(kind, name, run)),
      patience: 5000,
    },
  );
  if (code === 0) {
    const { uid } = readCreated(stdout);
    const reference = { apiVersion: API[kind], kind, name, uid };
    return { kind, name, reference };
  }
  if (kind !== OWNER_KINDS.at(-1) && isForbidden(said)) return undefined;
  const Failure = isRefused(said) ? RefusedError : ProvisionError;
  throw new Failure(
    `Cannot make an owner for pods: ${said || `exit code ${code}`}`,
    { fatal: true },
  );
}

/**
 * Removes an owner that there may be, or may be in a moment: the cluster goes on
 * when its client was killed. If that fails, others find out that nobody renews it.
 */
async function deleteUnclear(
  kubectl: Kubectl,
  owner: Pick<PodOwner, "kind" | "name">,
): Promise<void> {
  await deleteOwner(kubectl, owner, { timeout: REMOVAL }).catch(() => {});
  await delay(LATE);
  await deleteOwner(kubectl, owner, { timeout: REMOVAL }).catch(() => {});
}

/**
 * What time it is by the clock of the cluster, in milliseconds since 1970, if we
 * can find out. No object is made for that.
 */
export async function timeOfCluster(
  kubectl: Kubectl,
  run: Run,
  signal: AbortSignal,
): Promise<number | undefined> {
  const name = nameOwner(run);
  for (const kind of OWNER_KINDS) {
    const { code, stdout } = await kubectl.output(
      ["create", "--dry-run=server", "--filename=-", "--output=json"],
      {
        signal,
        stdin: JSON.stringify(manifest(kind, name, run)),
      },
    );
    if (code === 0) return Date.parse(readCreated(stdout).creationTimestamp);
  }
}

/** Removes an owner; its pods follow. */
export async function deleteOwner(
  kubectl: Kubectl,
  { kind, name }: Pick<PodOwner, "kind" | "name">,
  options?: ProgramRunOptions,
): Promise<void> {
  await kubectl.run(`Cannot delete the ${kind} "${name}"`, [
    ...["delete", kind, name, "--cascade=background", "--wait=false"],
    "--ignore-not-found",
  ], options);
}

/** How often an owner says that it is alive, and when it is said that it cannot. */
export interface Renewal {
  /** Milliseconds. */
  readonly interval: number;
  /** Milliseconds of failing after which `onTrouble` is told. */
  readonly patience: number;
  readonly onTrouble: (error: Error) => void;
  /** Makes another in place of one that somebody deleted. */
  readonly replace: (signal: AbortSignal) => Promise<PodOwner>;
}

/** Says again and again that the owner is alive, until the signal. */
export async function keepRenewing(
  kubectl: Kubectl,
  owner: PodOwner,
  { interval, patience, onTrouble, replace }: Renewal,
  signal: AbortSignal,
): Promise<void> {
  let since = performance.now();
  for (;;) {
    await delay(interval, { signal, persistent: false }).catch(() => {});
    if (signal.aborted) return;
    try {
      if (!await renew(kubectl, owner, signal)) {
        since = -Infinity; // if that fails, too, it is told at once
        const { kind, name } = owner;
        owner = await replace(signal);
        onTrouble(
          new ProvisionError(
            `The ${kind} "${name}" was deleted, and its pods are deleted with it: another takes its place`,
          ),
        );
      }
      since = performance.now();
    } catch (error) {
      if (signal.aborted) return;
      if (performance.now() - since < patience) continue;
      onTrouble(error as Error);
      since = performance.now(); // told once in a while
    }
  }
}

/** False if there is no such owner. */
async function renew(
  kubectl: Kubectl,
  { kind, name }: PodOwner,
  signal: AbortSignal,
): Promise<boolean> {
  const now = microTime();
  const patch = kind === "Lease"
    ? { spec: { renewTime: now } }
    : { metadata: { annotations: { [ANNOTATION.renewed]: now } } };
  const { code, said } = await kubectl.output([
    ...["patch", kind, name, "--type=merge"],
    `--patch=${JSON.stringify(patch)}`,
  ], { signal });
  if (code === 0) return true;
  if (isNotFound(said)) return false;
  throw new ProvisionError(
    `Cannot renew the ${kind} "${name}": ${said || `exit code ${code}`}`,
  );
}
