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
  stdout: string;
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
  async run(name: string, argv: string[]): Promise<boolean> {
    await write(`${name} ... `);
    const start = performance.now();
    const { success, stdout, stderr } = await this.#command(argv, "piped")
      .output();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${success ? "ok" : "FAILED"} (${seconds} s)`);
    if (!success) {
      await write(withoutDownloads(stdout) + withoutDownloads(stderr));
    }
    this.count(name, {
      passed: +success,
      failed: +!success,
      skipped: 0,
    });
    return success;
  }

  /** A suite that prints its own progress; resolves to whether it ended with status 0. */
  async show(argv: string[]): Promise<boolean> {
    return (await this.#command(argv, "inherit").spawn().status).success;
  }

  /** A suite whose lines we show and keep. */
  async tee(argv: string[]): Promise<Outcome> {
    const child = this.#command(argv, "piped", "inherit").spawn();
    let stdout = "";
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      await Deno.stdout.write(bytes);
      stdout += decoder.decode(bytes, { stream: true });
    }
    return { ok: (await child.status).success, stdout };
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

/** What Deno fetched from the registry is of no interest. */
const withoutDownloads = (output: Uint8Array) =>
  new TextDecoder().decode(output).replaceAll(/^.*Download.* http.*\n/gm, "");

const write = (text: string) =>
  Deno.stdout.write(new TextEncoder().encode(text));
