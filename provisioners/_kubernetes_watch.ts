import { delay } from "@std/async/delay";
import { z } from "zod";
import type { Kubectl } from "./_kubernetes_cli.ts";
import { spawnLeashed } from "./_leashed.ts";
import { EVENTS_SCRIPT } from "./_end_watch.ts";
import { type Pod, podSchema } from "./_kubernetes_pod.ts";

const event = z.object({ type: z.string(), object: z.unknown() });
const list = z.object({ items: z.array(podSchema) });

const SHORTEST_PAUSE = 100;
const LONGEST_PAUSE = 30_000;
/** A watch that lasted as many milliseconds was ended by the server as usual. */
const USUAL = 10_000;

/** One pod, as the watch sees it. */
export class WatchedPod {
  readonly #gone = Promise.withResolvers<void>();
  #changed = Promise.withResolvers<void>();
  /** What was last seen; `undefined` before it exists. */
  pod?: Pod;
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

/** Follows all pods with a label, by one process. */
export class PodWatch implements AsyncDisposable {
  readonly #kubectl: Kubectl;
  readonly #selector: string;
  readonly #onTrouble: (error: Error) => void;
  readonly #pods = new Map<string, WatchedPod>();
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;

  /**
   * Watches until it is disposed of.
   *
   * @throws {Deno.errors.NotCapable} without the permission to run `sh`
   */
  constructor(
    kubectl: Kubectl,
    selector: string,
    onTrouble: (error: Error) => void,
  ) {
    this.#kubectl = kubectl;
    this.#selector = selector;
    this.#onTrouble = onTrouble;
    this.#done = this.#follow(this.#spawn());
  }

  /** Follows a pod, also one that is still to be made. */
  follow(name: string): WatchedPod {
    const watched = new WatchedPod(name);
    this.#pods.set(name, watched);
    return watched;
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
      ...["get", "pods", `--selector=${this.#selector}`, "--watch"],
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
        this.#onTrouble(
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
    const watched = this.#pods.get(pod.data.metadata.name);
    if (change.data.type === "DELETED") watched?.vanish();
    else watched?.set(pod.data);
    return true;
  }

  /** What changed while nobody watched. */
  async #compare(): Promise<void> {
    const followed = [...this.#pods.values()];
    if (followed.length === 0) return;
    try {
      const text = await this.#kubectl.run("Cannot list pods", [
        ...["get", "pods", `--selector=${this.#selector}`, "--output=json"],
      ], { signal: this.#abort.signal });
      const pods = new Map(
        list.parse(JSON.parse(text)).items.map((pod) => [
          pod.metadata.name,
          pod,
        ]),
      );
      for (const watched of followed) {
        const pod = pods.get(watched.name);
        if (pod) watched.set(pod);
        else if (watched.pod) watched.vanish(); // or it is still to be made
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#onTrouble(error as Error);
    }
  }
}
