/** Runs the tests of `tests/torture` on systems of one kind, several at a time, and tells what is not as expected. */
import {
  type Connection,
  ConnectionError,
} from "../../connections/connection.ts";
import { output } from "../../connections/process.ts";
import {
  discover,
  FmfExecutor,
  type FmfTests,
} from "../../executors/fmf/mod.ts";
import { SetupError } from "../../executors/executor.ts";
import { until } from "../_wait.ts";
import { pidsWith, processesWith } from "../executors/fmf/_wrapped.ts";
import { workOn } from "./_executor_work.ts";
import { type Expect, faultsOf, type Outcome } from "./_torture_expect.ts";

/** A system, and what can be asked about it. */
export interface TortureSystem extends AsyncDisposable {
  /** A new connection to it. */
  connect(): Promise<Connection & Partial<AsyncDisposable>>;
  /** Command lines of processes that were started on it and are still there; absent if others use it, too. */
  strangers?(): string[];
}

/** What a system is for: tests that leave it as it is, or one test of the kind that `tests/torture/main.fmf` tells. */
export type Purpose =
  | "shared"
  | "last"
  | "wrecks"
  | "restarts"
  | "small"
  | "noexec";

/** Systems of one kind. */
export interface TortureKind {
  /** What the rules of the tests are decided by. */
  context: { transport: string; userland: string; restarts: string };
  /** Which half of the tests that leave a system as it is are run; absent for all. */
  half?: 0 | 1;
  open(purpose: Purpose): Promise<TortureSystem>;
}

/** How many tests run at a time. */
const AT_ONCE = 4;
/** A test that takes longer than this hangs; in milliseconds. */
const PATIENCE = 300_000;

const TREE = new URL("../torture/", import.meta.url);

/** What is not as expected, by name of the test. */
export type Faults = Map<string, string[]>;

/** Runs all tests on systems of a kind. */
export async function torture(kind: TortureKind): Promise<Faults> {
  await using tests = await discover(TREE, { context: kind.context });
  const faults: Faults = new Map();
  const queue = [...tests.data.keys()];
  const apart = queue.filter((name) => purposeOf(tests, name) !== "shared");
  const together = queue.filter((name) => purposeOf(tests, name) === "shared")
    .filter((_, i) => kind.half === undefined || i % 2 === kind.half);
  // not a test: each run of an executor begins with it
  tests.data.set(FIRST, { test: 'echo "${TMT_TREE%/tests}"' });
  await using shared = await kind.open("shared");
  const before = await filesOn(shared);
  // all of them end before the system does
  const ended = await Promise.allSettled(
    Array.from({ length: AT_ONCE }, async () => {
      for (let name; (name = apart.shift());) {
        const purpose = purposeOf(tests, name);
        await using system = await kind.open(purpose);
        await new Bench(kind, system, tests, faults).run([name]);
      }
      await new Bench(kind, shared, tests, faults).run(together);
    }),
  );
  for (const end of ended) if (end.status === "rejected") throw end.reason;
  const left = shared.strangers?.() ?? [];
  if (shared.strangers) {
    for (const file of await filesOn(shared)) {
      if (!before.includes(file)) left.push(file);
    }
    const connection = await shared.connect();
    left.push(...await workOn(connection));
    await connection[Symbol.asyncDispose]?.();
  }
  faults.set("nothing is left on the system", left);
  return faults;
}

/** Tells where the executor works. */
const FIRST = "/first";

function purposeOf(tests: FmfTests, name: string): Purpose {
  const { tag: tags = [] } = tests.data.get(name) as { tag?: string[] };
  for (
    const tag of ["last", "wrecks", "restarts", "small", "noexec"] as const
  ) {
    if (tags.includes(tag)) return tag;
  }
  return "shared";
}

/** What lies where anybody may put something. */
async function filesOn(system: TortureSystem): Promise<string[]> {
  const connection = await system.connect();
  const { stdout } = await output(connection, [
    "sh",
    "-c",
    "ls -d /tmp/* /tmp/.* /var/* /var/tmp/* /var/tmp/.* 2>/dev/null",
  ]);
  await connection[Symbol.asyncDispose]?.();
  return new TextDecoder().decode(stdout).split("\n").filter(Boolean);
}

/** One executor, and what it runs one after the other. */
class Bench {
  readonly #kind: TortureKind;
  readonly #system: TortureSystem;
  readonly #tests: FmfTests;
  readonly #faults: Faults;
  readonly #mark = crypto.randomUUID();
  #warnings: string[] = [];
  #restarts = 0;

  constructor(
    kind: TortureKind,
    system: TortureSystem,
    tests: FmfTests,
    faults: Faults,
  ) {
    this.#kind = kind;
    this.#system = system;
    this.#tests = tests;
    this.#faults = faults;
  }

  /** Takes tests from a queue until it is empty. */
  async run(queue: string[]): Promise<void> {
    if (queue.length === 0) return;
    const purpose = purposeOf(this.#tests, queue[0]!);
    const connection = await this.#system.connect();
    const executor = new FmfExecutor(connection, {
      tests: this.#tests,
      exitGrace: 2000,
      env: {
        ATEX_TEST_MARK: this.#mark,
        TORTURE_SYSTEM: this.#kind.context.transport === "local"
          ? "everybody's"
          : "container",
      },
      onEvent: (event) => {
        if (event.type === "warning") this.#warnings.push(event.message);
        if (event.type === "restarted") this.#restarts = event.count;
      },
    });
    const faults: string[] = [];
    const ran: string[] = [];
    try {
      await executor.start();
      const work = await this.#workOf(executor);
      for (let name; (name = queue.shift());) {
        ran.push(name);
        this.#faults.set(
          name,
          await this.#runTest(executor, connection, name)
            .catch((error) => [error.stack]),
        );
      }
      if (purpose === "wrecks") {
        // whatever comes of it
        await executor.stop().catch((error) => {
          if (!(error instanceof SetupError)) throw error;
        });
      } else {
        await executor.stop();
        if (await isThere(connection, work)) faults.push(`${work} is left`);
      }
    } catch (error) {
      faults.push((error as Error).stack!);
    }
    await executor[Symbol.asyncDispose]();
    await connection[Symbol.asyncDispose]?.();
    this.#faults.set(`executor of ${ran.length} tests from ${ran[0]}`, faults);
  }

  async #workOf(executor: FmfExecutor): Promise<string> {
    const artifacts = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      await executor.runTest(FIRST, artifacts);
      const text = await Deno.readTextFile(`${artifacts}/files/output.txt`);
      return text.trim();
    } finally {
      await Deno.remove(artifacts, { recursive: true });
    }
  }

  async #runTest(
    executor: FmfExecutor,
    connection: Connection,
    name: string,
  ): Promise<string[]> {
    const expect = this.#tests.data.get(name)!.expect as Expect;
    const outcome: Outcome = {
      artifacts: await Deno.makeTempDir({ prefix: "atex-test-" }),
      warnings: this.#warnings = [],
      restarts: this.#restarts = 0,
      survivors: [],
    };
    const hanging = new AbortController();
    const timer = setTimeout(
      () => hanging.abort(new Error("it hangs")),
      PATIENCE,
    );
    try {
      try {
        outcome.exitCode = await executor.runTest(name, outcome.artifacts, {
          signal: hanging.signal,
        });
      } catch (error) {
        outcome.error = error as Error;
      }
      outcome.restarts = this.#restarts;
      outcome.survivors = await this.#survivors(expect.survivors ?? []);
      const faults = await faultsOf(expect, outcome);
      if (outcome.error?.reason === "connection") {
        await until(() =>
          connection.connect().then(() => true, (error) => {
            if (error instanceof ConnectionError) return false;
            throw error;
          })
        );
      }
      if (expect.next !== undefined) {
        const said = await this.#next(executor);
        if (!new RegExp(expect.next).test(said)) {
          faults.push(`the next test: ${said} in place of ${expect.next}`);
        }
      }
      return faults;
    } finally {
      clearTimeout(timer);
      await Deno.remove(outcome.artifacts, { recursive: true });
    }
  }

  /** How a test ends that does nothing. */
  async #next(executor: FmfExecutor): Promise<string> {
    try {
      await this.#workOf(executor);
      return "fine";
    } catch (error) {
      return String(error);
    }
  }

  /** What is left of a test; what was killed may take a moment to end. */
  async #survivors(expected: string[]): Promise<string[]> {
    const mark = `ATEX_TEST_MARK=${this.#mark}`;
    let found: string[] = [];
    for (let round = 0; round < 200; round++) {
      found = processesWith(mark).sort();
      if (found.join() === expected.toSorted().join()) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const pid of pidsWith(mark)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // ended
      }
    }
    return found;
  }
}

async function isThere(
  connection: Connection,
  path: string,
): Promise<boolean> {
  const { success } = await output(connection, ["test", "-e", path]);
  return success;
}
