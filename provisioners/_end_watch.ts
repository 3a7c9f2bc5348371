import { delay } from "@std/async/delay";
import { LONGEST_TIMER } from "../connections/time_limit.ts";
import { EVENTS_SCRIPT, spawnLeashed } from "./_leashed.ts";
import type { ProvisionerEvent } from "./events.ts";

/** Milliseconds that the command has to end. */
const GRACE = 2000;
const SHORTEST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;
/** A command that listened for so many milliseconds and ends without a word just begins anew: podman does with its log. */
const LISTENED = 5000;

/** Where it is learned from that something has ended. */
export interface EndSource {
  /** What ends, and the command that tells of it, for messages. */
  readonly what: string;
  readonly told: string;
  /** Their names begin so. */
  readonly prefix: string;
  /** Prints a line for each end, until it is ended itself; with `past` also for those of a moment ago. */
  command(past: boolean): readonly string[];
  /** Who has ended, and how; `other` if the line tells of something else, `undefined` if it is a complaint. */
  parse(line: string): { name: string; how: string } | "other" | undefined;
  /** Names of those that have not ended. */
  alive(signal: AbortSignal): Promise<ReadonlySet<string>>;
  /** Milliseconds after which it is looked who is alive, in case nothing was told. */
  readonly lookEvery?: number;
  /** After an end: tells why it is over, unless it has started it again. */
  revive?(name: string, isWanted: () => boolean): Promise<string | undefined>;
}

/** What came of listening to a command until it ended. */
interface Heard {
  readonly lines: number;
  /** Its last complaint. */
  readonly said: string;
  /** Whether it ended as if all were well. */
  readonly success: boolean;
}

/** Tells when systems that a program of this machine made end by themselves. */
export class EndWatch implements AsyncDisposable {
  readonly #source: EndSource;
  readonly #emit: (event: ProvisionerEvent) => void;
  /** Of those that ended and may be started again. */
  readonly #reviving = new Map<string, Revival>();
  readonly #watched = new Map<string, (error: Error) => void>();
  /** Names of those for whose end this process has to live. */
  readonly #expected = new Set<string>();
  /** How those ended that are still to be watched, if they did. */
  readonly #coming = new Map<string, string | undefined>();
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #child?: Deno.ChildProcess;
  #keepAlive?: ReturnType<typeof setInterval>;
  #looking?: ReturnType<typeof setInterval>;
  #comparing?: Promise<void>;

  /** Listens until it is disposed of. */
  constructor(source: EndSource, emit: (event: ProvisionerEvent) => void) {
    this.#source = source;
    this.#emit = emit;
    this.#done = this.#follow();
    const { lookEvery } = source;
    if (lookEvery !== undefined) {
      this.#looking = setInterval(() => this.#look(), lookEvery);
      Deno.unrefTimer(this.#looking);
    }
  }

  /** Before that one is made: its end shall be known when it is watched. */
  prepare(name: string): void {
    this.#coming.set(name, undefined);
  }

  /** Resolves when that one, which was prepared for and then made, has ended. */
  watch(name: string): Promise<Error> {
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.#watched.set(name, resolve);
    const how = this.#coming.get(name);
    this.#coming.delete(name);
    if (how !== undefined) this.#end(name, how);
    return promise;
  }

  /** Keeps this process from ending before that one, if it is watched. */
  expect(name: string): void {
    if (this.#watched.has(name)) this.#expected.add(name);
    this.#hold();
  }

  /** From now on nobody is told of its end. */
  unwatch(name: string): void {
    this.#coming.delete(name);
    this.#watched.delete(name);
    this.#expected.delete(name);
    this.#hold();
  }

  /** Nothing else here keeps the process alive. */
  #hold(): void {
    if (this.#expected.size === 0) {
      clearInterval(this.#keepAlive);
      this.#keepAlive = undefined;
    } else this.#keepAlive ??= setInterval(() => {}, LONGEST_TIMER);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#looking);
    const child = this.#child;
    child?.ref();
    const timer = setTimeout(() => {
      if (child && this.#child === child) Deno.kill(-child.pid, "SIGKILL");
    }, GRACE);
    await this.#done;
    clearTimeout(timer);
    await this.#comparing;
    await Promise.all([...this.#reviving.values()].map(({ done }) => done));
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort;
    let pause = SHORTEST_PAUSE;
    let past = true;
    while (!signal.aborted) {
      const began = performance.now();
      const heard: Heard = await this.#listen(past).catch((error) => (
        { lines: 0, said: (error as Error).message, success: false }
      ));
      const { lines, said, success } = heard;
      if (signal.aborted) return;
      if (lines > 0) pause = SHORTEST_PAUSE;
      const isEarly = performance.now() - began < LISTENED;
      // It ends so over half a line in its log, which it would come to again.
      const stumbled: boolean = past && isEarly && success && said === "";
      past = !stumbled;
      if (!stumbled && (said !== "" || isEarly)) {
        this.#warn(pause, said);
        await delay(pause, { signal, persistent: false }).catch(() => {});
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      }
      if (!signal.aborted) await this.#compare();
    }
  }

  #warn(pause: number, said: string): void {
    const { what, told } = this.#source;
    const error = new Error(
      `Cannot watch ${what}s for ${pause / 1000} s: "${told}" ended${
        said && `: ${said}`
      }`,
    );
    this.#emit({ type: "warning", error });
  }

  /** Until the command ends. */
  async #listen(past: boolean): Promise<Heard> {
    const { prefix } = this.#source;
    const child = spawnLeashed(EVENTS_SCRIPT, this.#source.command(past), {
      stdout: "piped",
    });
    this.#child = child;
    // What ends before it listens is not told then.
    using _looking = past ? undefined : this.#lookIn(SHORTEST_PAUSE);
    const letGo = () => void child.stdin.close().catch(() => {});
    const { signal } = this.#abort;
    signal.addEventListener("abort", letGo, { once: true });
    if (signal.aborted) letGo();
    let lines = 0;
    let said = "";
    for await (const line of linesOf(child.stdout)) {
      const end = this.#source.parse(line);
      if (end === undefined) said = line;
      else lines++;
      if (typeof end === "object" && end.name.startsWith(prefix)) {
        this.#end(end.name, end.how);
      }
    }
    signal.removeEventListener("abort", letGo);
    if (!signal.aborted) letGo();
    child.ref();
    const { success } = await child.status;
    this.#child = undefined;
    return { lines, said, success };
  }

  #lookIn(ms: number): Disposable {
    const timer = setTimeout(() => this.#look(), ms);
    Deno.unrefTimer(timer);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  #look(): void {
    this.#comparing ??= this.#compare().finally(() => {
      this.#comparing = undefined;
    });
  }

  /** What ended while nobody listened. */
  async #compare(): Promise<void> {
    const names = [...this.#watched.keys()];
    if (names.length === 0) return;
    try {
      const alive = await this.#source.alive(this.#abort.signal);
      for (const name of names) {
        if (!alive.has(name)) this.#end(name, "ended by itself");
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#emit({ type: "warning", error: error as Error });
    }
  }

  #end(name: string, how: string): void {
    if (!this.#source.revive || !this.#watched.has(name)) {
      return this.#over(name, how);
    }
    const current = this.#reviving.get(name);
    if (current) {
      current.endedAgain = true;
      return;
    }
    const revival = { endedAgain: false, done: Promise.resolve() };
    this.#reviving.set(name, revival);
    revival.done = this.#revive(name, revival);
  }

  async #revive(name: string, revival: Revival): Promise<void> {
    const isWanted = () => this.#watched.has(name);
    let why: string | undefined;
    do {
      revival.endedAgain = false;
      why = await this.#source.revive!(name, isWanted).catch(
        (error) => `it cannot be looked at: ${error.message}`,
      );
    } while (why === undefined && revival.endedAgain && isWanted());
    this.#reviving.delete(name);
    if (why !== undefined) this.#over(name, `ended: ${why}`);
  }

  #over(name: string, how: string): void {
    if (this.#coming.has(name)) this.#coming.set(name, how);
    const tell = this.#watched.get(name);
    if (!tell) return;
    tell(new Error(`The ${this.#source.what} "${name}" ${how}`));
    this.unwatch(name);
  }
}

/** The attempts to start one again. */
interface Revival {
  /** While it was being started. */
  endedAgain: boolean;
  /** Never rejects. */
  done: Promise<void>;
}

async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest) yield rest;
}
