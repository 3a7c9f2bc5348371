/** A directory for results, files and artifacts of a test of ours. */
import type { Result } from "../../executors/results.ts";
import { inMemory } from "../_memory.ts";
import { layOut, temporary } from "./_artifacts.ts";

/** A directory that is removed at the end, after what is in it was stopped. */
export class Place implements AsyncDisposable {
  readonly #directory;
  readonly #stack = new AsyncDisposableStack();
  #count = 0;

  constructor(directory = temporary(inMemory.dir)) {
    this.#directory = directory;
    this.#stack.use(directory);
  }

  get root(): string {
    return this.#directory.path;
  }

  /** Where aggregators put everything, with some ending of the name of results. */
  paths(ending = ".jsonl"): { results: string; files: string } {
    return { results: `${this.root}/results${ending}`, files: this.files };
  }

  get files(): string {
    return `${this.root}/files`;
  }

  /** Starts an aggregator that is stopped at the end, in whatever way that ends. */
  async start<T extends { start(): Promise<T>; stop(): Promise<void> }>(
    aggregator: T,
  ): Promise<T> {
    this.#stack.defer(() => aggregator.stop().catch(() => {}));
    return await aggregator.start();
  }

  /** A new directory of artifacts. */
  artifacts(
    results: readonly Result[] = [{ status: "pass" }],
    files: Record<string, string> = {},
  ): string {
    return layOut(`${this.root}/artifacts/${this.#count++}`, results, files);
  }

  /** Names of what is in the directory. */
  entries(): string[] {
    return [...Deno.readDirSync(this.root)].map(({ name }) => name)
      .filter((name) => name !== "artifacts").sort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
