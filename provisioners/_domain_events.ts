import type { EndSource } from "./_end_watch.ts";
import type { Virsh } from "./_virsh.ts";

/** Milliseconds between two looks at what runs: what ends while `virsh event` connects is not told. */
const LOOK_EVERY = 30_000;

/** Tells of the ends of domains whose name has the prefix. */
export function domainEvents(virsh: Virsh, prefix: string): EndSource {
  return {
    what: "domain",
    told: `${virsh.argv[0]} event`,
    prefix,
    command: () => [
      ...["env", "LC_ALL=C", ...virsh.argv],
      ...["event", "--event", "lifecycle", "--loop"],
    ],
    parse: parseEvent,
    alive: async (signal) => new Set(await virsh.domains(prefix, { signal })),
    lookEvery: LOOK_EVERY,
  };
}

/** Takes a line of `virsh event` apart. */
export function parseEvent(
  line: string,
): { name: string; how: string } | "other" | undefined {
  const [, name, what] =
    /^event 'lifecycle' for domain '?(.*?)'?: (\w.*)$/.exec(line.trim()) ?? [];
  if (name === undefined) return line.trim() === "" ? "other" : undefined;
  const [, how] = /^(?:Stopped|Crashed) (.*)$/.exec(what) ?? [];
  return how === undefined
    ? "other"
    : { name, how: `ended by itself (${how})` };
}
