/** A user's script in a process of its own, for tests that let it die or contend. */

/** A script that tells on stdout what happens, a line each. Disposing of it kills it. */
export class Script implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly lines: string[] = [];
  readonly #read: Promise<void>;

  /** Starts the file, relative to `tests/`, with these arguments. */
  constructor(file: string, args: readonly string[]) {
    const config = new URL("../deno.json", import.meta.url).pathname;
    this.child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-qA", "--no-check", `--config=${config}`],
        new URL(file, import.meta.url).pathname,
        ...args,
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#read = this.#follow();
  }

  /** For `until()`: whether it has printed a line that begins with this. */
  has(line: string): () => boolean {
    return () => this.lines.some((found) => found.startsWith(line));
  }

  /** Kills it, as `kill -9` does. */
  async kill(): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // Ended already.
    }
    await this.end();
  }

  /** How it ended. */
  async end(): Promise<Deno.CommandStatus> {
    await this.#read;
    return await this.child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #follow(): Promise<void> {
    let rest = "";
    const text = this.child.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of text) {
      const lines = (rest + part).split("\n");
      rest = lines.pop()!;
      this.lines.push(...lines);
    }
  }
}
