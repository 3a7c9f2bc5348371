/**
 * Lends pods of a Kubernetes cluster, by `kubectl` and nothing else.
 *
 * All pods of a provisioner are owned by one Lease (or ConfigMap, where leases
 * are forbidden), which is renewed while the script lives: when it is deleted,
 * by the script or by a later one that finds it was not renewed, the cluster
 * deletes the pods. In any case they end after `maxLifetime`.
 *
 * Needs `kubectl` 1.21 or newer, the permissions to run programs, to read the
 * environment, `/proc`, and the directory of run files, and to write there
 * (`--allow-run`, `--allow-env`, `--allow-read`, `--allow-write`,
 * `--allow-sys`), and in the namespace the rights to `create`, `get`, `list`,
 * `watch` and `delete` pods, to `create` `pods/exec`, and to `create`, `get`,
 * `list`, `patch` and `delete` leases.
 *
 * @example Run something in a pod
 * ```ts no-run
 * import { KubernetesProvisioner } from "jsr:@atex/atex/provisioners/kubernetes";
 * import { run } from "jsr:@atex/atex/connections/process";
 *
 * await using pool = await new KubernetesProvisioner({
 *   image: "registry.fedoraproject.org/fedora:42",
 *   namespace: "ci",
 * }).start();
 * pool.provision();
 * await using remote = await pool.getRemote();
 * console.log(await run(remote, ["cat", "/etc/os-release"]));
 * ```
 *
 * @example Pods with all that a manifest can say
 * ```ts no-run
 * import { KubernetesProvisioner } from "jsr:@atex/atex/provisioners/kubernetes";
 *
 * await using pool = new KubernetesProvisioner({
 *   template: {
 *     spec: {
 *       nodeSelector: { "kubernetes.io/arch": "arm64" },
 *       containers: [{
 *         name: "main",
 *         image: "fedora:42",
 *         securityContext: { privileged: true },
 *       }],
 *     },
 *   },
 *   resources: { requests: { cpu: "2", memory: "4Gi" } },
 * });
 * ```
 *
 * @module
 */
import { checkProgram } from "../connections/program.ts";
import {
  checkKind,
  checkMilliseconds,
  checkOptions,
  type Known,
  pathOf,
} from "../options.ts";
import { guard } from "./_guard.ts";
import { checkMaxLifetime } from "./_max_lifetime.ts";
import { KubernetesBackend, type PodTemplate } from "./_kubernetes_backend.ts";
import { DURATION } from "./_kubernetes_owner.ts";
import type { PoolOptions } from "./_pool.ts";
import type { EventOptions } from "./events.ts";
import { PooledProvisioner } from "./pooled.ts";
import type { SharedLimit } from "./shared_limit.ts";

/** What a container needs of the cluster, as in a manifest. */
export interface KubernetesResources {
  /** What has to be there: `{ cpu: "500m", memory: "1Gi" }`. */
  requests?: Readonly<Record<string, string>> | undefined;
  /** What it may not exceed. */
  limits?: Readonly<Record<string, string>> | undefined;
}

/** A manifest of a pod, without what the provisioner says itself. */
export interface KubernetesPodTemplate {
  /** Labels and annotations. */
  metadata?: {
    /** Labels of the pod. */
    labels?: Readonly<Record<string, string>> | undefined;
    /** Annotations of the pod. */
    annotations?: Readonly<Record<string, string>> | undefined;
  } | undefined;
  /** The specification; commands run in the container "main", or the only one. */
  spec: {
    /** Containers of the pod. */
    containers: readonly Readonly<Record<string, unknown>>[];
    /** Whatever else Kubernetes knows. */
    [key: string]: unknown;
  };
}

/** Options of {@linkcode KubernetesProvisioner}. */
export interface KubernetesProvisionerOptions extends EventOptions {
  /**
   * The image of the container, by the name that the cluster pulls it by.
   *
   * @default that of the template
   */
  image?: string | undefined;
  /**
   * What pods are made of. What it says wins, except for `image`, `command` and
   * `resources` where these are given.
   *
   * @default a container named "main"
   */
  template?: KubernetesPodTemplate | undefined;
  /**
   * Where pods are made.
   *
   * @default that of the context
   */
  namespace?: string | undefined;
  /**
   * Which context of the configuration to use.
   *
   * @default the current one
   */
  context?: string | undefined;
  /**
   * File with the configuration of `kubectl`.
   *
   * @default that of `kubectl`
   */
  kubeconfig?: string | URL | undefined;
  /**
   * What keeps the container alive. As its first process it should reap those
   * whose parent has ended: otherwise they stay as zombies, and a test that waits
   * for the end of a daemon waits for ever.
   *
   * @default that of the template, or a shell that does just that
   */
  command?: readonly string[] | undefined;
  /**
   * What the container needs.
   *
   * @default that of the template
   */
  resources?: KubernetesResources | undefined;
  /**
   * Most pods at one moment.
   *
   * @default {20}
   */
  maxRemotes?: number | undefined;
  /**
   * Milliseconds for which the cluster may have no place for a pod.
   *
   * @default `900_000`, a quarter of an hour
   */
  scheduleTimeout?: number | undefined;
  /**
   * Milliseconds for which an image of a pod may fail to be pulled, or a container to
   * be made or to go on.
   *
   * @default {60_000}
   */
  troubleTimeout?: number | undefined;
  /**
   * Milliseconds in which a pod has to be ready.
   *
   * @default `900_000`, a quarter of an hour
   */
  reserveTimeout?: number | undefined;
  /**
   * Milliseconds in which a pod has to be gone when it is given back. A node that
   * misses the end of a pod notices it a minute later.
   *
   * @default {120_000}
   */
  deleteTimeout?: number | undefined;
  /**
   * Milliseconds in which a `kubectl` command has to end that does not watch pods or
   * run something in them.
   *
   * @default {30_000}
   */
  commandTimeout?: number | undefined;
  /**
   * Milliseconds between two renewals of what owns the pods, at most two minutes.
   * Scripts on other machines take it for abandoned after four minutes without one,
   * by the clock of the cluster.
   *
   * @default {40_000}
   */
  renewInterval?: number | undefined;
  /**
   * Milliseconds after which the cluster ends a pod in any case; `Infinity` for no
   * limit.
   *
   * @default `86_400_000`, a day
   */
  maxLifetime?: number | undefined;
  /**
   * The `kubectl` program, with arguments that come before all others.
   *
   * @default {["kubectl"]}
   */
  kubectl?: readonly string[] | undefined;
  /**
   * Shared by several provisioners, it bounds what they lend together: see
   * {@linkcode SharedLimit}.
   *
   * @default nothing is shared
   */
  limit?: SharedLimit | undefined;
}

const OPTIONS: Known<KubernetesProvisionerOptions> = {
  image: "optional",
  template: "an object, if given",
  namespace: "a string, if given",
  context: "a string, if given",
  kubeconfig: "a path or a URL, if given",
  command: "a list of strings, if given",
  resources: "an object, if given",
  maxRemotes: "a number, if given",
  scheduleTimeout: "optional",
  troubleTimeout: "optional",
  reserveTimeout: "optional",
  deleteTimeout: "optional",
  commandTimeout: "optional",
  renewInterval: "optional",
  maxLifetime: "optional",
  kubectl: "optional",
  limit: "what sharedLimit() gives, if given",
  onEvent: "a function, if given",
};

/** Milliseconds: one renewal may fail. */
const LONGEST_RENEWAL = DURATION * 1000;

/**
 * Reaps, as `sleep` alone would not. Without a trap: that way, no signal from inside
 * ends it. A `sleep` that was killed is followed by another; where there is none,
 * the container fails.
 */
const KEEP_ALIVE: readonly string[] = [
  "sh",
  "-c",
  "while :; do sleep 86400 & wait $! || [ $? -gt 128 ] || exit; done",
];

/** Milliseconds of failing renewals after which there is a warning. */
const RENEW_PATIENCE = 120_000;

/**
 * Lends pods.
 *
 * The attributes of a system are `image`, `pod` (its name) and `node`. Pods do
 * not reboot.
 *
 * `start()` tries whether the cluster answers, makes what owns the pods, and
 * deletes what scripts left behind that did not get to it, for which it waits at
 * most 5 s. `getRemote()` rejects with a `fatal` {@linkcode ProvisionError} if the
 * manifest or the name of the image is at fault.
 */
export class KubernetesProvisioner extends PooledProvisioner {
  /**
   * Stores the options.
   *
   * @throws {TypeError} if there is no image, `command` is empty, `kubectl` is no list of words, an option is of the wrong kind, or it is not clear in which container of `template` commands run
   * @throws {RangeError} if a number is out of range
   */
  constructor(options: KubernetesProvisionerOptions) {
    super(poolOptions(options));
  }
}

/** What the pool is made of; checks the options. */
function poolOptions(options: KubernetesProvisionerOptions): PoolOptions {
  checkOptions("KubernetesProvisioner", options, OPTIONS);
  const {
    namespace,
    context,
    kubeconfig,
    maxRemotes = 20,
    scheduleTimeout = 900_000,
    troubleTimeout = 60_000,
    reserveTimeout = 900_000,
    deleteTimeout = 120_000,
    commandTimeout = 30_000,
    renewInterval = 40_000,
    maxLifetime = 86_400_000,
    kubectl = ["kubectl"],
    limit,
    onEvent,
  } = options;
  const times = {
    scheduleTimeout,
    troubleTimeout,
    reserveTimeout,
    deleteTimeout,
    commandTimeout,
    renewInterval,
  };
  checkMilliseconds(times);
  checkMaxLifetime(maxLifetime);
  if (renewInterval > LONGEST_RENEWAL) {
    throw new RangeError(
      `Cannot use ${renewInterval} as "renewInterval": it must be at most ${LONGEST_RENEWAL}, or others take the pods for abandoned`,
    );
  }
  checkProgram("kubectl", kubectl);
  const { template, container, image } = podTemplate(options, maxLifetime);
  return {
    name: `kubernetes:${image}`,
    maxRemotes,
    limit,
    onEvent,
    backend: new KubernetesBackend({
      template,
      container,
      image,
      namespace,
      context,
      ...(kubeconfig !== undefined && { kubeconfig: pathOf(kubeconfig) }),
      kubectl: [...kubectl],
      ...times,
      renewPatience: RENEW_PATIENCE,
    }, guard(onEvent)),
  };
}

/** @throws {TypeError} if it is not clear which containers it has */
function checkTemplate({ spec }: KubernetesPodTemplate): void {
  const of = '"template" of KubernetesProvisioner';
  checkKind(of, "spec", spec, "an object");
  checkKind(of, "spec.containers", spec.containers, "a list");
  for (const [index, container] of spec.containers.entries()) {
    const name = `spec.containers[${index}]`;
    checkKind(of, name, container, "an object");
  }
}

/** The template with what was given beside it, and which container counts. */
function podTemplate(
  options: KubernetesProvisionerOptions,
  maxLifetime: number,
): { template: PodTemplate; container: string; image: string } {
  const { template, resources, command } = options;
  if (template) checkTemplate(template);
  const containers = template?.spec.containers ?? [{ name: "main" }];
  const main = containers.find(({ name }) => name === "main") ??
    (containers.length === 1 ? containers[0] : undefined);
  if (!main) {
    throw new TypeError(
      'Cannot lend pods: one of the containers in "template" has to be named "main"',
    );
  }
  const { name: container = "main", image: usual } = main;
  const image = options.image ?? usual;
  if (typeof image !== "string" || image === "") {
    throw new TypeError(
      'Cannot lend pods: "image" must be the name of an image',
    );
  }
  if (command?.length === 0) {
    throw new TypeError(
      'Cannot lend pods: "command" must be what keeps a container alive',
    );
  }
  const used = {
    command: KEEP_ALIVE,
    ...main,
    name: container,
    image,
    ...(command && { command: [...command] }),
    ...(resources && { resources }),
  };
  return {
    container: String(container),
    image,
    template: {
      ...(template?.metadata && { metadata: template.metadata }),
      spec: {
        restartPolicy: "Never",
        terminationGracePeriodSeconds: 1,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        ...(maxLifetime !== Infinity &&
          { activeDeadlineSeconds: Math.ceil(maxLifetime / 1000) }),
        ...template?.spec,
        containers: containers.map((one) => one === main ? used : one),
      },
    },
  };
}
