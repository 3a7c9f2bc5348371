/**
 * Real containers of the images that `dev/setup.sh` makes.
 *
 * ```ts
 * const ignore = cannotRun("connections/podman", podmanMissing());
 * Deno.test({ name: "…", ignore, fn: async () => {
 *   await using container = await Container.start({ image: "tiny" });
 *   await using connection = await PodmanConnection.open({ container: container.name });
 * } });
 * ```
 */
import { missingPrograms } from "./_parts.ts";

export { cannotRun } from "./_parts.ts";

/**
 * Images: `tiny` has bash and busybox only (no rsync, GNU tools or Python),
 * `tiny-ssh` also sshd as its command, `debian` is a system with systemd as its
 * command, sshd, sudo, rsync, and the user `tester`.
 */
export type Image = "tiny" | "tiny-ssh" | "debian";

const VARIABLE: Record<Image, string> = {
  "tiny": "ATEX_TEST_IMAGE_TINY",
  "tiny-ssh": "ATEX_TEST_IMAGE_TINY_SSH",
  "debian": "ATEX_TEST_IMAGE_DEBIAN",
};

/** Why there can be no containers of these images here, if so. */
export function podmanMissing(
  images: readonly Image[] = ["tiny"],
): string | undefined {
  const missing = missingPrograms("podman");
  if (missing) return missing;
  const image = images.find((image) => !Deno.env.get(VARIABLE[image]));
  if (image) return `no container image "${image}"`;
}

/** The name of an image, for podman. */
export function imageName(image: Image): string {
  const name = Deno.env.get(VARIABLE[image]);
  if (!name) throw new Error(`Cannot use the image "${image}": no such image`);
  return name;
}

export interface ContainerOptions {
  /** @default {"tiny"} */
  image?: Image;
  /** What runs in it. @default {["sleep", "infinity"]}, or sshd if `ssh` is set */
  command?: readonly string[];
  /** More options of `podman run`. */
  args?: readonly string[];
  /** Publish port 22 on loopback and wait for sshd there, see {@linkcode Container.port}. */
  ssh?: boolean;
}

/** A running container. Disposing of it removes it. */
export class Container implements AsyncDisposable {
  private constructor(
    /** Its name. */
    readonly name: string,
    /** The port on 127.0.0.1 where its sshd is to be reached, or 0. */
    readonly port: number,
  ) {}

  /** Starts one. */
  static async start(options: ContainerOptions = {}): Promise<Container> {
    const { image = "tiny", args = [], ssh = image === "tiny-ssh" } = options;
    const missing = podmanMissing([image]);
    if (missing) throw new Error(`Cannot start a container: ${missing}`);
    const { command = defaultCommand(image, ssh) } = options;
    const name = `atex-test-${crypto.randomUUID().slice(0, 13)}`;
    try {
      await podman(
        "run",
        "--detach",
        `--name=${name}`,
        "--label=atex-test",
        "--pull=never",
        ...(ssh ? ["--publish=127.0.0.1::22"] : ["--network=none"]),
        ...args,
        imageName(image),
        ...command,
      );
      if (!ssh) return new Container(name, 0);
      // "podman port" fails while somebody else's container is removed.
      const format =
        '{{(index (index .NetworkSettings.Ports "22/tcp") 0).HostPort}}';
      const port = Number(await podman("inspect", "-f", format, name));
      await sshGreets(port);
      return new Container(name, port);
    } catch (error) {
      await remove(name);
      throw error;
    }
  }

  /** Runs a command in it and returns its stdout, trimmed. */
  exec(...argv: string[]): Promise<string> {
    return podman("exec", this.name, ...argv);
  }

  /** Options of `SshConnection` for its sshd. */
  ssh(user: string = "root"): { host: string; identityFile: string } {
    return {
      host: `${user}@127.0.0.1:${this.port}`,
      identityFile: Deno.env.get("ATEX_TEST_KEY")!,
    };
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await remove(this.name);
  }
}

async function remove(name: string): Promise<void> {
  // The first try can fail on a mount that is busy.
  await podman("rm", "-f", "-t", "0", name)
    .catch(() => podman("rm", "-f", "-t", "0", name));
}

function defaultCommand(image: Image, ssh: boolean): readonly string[] {
  if (!ssh) return ["sleep", "infinity"];
  if (image === "tiny-ssh") return [];
  return ["sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e"];
}

/** Waits until the server says its first words: the port itself accepts connections at once. */
async function sshGreets(port: number): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const buffer = new Uint8Array(4);
      await connection.read(buffer);
      if (new TextDecoder().decode(buffer) === "SSH-") return;
    } catch {
      // Not yet.
    }
    if (attempt === 200) throw new Error(`No sshd answers at port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Runs podman and returns its stdout, trimmed. */
export async function podman(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("podman", {
    args,
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout).trim();
  throw new Error(`podman ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

/** The volumes of a container that have no name of their own: it has to be run with such an one. */
export async function volumesOf(container: string): Promise<string[]> {
  const format =
    '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}';
  const names = (await podman("inspect", "-f", format, container)).split(" ");
  if (names[0] === "") throw new Error(`${container} has no volume`);
  return names;
}

/** Which of these volumes there are. */
export async function volumesLeft(
  volumes: readonly string[],
): Promise<string[]> {
  const all = (await podman("volume", "ls", "-q")).split("\n");
  return volumes.filter((volume) => all.includes(volume));
}

/** Freezes a container. The kernel gives that up where a process begins or ends at just that time. */
export async function freeze(container: string): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      await podman("pause", container);
      return;
    } catch (error) {
      if (attempt === 5 || !`${error}`.includes("unable to freeze")) {
        throw error;
      }
    }
  }
}

/**
 * Names of the containers that a run made, in any state; also of those that podman
 * has lost, but not their conmon.
 */
export async function containersOfRun(run: string): Promise<string[]> {
  const prefix = `atex-${run}-`;
  const list = () =>
    podman(
      ...["ps", "-a", "--external", "--format={{.Names}}"],
      `--filter=name=^${prefix}`,
    );
  // It fails also because a container of anybody's is removed at the moment.
  const names = (await list().catch(list).catch(list)).split("\n");
  for await (const { name: process } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(process)) continue;
    const text = await Deno.readTextFile(`/proc/${process}/cmdline`)
      .catch(() => "");
    const argv = text.split("\0");
    if (!argv[0]?.endsWith("/conmon")) continue;
    names.push(argv[argv.indexOf("-n") + 1]!);
  }
  // It also lists what is made or removed at the moment, whosever it is.
  return [...new Set(names.filter((name) => name.startsWith(prefix)))];
}
