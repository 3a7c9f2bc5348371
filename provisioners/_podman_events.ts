import type { EndSource } from "./_end_watch.ts";
import type { PodmanCli } from "./_podman_cli.ts";

/** Seconds of the past that podman is asked for, in case its clock is not ours. */
const OVERLAP = 60;

/** Tells of the ends of containers whose name has the prefix. */
export function podmanEvents(
  cli: PodmanCli,
  prefix: string,
  revive?: (
    cli: PodmanCli,
    name: string,
    isWanted: () => boolean,
  ) => Promise<string | undefined>,
): EndSource {
  return {
    what: "container",
    told: `${cli.program} events`,
    prefix,
    command: (past) => {
      const since = Math.floor(Date.now() / 1000) - OVERLAP;
      return [
        ...cli.argv,
        "events",
        ...(past ? [`--since=${since}`] : []),
        "--filter=type=container",
        "--filter=event=died",
        "--format=json",
      ];
    },
    parse: (line) => {
      const name = nameIn(line);
      return name === undefined ? undefined : { name, how: "ended by itself" };
    },
    alive: async (signal) => {
      const stdout = await cli.list([
        `--filter=name=^${prefix}`,
        "--format={{.Names}} {{.State}}",
      ], { signal });
      return new Set(
        stdout.split("\n").filter((line) => !/ (exited|stopped)$/i.test(line))
          .map((line) => line.split(" ")[0]),
      );
    },
    ...(revive && {
      revive: (name, isWanted) => revive(cli, name, isWanted),
    }),
  };
}

/** The container's name in a line of `podman events`. */
function nameIn(line: string): string | undefined {
  try {
    const { Name } = JSON.parse(line);
    return typeof Name === "string" ? Name : undefined;
  } catch {
    return undefined;
  }
}
