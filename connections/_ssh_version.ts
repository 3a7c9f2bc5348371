import type { SignalOptions } from "./connection.ts";
import { outputLocal } from "./process.ts";

const known = new Map<string, boolean>();

/**
 * Whether this `ssh` knows the options `SessionType`, `StdinNull` and
 * `ForkAfterAuthentication`, of OpenSSH 8.7: others refuse them.
 */
export async function knowsSessions(
  ssh: string,
  options: SignalOptions,
): Promise<boolean> {
  const before = known.get(ssh);
  if (before !== undefined) return before;
  let said;
  try {
    const { stderr } = await outputLocal({ argv: [ssh, "-V"] }, options);
    said = new TextDecoder().decode(stderr);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false; // it is not there: who uses it says so
  }
  const [, major, minor] = /^OpenSSH_(\d+)\.(\d+)/m.exec(said) ?? [];
  const knows = Number(major) > 8 || Number(major) === 8 && Number(minor) >= 7;
  known.set(ssh, knows);
  return knows;
}
