import { abortable } from "@std/async/abortable";
import { delay } from "@std/async/delay";
import type { SshConnection, SshOptions } from "../connections/ssh.ts";
import { within } from "../connections/time_limit.ts";
import type { Backend, Reserving, Starting, System } from "./_backend.ts";
import { LeasedConnection } from "./_leased_connection.ts";
import { nextNumber } from "./_run.ts";
import { openAfterBoot, waitForSshd } from "./sshd.ts";
import { VirtDomain } from "./_virt_domain.ts";
import { type VirtHelper, VirtHelperError } from "./_virt_helper.ts";
import type { VirtHost } from "./_virt_host.ts";
import type { ProvisionerEvent } from "./events.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds for switching off a domain that was never lent. */
const UNDO_PATIENCE = 10_000;

export interface SharedLibvirtBackendOptions {
  /** Names the host in messages. */
  readonly name: string;
  readonly host: VirtHost;
  /** Where the ports of the domains are, unless that is known from the host. */
  readonly domainHost?: string;
  readonly image: string;
  readonly pool: string;
  readonly domainFilter?: string;
  /** How to log in to a domain. */
  readonly guest: Omit<SshOptions, "host">;
  readonly user: string;
  /** Milliseconds between two attempts to get a domain. */
  readonly reserveDelay: number;
  /** Switch domains off when they are given back. */
  readonly destroyOnRelease: boolean;
}

/** A domain that is ours, and the helper whose end gives it back. */
interface Lease {
  readonly id: string;
  readonly domain: VirtDomain;
  readonly port: number;
  /** Aborted with the reason when it is, against our will, not ours any more. */
  readonly gone: AbortSignal;
  readonly lost: Promise<Error>;
}

/** Domains of one host that many scripts share, each with a helper of its own. */
export class SharedLibvirtBackend implements Backend {
  readonly #options: SharedLibvirtBackendOptions;
  readonly #emit: (event: ProvisionerEvent) => void;
  readonly #leases = new Map<string, Lease>();
  /** Domains that cannot be used, and why. */
  readonly #unusable = new Map<string, string>();
  #domainHost = "";
  /** One reservation at a time looks for a domain. */
  #seeking: Promise<unknown> = Promise.resolve();
  /** Aborted when a domain of ours is free again: whoever waits looks at once. */
  #released = new AbortController();
  maxRemotes?: number;

  constructor(
    options: SharedLibvirtBackendOptions,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#options = options;
    this.#emit = emit;
  }

  async start({ signal }: Starting): Promise<void> {
    const { host, domainHost, pool, image } = this.#options;
    this.#unusable.clear();
    await using undo = new AsyncDisposableStack();
    undo.use(host);
    await host.connect(signal).catch((error) => {
      throw this.#error(error, "use", { fatal: true });
    });
    this.#domainHost = domainHost ?? (await host.address(signal))!;
    await using helper = await host.open(signal);
    try {
      const reservations = await helper.reservations({ signal });
      this.maxRemotes = Object.keys(reservations).length;
      await helper.virsh(["vol-path", `--pool=${pool}`, `--vol=${image}`], {
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#error(error, `use the image "${image}" of`, { fatal: true });
    }
    undo.move();
  }

  async stop(): Promise<void> {
    await this.#options.host[Symbol.asyncDispose]();
  }

  async reserve({ signal, identify, waits }: Reserving): Promise<System> {
    const lease = await this.#inTurn(
      signal,
      () => this.#lease(signal, waits),
    );
    const { domain, gone } = lease;
    let started = false;
    try {
      identify(lease.id);
      const either = AbortSignal.any([signal, gone]);
      await this.#step(lease, "switch off", () => domain.shutOff(either));
      await this.#clone(lease, either);
      started = true;
      await this.#step(lease, "start", () => domain.start(either));
      const connection = await this.#step(
        lease,
        "connect to",
        () => this.#connect(lease, either),
      );
      return this.#system(lease, connection);
    } catch (error) {
      if (started) await this.#undoStart(lease);
      await this.#giveBack(lease);
      throw error;
    }
  }

  async dispose({ id }: System): Promise<void> {
    const lease = this.#leases.get(id)!;
    this.#leases.delete(id);
    const { destroyOnRelease } = this.#options;
    if (destroyOnRelease && !lease.gone.aborted) {
      const failure = await lease.domain.destroy().catch((error) => error);
      if (failure && !lease.gone.aborted) this.#warn(lease, failure);
    }
    await this.#giveBack(lease);
  }

  /** Whoever comes first looks first. */
  #inTurn<T>(signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    const before = this.#seeking;
    const done = abortable(before, signal).then(action);
    this.#seeking = Promise.allSettled([before, done]);
    return done;
  }

  /** Waits until a domain is free, without end. */
  async #lease(
    signal: AbortSignal,
    waits: Reserving["waits"],
  ): Promise<Lease> {
    const { host, reserveDelay } = this.#options;
    await using undo = new AsyncDisposableStack();
    const helper = undo.use(await host.open(signal));
    for (;;) {
      const released = this.#released.signal;
      const name = await this.#reserve(helper, signal);
      if (name === undefined) {
        waits(await whoHasThem(helper, signal));
        const wait = reserveDelay * (1 + 0.2 * Math.random());
        const either = AbortSignal.any([signal, released]);
        await delay(wait, { signal: either }).catch(() => {});
        signal.throwIfAborted();
        continue;
      }
      const domain = new VirtDomain(helper, name);
      if (!isUnmistakable(name)) {
        this.#setAside(name, "its name may be taken for something else");
      } else {
        const port = await this.#sshPort(domain, signal);
        if (port !== undefined) {
          undo.move();
          return this.#leaseOf(domain, port);
        }
        this.#setAside(name, "no port of the host leads to it by passt");
      }
      await helper.release(name, { signal });
    }
  }

  /** `undefined` if others have all of them. */
  async #reserve(
    helper: VirtHelper,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      return await helper.reserve(this.#filter, { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof VirtHelperError)) {
        throw this.#error(error, "reserve a domain of");
      }
      if (error.reply === "no domain could be reserved") return undefined;
      const aside = [...this.#unusable].map(([name, why]) => `${name}: ${why}`);
      const { domainFilter } = this.#options;
      const why = error.reply !== "no domain matches the filter"
        ? error.reply
        : aside.length > 0
        ? `none can be used (${aside.join("; ")})`
        : `none matches "${domainFilter}"`;
      throw this.#error(new Error(why), "reserve a domain of", {
        cause: error,
        fatal: true,
      });
    }
  }

  async #sshPort(
    domain: VirtDomain,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    try {
      return await domain.sshPort(signal);
    } catch (error) {
      signal.throwIfAborted();
      const isOld = error instanceof VirtHelperError &&
        /support option/.test(error.reply);
      throw this.#error(error, `look at the domain ${domain.name} of`, {
        fatal: isOld, // virsh, that is
      });
    }
  }

  /** The filter of the user, without the domains that cannot be used. */
  get #filter(): string | undefined {
    const { domainFilter } = this.#options;
    if (this.#unusable.size === 0) return domainFilter;
    const names = [...this.#unusable.keys()].map((name) =>
      name.replace(/[^\w]/gu, "\\$&")
    );
    // Flags count for all of an expression, and have to be its beginning.
    const [, flags, rest] = /^((?:\(\?[a-z]+\))*)(.*)$/is.exec(
      domainFilter ?? ".*",
    )!;
    // In a verbose one, the end of the line is that of a comment.
    const end = flags!.includes("x") ? "\n" : "";
    return `${flags}(?!(?:${names.join("|")})\\Z)(?:${rest}${end})`;
  }

  #leaseOf(domain: VirtDomain, port: number): Lease {
    const gone = new AbortController();
    const lost = domain.helper.ended.then((error) => {
      const failure = this.#error(error, `keep the domain ${domain.name} of`);
      gone.abort(failure);
      return failure;
    });
    const id = `shared-libvirt:${domain.name}/${nextNumber()}`;
    return { id, domain, port, gone: gone.signal, lost };
  }

  /** Not again in this run. */
  #setAside(domain: string, why: string): void {
    this.#unusable.set(domain, why);
    const error = this.#error(new Error(why), `use the domain ${domain} of`);
    this.#emit({ type: "warning", error });
  }

  async #clone(lease: Lease, signal: AbortSignal): Promise<void> {
    const { pool, image } = this.#options;
    const { domain } = lease;
    await this.#step(
      lease,
      `clone "${image}" for`,
      () => domain.clone(pool, image, signal),
    ).catch((error) => {
      const { cause } = error as Error;
      if (!(cause instanceof VirtHelperError)) throw error;
      if (/has no volume in pool/.test(cause.reply)) {
        this.#setAside(domain.name, cause.reply);
      }
      const fatal = /failed getting|not dir$/.test(cause.reply);
      throw new ProvisionError((error as Error).message, { cause, fatal });
    });
  }

  async #connect(lease: Lease, signal: AbortSignal): Promise<SshConnection> {
    const { user, guest } = this.#options;
    const { port } = lease;
    const hostname = this.#domainHost;
    await waitForSshd({ hostname, port, signal });
    const address = hostname.includes(":") ? `[${hostname}]` : hostname;
    return await openAfterBoot({
      ...guest,
      host: `${user}@${address}:${port}`,
      options: {
        ConnectionAttempts: 1000,
        Compression: true,
        ...guest.options,
      },
      signal,
    });
  }

  #system(lease: Lease, connection: SshConnection): System {
    const { id, domain, gone, lost, port } = lease;
    const { helper, name } = domain;
    const { image } = this.#options;
    gone.addEventListener("abort", () => void connection.disconnect());
    if (gone.aborted) connection.disconnect();
    this.#leases.set(id, lease);
    helper.unref();
    return {
      id,
      attributes: {
        host: this.#options.name,
        domain: name,
        image,
        address: `${this.#domainHost}:${port}`,
      },
      reusable: false,
      connection: new LeasedConnection(connection, {
        // deno-lint-ignore require-await -- a rejection
        held: async () => gone.throwIfAborted(),
      }),
      lost,
      expectLoss: () => helper.ref(),
    };
  }

  async #step<T>(
    { domain, gone }: Lease,
    what: string,
    action: () => Promise<T>,
  ): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (gone.aborted) throw gone.reason;
      throw this.#error(error, `${what} the domain ${domain.name} of`);
    }
  }

  /** A domain that nobody got to see uses memory of the host for nothing. */
  async #undoStart(lease: Lease): Promise<void> {
    const { destroyOnRelease } = this.#options;
    if (!destroyOnRelease || lease.gone.aborted) return;
    const late = () => new Error("it takes too long");
    await within(
      { ms: UNDO_PATIENCE, late, signal: lease.gone },
      (signal) => lease.domain.destroy(signal),
    ).catch(() => {});
  }

  /** The end of the helper frees the domain. */
  async #giveBack({ domain }: Lease): Promise<void> {
    await domain.helper.close();
    this.#released.abort();
    this.#released = new AbortController();
  }

  #warn({ domain }: Lease, error: Error): void {
    this.#emit({
      type: "warning",
      error: this.#error(error, `switch off the domain ${domain.name} of`),
    });
  }

  #error(
    error: unknown,
    what: string,
    options: { fatal?: boolean; cause?: unknown } = {},
  ): ProvisionError {
    if (error instanceof ProvisionError) return error;
    const { message } = error as Error;
    const why = error instanceof VirtHelperError
      ? message.replace(/^Cannot run .*? by the virt helper: /, "")
      : message;
    return new ProvisionError(`Cannot ${what} ${this.#options.name}: ${why}`, {
      cause: error,
      ...options,
    });
  }
}

/** Whether `virsh` takes the name for that of a domain, not for an id, a UUID or an option. */
function isUnmistakable(name: string): boolean {
  return !/^(-|\d+$|[\da-f]{8}(-?[\da-f]{4}){3}-?[\da-f]{12}$)/i.test(name);
}

async function whoHasThem(
  helper: VirtHelper,
  signal: AbortSignal,
): Promise<string> {
  const had = Object.entries(await helper.reservations({ signal }))
    .filter(([, holder]) => holder !== "(free)")
    .map(([name, holder]) => `${name}: ${holder}`);
  return `others have ${had.sort().join("; ")}`;
}
