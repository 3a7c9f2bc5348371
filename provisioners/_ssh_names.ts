import { ConnectError } from "../connections/connection.ts";
import { CommandError, runLocal } from "../connections/process.ts";
import type { SshOptions } from "../connections/ssh.ts";
import { absolute } from "./_ssh_key.ts";

/** What a host is called when all of `ssh_config` is known: `user@hostname:port`. */
export async function resolveName(
  options: SshOptions,
  signal?: AbortSignal,
): Promise<string> {
  const { host, ssh = "ssh", configFile, options: given = {} } = options;
  const at = host.lastIndexOf("@") + 1;
  const place = host.slice(at);
  const address = place.split(":").length > 2 && !place.includes("[")
    ? `[${place}]`
    : place;
  const argv = [
    ssh,
    "-G",
    ...(configFile === undefined ? [] : ["-F", configPath(configFile)]),
    ...Object.entries(given).flatMap(([keyword, value]) =>
      [value].flat().map((value) => `-o${keyword}=${word(value)}`)
    ),
    `ssh://${host.slice(0, at)}${address}`,
  ];
  let text: string;
  try {
    text = await runLocal({ argv }, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    const output = whyNot(error as Error, ssh);
    throw new ConnectError(`Cannot look up the host ${host}: ${output}`, {
      cause: error,
      output,
    });
  }
  const find = (key: string) =>
    new RegExp(`^${key} (.*)$`, "m").exec(text)?.[1] ?? "";
  return `${find("user")}@${find("hostname")}:${find("port")}`;
}

/** Its path; "none" is no file. */
function configPath(file: string | URL): string {
  return file === "none" ? file : absolute(file);
}

function whyNot(error: Error, ssh: string): string {
  if (error instanceof CommandError) return error.output.trim();
  return error instanceof Deno.errors.NotFound
    ? `the program "${ssh}" is not installed`
    : error.message;
}

function word(value: unknown): string {
  return typeof value === "boolean" ? (value ? "yes" : "no") : `${value}`;
}
