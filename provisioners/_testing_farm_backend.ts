import { abortable } from "@std/async/abortable";
import { formatOwner } from "../connections/ownership.ts";
import { output } from "../connections/process.ts";
import { SshConnection } from "../connections/ssh.ts";
import type { Backend, Reserving, Starting, System } from "./_backend.ts";
import { Reaping } from "./_reaping.ts";
import { settle } from "./_settle.ts";
import { holdRun, nextNumber, type Run } from "./_run.ts";
import { openSshKey, type SshKey } from "./_ssh_key.ts";
import { ownAddress } from "./_testing_farm_address.ts";
import {
  ApiError,
  type Identity,
  TestingFarmApi,
} from "./_testing_farm_api.ts";
import { requestBody, type Wanted } from "./_testing_farm_body.ts";
import { pause } from "./_testing_farm_http.ts";
import { type Guest, GuestFinder, PipelineLog } from "./_testing_farm_log.ts";
import { judgeRequests, TAG } from "./_testing_farm_reaper.ts";
import { tokenOf } from "./_testing_farm_service.ts";
import { RequestWatchdog } from "./_testing_farm_watchdog.ts";
import { RequestWatch } from "./_testing_farm_watch.ts";
import type { ProvisionerEvent } from "./events.ts";
import { ProvisionError } from "./provisioner.ts";

/** Lines of the log that are kept for errors. */
const TAIL = 100;
/** What makes a terminal forget the colours of a line. */
const COLOUR_RESET = "\x1b[0m";

/** Times in milliseconds. */
export interface Times {
  readonly retryDelays: readonly number[];
  readonly retryFor: number;
  readonly releaseTimeout: number;
  readonly callTimeout: number;
  readonly pollInterval: number;
  readonly lostInterval: number;
  readonly sshInterval: number;
  readonly spread: number;
  readonly reapInterval: number;
}

export interface TestingFarmBackendOptions {
  readonly url: string;
  /** Absent: that of the environment. */
  readonly token?: string;
  readonly wanted: Wanted;
  readonly retries: number;
  /** Run on each system before it is lent. */
  readonly cleaningScript?: string;
  readonly sshKey?: string | URL;
  readonly sourceCidr?: string;
  /** A process beside this one ends requests when this one is killed. */
  readonly watchdog: boolean;
  readonly times: Times;
  readonly onLog?: (line: string, id: string) => void;
  /** Services that tell the address of this machine. */
  readonly addressServices?: readonly string[];
}

/** What there is between start and stop. */
interface Session {
  readonly api: TestingFarmApi;
  readonly identity: Identity;
  readonly run: Run;
  /** The tag of what is made until stop. */
  readonly pool: string;
  readonly key: SshKey;
  readonly resources: AsyncDisposableStack;
  /** Tags of submissions that may have made more than we know of. */
  readonly unclear: Set<string>;
  /** Requests whose systems are lent, by the id of the system. */
  readonly lent: Map<string, { request: string; watch: RequestWatch }>;
  /** Who may reach the systems, where that is asked for. */
  readonly sourceCidr?: string;
  readonly watchdog?: RequestWatchdog;
  /** A request that we know of could not be ended. */
  hasLeft: boolean;
}

/** Reservations that begin at the same time. */
interface Batch {
  size: number;
  readonly closed: Promise<void>;
}

/** Systems of a Testing Farm, each kept by a request. */
export class TestingFarmBackend implements Backend {
  readonly #options: TestingFarmBackendOptions;
  readonly #emit: (event: ProvisionerEvent) => void;
  #session?: Session;
  #batch?: Batch;
  #retriesLeft: number;

  constructor(
    options: TestingFarmBackendOptions,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#options = options;
    this.#emit = emit;
    this.#retriesLeft = options.retries;
  }

  async start({ signal }: Starting): Promise<void> {
    const { url, wanted, times, sshKey } = this.#options;
    const token = tokenOf(this.#options.token);
    const api = new TestingFarmApi({
      url,
      token,
      secrets: Object.values(wanted.secrets ?? {}),
      ...times,
      onTrouble: (error) => this.#warn(error),
    });
    await using resources = new AsyncDisposableStack();
    const key = resources.use(await openSshKey(sshKey, { signal }));
    const identity = await api.whoami({ signal }).catch((error) => {
      signal.throwIfAborted();
      throw failure("Cannot use Testing Farm", error);
    });
    const sourceCidr = identity.ranch === "public"
      ? this.#options.sourceCidr ??
        `${await ownAddress(signal, this.#options.addressServices)}/32`
      : undefined;
    const run = resources.use(await holdRun("testing-farm"));
    const reaping = resources.use(
      new Reaping({
        kind: "testing-farm",
        find: (signal) => judgeRequests(api, identity.tokenId, run, signal),
        onReaped: ({ name, owner = "" }) =>
          this.#emit({ type: "reaped", kind: "testing-farm", name, owner }),
        late: times.reapInterval,
        onTrouble: (error) => this.#warn(error),
      }),
    );
    await reaping.wait(signal);
    const pool = `${run.id}-${nextNumber()}`;
    const duty = {
      url,
      tokenId: identity.tokenId,
      pool,
      interval: times.reapInterval,
      retryDelays: times.retryDelays,
    };
    const watchdog = this.#options.watchdog
      ? resources.use(
        await RequestWatchdog.start(duty, {
          token,
          signal,
          onEnd: (error) => this.#warn(error),
        }),
      )
      : undefined;
    this.#session = {
      api,
      identity,
      run,
      pool,
      key,
      resources: resources.move(),
      unclear: new Set(),
      lent: new Map(),
      sourceCidr,
      watchdog,
      hasLeft: false,
    };
  }

  async reserve({ signal, identify, waits }: Reserving): Promise<System> {
    const session = this.#session!;
    const id = `testing-farm:${nextNumber()}`;
    identify(id);
    await this.#turn(signal);
    await using undo = new AsyncDisposableStack();
    const request = await this.#submit(session, signal);
    undo.defer(() =>
      this.#cancel(session, request).catch((error) => this.#warn(error))
    );
    signal.throwIfAborted();
    const watch = undo.use(
      new RequestWatch(session.api, request, {
        ...this.#options.times,
        waits,
        onTrouble: (error) => this.#warn(error),
      }),
    );
    const tail: string[] = [];
    const onLine = (line: string) => {
      const text = session.api.hide(line);
      tail.push(text);
      if (tail.length > TAIL) tail.shift();
      this.#log(text, id);
    };
    const gone = new AbortController();
    watch.gone.then((error) => gone.abort(error));
    const either = AbortSignal.any([signal, gone.signal]);
    let refusal = "";
    const refused = (reason: string) => {
      refusal = `; it let nobody in: ${reason}`;
      waits(reason);
    };
    let guest: Guest;
    let connection: SshConnection;
    try {
      guest = await this.#findGuest(watch, onLine, either);
      connection = await this.#connect(guest, session, refused, either);
      undo.use(connection);
      await this.#clean(connection, onLine, either);
    } catch (error) {
      signal.throwIfAborted();
      const cause = gone.signal.aborted ? gone.signal.reason : error;
      throw failure(
        `Cannot reserve a system with the request ${request}`,
        cause,
        { tail, note: gone.signal.aborted ? refusal : "" },
      );
    }
    signal.throwIfAborted();
    undo.move();
    watch.relax();
    session.lent.set(id, { request, watch });
    const { compose, arch } = this.#options.wanted;
    return {
      id,
      attributes: { compose, arch, request, host: guest.host },
      reusable: false,
      connection,
      lost: watch.gone.then((cause) =>
        new Error(
          `The request ${request} ended by itself: ${cause.message}`,
          { cause },
        )
      ),
      expectLoss: () => watch.expect(),
    };
  }

  /** Reservations that begin together are spread over some time. */
  async #turn(signal: AbortSignal): Promise<void> {
    const batch = this.#batch ??= {
      size: 0,
      closed: pause(0).then(() => {
        this.#batch = undefined;
      }),
    };
    const index = batch.size++;
    await batch.closed;
    const wait = index * this.#options.times.spread / batch.size;
    if (wait > 0) await pause(wait, signal);
    signal.throwIfAborted();
  }

  /** When this rejects, what may have come of it is ended as far as it can be found. */
  async #submit(session: Session, signal: AbortSignal): Promise<string> {
    const { api, run, pool, key, unclear, sourceCidr } = session;
    const { wanted } = this.#options;
    const submit = crypto.randomUUID();
    const body = requestBody(wanted, {
      publicKey: key.publicKey,
      tags: {
        [TAG.run]: run.id,
        [TAG.owner]: formatOwner(run.owner),
        [TAG.pool]: pool,
        [TAG.submit]: submit,
      },
      sourceCidr,
    });
    const find = async () =>
      (await this.#submittedBy(session, new Set([submit]), { signal }))[0];
    const sweep = async (keep: readonly string[]) => {
      if (!unclear.has(submit)) return;
      await this.#sweep(session, new Set([submit]), keep)
        .catch((error) => this.#warn(error));
    };
    try {
      const id = await api.submit(body, find, {
        signal,
        onUnclear: () => unclear.add(submit),
      });
      await sweep([id]); // an attempt before may have been taken after all
      return id;
    } catch (error) {
      await sweep([]);
      signal.throwIfAborted();
      throw failure(
        `Cannot reserve "${wanted.compose}" on ${wanted.arch}`,
        error,
      );
    }
  }

  /** Requests that are alive and carry one of those tags. */
  async #submittedBy(
    { api, identity }: Session,
    submits: ReadonlySet<string>,
    options: { signal?: AbortSignal; giveUp?: number },
  ): Promise<string[]> {
    const alive = await api.listAlive(identity.tokenId, options);
    return alive.filter(({ tags }) => submits.has(tags[TAG.submit]))
      .map(({ id }) => id);
  }

  /** Ends what those submissions made, except for what is kept. */
  async #sweep(
    session: Session,
    submits: ReadonlySet<string>,
    keep: readonly string[],
  ): Promise<void> {
    const { releaseTimeout } = this.#options.times;
    const found = await this.#submittedBy(session, submits, {
      giveUp: releaseTimeout,
    });
    const unwanted = found.filter((id) => !keep.includes(id));
    await settle(unwanted.map((id) => this.#cancel(session, id)));
  }

  async #cancel(session: Session, request: string): Promise<void> {
    try {
      await session.api.cancel(request, {
        giveUp: this.#options.times.releaseTimeout,
      });
    } catch (error) {
      session.hasLeft = true;
      throw new ProvisionError(
        `Cannot end the request ${request}, which may cost until its time is over: ${
          (error as Error).message
        }`,
        { cause: error },
      );
    }
  }

  /** Reads the log until it names a system that has our key. */
  async #findGuest(
    watch: RequestWatch,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Guest> {
    const { retryDelays, retryFor, callTimeout, pollInterval } =
      this.#options.times;
    const artifacts = await abortable(watch.artifacts, signal);
    const log = new PipelineLog(artifacts);
    const reading = {
      signal,
      delays: retryDelays,
      giveUp: retryFor,
      timeout: callTimeout,
    };
    while (!await log.exists(reading)) await pause(pollInterval, signal);
    const finder = new GuestFinder();
    for (;;) {
      let guest: Guest | undefined;
      for (const line of await log.read(reading)) {
        onLine(line);
        guest ??= finder.feed(line);
      }
      if (guest) return guest;
      await pause(pollInterval, signal);
    }
  }

  /** Tries until it works, or until the signal says that it never will. */
  async #connect(
    { user, host }: Guest,
    { api, key }: Session,
    refused: (reason: string) => void,
    signal: AbortSignal,
  ): Promise<SshConnection> {
    const told = new Set<string>();
    for (;;) {
      try {
        return await SshConnection.open({
          host: `${user}@${host}`,
          identityFile: key.file,
          options: {
            ConnectTimeout: 20,
            ConnectionAttempts: 1,
            IdentitiesOnly: true,
          },
          signal,
        });
      } catch (error) {
        signal.throwIfAborted();
        const { message } = error as Error;
        if (
          error instanceof Deno.errors.NotCapable ||
          /the program .* is not installed/.test(message)
        ) {
          throw new ProvisionError(message, {
            cause: error,
            fatal: true,
          });
        }
        const reason = api.hide(message);
        if (!told.has(reason)) refused(reason);
        told.add(reason);
      }
      await pause(this.#options.times.sshInterval, signal);
    }
  }

  async #clean(
    connection: SshConnection,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { cleaningScript } = this.#options;
    if (cleaningScript === undefined) return;
    const { success, code, stdout, stderr } = await output(
      connection,
      ["bash", "-s"],
      { stdin: cleaningScript, signal },
    );
    const decoder = new TextDecoder();
    for (const text of [decoder.decode(stdout), decoder.decode(stderr)]) {
      for (const line of text.split("\n")) if (line) onLine(line);
    }
    if (!success) {
      throw new Error(`the cleaning script ended with exit code ${code}`);
    }
  }

  retries(): boolean {
    if (this.#retriesLeft === 0) return false;
    this.#retriesLeft--;
    return true;
  }

  async dispose({ id }: System): Promise<void> {
    const session = this.#session!;
    const { request, watch } = session.lent.get(id)!;
    session.lent.delete(id);
    await watch[Symbol.asyncDispose]();
    await this.#cancel(session, request);
  }

  async stop(): Promise<void> {
    const session = this.#session!;
    this.#session = undefined;
    await using _ = session.resources; // a watchdog that is still there looks now
    // By now every request that we know of is ended.
    if (session.unclear.size > 0) {
      await this.#sweep(session, session.unclear, []);
    } else if (!session.hasLeft) await session.watchdog?.dismiss();
  }

  #warn(error: Error): void {
    this.#emit({ type: "warning", error });
  }

  #log(line: string, id: string): void {
    try {
      this.#options.onLog?.(line + COLOUR_RESET, id);
    } catch (error) {
      reportError(error);
    }
  }
}

/** What failed at the service, as an error of a provisioner. */
function failure(
  what: string,
  error: unknown,
  { tail = [], note = "" }: {
    /** The last of its log. */
    tail?: readonly string[];
    /** What else is known of it. */
    note?: string;
  } = {},
): ProvisionError {
  const log = tail.length > 0
    ? `\nthe last of its log:\n${tail.join("\n")}`
    : "";
  const status = error instanceof ApiError ? error.status : undefined;
  const refused = status === 401 || status === 403;
  const fatal = refused || status === 400 || status === 422 ||
    error instanceof ProvisionError && error.fatal;
  const why = refused ? "the token was refused, " : "";
  return new ProvisionError(
    `${what}: ${why}${(error as Error).message}${note}${log}`,
    { cause: error, fatal },
  );
}
