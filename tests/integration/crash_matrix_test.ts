/**
 * Scripts of every kind that are killed at random moments, while another one
 * lives: what is left of them, and whether the other notices.
 *
 * A moment is a number of things that happened, and some milliseconds. Every
 * second script is killed together with all that it started, as when the system
 * runs out of memory or is switched off: then nothing but the next start can
 * clean up.
 *
 * - `ATEX_CRASH_KILLS`: kills of each kind; 25 is the full size, and some
 *   minutes long. Default: 2.
 * - `ATEX_CRASH_KINDS`: names of kinds, with commas between. Default: all.
 * - `ATEX_CRASH_SEED`: the number in the name of a step, for the same moments.
 */
import { Semaphore } from "@std/async/unstable-semaphore";
import assert from "node:assert/strict";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { cannotRun } from "../_parts.ts";
import { randomFrom, seedOf } from "../_random.ts";
import { type Ground, type Kind, KINDS } from "./_kinds.ts";
import { processesOf, Scratch, untilNone } from "./_scratch.ts";

const SYSTEMS = 10;
/** Systems of the script that lives. */
const LIVING = 2;
/** Things that a script tells until it has all systems. */
const TELLS = 2 + 3 * SYSTEMS;
/** Most milliseconds between the last thing that is waited for and the kill. */
const LONGEST_DELAY = 250;
/** Milliseconds after which nothing may be left. */
const CLEAN_WITHIN = 60_000;
const DAY_AGO = new Date(Date.now() - 86_400_000);

const wanted = Deno.env.get("ATEX_CRASH_KINDS")?.split(",");
const kills = Number(Deno.env.get("ATEX_CRASH_KILLS") ?? 2);
const seed = seedOf("ATEX_CRASH_SEED");

/** Kinds that are tried at once: they wait most of the time. */
const AT_ONCE = 3;

/** One line that a script printed. */
interface Told {
  type: string;
  run?: string;
  what?: string;
}

/** A user's script in a process of its own, and what it says. */
class Script implements AsyncDisposable {
  /** Is in the environment of all that the script starts, and in the arguments of its tests. */
  readonly mark = `atex-mark-${crypto.randomUUID()}`;
  readonly told: Told[] = [];
  readonly #scratch: Scratch;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #ended = false;
  #news = Promise.withResolvers<void>();

  constructor(
    kind: Kind,
    { options }: Ground,
    { scratch, count }: { scratch: Scratch; count: number },
  ) {
    this.#scratch = scratch;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-qA", "--no-check"],
        `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
        new URL("_kind_script.ts", import.meta.url).pathname,
        ...[kind.name, JSON.stringify(options), String(count), this.mark],
      ],
      env: {
        ATEX_TEST_MARK: this.mark,
      },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    let rest = "";
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of text) {
      const lines = (rest + part).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.told.push(JSON.parse(line));
      this.#tell();
    }
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** Waits until it has said that. */
  async says(what: (told: readonly Told[]) => boolean): Promise<void> {
    while (!what(this.told)) {
      assert.ok(!this.#ended, `It ended early: ${JSON.stringify(this.told)}`);
      await this.#news.promise;
    }
  }

  get run(): string {
    return this.told[0].run!;
  }

  /** That nothing happened to it or its systems. */
  async tries(): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("\n"));
    writer.releaseLock();
    await this.says((told) => told.at(-1)!.type === "fine");
    const troubles = ["lost", "ended", "reserve-failed", "warning"];
    assert.deepEqual(
      this.told.filter(({ type }) => troubles.includes(type)),
      [],
    );
  }

  /** Processes that it started here. */
  async #children(): Promise<number[]> {
    return (await processesOf(this.mark)).filter((pid) =>
      pid !== this.#child.pid
    );
  }

  /** Those, and those that run on its systems. */
  processes(): Promise<number[]> {
    return processesOf(this.mark, ["environ", "cmdline"]);
  }

  /** Files that say what it is. */
  async runFiles(): Promise<string[]> {
    return (await this.#scratch.runs)
      .filter((name) => name.includes(this.run));
  }

  /** As when the system runs out of memory. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#end();
  }

  /** As when the system is switched off. */
  async killAll(): Promise<void> {
    this.#child.kill("SIGSTOP"); // or it would start more
    const others = await this.#children();
    for (const pid of [this.#child.pid, ...others]) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // Ended meanwhile.
      }
    }
    await this.#end();
  }

  async #end(): Promise<void> {
    await this.#child.status;
    await this.#reading;
    await this.#child.stdin.close().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    await this.kill();
  }
}

/** The next script, until nothing is left of the one before. */
async function clean(
  kind: Kind,
  ground: Ground,
  script: Script,
  needed: boolean,
): Promise<void> {
  const troubles: Error[] = [];
  await using pool = kind.make({
    ...ground.options,
    onEvent: (event: ProvisionerEvent) => {
      if (event.type === "warning") troubles.push(event.error);
    },
  });
  if (needed) await pool.start();
  await untilNone("left outside", () => ground.left(script.run), CLEAN_WITHIN);
  await untilNone("processes are left", () => script.processes(), CLEAN_WITHIN);
  await untilNone("run files are left", () => script.runFiles(), CLEAN_WITHIN);
  await pool.stop();
  // Nothing comes after that.
  assert.deepEqual(await ground.left(script.run), []);
  if (troubles.length > 0) throw troubles[0];
}

interface Moment {
  /** So many things have happened. */
  readonly after: number;
  readonly delay: number;
  /** Whether all that the script started is killed, too. */
  readonly all: boolean;
}

async function killOne(
  kind: Kind,
  ground: Ground,
  scratch: Scratch,
  { after, delay, all }: Moment,
): Promise<void> {
  await using script = new Script(kind, ground, { scratch, count: SYSTEMS });
  await script.says((told) =>
    told.length > after || told.at(-1)?.type === "all"
  );
  await new Promise((resolve) => setTimeout(resolve, delay));
  if (all) await script.killAll();
  else await script.kill();
  await clean(kind, ground, script, all || !kind.guarded);
}

async function killMany(kind: Kind, scratch: Scratch): Promise<void> {
  const random = randomFrom(seed);
  const moments = Array.from(
    { length: kills },
    (_, i): Moment => ({
      after: Math.floor(random() * TELLS),
      delay: Math.floor(random() * LONGEST_DELAY),
      all: i % 2 === 1,
    }),
  );
  await using ground = await kind.open(SYSTEMS + LIVING);
  await using living = new Script(kind, ground, { scratch, count: LIVING });
  await living.says((told) => told.at(-1)?.type === "all");
  for (const moment of moments) {
    await killOne(kind, ground, scratch, moment).catch((error) => {
      throw new Error(
        `After ${JSON.stringify(moment)}: ${error.message}`,
        { cause: error },
      );
    });
  }
  await living.tries();
  await living.kill();
  await clean(kind, ground, living, !kind.guarded);
}

const kinds = KINDS.filter(({ name }) => wanted?.includes(name) ?? true);

Deno.test({
  name:
    "a script of any kind that is killed at any moment leaves nothing, and disturbs no other",
  fn: async (t) => {
    await using scratch = await Scratch.open();
    const slots = new Semaphore(AT_ONCE);
    await Promise.all(kinds.map((kind) =>
      t.step({
        name: `${kind.name}, seed ${seed}`,
        ignore: cannotRun(
          `integration/crash_matrix ${kind.name}`,
          kind.missing(),
        ),
        sanitizeOps: false,
        sanitizeResources: false,
        sanitizeExit: false,
        fn: async () => {
          using _slot = await slots.acquire();
          await killMany(kind, scratch);
        },
      })
    ));
    // One that dies while it makes a directory has not said yet whose it is.
    for (const name of await scratch.files) {
      await Deno.utime(`${scratch.path}/tmp/${name}`, DAY_AGO, DAY_AGO);
    }
    await using _any = await new HostsProvisioner({ hosts: ["x"] }).start();
    assert.deepEqual(await scratch.files, []);
    assert.deepEqual(await scratch.runs, []);
  },
});
