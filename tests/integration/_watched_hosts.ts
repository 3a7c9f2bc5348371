import type { ProvisionerEvent } from "../../provisioners/events.ts";
import {
  HostsProvisioner,
  type HostsProvisionerOptions,
} from "../../provisioners/hosts.ts";

/** A provisioner, and what it tells. */
export function watched(options: HostsProvisionerOptions) {
  const events: ProvisionerEvent[] = [];
  const pool = new HostsProvisioner({
    pollInterval: 50,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const reasons = () =>
    events.flatMap((event) => event.type === "waiting" ? [event.reason] : []);
  return { pool, events, reasons };
}
