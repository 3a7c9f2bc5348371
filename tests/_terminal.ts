/**
 * A program on a terminal of its own, made by script(1), with a person who types.
 *
 * ```ts
 * await using terminal = Terminal.open(["bash"]);
 * terminal.type("echo $((40 + 2))\n");
 * await terminal.shows(/^42/m);
 * ```
 */
import { missingPrograms } from "./_parts.ts";

export { cannotRun } from "./_parts.ts";

/** Why there can be no terminals here, if so. */
export function terminalMissing(): string | undefined {
  return missingPrograms("script", "stty");
}

export class Terminal implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #text = "";
  #seen = 0;
  #news = Promise.withResolvers<void>();
  #ended = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Starts a program on a terminal of 97 columns and 33 rows. */
  static open(
    argv: readonly string[],
    env: Record<string, string> = {},
  ): Terminal {
    const quoted = argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
    // The name of the terminal comes first; the last line tells the status.
    const command = `tty; stty cols 97 rows 33; ${
      quoted.join(" ")
    }; printf '\\nstatus %s, %s\\n' "$?" "$(stty -a | grep -ow -e -echo -e echo)"`;
    return new Terminal(
      new Deno.Command("script", {
        args: ["-qefc", command, "/dev/null"],
        env: { TERM: "xterm", SHELL: "/bin/sh", ...env },
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn(),
    );
  }

  async #read(): Promise<void> {
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of text) {
      this.#text += part.replaceAll("\r", "");
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    }
    this.#ended = true;
    this.#news.resolve();
  }

  /** Presses keys. */
  type(text: string): void {
    this.#writer.write(new TextEncoder().encode(text)).catch(() => {});
  }

  /** Waits until that is shown, after what was waited for before. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 60_000);
    try {
      for (;;) {
        const match = pattern.exec(this.#text.slice(this.#seen));
        if (match) {
          this.#seen += match.index + match[0].length;
          return match;
        }
        if (this.#ended) {
          throw new Error(`${pattern} was not shown, but:\n${this.#text}`);
        }
        await this.#news.promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the end of the program; its status, and whether the terminal shows again what is typed. */
  async end(): Promise<{ status: number; echo: boolean }> {
    const [, status, echo] = await this.shows(/^status (\d+), (-?echo)$/m);
    return { status: Number(status), echo: echo === "echo" };
  }

  /** Makes the window larger or smaller. */
  async resize(columns: number, rows: number): Promise<void> {
    const [tty] = /^\/dev\/\S+/m.exec(this.#text)!;
    const { success } = await new Deno.Command("stty", {
      args: ["-F", tty!, "cols", `${columns}`, "rows", `${rows}`],
    }).output();
    if (!success) throw new Error(`Cannot resize ${tty}`);
  }

  /** Closes the window. */
  async close(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Ended already.
    }
    await this.#child.status;
    await this.#writer.abort().catch(() => {});
    await this.#reading;
  }
}
