/** Every way to reach a system, each with a real one. */
import type { Connection } from "../../connections/connection.ts";
import { LocalConnection } from "../../connections/local.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";
import { missingPrograms } from "../_parts.ts";

export interface Transport {
  readonly name: string;
  /** Whether it cannot be had here. */
  readonly ignore: boolean;
  /** Whether a command notices that its output is not read any more. */
  readonly epipe: boolean;
  /** Whether the system has rsync and the tools of GNU. */
  readonly gnu: boolean;
  /** The user as whom commands run. */
  readonly user: string;
  open(): Promise<System>;
}

/** A connection to a system that lasts as long as this object. */
export interface System extends AsyncDisposable {
  readonly connection: Connection;
}

async function inContainer(
  container: Container,
  connect: (container: Container) => Promise<Connection>,
): Promise<System> {
  await using resources = new AsyncDisposableStack();
  resources.use(container);
  const connection = resources.use(await connect(container));
  const kept = resources.move();
  return {
    connection,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const podman = podmanMissing(["tiny", "tiny-ssh", "debian"]);
const suite = "connections to containers";
const ignore = cannotRun(suite, podman, missingPrograms("ssh", "rsync"));
const common = { ignore, epipe: true, gnu: true, user: "root" };

/** All transports. */
export const transports: readonly Transport[] = [
  {
    ...common,
    name: "local",
    ignore: false,
    user: Deno.uid() === 0 ? "root" : Deno.env.get("USER") ?? "?",
    open: async () => {
      const connection = await LocalConnection.open();
      return { connection, [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  },
  {
    ...common,
    name: "podman, runtime",
    open: async () =>
      await inContainer(
        await Container.start({ image: "debian" }),
        ({ name }) => PodmanConnection.open({ container: name, direct: true }),
      ),
  },
  {
    ...common,
    name: "podman exec",
    epipe: false,
    open: async () =>
      await inContainer(
        await Container.start({ image: "debian" }),
        ({ name }) => PodmanConnection.open({ container: name, direct: false }),
      ),
  },
  {
    ...common,
    name: "podman, busybox",
    gnu: false,
    open: async () =>
      await inContainer(
        await Container.start({ image: "tiny" }),
        ({ name }) => PodmanConnection.open({ container: name, direct: true }),
      ),
  },
  {
    ...common,
    name: "ssh",
    open: async () =>
      await inContainer(
        await Container.start({ image: "debian", ssh: true }),
        (container) => SshConnection.open(container.ssh()),
      ),
  },
  {
    ...common,
    name: "ssh, stateless",
    open: async () =>
      await inContainer(
        await Container.start({ image: "debian", ssh: true }),
        (container) =>
          SshConnection.open({ ...container.ssh(), stateless: true }),
      ),
  },
  {
    ...common,
    name: "ssh, sudo",
    user: "nobody",
    open: async () =>
      await inContainer(
        await Container.start({ image: "debian", ssh: true }),
        (container) =>
          SshConnection.open({ ...container.ssh("tester"), sudo: "nobody" }),
      ),
  },
  {
    ...common,
    name: "ssh, busybox",
    gnu: false,
    open: async () =>
      await inContainer(
        await Container.start({ image: "tiny-ssh" }),
        (container) => SshConnection.open(container.ssh()),
      ),
  },
];
