import type { SignalOptions } from "./connection.ts";
import { READY } from "./_ssh_options.ts";
import { piecesOf } from "./_streams.ts";

/** How much of what ssh prints is kept, in characters. */
const OUTPUT_KEPT = 64 * 1024;

/** How long ssh may take to end, in milliseconds. */
const GRACE = 3000;

/** How a master ended. */
export interface MasterEnd {
  code: number;
  /** What it printed, without what it prints when all is well. */
  output: string;
}

/** The environment of the script, without what ssh would pass on to the system. */
export function environment(): Record<string, string> {
  const env = Object.fromEntries(
    Object.entries(Deno.env.toObject())
      .filter(([name]) => name !== "LANG" && !name.startsWith("LC_")),
  );
  // ssh runs its own helpers in this shell: that of the user may refuse, or be gone.
  env.SHELL = "/bin/sh";
  return env;
}

/** What to start a master with. */
export interface MasterOptions extends SignalOptions {
  /** `ssh` and its arguments. */
  argv: readonly string[];
  /** All of its environment. */
  env: Readonly<Record<string, string>>;
  /** A directory of its own, which is removed at its end. */
  directory: string;
}

/**
 * Starts ssh, and ends it when nobody holds the other end of stdin any more: also
 * when that program was killed. Ends with the status of ssh, and leaves nothing
 * of what ssh started, nor the directory.
 */
const GUARD = `
directory=$1; shift
command -v "$1" >/dev/null || { echo "the program \\"$1\\" is not installed" >&2; rm -rf "$directory"; exit 127; }
exec 3<&0 </dev/null
"$@" 3<&- &
ssh=$!
exec >/dev/null 2>&1
{
  while read -r _; do :; done <&3
  kill "$ssh"
  rm -rf "$directory"
  sleep 1
  kill -KILL 0
} &
exec 3<&-
wait "$ssh"
code=$?
rm -rf "$directory"
trap '' TERM
kill 0
exit "$code"
`;

/** An ssh process whose connection others share. */
export class SshMaster {
  readonly #child: Deno.ChildProcess;
  /** Resolves when it has ended and nothing of it is left. */
  readonly ended: Promise<MasterEnd>;

  private constructor(options: MasterOptions, ready: () => void) {
    const { argv, env, directory } = options;
    this.#child = new Deno.Command("/bin/sh", {
      args: ["-c", GUARD, "sh", directory, ...argv],
      env: { ...env },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.ended = this.#watch(directory, ready);
  }

  /**
   * Starts one. Resolves with it when it is connected, with its end if it ended
   * before.
   */
  static async start(options: MasterOptions): Promise<SshMaster | MasterEnd> {
    const { signal } = options;
    signal?.throwIfAborted();
    const ready = Promise.withResolvers<void>();
    const master = new this(options, ready.resolve);
    const abort = () => void master.stop();
    signal?.addEventListener("abort", abort);
    const end = await Promise.race([ready.promise, master.ended]);
    signal?.removeEventListener("abort", abort);
    if (signal?.aborted) {
      await master.stop();
      throw signal.reason;
    }
    if (end) return end;
    // Like an open socket, it does not keep the program from ending.
    master.#child.unref();
    return master;
  }

  /** From now on the program does not end by itself before this does. */
  keepRunning(): void {
    try {
      this.#child.ref();
    } catch (error) {
      // It has just ended.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  /** Ends it and waits for that. */
  async stop(): Promise<void> {
    this.keepRunning();
    await this.#child.stdin.close().catch(() => {}); // ended, or being stopped
    const timer = setTimeout(() => this.#kill(), GRACE);
    await this.ended;
    clearTimeout(timer);
  }

  async #watch(directory: string, ready: () => void): Promise<MasterEnd> {
    const stdout = this.#child.stdout.getReader();
    const stderr = this.#child.stderr.getReader();
    let heard = "";
    let output = "";
    const closed = Promise.all([
      read(stdout, (text) => {
        heard += text;
        if (heard.includes(READY)) ready();
      }),
      read(stderr, (text) => output = (output + text).slice(-OUTPUT_KEPT)),
    ]);
    const { code } = await this.#child.status;
    this.#kill(); // if the guard was killed, ssh may be there still
    // A proxy command may have left something running that holds the pipes.
    const timer = setTimeout(() => {
      stdout.cancel();
      stderr.cancel();
    }, 500);
    await closed;
    clearTimeout(timer);
    await this.#child.stdin.close().catch(() => {});
    await Deno.remove(directory, { recursive: true }).catch(() => {});
    return { code, output };
  }

  #kill(): void {
    try {
      Deno.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // Nothing is left.
    }
  }
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const piece of piecesOf(reader)) {
    take(decoder.decode(piece, { stream: true }));
  }
}
