import { checkKind } from "../options.ts";

/** One argument as a word for a POSIX shell. */
export function quote(word: string): string {
  // zsh would take "=name" for the path of a program.
  if (/^(?!=)[A-Za-z0-9@%+=:,./_-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** A command for a POSIX shell. */
export function quoteAll(argv: readonly string[]): string {
  return argv.map(quote).join(" ");
}

/**
 * A command in the notation of rsync's `-e`, which knows both kinds of quotes,
 * a doubled quote for the quote itself, and no other escapes.
 */
export function quoteForRsync(argv: readonly string[]): string {
  return argv.map((word) => `'${word.replaceAll("'", "''")}'`).join(" ");
}

/** To put in front of a command whose program may be missing: it then ends with 127. */
export const IN_SHELL: readonly string[] = ["sh", "-c", 'exec "$@"', "sh"];

/** Checks what no kind of connection can pass on. */
export function checkArgv(argv: readonly string[]): void {
  const given: unknown = argv;
  if (!Array.isArray(given)) {
    const words = typeof given === "string" ? given.trim().split(/\s+/) : [];
    const right = words.length > 0 && words[0] !== "" ? words : ["ls", "-l"];
    throw new TypeError(
      `Cannot run what is no list of words: one such as ${
        JSON.stringify(right)
      } would be right`,
    );
  }
  if (argv.length === 0) throw new TypeError("Cannot run an empty command");
  for (const [index, argument] of argv.entries()) {
    if (typeof argument !== "string") {
      throw new TypeError(
        `Cannot run "${argv[0]}": argument ${index} is not a string`,
      );
    }
    if (argument.includes("\0")) {
      throw new TypeError(
        `Cannot run "${argv[0]}": argument ${index} holds a NUL character`,
      );
    }
  }
}

/** What a command finds around it. */
interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/**
 * Checks what the parts are: scripts run without a check of their types.
 *
 * @throws {TypeError} if one is something else than it has to be
 */
export function checkKinds({ env = {}, cwd }: Surroundings): void {
  checkKind("a command", "env", env, "an object");
  for (const [name, value] of Object.entries(env)) {
    checkKind('"env" of a command', name, value, "a string");
  }
  if (cwd !== undefined) checkKind("a command", "cwd", cwd, "a string");
}

/** Checks what no kind of connection can pass on. */
export function checkSurroundings(surroundings: Surroundings): void {
  checkKinds(surroundings);
  const { env = {}, cwd } = surroundings;
  for (const [name, value] of Object.entries(env)) {
    if (!/^[^-=\0][^=\0]*$/.test(name)) {
      throw new TypeError(
        `Cannot set the variable "${name}": a name is not empty, does not begin with "-" and holds neither "=" nor NUL`,
      );
    }
    if (value.includes("\0")) {
      throw new TypeError(
        `Cannot set the variable "${name}": its value holds a NUL character`,
      );
    }
  }
  if (cwd !== undefined && (cwd === "" || cwd.includes("\0"))) {
    throw new TypeError(
      `Cannot run in the directory "${cwd}": a path is not empty and holds no NUL character`,
    );
  }
}

/** The command that sets variables by itself; with `clear` it has no others. */
export function withVariables(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  clear = false,
): readonly string[] {
  const variables = Object.entries(env).map(([name, value]) =>
    `${name}=${value}`
  );
  if (variables.length === 0 && !clear) return argv;
  return [
    "env",
    ...(clear ? ["-i"] : []),
    ...variables,
    // env would take a program with "=" in its name for one more variable.
    ...(argv[0].includes("=") ? IN_SHELL : []),
    ...argv,
  ];
}
