import { pathOf } from "../options.ts";

/** Which cluster and namespace, as `kubectl` is told; absent is its own default. */
export interface Cluster {
  readonly kubeconfig?: string | URL | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
}

/** The same as flags of `kubectl`: its environment stays as it is. */
export function kubernetesFlags(
  { kubeconfig, context, namespace }: Cluster,
): string[] {
  const file = kubeconfig === undefined ? undefined : pathOf(kubeconfig);
  return Object.entries({ kubeconfig: file, context, namespace }).flatMap(
    ([name, value]) => value === undefined ? [] : [`--${name}=${value}`],
  );
}
