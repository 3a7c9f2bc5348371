import { delay } from "@std/async/delay";
import { spawnLeashed } from "./_leashed.ts";
import type { PodmanCli } from "./_podman_cli.ts";
import type { ProvisionerEvent } from "./events.ts";

/** Runs a command until its input ends; nobody but the command holds its output. */
export const EVENTS_SCRIPT = `
"$@" 2>&1 &
pid=$!
exec >/dev/null
cat >/dev/null
kill "$pid"
wait "$pid"
`;

/** Seconds of the past that podman is asked for, in case its clock is not ours. */
const OVERLAP = 60;
/** Milliseconds that `podman events` has to end. */
const GRACE = 2000;
const SHORTEST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/** After the end of a container: tells why it is over, unless it has started it again. */
type Revive = (
  cli: PodmanCli,
  name: string,
  isWanted: () => boolean,
) => Promise<string | undefined>;

/** Tells when containers end by themselves. */
export class PodmanEvents implements AsyncDisposable {
  readonly #cli: PodmanCli;
  readonly #prefix: string;
  readonly #emit: (event: ProvisionerEvent) => void;
  readonly #revive?: Revive;
  /** Of containers that ended and may be started again. */
  readonly #reviving = new Map<string, Promise<void>>();
  readonly #watched = new Map<string, (error: Error) => void>();
  /** Names of containers for whose end this process has to live. */
  readonly #expected = new Set<string>();
  /** Names of containers that ended before they were watched, or after. */
  readonly #ended = new Set<string>();
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #child?: Deno.ChildProcess;
  #keepAlive?: ReturnType<typeof setInterval>;

  /** Listens for containers whose name begins with the prefix. */
  constructor(
    cli: PodmanCli,
    prefix: string,
    emit: (event: ProvisionerEvent) => void,
    revive?: Revive,
  ) {
    this.#revive = revive;
    this.#cli = cli;
    this.#prefix = prefix;
    this.#emit = emit;
    this.#done = this.#follow();
  }

  /** Resolves when that container, which was there a moment ago, has ended. */
  watch(name: string): Promise<Error> {
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.#watched.set(name, resolve);
    if (this.#ended.has(name)) this.#end(name);
    return promise;
  }

  /** Keeps this process from ending before that container, if it is watched. */
  expect(name: string): void {
    if (this.#watched.has(name)) this.#expected.add(name);
    this.#hold();
  }

  /** From now on its end is none by itself. */
  unwatch(name: string): void {
    this.#watched.delete(name);
    this.#expected.delete(name);
    this.#hold();
  }

  /** Nothing else here keeps the process alive. */
  #hold(): void {
    if (this.#expected.size === 0) {
      clearInterval(this.#keepAlive);
      this.#keepAlive = undefined;
    } else this.#keepAlive ??= setInterval(() => {}, 2 ** 31 - 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    const child = this.#child;
    child?.ref();
    const timer = setTimeout(() => {
      if (child && this.#child === child) Deno.kill(-child.pid, "SIGKILL");
    }, GRACE);
    await this.#done;
    clearTimeout(timer);
    await Promise.all(this.#reviving.values());
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort;
    let pause = SHORTEST_PAUSE;
    while (!signal.aborted) {
      const { lines, said } = await this.#listen().catch((error) => (
        { lines: 0, said: (error as Error).message }
      ));
      if (signal.aborted) return;
      if (lines > 0) pause = SHORTEST_PAUSE;
      this.#emit({
        type: "warning",
        error: new Error(
          `Cannot watch containers for ${
            pause / 1000
          } s: "${this.#cli.program} events" ended${said && `: ${said}`}`,
        ),
      });
      await delay(pause, { signal, persistent: false }).catch(() => {});
      pause = Math.min(pause * 2, LONGEST_PAUSE);
      if (!signal.aborted) await this.#compare();
    }
  }

  /** Until the command ends. */
  async #listen(): Promise<{ lines: number; said: string }> {
    const since = Math.floor(Date.now() / 1000) - OVERLAP;
    const child = spawnLeashed(EVENTS_SCRIPT, [
      this.#cli.program,
      "events",
      `--since=${since}`,
      "--filter=type=container",
      "--filter=event=died",
      "--format=json",
    ], { stdout: "piped" });
    this.#child = child;
    const letGo = () => void child.stdin.close().catch(() => {});
    const { signal } = this.#abort;
    signal.addEventListener("abort", letGo, { once: true });
    if (signal.aborted) letGo();
    let lines = 0;
    let said = "";
    for await (const line of linesOf(child.stdout)) {
      const name = nameIn(line);
      if (name === undefined) said = line;
      else {
        lines++;
        if (name.startsWith(this.#prefix)) this.#end(name);
      }
    }
    signal.removeEventListener("abort", letGo);
    if (!signal.aborted) letGo();
    child.ref();
    await child.status;
    this.#child = undefined;
    return { lines, said };
  }

  /** What ended while nobody listened. */
  async #compare(): Promise<void> {
    const names = [...this.#watched.keys()];
    if (names.length === 0) return;
    try {
      const stdout = await this.#cli.list([
        `--filter=name=^${this.#prefix}`,
        "--format={{.Names}} {{.State}}",
      ], { signal: this.#abort.signal });
      const alive = new Set(
        stdout.split("\n").filter((line) => !/ (exited|stopped)$/i.test(line))
          .map((line) => line.split(" ")[0]),
      );
      for (const name of names) if (!alive.has(name)) this.#end(name);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#emit({ type: "warning", error: error as Error });
    }
  }

  #end(name: string): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.#revive || !this.#watched.has(name)) {
      return this.#over(name, "ended by itself");
    }
    if (this.#reviving.has(name)) return;
    this.#reviving.set(name, promise);
    this.#revive(this.#cli, name, () => this.#watched.has(name)).catch(
      (error) => `it cannot be looked at: ${error.message}`,
    ).then((why) => {
      this.#reviving.delete(name);
      if (why !== undefined) this.#over(name, `ended: ${why}`);
      resolve();
    });
  }

  #over(name: string, how: string): void {
    this.#ended.add(name);
    this.#watched.get(name)?.(new Error(`The container "${name}" ${how}`));
    this.unwatch(name);
  }
}

/** The container's name in a line of `podman events`. */
function nameIn(line: string): string | undefined {
  try {
    const { Name } = JSON.parse(line);
    return typeof Name === "string" ? Name : undefined;
  } catch {
    return undefined;
  }
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
