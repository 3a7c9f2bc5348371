import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "../options.ts";
import { note, printable } from "../orchestrators/progress.ts";

/** An option of a command. */
export interface Option {
  /** Without the dashes. */
  readonly name: string;
  /** One letter that stands for it. */
  readonly short?: string;
  /** What its value is called; without one, the option is a switch. */
  readonly value?: string;
  /** Whether it may be given more than once. */
  readonly many?: boolean;
  /** What it does, and its default. */
  readonly about: string;
  /** What looks like a value of it where it was given without the option: that was probably meant. */
  readonly like?: RegExp;
}

/** Options and arguments of a call, by name. */
export interface Call {
  /** What is no option. */
  readonly operands: readonly string[];
  /** What comes after `--`. */
  readonly rest: readonly string[];
  /** Whether a switch was given. */
  has(name: string): boolean;
  /** The value of an option, the last one if it was given more than once. */
  get(name: string): string | undefined;
  /** All values of an option. */
  all(name: string): readonly string[];
  /** Says something on standard error, unless it is to be quiet. */
  note(text: string): void;
  /** Says what goes on, if that is wanted: 1 with `-v`, 2 only with `-vv`. */
  detail(level: 1 | 2, text: string): void;
  /** Ends with Ctrl-C. */
  readonly signal: AbortSignal;
}

/** A command of `atex`. */
export interface Command {
  readonly name: string;
  /** What it does, in one line. */
  readonly purpose: string;
  /** Its operands, as in `[DIR]`; whether it takes something behind `--`. */
  readonly operands: string;
  /** How many operands it takes at the least and at the most. */
  readonly arity: readonly [number, number];
  readonly options: readonly Option[];
  /** Permission flags that it works with. */
  readonly permissions: string;
  readonly example: string;
  /** What else there is to know. */
  readonly details?: string;
  /** Does it; gives the exit status. */
  run(call: Call): Promise<number> | number;
}

/** The options of every command. */
const COMMON: readonly Option[] = [
  {
    name: "verbose",
    short: "v",
    about: "say what goes on, on standard error; -vv says more",
  },
  {
    name: "quiet",
    short: "q",
    about: "print nothing but results and errors",
  },
  { name: "help", short: "h", about: "show this" },
];

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Understands the arguments of a command; `undefined` if help is asked for. */
export function parse(
  command: Command,
  args: readonly string[],
  signal: AbortSignal,
): Call | undefined {
  const options = [...command.options, ...COMMON];
  const fail = (reason: string): never => {
    throw new UsageError(
      `Cannot run "atex ${command.name}": ${reason}; see "atex ${command.name} --help"`,
    );
  };
  const names = options.map(({ name }) => name);
  const switches = options.filter(({ value }) => !value)
    .map(({ name }) => name);
  const valued = options.filter(({ value }) => value).map(({ name }) => name);
  const parsed = parseArgs([...args], {
    string: [...valued, "_"],
    boolean: switches,
    collect: [...valued, "verbose"],
    alias: Object.fromEntries(
      options.flatMap(({ name, short }) => short ? [[short, name]] : []),
    ),
    "--": true,
    unknown: (argument, key) => {
      if (key === undefined) return true;
      const meant = nearest(key, names);
      return fail(
        `there is no option "${argument.split("=")[0]}"${
          meant ? `; did you mean "--${meant}"?` : ""
        }`,
      );
    },
  });
  if (parsed.help) return undefined;
  for (const argument of args) {
    if (argument === "--") break;
    const [, name] = /^--([^=]+)=/.exec(argument) ?? [];
    if (switches.includes(name!)) fail(`"--${name}" takes no value`);
  }
  const values = parsed as unknown as Record<string, string[] | boolean>;
  for (const { name, value, many } of options) {
    const given = values[name];
    if (!value || !Array.isArray(given)) continue;
    if (given.includes("")) fail(`"--${name}" needs a value: ${value}`);
    if (!many && given.length > 1) fail(`"--${name}" was given more than once`);
  }
  const operands = parsed._.map(String);
  const [least, most] = command.arity;
  if (operands.length < least) {
    const missing = command.operands.split(" ")[operands.length];
    fail(`"${missing}" is missing`);
  }
  if (operands.length > most) {
    const extra = operands[most]!;
    const meant = options.find(({ like }) => like?.test(extra));
    fail(
      `there is no use for the argument "${extra}"${
        meant ? `; did you mean "--${meant.name} ${extra}"?` : ""
      }`,
    );
  }
  const rest = parsed["--"] ?? [];
  if (rest.length > 0 && !command.operands.includes("--")) {
    fail(`it takes nothing behind "--"`);
  }
  const all = (name: string) => {
    const given = values[declared(name)];
    return Array.isArray(given) ? given : [];
  };
  const declared = (name: string) => {
    if (names.includes(name)) return name;
    throw new Error(`"atex ${command.name}" has no option "${name}"`);
  };
  const verbosity = all("verbose").length;
  const quiet = values.quiet === true;
  if (quiet && verbosity > 0) fail('"--quiet" and "--verbose" contradict');
  return {
    operands,
    rest,
    has: (name) => values[declared(name)] === true,
    get: (name) => all(name).at(-1),
    all,
    note: (text) => {
      if (!quiet) note(text);
    },
    detail: (level, text) => {
      if (verbosity >= level) note(text);
    },
    signal,
  };
}

const COLOURS = { good: 32, bad: 31 };

/**
 * Prints a result: a JSON object a line if that was asked for, else the line for
 * people, on a terminal in a colour.
 */
export function print(
  call: Call,
  object: unknown,
  line: string,
  tone?: keyof typeof COLOURS,
): void {
  if (call.has("json")) return console.log(JSON.stringify(object));
  const text = printable(line);
  const isPlain = !tone || Deno.noColor || !Deno.stdout.isTerminal();
  console.log(isPlain ? text : `\x1b[${COLOURS[tone]}m${text}\x1b[0m`);
}

/** What `--help` shows. */
export function helpOf(command: Command): string {
  const rows = [
    ...[...command.options, ...COMMON].map((
      { name, short, value, many, about },
    ) => [
      `${short ? `-${short}, ` : "    "}--${name}${value ? ` ${value}` : ""}`,
      about + (many ? " (may be repeated)" : ""),
    ]),
  ];
  const width = Math.max(...rows.map(([left]) => left!.length));
  return [
    command.purpose,
    "",
    `Usage: atex ${command.name} [OPTION…] ${command.operands}`.trimEnd(),
    "",
    ...rows.map(([left, right]) => `  ${left!.padEnd(width)}  ${right}`),
    ...(command.details === undefined ? [] : ["", command.details]),
    "",
    `Permissions: ${command.permissions}`,
    `Example: ${command.example}`,
  ].join("\n");
}
