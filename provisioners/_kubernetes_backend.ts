import { KubernetesConnection } from "../connections/kubernetes.ts";
import { LONGEST_TIMER } from "../connections/time_limit.ts";
import {
  type Backend,
  type Reserving,
  type Starting,
  StillAliveError,
  type System,
} from "./_backend.ts";
import { isUnauthorized, type Kubectl, kubectlFor } from "./_kubernetes_cli.ts";
import {
  createOwner,
  deleteOwner,
  keepRenewing,
  LABEL,
  nameOwner,
  type PodOwner,
} from "./_kubernetes_owner.ts";
import {
  judgePod,
  lossOf,
  type PodState,
  restartsOf,
} from "./_kubernetes_pod.ts";
import { findOwners } from "./_kubernetes_reaper.ts";
import { PodWatch, type WatchedPod } from "./_kubernetes_watch.ts";
import { Reaping } from "./_reaping.ts";
import { holdRun, nextNumber, type Run } from "./_run.ts";
import { waitFor } from "./_wait_for.ts";
import type { ProvisionerEvent } from "./events.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds within which an owner may come into being whose script is dead. */
const LATE = 10_000;
/** Milliseconds that an aborted `kubectl create` has to end by itself. */
const CREATE_PATIENCE = 5000;

/** What a pod is made of. */
export interface PodTemplate {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface KubernetesBackendOptions {
  readonly template: PodTemplate;
  /** The container in which commands run. */
  readonly container: string;
  readonly image: string;
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly kubectl: readonly string[];
  readonly scheduleTimeout: number;
  readonly troubleTimeout: number;
  readonly reserveTimeout: number;
  readonly deleteTimeout: number;
  readonly commandTimeout: number;
  readonly renewInterval: number;
  readonly renewPatience: number;
}

/** What there is between start and stop. */
interface Session {
  readonly run: Run;
  /** The one that there is now: if it is deleted, another of that name takes its place. */
  readonly owner: PodOwner;
  readonly watch: PodWatch;
  readonly resources: AsyncDisposableStack;
  /** Of the systems that are lent, by id. */
  readonly lent: Map<string, WatchedPod>;
  /** Keep this process from ending. */
  readonly expected: Map<string, ReturnType<typeof setInterval>>;
}

/** Pods, all owned by one object that says that we are alive. */
export class KubernetesBackend implements Backend {
  readonly #options: KubernetesBackendOptions;
  readonly #kubectl: Kubectl;
  readonly #emit: (event: ProvisionerEvent) => void;
  #session?: Session;

  constructor(
    options: KubernetesBackendOptions,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#options = options;
    this.#kubectl = kubectlFor(options, options.commandTimeout);
    this.#emit = emit;
  }

  async start({ signal }: Starting): Promise<void> {
    const kubectl = this.#kubectl;
    const { code, said } = await kubectl.output(
      ["version", "--output=json"],
      { signal },
    );
    if (code !== 0) {
      throw new ProvisionError(
        `Cannot use Kubernetes: ${said || `exit code ${code}`}`,
        { fatal: true },
      );
    }
    await using resources = new AsyncDisposableStack();
    const run = resources.use(await holdRun("kubernetes"));
    const reaping = resources.use(
      new Reaping({
        kind: "kubernetes",
        find: (signal) => findOwners(kubectl, run, signal),
        onReaped: ({ name, owner = "" }) =>
          this.#emit({ type: "reaped", kind: "kubernetes", name, owner }),
        late: LATE,
        onTrouble: (error) => this.#warn(error),
      }),
    );
    await reaping.wait(signal);
    const ownerName = nameOwner(run);
    let owner = await createOwner(kubectl, ownerName, run, signal);
    resources.defer(() => deleteOwner(kubectl, owner));
    signal.throwIfAborted();
    const background = new AbortController();
    const { renewInterval, renewPatience } = this.#options;
    const renewing = keepRenewing(kubectl, owner, {
      interval: renewInterval,
      patience: renewPatience,
      onTrouble: (error) => this.#warn(error),
      replace: async (signal) =>
        owner = await createOwner(kubectl, ownerName, run, signal),
    }, background.signal);
    resources.defer(() => (background.abort(), renewing));
    const strays = new Map<string, Promise<void>>();
    resources.defer(() => Promise.all(strays.values()).then(() => {}));
    const watch = resources.use(
      new PodWatch(kubectl, {
        selector: `${LABEL.owner}=${ownerName}`,
        onStray: (name) => {
          if (strays.has(name)) return;
          const done = this.#tryDelete(name);
          strays.set(name, done.finally(() => strays.delete(name)));
        },
        onTrouble: (error) => this.#warn(error),
      }),
    );
    this.#session = {
      run,
      get owner() {
        return owner;
      },
      watch,
      resources: resources.move(),
      lent: new Map(),
      expected: new Map(),
    };
  }

  async reserve({ signal, identify, waits }: Reserving): Promise<System> {
    const session = this.#session!;
    const number = nextNumber();
    const id = `kubernetes:${number}`;
    const name = `atex-${session.run.id}-${number}`;
    identify(id);
    await using undo = new AsyncDisposableStack();
    const watched = session.watch.follow(name);
    undo.defer(() => this.#tryDelete(name));
    // From then on it is a stray: a create that was killed may still be at work.
    undo.defer(() => session.watch.forget(name));
    await this.#create(name, session, signal);
    session.watch.made(watched);
    signal.throwIfAborted();
    await this.#untilReady(watched, signal, waits);
    const restarts = restartsOf(watched.pod!, this.#options.container);
    const { kubectl, namespace, context, kubeconfig, container, image } =
      this.#options;
    const connection = await KubernetesConnection.open({
      pod: name,
      container,
      kubectl,
      namespace,
      context,
      kubeconfig,
      signal,
    });
    undo.move();
    session.lent.set(id, watched);
    return {
      id,
      attributes: {
        image,
        pod: name,
        ...(watched.pod?.spec?.nodeName && { node: watched.pod.spec.nodeName }),
      },
      reusable: false,
      connection,
      lost: this.#lossOf(watched, restarts),
      expectLoss: () => {
        if (!session.lent.has(id) || session.expected.has(id)) return;
        session.expected.set(id, setInterval(() => {}, LONGEST_TIMER));
      },
    };
  }

  async #create(
    name: string,
    { owner, run }: Session,
    signal: AbortSignal,
  ): Promise<void> {
    const { metadata, spec } = this.#options.template;
    const { code, said } = await this.#kubectl.output(
      ["create", "--filename=-", "--output=name"],
      {
        signal,
        patience: CREATE_PATIENCE,
        stdin: JSON.stringify({
          apiVersion: "v1",
          kind: "Pod",
          metadata: {
            ...metadata,
            name,
            labels: {
              ...metadata?.labels,
              [LABEL.by]: "atex",
              [LABEL.run]: run.id,
              [LABEL.owner]: owner.name,
            },
            ownerReferences: [owner.reference],
          },
          spec,
        }),
      },
    );
    if (code === 0) return;
    // A pod that is wrong in itself, not one that is too many.
    const wrong = /is invalid|\(BadRequest\)|unknown field|\(Invalid\)/.test(
      said,
    );
    throw new ProvisionError(
      `Cannot make the pod "${name}": ${said || `exit code ${code}`}`,
      { fatal: wrong || isUnauthorized(said) },
    );
  }

  /** Follows a pod until it is ready, or it is clear that it will not be. */
  async #untilReady(
    watched: WatchedPod,
    signal: AbortSignal,
    waits: Reserving["waits"],
  ): Promise<void> {
    const { container, reserveTimeout, scheduleTimeout, troubleTimeout } =
      this.#options;
    const begin = performance.now();
    let troubleSince: number | undefined;
    for (;;) {
      const { changed, pod } = watched;
      const state: PodState = watched.isGone
        ? { is: "failed", why: "it was deleted", fatal: false }
        : pod
        ? judgePod(pod, container)
        : { is: "coming" };
      if (state.is === "ready") return;
      const now = performance.now();
      // One that was started again, and only runs, is not out of it.
      if (state.is === "troubled") troubleSince ??= now;
      else if (state.is !== "coming" || !state.why) troubleSince = undefined;
      const end = Math.min(
        begin + reserveTimeout,
        state.is === "unscheduled" ? begin + scheduleTimeout : Infinity,
        troubleSince === undefined || state.is !== "troubled"
          ? Infinity
          : troubleSince + troubleTimeout,
      );
      if (state.is === "failed" || now >= end) {
        const late = `it is not ready after ${(now - begin) / 1000 | 0} s`;
        throw new ProvisionError(
          `Cannot use the pod "${watched.name}": ${describe(state, late)}`,
          { fatal: state.is === "failed" && state.fatal },
        );
      }
      waits(reasonOf(state));
      await waitFor(changed, end - now, signal);
    }
  }

  async #lossOf(watched: WatchedPod, restarts: number): Promise<Error> {
    const { container } = this.#options;
    for (;;) {
      const { changed, pod, isGone } = watched;
      const why = isGone
        ? "it was deleted"
        : pod && lossOf(pod, container, restarts);
      if (why) return new Error(`The pod "${watched.name}" is lost: ${why}`);
      await changed;
    }
  }

  async dispose({ id }: System): Promise<void> {
    const session = this.#session!;
    const watched = session.lent.get(id)!;
    session.lent.delete(id);
    clearInterval(session.expected.get(id));
    session.expected.delete(id);
    try {
      if (!watched.isGone) await this.#remove(watched);
    } finally {
      session.watch.forget(watched.name);
    }
  }

  /** Deletes a pod and waits until it is gone. */
  async #remove(watched: WatchedPod): Promise<void> {
    const { name } = watched;
    const { deleteTimeout } = this.#options;
    await this.#delete(name);
    await waitFor(watched.gone, deleteTimeout);
    if (watched.isGone) return;
    const { code, stdout } = await this.#kubectl.output([
      ...["get", "pod", name, "--ignore-not-found", "--output=name"],
    ]);
    if (code === 0 && stdout.trim() === "") return;
    throw new StillAliveError(
      `Cannot delete the pod "${name}": it is still there after ${
        deleteTimeout / 1000
      } s`,
    );
  }

  async #delete(name: string): Promise<void> {
    const args = [
      ...["delete", "pod", name, "--wait=false", "--grace-period=1"],
      "--ignore-not-found",
    ];
    const what = `Cannot delete the pod "${name}"`;
    await this.#kubectl.run(what, args)
      .catch(() => this.#kubectl.run(what, args));
  }

  /** Deletes a pod that was not lent. */
  async #tryDelete(name: string): Promise<void> {
    await this.#delete(name).catch((error) => this.#warn(error));
  }

  async stop(): Promise<void> {
    const session = this.#session!;
    this.#session = undefined;
    await session.resources.disposeAsync();
  }

  #warn(error: Error): void {
    this.#emit({ type: "warning", error });
  }
}

/** Why a pod is not ready. */
function describe(state: PodState, late: string): string {
  if (state.is === "failed") return state.why;
  const reason = reasonOf(state) ??
    (state.is === "unscheduled" ? "it was not scheduled" : undefined);
  if (state.is === "troubled") return reason!;
  return reason === undefined ? late : `${late}, ${reason}`;
}

/** Why it takes long, if the cluster says so. */
function reasonOf(state: PodState): string | undefined {
  switch (state.is) {
    case "troubled":
    case "coming":
      return state.why;
    case "unscheduled":
      return state.why && `it was not scheduled: ${state.why}`;
  }
}
