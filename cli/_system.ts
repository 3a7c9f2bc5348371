/** What the commands that take systems have in common. */
import type { FromStringOptions } from "../provisioners/from_string.ts";
import type { ProvisionerEvent } from "../provisioners/events.ts";
import type { Call } from "./_command.ts";
import { describeEvent } from "./_events.ts";

/** Options for what SYSTEM names: an image that is not here is pulled, unless only this machine can have it. */
export function optionsFor(system: string): FromStringOptions {
  const [, kind] = /^(podman|systemd):(?!localhost\/)/.exec(system) ?? [];
  return kind === undefined ? {} : { [kind]: { pull: "missing" } };
}

/** Tells what systems are waited for, and with `-v` everything. */
export function teller(call: Call): (event: ProvisionerEvent) => void {
  return (event) => {
    switch (event.type) {
      case "pulling":
        return call.note(`pulling ${event.image}`);
      case "waiting":
        return call.note(event.reason);
      default:
        return call.detail(1, describeEvent(event));
    }
  };
}
