import type { ProvisionerEvent } from "./events.ts";

/** The listener with its errors reported: they must not stop a release half way. */
export function guard(
  onEvent: ((event: ProvisionerEvent) => void) | undefined,
): (event: ProvisionerEvent) => void {
  return (event) => {
    try {
      onEvent?.(event);
    } catch (error) {
      reportError(error);
    }
  };
}
