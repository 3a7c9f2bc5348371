/**
 * Runs a command with the registry of `registry.ts`:
 *
 *     deno run -A dev/with_registry.ts [--std DIR] COMMAND ARGUMENT...
 *
 * The command's status becomes ours; signals are passed on.
 */
import { registryOptions, startRegistry } from "./registry.ts";

const ADDRESS = "ATEX_REGISTRY";
const SIGNAL_NUMBERS: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGTERM: 15,
};

/** Runs `argv` with `JSR_URL` set; resolves to its exit status (128 + n for signal n). */
async function runChild(argv: string[], url: string): Promise<number> {
  const [program, ...args] = argv;
  // before there is a child, which may get one as soon as it says something
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      // The terminal sends Ctrl-C to the child by itself; twice would mean "at once".
      if (signal === "SIGINT" && Deno.stdin.isTerminal()) return;
      try {
        child.kill(signal);
      } catch {
        // it has just ended
      }
    });
  }
  // Deno need not be on the PATH.
  const child = new Deno.Command(
    program === "deno" ? Deno.execPath() : program,
    {
      args,
      env: { JSR_URL: url, [ADDRESS]: url },
      stdin: "inherit",
    },
  ).spawn();
  const { code, signal } = await child.status;
  return signal === null ? code : 128 + (SIGNAL_NUMBERS[signal] ?? 0);
}

const [options, argv] = registryOptions(Deno.args);
if (argv.length === 0) {
  console.error("usage: with_registry.ts [--std DIR] COMMAND ARGUMENT...");
  Deno.exit(2);
}
const running = Deno.env.get(ADDRESS);
if (running !== undefined && running === Deno.env.get("JSR_URL")) {
  Deno.exit(await runChild(argv, running));
}
const registry = await startRegistry(options);
const status = await runChild(argv, registry.url);
await registry[Symbol.asyncDispose]();
Deno.exit(status);
