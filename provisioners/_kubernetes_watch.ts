import { delay } from "@std/async/delay";
import { z } from "zod";
import type { Kubectl } from "./_kubernetes_cli.ts";
import { EVENTS_SCRIPT, spawnLeashed } from "./_leashed.ts";
import { type Pod, podSchema } from "./_kubernetes_pod.ts";

const event = z.object({ type: z.string(), object: z.unknown() });
const list = z.object({ items: z.array(podSchema) });

const SHORTEST_PAUSE = 100;
const LONGEST_PAUSE = 30_000;
/** A watch that lasted as many milliseconds was ended by the server as usual. */
const USUAL = 10_000;
/** Milliseconds after which a pod that was made and not seen is looked for. */
const UNSEEN = 2000;

/** One pod, as the watch sees it. */
export class WatchedPod {
  readonly #gone = Promise.withResolvers<void>();
  #changed = Promise.withResolvers<void>();
  /** What was last seen; `undefined` before it exists. */
  pod?: Pod;
  /** Whether it exists, or did. */
  isMade = false;
  isGone = false;

  constructor(readonly name: string) {}

  /** Resolves when it does not exist any more. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** Resolves at the next change, of which there may be many at once. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  set(pod: Pod): void {
    this.pod = pod;
    this.isMade = true;
    this.#notify();
  }

  vanish(): void {
    this.isGone = true;
    this.#gone.resolve();
    this.#notify();
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** What a {@linkcode PodWatch} needs to know. */
export interface PodWatchOptions {
  /** Which pods are ours. */
  readonly selector: string;
  /** Told about a pod of ours that nobody follows, unless it is being deleted. */
  readonly onStray: (name: string) => void;
  readonly onTrouble: (error: Error) => void;
}

/** Follows all pods with a label, by one process. */
export class PodWatch implements AsyncDisposable {
  readonly #kubectl: Kubectl;
  readonly #options: PodWatchOptions;
  readonly #pods = new Map<string, WatchedPod>();
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;

  /**
   * Watches until it is disposed of.
   *
   * @throws {Deno.errors.NotCapable} without the permission to run `sh`
   */
  constructor(kubectl: Kubectl, options: PodWatchOptions) {
    this.#kubectl = kubectl;
    this.#options = options;
    this.#done = this.#follow(this.#spawn());
  }

  /** Follows a pod, also one that is still to be made. */
  follow(name: string): WatchedPod {
    const watched = new WatchedPod(name);
    this.#pods.set(name, watched);
    return watched;
  }

  /**
   * Tells that a pod that is followed was made. If it is not seen soon, it is
   * looked for: a watch that began after its end never tells of it.
   */
  async made(watched: WatchedPod): Promise<void> {
    watched.isMade = true;
    const { signal } = this.#abort;
    await delay(UNSEEN, { signal, persistent: false }).catch(() => {});
    const isUnseen = watched.pod === undefined && !watched.isGone;
    if (isUnseen && !signal.aborted) await this.#compare();
  }

  /** Forgets a pod. */
  forget(name: string): void {
    this.#pods.delete(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  #spawn(): Deno.ChildProcess {
    return spawnLeashed(EVENTS_SCRIPT, [
      ...this.#kubectl.argv,
      ...["get", "pods", `--selector=${this.#options.selector}`, "--watch"],
      ...["--output-watch-events", "--output=json"],
    ], { stdout: "piped" });
  }

  async #follow(first: Deno.ChildProcess): Promise<void> {
    const { signal } = this.#abort;
    let child: Deno.ChildProcess | undefined = first;
    let pause = SHORTEST_PAUSE;
    while (!signal.aborted) {
      const begin = performance.now();
      const said = await this.#listen(child).catch((error) => error.message);
      child = undefined;
      if (signal.aborted) return;
      if (performance.now() - begin > USUAL) pause = SHORTEST_PAUSE;
      else if (said) {
        this.#options.onTrouble(
          new Error(`Cannot watch pods for ${pause / 1000} s: ${said}`),
        );
      }
      await delay(pause, { signal, persistent: false }).catch(() => {});
      pause = Math.min(pause * 2, LONGEST_PAUSE);
      if (!signal.aborted) await this.#compare();
    }
  }

  /** Until the server ends it. Gives what `kubectl` complained about. */
  async #listen(child = this.#spawn()): Promise<string> {
    const { signal } = this.#abort;
    const letGo = () => {
      child.ref();
      child.stdin.close().catch(() => {});
    };
    signal.addEventListener("abort", letGo, { once: true });
    if (signal.aborted) letGo();
    let said = "";
    let rest = "";
    for await (
      const text of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (!this.#take(line)) said = line;
      }
    }
    signal.removeEventListener("abort", letGo);
    if (!signal.aborted) letGo();
    await child.status;
    return said;
  }

  /** False if it is no event. */
  #take(line: string): boolean {
    let data: unknown;
    try {
      data = JSON.parse(line);
    } catch {
      return false;
    }
    const change = event.safeParse(data);
    if (!change.success) return false;
    const pod = podSchema.safeParse(change.data.object);
    if (!pod.success) return true; // a bookmark, or an error that ends the watch
    if (change.data.type === "DELETED") {
      this.#pods.get(pod.data.metadata.name)?.vanish();
    } else this.#see(pod.data);
    return true;
  }

  #see(pod: Pod): void {
    const { name, deletionTimestamp } = pod.metadata;
    const watched = this.#pods.get(name);
    if (watched) watched.set(pod);
    else if (!deletionTimestamp) this.#options.onStray(name);
  }

  /** What changed while nobody watched. */
  async #compare(): Promise<void> {
    // As they are now: what is made after the list is not missing in it.
    const made = [...this.#pods.values()].filter(({ isMade }) => isMade);
    if (this.#pods.size === 0) return;
    try {
      const selector = `--selector=${this.#options.selector}`;
      const text = await this.#kubectl.run(
        "Cannot list pods",
        ["get", "pods", selector, "--output=json"],
        { signal: this.#abort.signal },
      );
      const { items } = list.parse(JSON.parse(text));
      for (const pod of items) this.#see(pod);
      const names = new Set(items.map(({ metadata }) => metadata.name));
      for (const watched of made) {
        if (!names.has(watched.name)) watched.vanish();
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#options.onTrouble(error as Error);
    }
  }
}
