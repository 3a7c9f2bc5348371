/** Runs the wrapper by itself, as a connection would, and looks for what it leaves behind. */
import { WRAPPER } from "../../../executors/fmf/wrapper.ts";

export interface WrappedOptions {
  /** Text of the test. */
  test?: string;
  flags?: string[];
  /** Content of the file `environment`. */
  env?: string[];
  /** Set-up script that is sent first. */
  setup?: string;
  cwd?: string;
  /** Variables that the wrapper inherits. */
  inherit?: Record<string, string>;
  /** What runs the wrapper. @default ["bash"] */
  shell?: string[];
  /** Leave stdin open: it is a lifeline. */
  lifeline?: boolean;
}

export interface Ended {
  code: number;
  control: string;
  output: string;
}

/** One run of the wrapper. Every process of it carries a variable by which it is found. */
export class Wrapped implements AsyncDisposable {
  readonly mark = crypto.randomUUID();
  readonly directory: string;
  readonly state: string;
  readonly child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #control: ReadableStreamDefaultReader<Uint8Array>;
  readonly #output: Promise<string>;
  #text = "";
  #open = true;

  constructor(options: WrappedOptions = {}) {
    const { test = "", flags = [], env = [], setup, lifeline } = options;
    this.directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
    this.state = `${this.directory}/state`;
    Deno.mkdirSync(this.state);
    Deno.writeTextFileSync(`${this.directory}/wrapper`, WRAPPER);
    if (setup === undefined) {
      Deno.writeTextFileSync(`${this.state}/test.sh`, test);
      Deno.writeTextFileSync(
        `${this.state}/environment`,
        env.map((entry) => `${entry}\0`).join(""),
      );
    }
    const [file, ...before] = options.shell ?? ["bash"];
    const args = [
      ...before,
      `${this.directory}/wrapper`,
      this.state,
      options.cwd ?? this.directory,
      ...(setup === undefined ? [] : [`setup=${setup.length}`]),
      ...(lifeline ? ["lifeline"] : []),
      ...flags,
    ];
    this.child = new Deno.Command(file!, {
      args,
      env: { ...options.inherit, ATEX_TEST_MARK: this.mark },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.#stdin = this.child.stdin.getWriter();
    this.#control = this.child.stdout.getReader();
    this.#output = new Response(this.child.stderr).text();
    if (setup) this.send(setup);
    if (!lifeline) this.hangUp();
  }

  /** Writes to the lifeline. */
  send(text: string): void {
    this.#stdin.write(new TextEncoder().encode(text)).catch(() => {});
  }

  /** Closes the lifeline. */
  hangUp(): void {
    if (this.#open) this.#stdin.close().catch(() => {});
    this.#open = false;
  }

  /** Reads the control channel up to this text. */
  async saw(text: string): Promise<void> {
    while (!this.#text.includes(text)) {
      if (!await this.#read()) {
        throw new Error(`"${text}" did not come: ${this.#text}`);
      }
    }
  }

  /** Closes the control channel, as the executor does after `disconnect`. */
  async closeControl(): Promise<void> {
    await this.#control.cancel();
  }

  async #read(): Promise<boolean> {
    const { done, value } = await this.#control.read();
    if (value) this.#text += new TextDecoder().decode(value);
    return !done;
  }

  /** Waits for the end of the wrapper, and of whoever holds its streams. */
  async end(): Promise<Ended> {
    while (await this.#read());
    const output = await this.#output;
    const { code } = await this.child.status;
    this.hangUp();
    return { code, control: this.#text, output };
  }

  /** Command lines of the processes of this run that are alive. */
  survivors(): string[] {
    return processesWith(`ATEX_TEST_MARK=${this.mark}`);
  }

  /** Waits until no process of this run is left: what was killed ends a moment later. */
  async gone(): Promise<void> {
    for (let round = 0; round < 300; round++) {
      if (this.survivors().length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`still there: ${this.survivors().join("; ")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    for (const pid of pidsWith(`ATEX_TEST_MARK=${this.mark}`)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // it has ended
      }
    }
    await this.#control.cancel();
    await this.child.status;
    await this.#output;
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Runs a test to its end; nothing of it may be left. */
export async function runWrapped(options: WrappedOptions): Promise<Ended> {
  await using wrapped = new Wrapped(options);
  const ended = await wrapped.end();
  await wrapped.gone();
  return ended;
}

/** Ids of the processes that were started with this variable. */
export function pidsWith(variable: string): number[] {
  const pids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environ = Deno.readTextFileSync(`/proc/${name}/environ`);
      if (environ.split("\0").includes(variable)) pids.push(Number(name));
    } catch {
      // it has ended, or is somebody else's
    }
  }
  return pids;
}

/** Command lines of the processes that were started with this variable. */
export function processesWith(variable: string): string[] {
  return pidsWith(variable).flatMap((pid) => {
    try {
      const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
      return line === "" ? [] : [line.replaceAll("\0", " ").trim()];
    } catch {
      return [];
    }
  });
}
