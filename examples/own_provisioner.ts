// A provisioner of one's own: any object that fits the interface. Here, directories on this machine.
import { Tally } from "jsr:@atex/atex/aggregators/tally";
import type { SignalOptions } from "jsr:@atex/atex/connections/connection";
import { LocalConnection } from "jsr:@atex/atex/connections/local";
import { CommandExecutor } from "jsr:@atex/atex/executors/command";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import {
  type Provisioner,
  ProvisionerStoppedError,
  type Remote,
} from "jsr:@atex/atex/provisioners/provisioner";

class Directory extends LocalConnection implements Remote {
  readonly attributes = {};
  readonly reusable = false;
  readonly lost = new Promise<Error>(() => {});
  #released: Promise<void> | undefined;

  constructor(readonly id: string) {
    super({ cwd: id });
  }

  release = () => this.#released ??= Deno.remove(this.id, { recursive: true });
  override [Symbol.asyncDispose] = this.release;
}

class Directories implements Provisioner {
  readonly name = "directories";
  readonly maxRemotes = Infinity;
  #asked = 0;
  readonly #waiting = new Set<PromiseWithResolvers<Remote>>();
  readonly #made: Promise<Directory>[] = [];

  start = () => Promise.resolve(this);

  provision(count = 1) {
    this.#asked += count;
    this.#serve();
  }

  clear() {
    this.#asked = 0;
  }

  async getRemote({ signal }: SignalOptions = {}) {
    signal?.throwIfAborted();
    const caller = Promise.withResolvers<Remote>();
    const leave = () => {
      this.#waiting.delete(caller);
      caller.reject(signal!.reason);
    };
    signal?.addEventListener("abort", leave);
    this.#waiting.add(caller);
    this.#serve();
    return await caller.promise
      .finally(() => signal?.removeEventListener("abort", leave));
  }

  #serve() {
    for (const caller of this.#waiting) {
      if (this.#asked === 0) return;
      this.#asked--;
      this.#waiting.delete(caller);
      const made = Deno.makeTempDir().then((path) => new Directory(path));
      this.#made.push(made);
      caller.resolve(made);
    }
  }

  async stop() {
    this.clear();
    const stopped = new ProvisionerStoppedError(`${this.name} was stopped`);
    for (const caller of this.#waiting) caller.reject(stopped);
    this.#waiting.clear();
    for await (const directory of this.#made) await directory.release();
  }

  [Symbol.asyncDispose] = () => this.stop();
}

const tests = { "/where": ["pwd"], "/what": ["ls"] };
await using pool = await new Directories().start();
await using run = new AdHocOrchestrator({
  platform: "here",
  tests: Object.keys(tests),
  provisioners: [pool],
  executor: (remote) => new CommandExecutor(remote, { tests }),
  aggregator: await new Tally().start(),
}).run();
const { passed, handedOut } = await run.finished;
console.log(`${passed} tests passed in ${handedOut} directories`);
