import { dirname } from "@std/path/posix/dirname";
import { extname } from "@std/path/posix/extname";
import { resolve } from "@std/path/posix/resolve";
import { parse as parseYaml } from "@std/yaml/parse";
import { pathOf } from "../options.ts";
import { z } from "zod";
import type { Listed, SshConfigHosts } from "./_hosts_types.ts";

const SCALAR = z.union([z.string(), z.number(), z.boolean()]);

/** A host in a `.json` or `.yaml` file. */
const ENTRY = z.strictObject({
  host: z.string(),
  user: z.string().optional(),
  port: z.int().min(1).max(65535).optional(),
  identityFile: z.string().optional(),
  password: z.string().optional(),
  sudo: z.string().optional(),
  stateless: z.boolean().optional(),
  leaseFile: z.string().startsWith("/").optional(),
  labels: z.record(z.string(), SCALAR).optional(),
  options: z.record(z.string(), z.union([SCALAR, z.array(z.string())]))
    .optional(),
});

/**
 * Reads a list of hosts from a file.
 *
 * @throws {TypeError} if something in it is wrong, with file, place and key
 * @throws {Deno.errors.NotFound} if there is no such file
 */
export async function readInventory(
  source: string | URL | SshConfigHosts,
): Promise<Listed[]> {
  if (typeof source === "object" && !(source instanceof URL)) {
    return await readSshConfig(source);
  }
  const path = resolve(pathOf(source));
  const text = await readText("hosts file", path);
  const extension = extname(path).toLowerCase();
  if (extension === ".json") return fromData(path, parseWith(path, text, JSON));
  if (extension === ".yaml" || extension === ".yml") {
    return fromData(path, parseWith(path, text, { parse: parseYaml }));
  }
  return fromLines(path, text);
}

async function readText(what: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : (error as Error).message;
    const { constructor } = error as Error;
    throw new (constructor as ErrorConstructor)(
      `Cannot read the ${what} "${path}": ${why}`,
      { cause: error },
    );
  }
}

function fault(path: string, what: string, cause?: unknown): TypeError {
  return new TypeError(`Cannot use the hosts file "${path}": ${what}`, {
    cause,
  });
}

function parseWith(
  path: string,
  text: string,
  { parse }: { parse(text: string): unknown },
): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw fault(path, (error as Error).message.split("\n")[0], error);
  }
}

function fromData(path: string, data: unknown): Listed[] {
  if (!Array.isArray(data)) {
    throw fault(path, "a list of hosts would be right");
  }
  return data.map((entry, index) => {
    const name = entry?.host ?? entry;
    const place = `entry ${index + 1}${
      typeof name === "string" ? ` (${JSON.stringify(name)})` : ""
    }`;
    const given = typeof entry === "string" ? { host: entry } : entry;
    const result = ENTRY.safeParse(given);
    if (!result.success) {
      const [issue] = result.error.issues;
      const keys = issue.code === "unrecognized_keys"
        ? [...issue.path, ...issue.keys]
        : issue.path;
      const key = keys.length > 0 ? `, key "${keys.join(".")}"` : "";
      const what = issue.code === "unrecognized_keys"
        ? `it is not known, ${Object.keys(ENTRY.shape).join(", ")} are`
        : issue.message;
      throw fault(path, `${place}${key}: ${what}`);
    }
    return toHost(path, place, result.data);
  });
}

function toHost(
  path: string,
  place: string,
  { identityFile, labels, ...rest }: z.infer<typeof ENTRY>,
): Listed {
  const entry = {
    ...rest,
    ...(identityFile !== undefined &&
      {
        identityFile: identityFile.startsWith("~")
          ? identityFile
          : resolve(dirname(path), identityFile),
      }),
    labels: Object.fromEntries(
      Object.entries(labels ?? {}).map(([key, value]) => [key, String(value)]),
    ),
  };
  return { host: entry, origin: `the hosts file "${path}", ${place}` };
}

/** `[user@]host[:port] [label=value …] [ssh.Option=value …]`, `#` begins a comment. */
function fromLines(path: string, text: string): Listed[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const [host, ...words] = line.replace(/(^|\s)#.*/, "").split(/\s+/)
      .filter((word) => word !== "");
    if (host === undefined) return [];
    const place = `line ${index + 1}`;
    const labels: Record<string, string> = {};
    const options: Record<string, string> = {};
    for (const word of words) {
      const [, key, value] = /^([^=]+)=(.*)$/.exec(word) ?? [];
      if (key === undefined) {
        throw fault(path, `${place}: "${word}" is not of the form key=value`);
      }
      if (key.startsWith("ssh.")) options[key.slice(4)] = value;
      else labels[key] = value;
    }
    const origin = `the hosts file "${path}", ${place}`;
    return [{ host: { host, labels, options }, origin }];
  });
}

/** Names only: what stands behind them stays with ssh. */
async function readSshConfig(
  { sshConfig, hosts }: SshConfigHosts,
): Promise<Listed[]> {
  const path = resolve(pathOf(sshConfig));
  const text = await readText("ssh_config", path);
  const names = new Set(
    text.split(/\r?\n/).flatMap((line) => {
      const [, patterns = ""] = /^\s*host(?:\s+|\s*=\s*)(.*)$/i.exec(line) ??
        [];
      return patterns.split(/\s+/)
        .map((name) => name.replace(/^"(.*)"$/, "$1"))
        .filter((name) => name !== "" && !/[*?!#]/.test(name));
    }),
  );
  const chosen = new Set(
    hosts?.flatMap((pattern) => {
      if (!/[*?]/.test(pattern)) return [pattern];
      const regExp = new RegExp(
        `^${
          pattern.replace(/[^*?]/g, (letter) => RegExp.escape(letter))
            .replaceAll("*", ".*").replaceAll("?", ".")
        }$`,
      );
      return [...names].filter((name) => regExp.test(name));
    }) ?? names,
  );
  return Array.from(chosen, (host) => ({
    host: { host, configFile: path },
    origin: `the ssh_config "${path}", host "${host}"`,
  }));
}
