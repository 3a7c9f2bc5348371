import { delay } from "@std/async/delay";
import { LONGEST_TIMER } from "../connections/time_limit.ts";
import { ALIVE, type TestingFarmApi } from "./_testing_farm_api.ts";
import { HttpError } from "./_testing_farm_http.ts";

/** How many answers in a row have to say that there is no such request. */
const MISSING = 2;

export interface RequestWatchOptions {
  /** Milliseconds between two looks until the system is lent. */
  pollInterval: number;
  /** Milliseconds between two looks afterwards. */
  lostInterval: number;
  /** Told why there is no system yet, if the service decides about that. */
  waits: (reason?: string) => void;
  /** Told when a look failed while the system is lent. */
  onTrouble: (error: Error) => void;
}

/** Looks after one request, until it is gone or this is disposed of. */
export class RequestWatch implements AsyncDisposable {
  readonly #api: TestingFarmApi;
  readonly #id: string;
  readonly #options: RequestWatchOptions;
  readonly #abort = new AbortController();
  readonly #gone = Promise.withResolvers<Error>();
  readonly #artifacts = Promise.withResolvers<string>();
  readonly #done: Promise<void>;
  #lent = false;
  #keepAlive?: ReturnType<typeof setInterval>;

  constructor(api: TestingFarmApi, id: string, options: RequestWatchOptions) {
    this.#api = api;
    this.#id = id;
    this.#options = options;
    this.#done = this.#follow().finally(() => this.#letGo());
  }

  /** Resolves when the request is not alive any more. */
  get gone(): Promise<Error> {
    return this.#gone.promise;
  }

  /** Resolves with the address of the logs when it runs. */
  get artifacts(): Promise<string> {
    return this.#artifacts.promise;
  }

  /** From now on it is looked at less often, and does not keep this process running. */
  relax(): void {
    this.#lent = true;
  }

  /** Keeps this process from ending before the request. */
  expect(): void {
    if (this.#abort.signal.aborted) return;
    this.#keepAlive ??= setInterval(() => {}, LONGEST_TIMER);
  }

  /** Stops looking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#letGo();
    await this.#done;
  }

  #letGo(): void {
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort;
    const { pollInterval, lostInterval } = this.#options;
    for (let missing = 0; !signal.aborted;) {
      try {
        const { state, artifacts, summary } = await this.#api.get(this.#id, {
          signal,
        });
        missing = 0;
        if (!ALIVE.includes(state)) {
          const why = summary ? `: ${this.#api.hide(summary)}` : "";
          return this.#end(new Error(`it is in state "${state}"${why}`));
        }
        if (!this.#lent) this.#options.waits(this.#reasonOf(state));
        if (state === "running" && artifacts) {
          this.#artifacts.resolve(artifacts);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof HttpError && error.status === 404) {
          if (++missing === MISSING) return this.#end(error);
        } else if (this.#lent) this.#options.onTrouble(error as Error);
        else return this.#end(error as Error);
      }
      const ms = this.#lent
        ? lostInterval * (0.9 + 0.2 * Math.random()) // not all at once
        : pollInterval;
      await delay(ms, { signal, persistent: !this.#lent }).catch(() => {});
    }
  }

  #reasonOf(state: string): string | undefined {
    if (state === "running") return undefined;
    return `the request ${this.#id} is in state "${state}"`;
  }

  #end(error: Error): void {
    this.#gone.resolve(error);
  }
}
