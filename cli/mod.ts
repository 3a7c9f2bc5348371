/**
 * The command line, for what one does beside scripts: looking at tests, trying
 * them out, seeing what a machine can do. It has no feature that the library lacks:
 * each command is a file over public exports, and so an example of them.
 *
 * ```sh
 * deno run -A jsr:@atex/atex/cli tests ./suite --long
 * deno install -g -A -n atex jsr:@atex/atex/cli
 * ```
 *
 * @example From a script
 * ```ts
 * import { main } from "jsr:@atex/atex/cli";
 *
 * Deno.exitCode = await main(["tests", "./suite"]);
 * ```
 *
 * @module
 */
import type { SignalOptions } from "../connections/connection.ts";
import { runMain } from "../orchestrators/main.ts";
import { type Command, helpOf, parse, UsageError } from "./_command.ts";
import { nearest } from "../options.ts";

/** Commands, and what they do; a command is loaded when it is needed. */
const COMMANDS: Record<string, { purpose: string; load(): Promise<Command> }> =
  {
    tests: {
      purpose: "list the tests of an fmf tree",
      load: async () => (await import("./tests.ts")).tests,
    },
    run: {
      purpose: "run the tests of an fmf tree, or print the script that does",
      load: async () => (await import("./run.ts")).run,
    },
    report: {
      purpose: "show stored results, or make a page of them",
      load: async () => (await import("./report.ts")).report,
    },
    results: {
      purpose: "complete what a killed run left of results or JUnit XML",
      load: async () => (await import("./results.ts")).results,
    },
    shell: {
      purpose: "take a system and run a shell or a command on it",
      load: async () => (await import("./shell.ts")).shell,
    },
    systems: {
      purpose: "tell who has which hosts, containers, requests or pods",
      load: async () => (await import("./systems.ts")).systems,
    },
    clean: {
      purpose: "show, or remove, what scripts left behind that died",
      load: async () => (await import("./clean.ts")).clean,
    },
    doctor: {
      purpose: "see which programs are there and whether they work",
      load: async () => (await import("./doctor.ts")).doctor,
    },
  };

const HELP = [
  "Run tests on pools of systems.",
  "",
  "Usage: atex COMMAND [ARGUMENT…]",
  "",
  ...Object.entries(COMMANDS).map(([name, { purpose }]) =>
    `  ${name.padEnd(8)}  ${purpose}`
  ),
  "",
  "atex COMMAND --help tells more, atex --version which version this is. For anything serious, write a script.",
].join("\n");

/**
 * Runs a command line, without the name of the program; resolves with its exit
 * status: 0 fine, 1 the answer is no, such as tests that failed.
 *
 * @throws {Error} if the command line is wrong or the command could not do its work (exit status 2)
 *
 * @example
 * ```ts
 * import { main } from "jsr:@atex/atex/cli";
 *
 * await main(["tests", "./suite", "--long"], { signal: AbortSignal.timeout(10_000) });
 * ```
 */
export async function main(
  args: readonly string[],
  options: SignalOptions = {},
): Promise<number> {
  const [name = "help", ...rest] = args;
  if (name === "help" || name === "--help" || name === "-h") {
    const [about] = rest;
    console.log(about === undefined ? HELP : helpOf(await commandOf(about)));
    return 0;
  }
  if (name === "--version" || name === "-V") {
    const { default: { version } } = await import("../deno.json", {
      with: { type: "json" },
    });
    console.log(`atex ${version}`);
    return 0;
  }
  const command = await commandOf(name);
  const { signal = new AbortController().signal } = options;
  const call = parse(command, rest, signal);
  if (!call) {
    console.log(helpOf(command));
    return 0;
  }
  return await command.run(call);
}

async function commandOf(name: string): Promise<Command> {
  if (Object.hasOwn(COMMANDS, name)) return await COMMANDS[name]!.load();
  const meant = nearest(name, Object.keys(COMMANDS));
  throw new UsageError(
    `Cannot run "atex ${name}": there is no such command${
      meant
        ? `; did you mean "${meant}"?`
        : `, only ${Object.keys(COMMANDS).join(", ")}`
    }`,
  );
}

if (import.meta.main) {
  await runMain((signal) => main(Deno.args, { signal }));
}
