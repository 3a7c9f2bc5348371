/** What `check.ts` and `test.ts` share: steps that run a program, say how it went, and are counted. */
import { startRegistry } from "./registry.ts";

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

  private constructor(
    registry: { url: string } & AsyncDisposable,
    env: Record<string, string>,
  ) {
    this.#registry = registry;
    this.#env = { ...env, JSR_URL: registry.url, ATEX_REGISTRY: registry.url };
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
    const { success, stdout, stderr } = await this.#command(argv, "piped")
      .output();
    const text = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    // What Deno fetched from the registry is of no interest.
    const output = text.join("").replaceAll(/^.*Download.* http.*\n/gm, "");
    return { ok: success, output };
  }

  /** Runs a program that prints its own progress. */
  async show(argv: string[]): Promise<Outcome> {
    const { success } = await this.#command(argv, "inherit").spawn().status;
    return { ok: success, output: "" };
  }

  /** Shows what a program prints to its standard output, and keeps it. */
  async tee(argv: string[]): Promise<Outcome> {
    const child = this.#command(argv, "piped", "inherit").spawn();
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
    return Promise.resolve(this.#registry[Symbol.asyncDispose]());
  }

  #command(
    [program, ...args]: string[],
    stdout: "piped" | "inherit",
    stderr: "piped" | "inherit" = stdout,
  ) {
    return new Deno.Command(program === "deno" ? Deno.execPath() : program, {
      args,
      env: Deno.stdout.isTerminal()
        ? this.#env
        : { ...this.#env, NO_COLOR: "1" },
      cwd: new URL("..", import.meta.url),
      stdin: "null",
      stdout,
      stderr,
    });
  }
}

export const secondsSince = (start: number): string =>
  ((performance.now() - start) / 1000).toFixed(1);

const write = (text: string) =>
  Deno.stdout.write(new TextEncoder().encode(text));
