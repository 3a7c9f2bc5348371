/**
 * One table of all kinds of systems that can be lent here, each with real parts
 * or a server of ours, for tests that do the same to every kind.
 */
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { KubernetesProvisioner } from "../../provisioners/kubernetes.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import type { EventOptions } from "../../provisioners/events.ts";
import type { Provisioner, Remote } from "../../provisioners/provisioner.ts";
import { SystemdProvisioner } from "../../provisioners/systemd.ts";
import { TestingFarmProvisioner } from "../../provisioners/testing_farm.ts";
import {
  FarmServer,
  guestLog,
  TOKEN,
} from "../provisioners/_testing_farm_server.ts";
import { kubectlMissing, KubernetesServer } from "../_kubernetes.ts";
import { Container, imageName, podman, podmanMissing } from "../_podman.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";

/** Options of a provisioner, as JSON. */
type Options = Record<string, unknown>;

/** A place where systems of one kind can be lent, by many at a time. */
export interface Ground extends AsyncDisposable {
  readonly options: Options;
  /** What there is that a script with this run id made or holds. */
  left(run: string): Promise<string[]>;
}

export interface Kind {
  readonly name: string;
  /** Why there can be none here, if so. */
  readonly missing: () => string | undefined;
  /** True if what a killed script leaves goes without another start. */
  readonly guarded: boolean;
  /** Makes ready for so many systems at one moment. */
  open(systems: number): Promise<Ground>;
  make(options: Options & EventOptions): Provisioner & {
    start(options?: { signal?: AbortSignal }): Promise<unknown>;
    getRemote(options?: { signal?: AbortSignal }): Promise<Remote>;
  };
}

/** Names of containers that a run made, in any state. */
async function containersOf(run: string): Promise<string[]> {
  const list = () =>
    podman(
      ...["ps", "-a", "--external", "--format={{.Names}}"],
      `--filter=name=^atex-${run}-`,
    );
  // It fails also because a container of anybody's is removed at the moment.
  const names = await list().catch(list).catch(list);
  // It also lists what is made or removed at the moment, whosever it is.
  return names.split("\n").filter((name) => name.startsWith(`atex-${run}-`));
}

/** Containers need no place made ready. */
function containerGround(options: Options): Ground {
  return {
    options,
    left: containersOf,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const local: Kind = {
  name: "local",
  missing: () => undefined,
  guarded: true,
  open: (systems) =>
    Promise.resolve({
      options: { maxRemotes: systems },
      left: () => Promise.resolve([]), // processes and directories at most
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  make: (options) => new LocalProvisioner(options),
};

const plainPodman: Kind = {
  name: "podman",
  missing: podmanMissing,
  guarded: true,
  open: (maxRemotes) =>
    Promise.resolve(containerGround({
      image: imageName("tiny"),
      runOptions: ["--network=none"],
      maxRemotes,
    })),
  make: (options) =>
    new PodmanProvisioner(options as unknown as { image: string }),
};

const systemd: Kind = {
  name: "systemd",
  missing: () => podmanMissing(["debian"]),
  guarded: true,
  open: (maxRemotes) =>
    Promise.resolve(containerGround({
      image: imageName("debian"),
      runOptions: ["--network=none"],
      bootTimeout: 300_000, // many at once
      maxRemotes,
    })),
  make: (options) =>
    new SystemdProvisioner(options as unknown as { image: string }),
};

/** Machines with sshd, each a container with a file system of its own. */
class HostsGround implements Ground {
  readonly #hosts: { name: string; root: string }[];
  readonly #stack: AsyncDisposableStack;

  private constructor(
    readonly options: Options,
    hosts: { name: string; root: string }[],
    stack: AsyncDisposableStack,
  ) {
    this.#hosts = hosts;
    this.#stack = stack;
  }

  static async open(systems: number): Promise<HostsGround> {
    await using stack = new AsyncDisposableStack();
    const containers: Container[] = [];
    const started = await Promise.allSettled(
      Array.from({ length: systems }, async () => {
        containers.push(
          stack.use(await Container.start({ image: "tiny-ssh" })),
        );
      }),
    );
    for (const result of started) { // all, or those that came later would stay
      if (result.status === "rejected") throw result.reason;
    }
    const hosts = await Promise.all(containers.map(async ({ name }) => {
      const pid = await podman("inspect", "-f", "{{.State.Pid}}", name);
      return { name, root: `/proc/${pid}/root` };
    }));
    const [{ identityFile }] = containers.map((container) => container.ssh());
    const options = {
      hosts: containers.map((container) => container.ssh().host),
      ssh: { identityFile, options: { IdentitiesOnly: true } },
      pollInterval: 200,
    };
    return new HostsGround(options, hosts, stack.move());
  }

  /** Hosts that the run has, or that are kept for it. */
  async left(run: string): Promise<string[]> {
    const found: string[] = [];
    for (const { name, root } of this.#hosts) {
      const holder = await Deno.readTextFile(`${root}/var/tmp/atex.lock`)
        .catch(() => "");
      if (holder.includes(run)) found.push(`${name}: ${holder.trim()}`);
    }
    return found;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

const hosts: Kind = {
  name: "hosts",
  missing: () => podmanMissing(["tiny-ssh"]) ?? sshdMissing(),
  guarded: true,
  open: HostsGround.open,
  make: (options) =>
    new HostsProvisioner(options as unknown as { hosts: string[] }),
};

class FarmGround implements Ground {
  private constructor(
    readonly server: FarmServer,
    readonly options: Options,
    private readonly stack: AsyncDisposableStack,
  ) {}

  static async open(systems: number): Promise<FarmGround> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(new FarmServer());
    const sshd = stack.use(
      await Sshd.start({ config: ["MaxStartups 200", "MaxSessions 100"] }),
    );
    server.log = guestLog(sshd.user, `127.0.0.1:${sshd.port}`);
    const options = {
      compose: "x",
      url: server.url,
      token: TOKEN,
      sshKey: `${sshd.directory}/key`,
      maxRemotes: systems,
      times: {
        pollInterval: 20,
        lostInterval: 200,
        sshInterval: 20,
        spread: 300,
        reapInterval: 2000,
      },
    };
    return new FarmGround(server, options, stack.move());
  }

  left(run: string): Promise<string[]> {
    return Promise.resolve(
      this.server.alive.filter(({ body }) =>
        JSON.stringify(body).includes(`"${run}"`)
      ).map(({ id }) => id),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

const testingFarm: Kind = {
  name: "testing-farm",
  missing: sshdMissing,
  guarded: false,
  open: FarmGround.open,
  make: (options) =>
    new TestingFarmProvisioner(options as unknown as { compose: string }),
};

class KubernetesGround implements Ground {
  private constructor(
    readonly server: KubernetesServer,
    readonly options: Options,
  ) {}

  static async open(maxRemotes: number): Promise<KubernetesGround> {
    const server = await KubernetesServer.start();
    return new KubernetesGround(server, {
      image: "x",
      maxRemotes,
      ...server.options,
    });
  }

  left(run: string): Promise<string[]> {
    const { pods, leases, configMaps } = this.server;
    return Promise.resolve(
      [pods, leases, configMaps].flatMap((objects) =>
        [...objects.keys()].filter((name) => name.includes(run))
      ),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }
}

const kubernetes: Kind = {
  name: "kubernetes",
  missing: kubectlMissing,
  guarded: false,
  open: KubernetesGround.open,
  make: (options) =>
    new KubernetesProvisioner(options as unknown as { image: string }),
};

/**
 * All kinds. Those that are quick come first. Virtual machines have their own
 * tests of the same promises, beside the host that they need.
 */
export const KINDS: readonly Kind[] = [
  local,
  testingFarm,
  kubernetes,
  hosts,
  plainPodman,
  systemd,
];

/** The kind of that name. */
export function kindOf(name: string): Kind {
  const kind = KINDS.find((kind) => kind.name === name);
  if (!kind) throw new Error(`No kind "${name}"`);
  return kind;
}
