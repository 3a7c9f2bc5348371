/** A place of its own for what provisioners leave in files, and a mark for the processes that they start. */
import assert from "node:assert/strict";

/** All names in a directory, none if it is not there. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory)))
      .map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Processes that have the mark in their environment, or in one of those files of theirs. */
export async function processesOf(
  mark: string,
  files: readonly ("environ" | "cmdline")[] = ["environ"],
): Promise<number[]> {
  const found: number[] = [];
  for (const name of await namesIn("/proc")) {
    if (!/^\d+$/.test(name) || +name === Deno.pid) continue;
    for (const file of files) {
      const text = await Deno.readTextFile(`/proc/${name}/${file}`)
        .catch(() => "");
      if (!text.includes(mark)) continue;
      found.push(+name);
      break;
    }
  }
  return found;
}

/** Polls until nothing is left, and says what is when time is over. */
export async function untilNone(
  what: string,
  look: () => Promise<readonly unknown[]>,
  patience: number,
): Promise<void> {
  const end = performance.now() + patience;
  for (;;) {
    const left = await look();
    if (left.length === 0) return;
    if (performance.now() > end) assert.fail(`${what}: ${left.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Directories for run files and temporary files, which count for this process and what it starts. */
export class Scratch implements AsyncDisposable {
  readonly #before = new Map<string, string | undefined>();

  private constructor(
    readonly path: string,
    /** Is in the environment of all that is started. */
    readonly mark: string,
  ) {}

  static async open(): Promise<Scratch> {
    const path = await Deno.makeTempDir({ prefix: "atex-test-" });
    const scratch = new Scratch(path, `atex-mark-${crypto.randomUUID()}`);
    for (const name of ["tmp", "run", "artifacts"]) {
      await Deno.mkdir(`${path}/${name}`);
    }
    scratch.#set("TMPDIR", `${path}/tmp`);
    scratch.#set("XDG_RUNTIME_DIR", `${path}/run`);
    scratch.#set("ATEX_TEST_ARTIFACTS", `${path}/artifacts`);
    scratch.#set("ATEX_TEST_MARK", scratch.mark);
    return scratch;
  }

  #set(name: string, value: string): void {
    this.#before.set(name, Deno.env.get(name));
    Deno.env.set(name, value);
  }

  /** Run files of scripts. */
  get runs(): Promise<string[]> {
    return namesIn(`${this.path}/run/atex/runs`);
  }

  /** Temporary files. */
  get files(): Promise<string[]> {
    return namesIn(`${this.path}/tmp`);
  }

  /** Waits until there is nothing of all that. */
  async untilClean(
    outside: () => Promise<readonly unknown[]>,
    patience: number,
  ): Promise<void> {
    await untilNone("left outside", outside, patience);
    await untilNone(
      "processes are left",
      () => processesOf(this.mark),
      patience,
    );
    assert.deepEqual(await this.files, [], "temporary files are left");
    assert.deepEqual(await this.runs, [], "run files are left");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, value] of this.#before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    await Deno.remove(this.path, { recursive: true });
  }
}
