/**
 * One table of all kinds of systems that can be lent here, each with real parts
 * or a server of ours, for tests that do the same to every kind.
 */
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { KubernetesProvisioner } from "../../provisioners/kubernetes.ts";
import {
  LibvirtProvisioner,
  type LibvirtProvisionerOptions,
} from "../../provisioners/libvirt.ts";
import { LocalProvisioner } from "../../provisioners/local.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import type { EventOptions } from "../../provisioners/events.ts";
import type { Provisioner, Remote } from "../../provisioners/provisioner.ts";
import { getRunId } from "../../provisioners/_run.ts";
import {
  listReservations,
  SharedLibvirtProvisioner,
  type SharedLibvirtProvisionerOptions,
} from "../../provisioners/shared_libvirt.ts";
import { SystemdProvisioner } from "../../provisioners/systemd.ts";
import { TestingFarmProvisioner } from "../../provisioners/testing_farm.ts";
import {
  FarmServer,
  guestLog,
  TOKEN,
} from "../provisioners/_testing_farm_server.ts";
import { FakeLibvirt } from "../provisioners/_fake_libvirt.ts";
import { FakeVirtHost } from "../provisioners/_fake_virsh.ts";
import { kubectlMissing, KubernetesServer } from "../_kubernetes.ts";
import { missingPrograms } from "../_parts.ts";
import {
  Container,
  containersOfRun,
  imageName,
  podman,
  podmanMissing,
} from "../_podman.ts";
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

/** Containers need no place made ready. */
function containerGround(options: Options): Ground {
  return {
    options,
    left: containersOfRun,
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
    const sshd = stack.use(await Sshd.start({ config: CROWD }));
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

/** Many who log in at the same time. */
const CROWD = ["MaxStartups 200", "MaxSessions 100"];

/** Domains of a shared host are the same sshd here, each with a lock of its own. */
class SharedLibvirtGround implements Ground {
  private constructor(
    readonly host: FakeVirtHost,
    readonly options: Options,
    private readonly stack: AsyncDisposableStack,
  ) {}

  static async open(systems: number): Promise<SharedLibvirtGround> {
    await using stack = new AsyncDisposableStack();
    const host = stack.use(await FakeVirtHost.make());
    const sshd = stack.use(await Sshd.start({ config: CROWD }));
    await Deno.writeTextFile(`${host.directory}/pool/image`, "image");
    for (let number = 1; number <= systems; number++) {
      await host.define(`domain-${number}`, sshd.port);
    }
    return new SharedLibvirtGround(host, {
      directory: host.directory,
      helper: host.helper,
      image: "image",
      domainHost: "127.0.0.1",
      user: sshd.user,
      sshKey: sshd.options.identityFile,
      ssh: { options: sshd.options.options },
      reserveDelay: 50,
    }, stack.move());
  }

  async left(run: string): Promise<string[]> {
    const { connection, helper } = this.host;
    const all = await listReservations({ host: connection, helper });
    return all.filter(({ holder }) => holder === run)
      .map(({ domain }) => domain);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

const sharedLibvirt: Kind = {
  name: "shared-libvirt",
  missing: () => missingPrograms("python3") ?? sshdMissing(),
  guarded: true,
  open: SharedLibvirtGround.open,
  make: ({ directory, ...options }) =>
    new SharedLibvirtProvisioner({
      ...options as unknown as SharedLibvirtProvisionerOptions,
      host: new FakeVirtHost(directory as string).connection,
      reserveName: getRunId(),
    }),
};

/** Ports beside the first at which the clones of one script are. */
const MORE_PORTS = 11;

/** Clones are files, and their systems the same sshd, which listens at many ports. */
class LibvirtGround implements Ground {
  private constructor(
    readonly fake: FakeLibvirt,
    readonly options: Options,
    private readonly stack: AsyncDisposableStack,
  ) {}

  static async open(maxRemotes: number): Promise<LibvirtGround> {
    await using stack = new AsyncDisposableStack();
    const fake = stack.use(await FakeLibvirt.make());
    const sshd = stack.use(await startAtManyPorts());
    return new LibvirtGround(fake, {
      origin: "origin",
      user: sshd.user,
      sshKey: sshd.options.identityFile,
      uri: "qemu+ssh://somewhere/system",
      domainHost: "127.0.0.1",
      portFrom: sshd.port,
      virsh: fake.program,
      maxRemotes,
    }, stack.move());
  }

  left(run: string): Promise<string[]> {
    return Promise.resolve(
      this.fake.domains.filter((name) => name.startsWith(`atex-${run}-`)),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

async function startAtManyPorts(): Promise<Sshd> {
  for (let attempt = 1;; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const more = Array.from(
      { length: MORE_PORTS },
      (_, index) => `ListenAddress 127.0.0.1:${port + 1 + index}`,
    );
    try {
      return await Sshd.start({ port, config: [...CROWD, ...more] });
    } catch (error) { // somebody has one of them
      if (attempt === 5) throw error;
    }
  }
}

const libvirt: Kind = {
  name: "libvirt",
  missing: sshdMissing,
  guarded: true,
  open: LibvirtGround.open,
  make: (options) =>
    new LibvirtProvisioner(options as unknown as LibvirtProvisionerOptions),
};

/** All kinds. Those that are quick come first. */
export const KINDS: readonly Kind[] = [
  local,
  testingFarm,
  kubernetes,
  sharedLibvirt,
  libvirt,
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
