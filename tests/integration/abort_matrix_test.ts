/**
 * Every kind of provisioner, aborted or stopped at any moment of its life: what
 * waits ends, nothing is left, and the next use finds all systems there.
 *
 * A moment is the start or end of a process or of a request over HTTP, or an
 * event: the same number is the same moment, however fast the machine is.
 *
 * - `ATEX_ABORT_POINTS`: moments of each kind; 50 is the full size, and some
 *   minutes long. Default: a few.
 * - `ATEX_ABORT_KINDS`: names of kinds, with commas between. Default: all.
 * - `ATEX_ABORT_SEED`: the number in the name of a step, for the same moments.
 */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import { getRunId } from "../../provisioners/_run.ts";
import type { Remote } from "../../provisioners/provisioner.ts";
import { cannotRun } from "../_parts.ts";
import { randomFrom, seedOf } from "../_random.ts";
import { type Ground, type Kind, KINDS } from "./_kinds.ts";
import { Scratch } from "./_scratch.ts";

const SYSTEMS = 2;
/** Milliseconds within which what waits has to end, and nothing may be left. */
const PATIENCE = 60_000;
/** How many moments there are without a wish. */
const POINTS: Record<string, number> = {
  "local": 20,
  "testing-farm": 6,
  "kubernetes": 3,
  "shared-libvirt": 3,
  "libvirt": 3,
  "hosts": 3,
  "podman": 4,
  "systemd": 2,
};

const wanted = Deno.env.get("ATEX_ABORT_KINDS")?.split(",");
const points = Number(Deno.env.get("ATEX_ABORT_POINTS") ?? 0);
const seed = seedOf("ATEX_ABORT_SEED");

/** Counts moments, and does something at one of them. */
class Moments implements Disposable {
  readonly #undo = new DisposableStack();
  readonly #at: number;
  readonly #action: () => void;
  count = 0;
  #over = false;

  constructor(at = Infinity, action = () => {}) {
    this.#at = at;
    this.#action = action;
    const pass = () => this.pass();
    const { prototype } = Deno.Command;
    const { spawn, output } = prototype;
    prototype.spawn = function () {
      pass();
      const child = spawn.call(this);
      child.status.then(pass);
      return child;
    };
    prototype.output = function () {
      pass();
      return output.call(this).finally(pass);
    };
    this.#undo.defer(() => void Object.assign(prototype, { spawn, output }));
    const { fetch } = globalThis;
    globalThis.fetch = (...args) => {
      pass();
      return fetch(...args).finally(pass);
    };
    this.#undo.defer(() => void (globalThis.fetch = fetch));
  }

  pass(): void {
    // what comes later is told by events, too
    if (!this.#over && ++this.count === this.#at) this.#action();
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#undo.dispose();
  }
}

type Pool = ReturnType<Kind["make"]>;

/** A whole life: start, use, release of one, stop with the others lent. */
async function live(pool: Pool, signal?: AbortSignal): Promise<void> {
  const options = signal ? { signal } : {};
  await pool.start(options);
  pool.provision(SYSTEMS);
  const remotes: Remote[] = [];
  for (let i = 0; i < SYSTEMS; i++) {
    const remote = await pool.getRemote(options);
    remotes.push(remote);
    await run(remote, ["true"], options);
  }
  await remotes[0].release();
  await pool.stop();
}

/** The life with something in it that ends what waits; tells how it ended. */
async function interrupt(
  pool: Pool,
  moments: Moments,
  abort: AbortController,
): Promise<string> {
  using _ = moments;
  try {
    await within(live(pool, abort.signal), "what waits");
    return "over before";
  } catch (error) {
    return error === abort.signal.reason ? "aborted" : (error as Error).name;
  } finally {
    await within(pool.stop(), "stop()");
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`${what} did not end`)),
    PATIENCE,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function tryPoint(
  kind: Kind,
  ground: Ground,
  scratch: Scratch,
  { at, stop }: { at: number; stop: boolean },
): Promise<void> {
  const abort = new AbortController();
  const reason = new Error("enough");
  const moments: Moments = new Moments(at, () => {
    if (stop) void pool.stop().catch(() => {}); // asked for again below
    else abort.abort(reason);
  });
  const pool = kind.make({ ...ground.options, onEvent: () => moments.pass() });
  const how = await interrupt(pool, moments, abort);
  const allowed = stop
    // A command whose system is taken away ends somehow.
    ? /^(over before|ProvisionerStoppedError|CommandError|\w*Connect\w*Error)$/
    : /^(over before|aborted)$/;
  assert.match(how, allowed);
  await scratch.untilClean(() => ground.left(getRunId()), PATIENCE);
  await within(live(pool), "the next use");
  await scratch.untilClean(() => ground.left(getRunId()), PATIENCE);
}

async function tryKind(kind: Kind): Promise<void> {
  await using ground = await kind.open(SYSTEMS);
  await using scratch = await Scratch.open();
  const whole = new Moments();
  using _ = whole;
  await live(
    kind.make({ ...ground.options, onEvent: () => whole.pass() }),
  );
  whole[Symbol.dispose]();
  const random = randomFrom(seed);
  const count = points || POINTS[kind.name];
  for (let i = 0; i < count; i++) {
    const at = 1 + Math.floor(random() * whole.count);
    const stop = i % 2 === 1;
    await tryPoint(kind, ground, scratch, { at, stop }).catch((error) => {
      throw new Error(
        `${
          stop ? "stop()" : "abort"
        } at moment ${at} of ${whole.count}: ${error.message}`,
        { cause: error },
      );
    });
  }
}

for (const kind of KINDS) {
  if (wanted && !wanted.includes(kind.name)) continue;
  Deno.test({
    name: `aborting and stopping at any moment leaves nothing: ${kind.name}`,
    ignore: cannotRun(
      `integration/abort_matrix ${kind.name}`,
      kind.missing(),
    ),
    fn: async (t) => {
      await t.step(`seed ${seed}`, () => tryKind(kind));
    },
  });
}
