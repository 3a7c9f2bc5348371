import { delay } from "@std/async/delay";
import { ConnectError } from "../connections/connection.ts";
import { SshConnection } from "../connections/ssh.ts";
import { isDropped } from "../connections/ssh_drop.ts";
import { connectWithin, within } from "../connections/time_limit.ts";
import type { Backend, Reserving, Starting, System } from "./_backend.ts";
import { HostCare } from "./_host_care.ts";
import type { HostList } from "./_host_list.ts";
import { type Host, HostRoster } from "./_host_roster.ts";
import { describeHolder, type Lease, LeaseError } from "./_lease.ts";
import { LeasedConnection } from "./_leased_connection.ts";
import { Reaping } from "./_reaping.ts";
import { holdRun, type Run } from "./_run.ts";
import { settle } from "./_settle.ts";
import type { ProvisionerEvent } from "./events.ts";
import type { HostEntry, HostHooks } from "./_hosts_types.ts";
import { ProvisionError, type ReleaseReason } from "./provisioner.ts";

/** Milliseconds between two attempts to reach a host that may be rebooting. */
const REBOOT_PAUSE = 1000;

/** Milliseconds in which a host that is damaged answers, or it is left alone. */
const DAMAGED_ANSWER = 5000;

export interface HostsBackendOptions extends HostHooks {
  readonly list: HostList;
  makeLease(host: HostEntry): Lease;
  shuffle: boolean;
  /** A command beside the one by which connections are tried. */
  probe?: readonly string[];
  probeTimeout: number;
  hookTimeout: number;
  pollInterval: number;
  retryAfter: number;
  quarantine: number;
  maxFailures: number;
  connectTimeout: number;
  rebootTimeout: number;
  reserveTimeout: number;
}

/** One host could not be used; another may. */
class UnusableError extends ProvisionError {}

/** Lends hosts from a list, each to one at a time. */
export class HostsBackend implements Backend {
  readonly #options: HostsBackendOptions;
  readonly #emit: (event: ProvisionerEvent) => void;
  readonly #roster = new HostRoster();
  readonly #care: HostCare;
  /** Reservations that look for a host. */
  #looking = 0;
  #reaping?: Reaping;
  /** Who we are. That we live is told by leases, not by a run file. */
  #me?: Run;

  constructor(
    options: HostsBackendOptions,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#options = options;
    this.#emit = emit;
    this.#care = new HostCare(options, emit);
  }

  get maxRemotes(): number | undefined {
    return this.#options.list.size;
  }

  async start({ signal }: Starting): Promise<void> {
    const { list, shuffle } = this.#options;
    this.#roster.fill(await list.read(signal), { shuffle });
    await using me = await holdRun("hosts");
    this.#me = me;
    await using reaping = new AsyncDisposableStack();
    this.#reaping = reaping.use(
      new Reaping({
        kind: "hosts",
        onTrouble: (error) => this.#emit({ type: "warning", error }),
      }),
    );
    await this.#reaping.wait(signal);
    reaping.move();
  }

  async reserve({ signal, identify, waits }: Reserving): Promise<System> {
    let named: Host | undefined;
    this.#looking++;
    try {
      for (;;) {
        signal.throwIfAborted();
        const host = this.#roster.next();
        if (host) {
          const isNew = host !== named && host.holder === undefined &&
            host.droppingSince === undefined;
          if (isNew) identify((named = host).id);
          const system = await this.#take(host, signal, () => {
            if (host !== named) identify((named = host).id);
          });
          if (system) return system;
          continue;
        }
        if (this.#roster.isSpent) throw this.#roster.spentError();
        named = undefined;
        identify(); // it may be any of them
        if (!this.#roster.isAsking) {
          waits(this.#roster.whoHasThem());
        }
        await this.#roster.change(signal);
      }
    } finally {
      this.#looking--;
      if (this.#looking === 0) await this.#letGo();
    }
  }

  retries(error: Error): boolean {
    return error instanceof UnusableError;
  }

  /** Ends left processes on hosts without a `clean` hook; never opens a new connection for it. */
  async sweep({ id }: System, reason: ReleaseReason): Promise<void> {
    const { clean, connectTimeout } = this.#options;
    const host = this.#roster.find(id);
    if (clean || await isLost(host)) return;
    const patience = isDamaged(reason)
      ? Math.min(DAMAGED_ANSWER, connectTimeout)
      : connectTimeout;
    await this.#care.endLeft(host.connection!, host, patience);
  }

  async dispose({ id }: System, reason: ReleaseReason): Promise<void> {
    const host = this.#roster.find(id);
    try {
      await this.#bringBack(host, reason);
    } finally {
      await this.#endLease(host);
      await host.connection?.disconnect();
      host.connection = undefined;
      host.taken = false;
      this.#roster.notify();
    }
  }

  async stop(): Promise<void> {
    await using _ = this.#reaping;
    await settle(this.#roster.hosts.map((host) => this.#endLease(host)));
  }

  /** Gives nothing if somebody else has it. */
  async #take(
    host: Host,
    signal: AbortSignal,
    begins: () => void,
  ): Promise<System | undefined> {
    host.taken = true;
    try {
      if (!await this.#lease(host, signal)) {
        host.taken = false;
        return undefined;
      }
      begins();
      host.holder = undefined;
      const system = await this.#prepare(host, signal);
      host.known = true;
      return system;
    } catch (error) {
      await this.#endLease(host);
      host.taken = false;
      if (signal.aborted) throw signal.reason;
      throw this.#setAside(host, error);
    } finally {
      this.#roster.notify();
    }
  }

  async #lease(host: Host, signal: AbortSignal): Promise<boolean> {
    const lease = host.lease ??= this.#options.makeLease(host);
    const { pollInterval, rebootTimeout } = this.#options;
    const { droppingSince = performance.now() } = host;
    host.droppingSince = undefined;
    let { holder, ours } = host;
    const ask = () => lease.take(signal).finally(() => host.asking = false);
    host.asking = holder === undefined;
    try {
      const answer = host.asking
        ? await this.#retry(host, ask, signal)
        : await ask();
      if (answer === true) return true;
      host.heldAt = performance.now();
      holder = describeHolder(answer);
      ours = this.#roster.oursBy(answer);
    } catch (error) {
      // Who has it may have rebooted it. Another may become free before it is back.
      const now = performance.now();
      const isAway = holder !== undefined && isPassing(error) &&
        now < (host.heldAt ?? -Infinity) + rebootTimeout;
      const drops = isDropped(outputOf(error));
      const isFull = drops && now < droppingSince + rebootTimeout;
      if (signal.aborted || !isAway && !isFull) throw error;
      if (drops) host.droppingSince = droppingSince;
    }
    const wait = pollInterval * (0.8 + 0.4 * Math.random());
    host.busyUntil = performance.now() + wait;
    host.holder = holder;
    host.ours = ours;
    return false;
  }

  async #prepare(host: Host, signal: AbortSignal): Promise<System> {
    const { prepare } = this.#options;
    const { id, options, labels, attributes } = host;
    const lease = host.lease!;
    const connection = await this.#reachInTime(host, signal);
    const leased = new LeasedConnection(connection, lease);
    try {
      await this.#care.hook(
        "prepare",
        host,
        (context) => prepare?.(leased, context),
        signal,
      );
    } catch (error) {
      await connection.disconnect();
      throw error;
    }
    host.connection = connection;
    return {
      id,
      attributes: { ...labels, ...attributes, host: options.host },
      reusable: true,
      connection: leased,
      ...(lease.lost && { lost: lease.lost }),
      expectLoss: () => lease.keepRunning(),
    };
  }

  /** Reached and probed. */
  async #reachInTime(host: Host, signal: AbortSignal): Promise<SshConnection> {
    const { reserveTimeout, rebootTimeout, probe } = this.#options;
    const limit = reserveTimeout + (host.known ? rebootTimeout : 0);
    const options = host.known
      ? '"reserveTimeout" and "rebootTimeout" together'
      : '"reserveTimeout"';
    const late = () =>
      new ProvisionError(
        `Cannot use the host ${host.options.host}: it is not ready within ${
          limit / 1000
        } s, its ${options}`,
      );
    const begin = performance.now();
    const connection = await within(
      { ms: limit, late, signal },
      (signal) => this.#reach(host, signal),
    );
    const ms = limit - (performance.now() - begin);
    try {
      if (!host.known) {
        await this.#care.tidy(connection, host, this.#me!, signal);
      }
      if (probe) {
        await within(
          { ms, late, signal },
          (signal) => this.#care.probe(connection, host, probe, signal),
        );
      }
      return connection;
    } catch (error) {
      await connection.disconnect();
      throw error;
    }
  }

  /** Connects. */
  #reach(host: Host, signal: AbortSignal): Promise<SshConnection> {
    const { connectTimeout } = this.#options;
    const { options } = host;
    const connect = () =>
      connectWithin(
        connectTimeout,
        { system: options.host, signal },
        (signal) => SshConnection.open({ ...options, signal }),
      );
    return this.#retry(host, connect, signal);
  }

  /** A host that was there before may be coming back from a reboot. */
  async #retry<T>(
    host: Host,
    action: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { rebootTimeout } = this.#options;
    const end = performance.now() + (host.known ? rebootTimeout : 0);
    for (;;) {
      try {
        return await action();
      } catch (error) {
        const again = performance.now() + REBOOT_PAUSE;
        if (signal?.aborted || !isPassing(error) || again > end) throw error;
      }
      await delay(REBOOT_PAUSE, signal && { signal });
    }
  }

  /** After its use: whether the host can be lent again. Tells by events what goes wrong. */
  async #bringBack(host: Host, reason: ReleaseReason): Promise<void> {
    const { recover, clean, quarantine, maxFailures } = this.#options;
    const damaged = isDamaged(reason);
    const connection = new LeasedConnection(host.connection!, {
      held: (signal) => this.#regain(host, signal),
    });
    try {
      if (clean || damaged && recover) await this.#checkLease(host);
      if (damaged && recover) {
        await this.#care.hook(
          "recover",
          host,
          (context) => recover(connection, { ...context, reason }),
        );
      }
      if (clean) {
        await this.#retry(host, () => connection.connect());
        await this.#care.hook(
          "clean",
          host,
          (context) => clean(connection, { ...context, reason }),
        );
      }
    } catch (error) {
      const failure = error instanceof LeaseError
        ? new ProvisionError(
          `Cannot clean up the host ${host.options.host}: ${error.message}`,
          { cause: error },
        )
        : this.#setAside(host, error);
      return this.#emit({ type: "warning", error: failure });
    }
    host.failures = reason === "setup-failed" ? host.failures + 1 : 0;
    const why = `The host ${host.options.host} was given back as ${
      reason === "destroyed" ? "destroyed" : "impossible to set up"
    }`;
    const ms = host.failures >= maxFailures
      ? Infinity
      : damaged && !recover
      ? quarantine
      : 0;
    if (ms > 0) this.#roster.leaveAlone(host, why, ms);
  }

  /**
   * Before hooks are called: whether the host is ours. One that is away stays so for
   * the time of its lease, as it may be dead, which is what `recover` is for.
   *
   * @throws {LeaseError} if somebody else has it
   * @throws {ConnectError} if somebody else may have it
   */
  async #checkLease(host: Host): Promise<void> {
    if (await isLost(host)) await this.#regain(host);
  }

  /**
   * Waits for the lease while it is got back, and takes it again if it was lost.
   *
   * @throws {LeaseError} if somebody else has the host now
   */
  async #regain(
    { lease, options }: Host,
    signal = new AbortController().signal,
  ): Promise<void> {
    const { rebootTimeout } = this.#options;
    try {
      await connectWithin(
        rebootTimeout,
        { system: options.host, signal },
        (signal) => lease!.held(signal),
      );
    } catch (error) {
      if (!(error instanceof LeaseError)) throw error;
      if (await lease!.take(signal) !== true) throw error;
    }
  }

  #setAside(host: Host, error: unknown): ProvisionError {
    const why = (error as Error).message;
    if (isMissing(error) || error instanceof LeaseError && error.fatal) {
      return new ProvisionError(why, { cause: error, fatal: true });
    }
    const { retryAfter, maxFailures } = this.#options;
    const enough = ++host.failures >= maxFailures;
    this.#roster.leaveAlone(
      host,
      why,
      enough || error instanceof LeaseError ? Infinity : retryAfter,
    );
    if (this.#roster.isSpent) return this.#roster.spentError(error);
    return new UnusableError(why, { cause: error });
  }

  /** Nobody waits for hosts that others have. */
  async #letGo(): Promise<void> {
    const waitedFor = this.#roster.hosts.filter(({ taken, lease }) =>
      !taken && lease
    );
    await settle(waitedFor.map((host) => {
      host.holder = undefined;
      host.droppingSince = undefined;
      return this.#endLease(host);
    }));
  }

  async #endLease(host: Host): Promise<void> {
    const { lease } = host;
    host.lease = undefined;
    await lease?.[Symbol.asyncDispose]();
  }
}

/** The lease of the host is lost: somebody else may have it. */
async function isLost({ lease }: Host): Promise<boolean> {
  return await Promise.race([lease!.lost, undefined]) !== undefined;
}

function isDamaged(reason: ReleaseReason): boolean {
  return reason === "destroyed" || reason === "setup-failed";
}

function outputOf(error: unknown): string {
  return error instanceof ConnectError ? error.output : "";
}

/** The host may be there again in a while. */
function isPassing(error: unknown): boolean {
  return error instanceof ConnectError && !isMissing(error);
}

/** There is no ssh here, whatever the host. */
function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    /^the program .* not installed/.test(outputOf(error));
}
