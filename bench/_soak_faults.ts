/** Faults by chance, and systems that have them. */
import type { Connection } from "../connections/connection.ts";
import { LocalConnection } from "../connections/local.ts";
import { run } from "../connections/process.ts";
import { PooledProvisioner } from "../provisioners/pooled.ts";
import { ProvisionError } from "../provisioners/provisioner.ts";
import { randomFrom } from "../tests/_random.ts";

/** What goes wrong. */
export type Fault =
  | "reservation"
  | "setup"
  | "lost"
  | "aborted"
  | "failed"
  | "ingest";

/** How often each goes wrong, of 1000 times, where the others go wrong `percent` times. */
const SHARES: Readonly<Record<Fault, number>> = {
  reservation: 10,
  setup: 10,
  lost: 3,
  aborted: 3,
  failed: 10,
  // of each of these the artifacts stay
  ingest: 1,
};

/** Decides what goes wrong: of each kind the same times for a seed, whatever happens in between. */
export class Chance {
  /** A number from 0 up to 1. */
  readonly next: () => number;
  readonly #percent: number;
  readonly #numbers: Readonly<Record<Fault, () => number>>;
  /** How often each went wrong. */
  readonly counts: Record<Fault, number> = {
    reservation: 0,
    setup: 0,
    lost: 0,
    aborted: 0,
    failed: 0,
    ingest: 0,
  };

  constructor(seed: number, percent: number) {
    this.#percent = percent;
    this.next = randomFrom(seed);
    const faults = Object.keys(this.counts) as Fault[];
    this.#numbers = Object.fromEntries(
      faults.map((fault, index) => [fault, randomFrom(seed + index + 1)]),
    ) as Record<Fault, () => number>;
  }

  /** Whether this goes wrong now. */
  strikes(fault: Fault): boolean {
    const number = this.#numbers[fault]() * 1000;
    const strikes = number < SHARES[fault] * this.#percent / 2;
    if (strikes) this.counts[fault]++;
    return strikes;
  }
}

/** Systems that only pretend: they are made in a moment, in a directory of their own, and vanish when they are told to. */
export class SimulatedPool extends PooledProvisioner {
  /** What makes a system vanish, by its id. */
  readonly vanish: Map<string, () => void>;

  constructor(maxRemotes: number, chance: Chance) {
    let made = 0;
    const vanish = new Map<string, () => void>();
    super({
      name: "simulated",
      maxRemotes,
      backend: {
        async reserve({ identify, signal }) {
          const id = `simulated:${++made}`;
          identify(id);
          signal.throwIfAborted();
          if (chance.strikes("reservation")) {
            throw new ProvisionError(`Cannot make ${id}: bad luck`);
          }
          const cwd = await Deno.makeTempDir({ prefix: "atex-soak-system-" });
          const lost = Promise.withResolvers<Error>();
          vanish.set(id, () => lost.resolve(new Error(`${id} vanished`)));
          return {
            id,
            attributes: { cwd },
            reusable: false,
            connection: await LocalConnection.open({ cwd }),
            lost: lost.promise,
          };
        },
        async dispose({ id, attributes: { cwd } }) {
          vanish.delete(id);
          await Deno.remove(cwd!, { recursive: true });
        },
      },
    });
    this.vanish = vanish;
  }
}

/** Makes a container vanish, as a crash would. */
export async function killContainer(name: string): Promise<void> {
  await using here: Connection & AsyncDisposable = await LocalConnection.open();
  await run(here, ["podman", "kill", "--signal=KILL", name]);
}
