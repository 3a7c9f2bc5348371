/** What `check.ts` and `test.ts` share: steps that run a program, say how it went, and are counted. */
import { startRegistry } from "./registry.ts";

/** The time for one program. */
const LIMIT_MS = Number(Deno.env.get("ATEX_TEST_MINUTES") ?? 20) * 60_000;

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/** How many steps or tests passed, failed, and could not run. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface Outcome {
  ok: boolean;
  /** What the program printed, as far as it was kept. */
  output: string;
}

/** Runs programs with the registry and `env`, one after the other, and adds up what came of them. */
export class Steps implements AsyncDisposable {
  readonly total: Counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #failures: string[] = [];
  readonly #env: Record<string, string>;
  readonly #registry: AsyncDisposable;
  readonly #running = new Set<AbortController>();
  readonly #listeners = Object.entries(SIGNALS).map(([name, number]) =>
    [name as Deno.Signal, () => {
      for (const controller of this.#running) controller.abort();
      Deno.exit(128 + number);
    }] as const
  );

  private constructor(
    registry: { url: string } & AsyncDisposable,
    env: Record<string, string>,
  ) {
    this.#registry = registry;
    this.#env = { ...env, JSR_URL: registry.url, ATEX_REGISTRY: registry.url };
    for (const listener of this.#listeners) Deno.addSignalListener(...listener);
  }

  /** `std` chooses where `@std` comes from, as in `registry.ts`. */
  static async start(env: Record<string, string> = {}): Promise<Steps> {
    const registry = await startRegistry({
      std: Deno.env.get("ATEX_STD"),
      jsr: Deno.env.get("ATEX_JSR"),
    });
    return new Steps(registry, env);
  }

  /** One step: a line that says what runs, then how it ended; its output only if it failed. */
  async run(name: string, argv: string[]): Promise<void> {
    await write(`${name} ... `);
    const start = performance.now();
    const { ok, output } = await this.capture(argv);
    console.log(`${ok ? "ok" : "FAILED"} (${secondsSince(start)} s)`);
    if (!ok) console.log(output);
    this.count(name, { passed: +ok, failed: +!ok, skipped: 0 });
  }

  /** Runs a program and keeps all that it prints. */
  async capture(argv: string[]): Promise<Outcome> {
    using command = this.#command(argv, "piped");
    const { success, stdout, stderr } = await command.spawn().output();
    const text = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    // What Deno fetched from the registry is of no interest.
    const output = text.join("").replaceAll(/^.*Download.* http.*\n/gm, "");
    return { ok: success, output };
  }

  /** Runs a program that prints its own progress. */
  async show(argv: string[]): Promise<Outcome> {
    using command = this.#command(argv, "inherit");
    const { success } = await command.spawn().status;
    return { ok: success, output: "" };
  }

  /** Shows what a program prints to its standard output, and keeps it. */
  async tee(argv: string[]): Promise<Outcome> {
    using command = this.#command(argv, "piped", "inherit");
    const child = command.spawn();
    let output = "";
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      await Deno.stdout.write(bytes);
      output += decoder.decode(bytes, { stream: true });
    }
    return { ok: (await child.status).success, output };
  }

  /** Adds to the total; `name` is repeated at the end if something failed. */
  count(name: string, { passed, failed, skipped }: Counts): void {
    this.total.passed += passed;
    this.total.failed += failed;
    this.total.skipped += skipped;
    if (failed > 0) {
      this.#failures.push(failed > 1 ? `${name} (${failed})` : name);
    }
  }

  /** The last words: what failed, and the line of counts. Resolves to the exit status. */
  summary(): number {
    const { passed, failed, skipped } = this.total;
    console.log();
    if (failed > 0) console.log(`failed: ${this.#failures.join(", ")}`);
    console.log(
      `tests: ${passed} passed, ${failed} failed, ${skipped} skipped`,
    );
    return failed > 0 ? 1 : 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) {
      Deno.removeSignalListener(...listener);
    }
    return Promise.resolve(this.#registry[Symbol.asyncDispose]());
  }

  /** A command that ends when it takes too long, so that there is a last line in any case, and when we do. */
  #command(
    argv: string[],
    stdout: "piped" | "inherit",
    stderr: "piped" | "inherit" = stdout,
  ): { spawn(): Deno.ChildProcess } & Disposable {
    const [program, ...args] = argv;
    const controller = new AbortController();
    const command = new Deno.Command(
      program === "deno" ? Deno.execPath() : program,
      {
        args,
        env: Deno.stdout.isTerminal()
          ? this.#env
          : { ...this.#env, NO_COLOR: "1" },
        cwd: new URL("..", import.meta.url),
        stdin: "null",
        stdout,
        stderr,
        signal: controller.signal,
      },
    );
    this.#running.add(controller);
    const timer = setTimeout(() => {
      const minutes = LIMIT_MS / 60_000;
      console.log(`\ntook longer than ${minutes} minutes: ${argv.join(" ")}`);
      controller.abort();
    }, LIMIT_MS);
    return {
      spawn: () => command.spawn(),
      [Symbol.dispose]: () => {
        clearTimeout(timer);
        this.#running.delete(controller);
      },
    };
  }
}

export const secondsSince = (start: number): string =>
  ((performance.now() - start) / 1000).toFixed(1);

const write = (text: string) =>
  Deno.stdout.write(new TextEncoder().encode(text));
