/**
 * A real libvirt host: a container with libvirt, QEMU and passt of a user `virt`, reached by `qemu+ssh`, whose guests
 * (emulated, 15 s to sshd on a quiet machine) are reached at ports of 127.0.0.1.
 *
 * ```ts
 * const ignore = cannotRun("…", virtHostMissing());
 * Deno.test({ name: "…", ignore, fn: async () => {
 *   await using host = await VirtHost.start();
 *   await host.defineOrigin("origin");                 // a shut-off domain with a disk of its own, to be cloned
 *   await host.defineShared("one", host.port(0));      // a domain that others share: passt leads `host.port(0)` to it
 *   await host.virsh("list", "--all");                 // from here, over ssh
 *   await SshConnection.open(host.ssh);                // where a helper would run
 *   await SshConnection.open(host.guest(host.port(0))) // the guest in it, once it has booted
 * } });
 * ```
 *
 * In the host, `/guest` holds `vmlinuz`, `initrd.gz` and `guest.raw`; the pool `default` (type `dir`, in
 * {@linkcode POOL}) holds the volume `guest.raw`, an image that domains can be given. Guests boot from their disk
 * `vda`: the initrd mounts it, and everything from init on comes from there. They have the system of the image
 * `tiny-ssh` and the address 100.80.60.1.
 */
import { missingPrograms } from "./_parts.ts";
import { podman } from "./_podman.ts";

export { cannotRun } from "./_parts.ts";

/** Directory of the pool `default`, in the host. */
export const POOL = "/home/virt/pool";

const IMAGE = "ATEX_TEST_IMAGE_VIRT_HOST";

/** Ports of each host, from {@linkcode VirtHost.port} 0 on. */
const PORTS = 40;

/** Why there can be no such host here, if so. */
export function virtHostMissing(): string | undefined {
  const missing = missingPrograms("podman", "ssh", "virsh");
  if (missing) return missing;
  if (!Deno.env.get(IMAGE)) return "no container image of a libvirt host";
}

/** A running host. Disposing of it removes it, and its guests. */
export class VirtHost implements AsyncDisposable {
  private constructor(
    /** Name of its container. */
    readonly name: string,
    /** The port on 127.0.0.1 that leads to its sshd. */
    readonly sshPort: number,
    readonly firstPort: number,
  ) {}

  /** Starts one; libvirt answers when this resolves. */
  static async start(): Promise<VirtHost> {
    const missing = virtHostMissing();
    if (missing) throw new Error(`Cannot start a libvirt host: ${missing}`);
    const name = `atex-test-${crypto.randomUUID().slice(0, 13)}`;
    for (let attempt = 1;; attempt++) {
      // Below those that the system gives out by itself.
      const first = 20_000 + PORTS * Math.floor(Math.random() * 300);
      const range = `${first}-${first + PORTS - 1}`;
      try {
        await podman(
          "run",
          "--detach",
          "--init", // or dead emulators stay, as zombies, and cannot be destroyed
          `--name=${name}`,
          "--label=atex-test",
          "--pull=never",
          "--publish=127.0.0.1::22",
          `--publish=127.0.0.1:${range}:${range}`,
          Deno.env.get(IMAGE)!,
        );
        const published = await podman("port", name, "22/tcp");
        const host = new VirtHost(name, Number(published.split(":")[1]), first);
        await host.#makePool();
        return host;
      } catch (error) {
        await podman("rm", "-f", "-t", "0", name);
        const taken = /address already in use|cannot listen/i;
        if (attempt === 5 || !taken.test(`${error}`)) throw error;
      }
    }
  }

  async #makePool(): Promise<void> {
    await this.exec(`
      for i in $(seq 300); do virsh -q list >/dev/null 2>&1 && break; sleep 0.1; done
      mkdir -p ${POOL}
      cp --sparse=always /guest/guest.raw ${POOL}/guest.raw
      virsh -q pool-define-as default dir --target ${POOL}
      virsh -q pool-autostart default
      virsh -q pool-start default`);
  }

  /** A port of this host, and of 127.0.0.1 here, that a guest's can be forwarded to; `index` from 0 to 39. */
  port(index: number): number {
    if (!(index >= 0 && index < PORTS)) throw new RangeError(`port ${index}`);
    return this.firstPort + index;
  }

  /** Options of `SshConnection` for the host itself, as the user `virt`. */
  get ssh(): { host: string; identityFile: string } {
    return this.#sshTo("virt", this.sshPort);
  }

  /** The same for the guest behind a port, as root. */
  guest(port: number): { host: string; identityFile: string } {
    return this.#sshTo("root", port);
  }

  #sshTo(user: string, port: number) {
    return {
      host: `${user}@127.0.0.1:${port}`,
      identityFile: Deno.env.get("ATEX_TEST_KEY")!,
    };
  }

  /** Its libvirt, for `virsh -c`. */
  get uri(): string {
    const options = new URLSearchParams({
      keyfile: Deno.env.get("ATEX_TEST_KEY")!,
      no_verify: "1",
      no_tty: "1",
    });
    return `qemu+ssh://virt@127.0.0.1:${this.sshPort}/session?${options}`
      .replaceAll("%2F", "/");
  }

  /** Runs a shell script in it as the user of libvirt; gives its stdout, trimmed. */
  exec(script: string): Promise<string> {
    return podman(
      ...["exec", "--user=virt", "--env=HOME=/home/virt", this.name],
      ...["sh", "-ec", script],
    );
  }

  /** Runs `virsh` in it; gives its stdout, trimmed. */
  virsh(...args: string[]): Promise<string> {
    return podman(
      ...["exec", "--user=virt", "--env=HOME=/home/virt", this.name],
      ...["virsh", "-q", ...args],
    );
  }

  /** Names of its domains, or of those that run. */
  async domains(which: "all" | "running" = "all"): Promise<string[]> {
    const args = which === "all" ? ["--all"] : [];
    const names = await this.virsh("list", ...args, "--name");
    return names.split("\n").map((name) => name.trim()).filter(Boolean);
  }

  /** Files in the directory of its pool. */
  async files(): Promise<string[]> {
    return (await this.exec(`ls -A ${POOL}`)).split("\n").filter(Boolean);
  }

  /** Defines a domain that can be cloned, with a disk of its own. */
  async defineOrigin(name: string): Promise<void> {
    const disk = `${POOL}/${name}.qcow2`;
    await this.exec(
      `qemu-img convert -O qcow2 /guest/guest.raw ${disk}; virsh -q pool-refresh default`,
    );
    await this.define(
      domainXml(name, {
        disk: `<disk type="file" device="disk">
          <driver name="qemu" type="qcow2"/>
          <source file="${disk}"/>
          <target dev="vda" bus="virtio"/>
        </disk>`,
      }),
    );
  }

  /** Defines a domain with an empty disk, a volume of its name in the pool, whose sshd is reached at `port`. */
  async defineShared(name: string, port: number): Promise<void> {
    await this.virsh("vol-create-as", "default", name, "48M", "--format=raw");
    await this.define(
      domainXml(name, {
        disk: `<disk type="volume" device="disk">
          <driver name="qemu" type="raw" cache="unsafe"/>
          <source pool="default" volume="${name}"/>
          <target dev="vda" bus="virtio"/>
        </disk>`,
        port,
      }),
    );
  }

  /** Defines a domain. */
  async define(xml: string): Promise<void> {
    await this.exec(`cat >/tmp/domain.xml <<'XML'
${xml}
XML
virsh -q define /tmp/domain.xml`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const remove = () => podman("rm", "-f", "-t", "0", this.name);
    await remove().catch(remove); // the first try can fail on a mount that is busy
  }
}

/** A domain that boots the guest in the host's `/guest` from its disk; with `port`, its sshd is reached there. */
export function domainXml(
  name: string,
  { disk, port }: { disk: string; port?: number },
): string {
  const forward = port === undefined ? "" : `
      <backend type="passt"/>
      <ip address="100.80.60.1" family="ipv4" prefix="24"/>
      <portForward proto="tcp" address="0.0.0.0"><range start="${port}" to="22"/></portForward>`;
  return `<domain type="qemu">
  <name>${name}</name>
  <memory unit="MiB">192</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
    <kernel>/guest/vmlinuz</kernel>
    <initrd>/guest/initrd.gz</initrd>
    <cmdline>console=ttyS0 net.ifnames=0 quiet mitigations=off panic=1</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode="maximum"/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    ${disk}
    <controller type="usb" model="none"/>
    <interface type="user">${forward}
      <model type="virtio"/>
    </interface>
    <serial type="pty"/>
    <memballoon model="none"/>
  </devices>
</domain>`;
}
