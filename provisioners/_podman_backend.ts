import { deadline } from "@std/async/deadline";
import { Semaphore } from "@std/async/unstable-semaphore";
import type { Connection } from "../connections/connection.ts";
import { MADE } from "../connections/made_container.ts";
import { formatOwner } from "../connections/ownership.ts";
import { PodmanConnection } from "../connections/podman.ts";
import type { Backend, Reserving, Starting, System } from "./_backend.ts";
import { acquire } from "./_permit.ts";
import { PodmanCli } from "./_podman_cli.ts";
import { podmanEvents } from "./_podman_events.ts";
import {
  imageMissing,
  provideImage,
  type PullPolicy,
} from "./_podman_image.ts";
import { findContainers, LABEL } from "./_podman_reaper.ts";
import { PodmanRemoval } from "./_podman_removal.ts";
import type { ProgramResult } from "./_program.ts";
import { nextNumber } from "./_run.ts";
import { Session } from "./_session.ts";
import { WATCHDOG_SCRIPT } from "./_watchdog.ts";
import type { ProvisionerEvent } from "./events.ts";
import { ProvisionError } from "./provisioner.ts";

/** Milliseconds that an aborted `podman run` has to end by itself: killed half-way it leaves more behind. */
const RUN_PATIENCE = 5000;

export interface PodmanBackendOptions {
  image: string;
  runOptions: readonly string[];
  command: readonly string[];
  pull: PullPolicy;
  maxLifetime: number;
  podman: readonly string[];
  parallel: number;
  commandTimeout: number;
  variant: Variant;
}

/** What distinguishes kinds of containers. */
export interface Variant {
  /** Begins the ids of systems. */
  readonly kind: string;
  /** What keeps a container alive, unless the user says something else. */
  readonly command: readonly string[];
  /** Options of `podman container run`. */
  readonly options: readonly string[];
  /** Whether a container needs time rather than processors between its start and its use. */
  readonly boots: boolean;
  /** Connects when the container can be used. */
  open(container: Started, signal: AbortSignal): Promise<Connection>;
  /** After the end of a container: tells why it is over, unless it has started it again. */
  revive?(
    cli: PodmanCli,
    name: string,
    isWanted: () => boolean,
  ): Promise<string | undefined>;
}

/** A container that podman has started. */
export interface Started {
  /** The long one. */
  readonly id: string;
  readonly name: string;
  readonly podman: readonly string[];
  /** Resolves when it has ended for good. */
  readonly lost: Promise<Error>;
}

/** Containers that run a command that does nothing. */
export function plainVariant(init: boolean): Variant {
  // Asking podman takes as long as a command in a container.
  const alike = {};
  return {
    kind: "podman",
    command: ["sleep", "inf"],
    options: ["--rm", ...(init ? ["--init"] : []), "--stop-timeout=1"],
    boots: false,
    open: ({ id, name: container, podman }, signal) => {
      const options = { container, podman, signal, [MADE]: { id, alike } };
      return PlainContainer.open(options);
    },
  };
}

/** Its command does nothing but wait: there is nothing in it to reboot. */
class PlainContainer extends PodmanConnection {
  override get canReboot(): boolean {
    return false;
  }
}

/** Containers, each in the system's podman for as long as it is lent. */
export class PodmanBackend implements Backend {
  readonly #options: PodmanBackendOptions;
  readonly #cli: PodmanCli;
  readonly #making: Semaphore;
  readonly #removal: PodmanRemoval;
  readonly #emit: (event: ProvisionerEvent) => void;
  #session?: Session;

  constructor(
    options: PodmanBackendOptions,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#options = options;
    this.#cli = new PodmanCli(options.podman, options.commandTimeout);
    this.#making = new Semaphore(options.parallel);
    // Of its own: what is to be removed does not wait for what is to be made.
    const permits = new Semaphore(options.parallel);
    this.#removal = new PodmanRemoval(this.#cli, permits);
    this.#emit = emit;
  }

  async start({ signal }: Starting): Promise<void> {
    const cli = this.#cli;
    await checkPodman(cli, signal);
    const { image, pull, variant: { revive } } = this.#options;
    await provideImage(cli, image, pull, {
      signal,
      pulling: () => this.#emit({ type: "pulling", image }),
    });
    this.#session = await Session.open({
      kind: "podman",
      runKind: cli.runKind,
      find: (run, signal) => findContainers(cli, run, signal),
      watchdog: { script: WATCHDOG_SCRIPT, argv: cli.argv },
      events: (prefix) => podmanEvents(cli, prefix, revive),
      emit: this.#emit,
    }, signal);
  }

  async reserve({ signal, identify }: Reserving): Promise<System> {
    const session = this.#session!;
    const number = nextNumber();
    const { image, podman, variant } = this.#options;
    const id = `${variant.kind}:${number}`;
    const name = session.prefix + number;
    await using undo = new AsyncDisposableStack();
    undo.defer(() => session.events.unwatch(name));
    using making = new DisposableStack();
    making.use(await acquire(this.#making, signal));
    identify(id);
    undo.defer(() => session.undo(() => this.#removal.remove(name)));
    session.events.prepare(name);
    const container = await this.#create(name, session, signal);
    // Others wait for one that is of use in a moment, if it has the processors.
    if (variant.boots) making.dispose();
    signal.throwIfAborted();
    const lost = session.events.watch(name);
    const connection = await this.#connect(
      { id: container, name, podman, lost },
      signal,
    );
    undo.move();
    return {
      id,
      attributes: { image, container: name },
      reusable: false,
      connection,
      lost,
      expectLoss: () => session.events.expect(name),
    };
  }

  /** Runs the container and gives its long id; when this rejects there may be one. */
  async #create(
    name: string,
    session: Session,
    signal: AbortSignal,
  ): Promise<string> {
    const { image } = this.#options;
    let result: ProgramResult;
    try {
      result = await this.#cli.output(this.#runArguments(name, session), {
        signal,
        patience: RUN_PATIENCE,
        timeout: Infinity, // the reservation has one
      });
    } catch (error) {
      session.uncertain = true;
      throw error;
    }
    const { code, stdout, said } = result;
    if (code === 0) return stdout.trim();
    if (code === 125 && /image not known|no such image/i.test(said)) {
      throw imageMissing(this.#cli, image);
    }
    const wrongOption = code === 125 &&
      /unknown (shorthand )?flag|invalid argument .* for .* flag/.test(said);
    throw new ProvisionError(
      `Cannot run a container of the image "${image}": ${
        said || `exit code ${code}`
      }`,
      { fatal: code === 126 || code === 127 || wrongOption },
    );
  }

  #runArguments(name: string, { run }: Session): string[] {
    const { image, runOptions, command, variant, maxLifetime } = this.#options;
    const seconds = Math.ceil(maxLifetime / 1000);
    const until = Math.floor(Date.now() / 1000) + seconds;
    return [
      ...["container", "run", "--quiet", "--detach", "--pull=never"],
      `--name=${name}`,
      ...variant.options,
      `--label=${LABEL.run}=${run.id}`,
      `--label=${LABEL.owner}=${formatOwner(run.owner)}`,
      `--label=${LABEL.kind}=${variant.kind}`,
      ...(seconds === Infinity
        ? []
        : [`--timeout=${seconds}`, `--label=${LABEL.until}=${until}`]),
      ...runOptions,
      image,
      ...command,
    ];
  }

  async #connect(
    container: Started,
    signal: AbortSignal,
  ): Promise<Connection> {
    const { image, command, variant } = this.#options;
    try {
      return await variant.open(container, signal);
    } catch (error) {
      signal.throwIfAborted();
      const ended = await deadline(container.lost, 1000).catch(() => undefined);
      if (!ended) throw error;
      if (variant.revive) {
        throw new ProvisionError(
          `Cannot keep a container of the image "${image}": ${ended.message}`,
          { cause: error },
        );
      }
      throw new ProvisionError(
        `Cannot keep a container of the image "${image}": it ended at once, its command has to run for as long as the container is needed: ${
          command.join(" ")
        }`,
        { cause: error },
      );
    }
  }

  async dispose({ attributes: { container } }: System): Promise<void> {
    this.#session!.events.unwatch(container);
    await this.#removal.remove(container);
  }

  async stop(): Promise<void> {
    const session = this.#session!;
    this.#session = undefined;
    await session.close(() => this.#removeAll(session.prefix));
  }

  async #removeAll(prefix: string): Promise<void> {
    const left = await this.#cli.names(prefix);
    if (left.length > 0) await this.#removal.removeAll(left);
  }
}

/** Checks that the program is there, answers, and is podman. */
async function checkPodman(
  cli: PodmanCli,
  signal: AbortSignal,
): Promise<void> {
  const { code, stdout, said } = await cli.output(
    ["version", "--format=json"],
    { signal },
  );
  const attempted = `Cannot use "${cli.program}" for containers`;
  if (code !== 0) {
    throw new ProvisionError(`${attempted}: ${said || `exit code ${code}`}`, {
      fatal: true,
    });
  }
  const version = versionIn(stdout);
  const [major] = String(version).split(".").map(Number);
  if (!(major >= 4)) {
    throw new ProvisionError(
      version === undefined
        ? `${attempted}: it does not answer as podman does`
        : `${attempted}: its version is ${version}, 4.0 or later is needed`,
      { fatal: true },
    );
  }
}

/** The version of podman, or of the service that it asks; `undefined` if the answer is not podman's. */
function versionIn(text: string): unknown {
  try {
    const { Client, Server } = JSON.parse(text);
    const { APIVersion, Version } = Server ?? Client;
    // Docker spells it otherwise.
    return APIVersion === undefined ? undefined : Version;
  } catch {
    return undefined;
  }
}
