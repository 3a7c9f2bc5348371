/** Real systems for benchmarks of executors: this one, one behind sshd on loopback, a container. */
import type { Connection } from "../connections/connection.ts";
import { LocalConnection } from "../connections/local.ts";
import { PodmanConnection } from "../connections/podman.ts";
import { SshConnection, type SshOptions } from "../connections/ssh.ts";
import { Container } from "../tests/_podman.ts";
import { Sshd } from "../tests/_sshd.ts";

/** How a system is reached; `ssh-fresh` makes a connection for each command. */
export type Way = "local" | "ssh" | "ssh-fresh" | "podman";

/** All ways. */
export const WAYS: readonly Way[] = ["local", "ssh", "ssh-fresh", "podman"];

/** Starts a system that is reached that way; the result is for {@linkcode openConnection} in any process. */
export async function startSystem(
  way: Way,
  resources: AsyncDisposableStack,
): Promise<string> {
  if (way === "local") return "{}";
  if (way === "podman") {
    return JSON.stringify({
      container: resources.use(await Container.start({ image: "tiny" })).name,
    });
  }
  const sshd = resources.use(await Sshd.start({ config: LENIENT }));
  return JSON.stringify(
    {
      ...sshd.options,
      configFile: "none",
      stateless: way === "ssh-fresh",
    } satisfies SshOptions,
  );
}

/** What a server is asked for, so that it refuses nobody. */
const LENIENT = ["MaxStartups 200:30:400", "MaxSessions 200"];

/** Connects to a system of {@linkcode startSystem}. */
export function openConnection(
  way: Way,
  system: string,
): Promise<Connection & AsyncDisposable> {
  const options = JSON.parse(system);
  switch (way) {
    case "local":
      return LocalConnection.open();
    case "podman":
      return PodmanConnection.open(options);
    default:
      return SshConnection.open(options);
  }
}
