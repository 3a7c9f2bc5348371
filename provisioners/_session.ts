import { delay } from "@std/async/delay";
import { type EndSource, EndWatch } from "./_end_watch.ts";
import type { Candidate } from "./_leftover.ts";
import { Reaping } from "./_reaping.ts";
import { holdRun, newPrefix, type Run } from "./_run.ts";
import { Watchdog } from "./_watchdog.ts";
import type { ProvisionerEvent } from "./events.ts";

/** Milliseconds that what a killed client had begun may take to come into being. */
const LATE = 1000;

export interface SessionOptions {
  /** What makes the systems: `podman`, `libvirt`. */
  readonly kind: string;
  /**
   * The kind as run files name it, which differs where the systems do.
   *
   * @default `kind`
   */
  readonly runKind?: string;
  /** Systems that scripts may have left behind. */
  readonly find: (run: Run, signal: AbortSignal) => Promise<Candidate[]>;
  /** See {@linkcode Reaping}. */
  readonly late?: number;
  /** Removes systems, and the program with which it does. */
  readonly watchdog: { script: string; argv: readonly string[] };
  /** Tells of the end of systems whose names have the prefix. */
  readonly events: (prefix: string) => EndSource;
  readonly emit: (event: ProvisionerEvent) => void;
}

/**
 * What there is between start and stop of a provisioner that has a program of
 * this machine make its systems: they outlive this process, unless something
 * removes them.
 */
export class Session {
  /** A client was killed: a system may still come into being. */
  uncertain = false;
  readonly #emit: (event: ProvisionerEvent) => void;
  readonly #watchdog: Watchdog;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    /** Begins the names of all systems. */
    readonly prefix: string,
    readonly run: Run,
    readonly events: EndWatch,
    watchdog: Watchdog,
    resources: AsyncDisposableStack,
    emit: (event: ProvisionerEvent) => void,
  ) {
    this.#watchdog = watchdog;
    this.#resources = resources;
    this.#emit = emit;
  }

  /** Removes what dead scripts left, as far as that is done soon, and watches from then on. */
  static async open(
    options: SessionOptions,
    signal: AbortSignal,
  ): Promise<Session> {
    const { kind, runKind = kind, find, late = 0, watchdog, events, emit } =
      options;
    await using resources = new AsyncDisposableStack();
    const run = resources.use(await holdRun(runKind));
    const reaping = resources.use(
      new Reaping({
        kind: runKind,
        find: (signal) => find(run, signal),
        late,
        onReaped: ({ name, owner = "" }) =>
          emit({ type: "reaped", kind, name, owner }),
        onTrouble: (error) => emit({ type: "warning", error }),
      }),
    );
    await reaping.wait(signal);
    const prefix = newPrefix(run);
    const { script, argv } = watchdog;
    const dog = resources.use(new Watchdog(script, argv, prefix, run.file));
    const watch = resources.use(new EndWatch(events(prefix), emit));
    return new Session(prefix, run, watch, dog, resources.move(), emit);
  }

  /** After a reservation that did not come to its end. */
  async undo(remove: () => Promise<void>): Promise<void> {
    try {
      await remove();
      if (!this.uncertain) return;
      await delay(LATE);
      await remove();
    } catch (error) {
      this.uncertain = true;
      this.#emit({ type: "warning", error: error as Error });
    }
  }

  /** Ends it, whatever becomes of the removal of all that is left. */
  async close(removeAll: () => Promise<void>): Promise<void> {
    await using _ = this.#resources;
    await removeAll();
    // Otherwise it looks some times more, when its input ends.
    if (!this.uncertain) await this.#watchdog.dismiss();
  }
}
