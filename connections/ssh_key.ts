import type { SignalOptions } from "./connection.ts";
import { outputLocal } from "./process.ts";

/** Whether a program cannot be asked: it is not there, or may not be run. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotCapable;
}

/** Whether a private key can only be used by who knows its passphrase, as far as that can be seen. */
export async function needsPassphrase(
  file: string,
  { signal }: SignalOptions = {},
): Promise<boolean> {
  const argv = ["ssh-keygen", "-y", "-P", "", "-f", file];
  try {
    const { stderr } = await outputLocal({ argv }, { signal });
    return /incorrect passphrase/i.test(new TextDecoder().decode(stderr));
  } catch (error) {
    signal?.throwIfAborted();
    if (isUnavailable(error)) return false;
    throw error;
  }
}

/**
 * What is wrong with a private key that a server did not take, if that can be seen
 * here: ssh does not say that it passed it over.
 */
export async function faultOfKey(
  file: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const home = Deno.env.get("HOME");
  const path = home && file.startsWith("~/") ? `${home}${file.slice(1)}` : file;
  if (path === "none" || path.startsWith("~")) return undefined; // ssh knows
  try {
    await Deno.stat(path);
  } catch (error) {
    return error instanceof Deno.errors.NotFound
      ? `"${path}" does not exist`
      : undefined;
  }
  if (await needsPassphrase(path, { signal })) {
    return `"${path}" needs a passphrase, which only an agent can give`;
  }
}
