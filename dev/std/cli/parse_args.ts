import { parseArgs as tokenize } from "node:util";

type Names = string | undefined;
type List<N> = N | readonly Extract<N, string>[];

/** Bundled short options with values (`-n5`) and dotted names are not known here. */
export interface ParseOptions<
  Booleans extends Names = Names,
  Strings extends Names = Names,
  Collected extends Names = Names,
  Default = Record<string, unknown>,
> {
  "--"?: boolean;
  alias?: Record<string, string | readonly string[]>;
  boolean?: List<Booleans>;
  string?: List<Strings>;
  collect?: List<Collected>;
  negatable?: string | readonly string[];
  default?: Default;
  stopEarly?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Value<K, Collected, Type> = K extends Collected ? Type[] : Type;

export type Args<
  Booleans extends Names,
  Strings extends Names,
  Collected extends Names,
  Default,
> =
  & Record<string, unknown>
  & { [K in Extract<Booleans, string>]: Value<K, Collected, boolean> }
  & {
    [K in Exclude<Extract<Strings, string>, Collected | keyof Default>]?:
      string;
  }
  & { [K in Extract<Strings, string> & Collected]: string[] }
  & {
    [K in keyof Default]: K extends Strings ? string | Default[K]
      : K extends Booleans ? boolean | Default[K]
      : Default[K];
  }
  & { _: (string | number)[]; "--"?: string[] };

const list = <T>(names: T | readonly T[] | undefined): T[] =>
  names === undefined ? [] : Array.isArray(names) ? names : [names as T];

const isNumber = (text: string) =>
  text.trim() !== "" && Number.isFinite(Number(text));

export function parseArgs<
  Booleans extends Names = undefined,
  Strings extends Names = undefined,
  Collected extends Names = undefined,
  Default extends Record<string, unknown> = Record<never, never>,
>(
  args: readonly string[],
  options: ParseOptions<Booleans, Strings, Collected, Default> = {},
): Args<Booleans, Strings, Collected, Default> {
  const aliases = Object.entries(options.alias ?? {}).map((
    [key, others],
  ) => [key, ...list<string>(others)]);
  const group = (key: string) =>
    aliases.find((names) => names.includes(key)) ?? [key];
  const named = (names: unknown) =>
    new Set(list(names as string[]).flatMap(group));
  const booleans = named(options.boolean);
  const strings = named(options.string);
  const collected = named(options.collect);
  const negatable = named(options.negatable);
  const known = new Set([
    ...booleans,
    ...strings,
    ...collected,
    ...aliases.flat(),
  ]);
  // deno-lint-ignore no-explicit-any
  const result: any = { _: [] };

  function set(key: string, raw: string | boolean, arg: string) {
    if (!known.has(key) && options.unknown?.(arg, key, raw) === false) return;
    let value: string | boolean | number = raw;
    if (booleans.has(key) && typeof raw === "string") value = raw !== "false";
    else if (strings.has(key)) value = raw === true ? "" : raw;
    else if (typeof raw === "string" && isNumber(raw)) value = Number(raw);
    for (const name of group(key)) {
      if (collected.has(name)) (result[name] ??= []).push(value);
      else result[name] = value;
    }
  }

  const end = args.indexOf("--");
  const before = end < 0 ? [...args] : args.slice(0, end);
  const rest = end < 0 ? [] : args.slice(end + 1);
  const { tokens } = tokenize({
    args: before,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token.kind === "option-terminator") break;
    if (token.kind === "positional") {
      const text = token.value;
      if (options.unknown?.(text) !== false) {
        result._.push(
          strings.has("_") || !isNumber(text) ? text : Number(text),
        );
      }
      if (options.stopEarly) {
        result._.push(...before.slice(token.index + 1));
        break;
      }
      continue;
    }
    const { name, value, index } = token;
    const arg = args[index];
    const next = tokens[i + 1];
    if (value !== undefined) set(name, value, arg);
    else if (name.startsWith("no-") && negatable.has(name.slice(3))) {
      set(name.slice(3), false, arg);
    } else if (
      next?.kind === "positional" &&
      (!booleans.has(name) || /^(true|false)$/.test(next.value))
    ) {
      set(name, next.value, arg);
      i++;
    } else set(name, true, arg);
  }

  for (const [key, value] of Object.entries(options.default ?? {})) {
    for (const name of group(key)) result[name] ??= value;
  }
  for (const key of booleans) result[key] ??= collected.has(key) ? [] : false;
  for (const key of strings) if (collected.has(key)) result[key] ??= [];
  if (options["--"]) result["--"] = rest;
  else result._.push(...rest);
  return result;
}
