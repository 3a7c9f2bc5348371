import { join } from "@std/path/posix/join";
import { resolve } from "@std/path/posix/resolve";
import { temporaryPrefix } from "../connections/ownership.ts";
import {
  outputLocal,
  runLocal,
  type RunLocalOptions,
} from "../connections/process.ts";
import { isUnavailable, needsPassphrase } from "../connections/ssh_key.ts";
import { pathOf } from "../options.ts";
import { ProvisionError } from "./provisioner.ts";

/** A private key in a file, and its public half without a comment. */
export interface SshKey extends AsyncDisposable {
  /** Absolute. */
  readonly file: string;
  /** Type and key. */
  readonly publicKey: string;
}

/** Which of several is taken; others come after, by name. */
const ORDER = ["id_ed25519", "id_ecdsa", "id_rsa"];

/**
 * The key in that file; if none is named, the user's own, and if there is none a
 * new one that is removed when it is disposed of.
 *
 * @throws {ProvisionError} if there is no public key beside it, it needs a passphrase that no agent knows, or none can be made
 */
export async function openSshKey(
  file: string | URL | undefined,
  options: Pick<RunLocalOptions, "signal"> = {},
): Promise<SshKey> {
  const found = file === undefined ? await ownKey() : absolute(file);
  if (found === undefined) return await newKey(options);
  const key = await keyIn(found);
  await checkPassphrase(key, options);
  return key;
}

/** ssh would pass over a key that nobody can unlock. */
async function checkPassphrase(
  { file, publicKey }: SshKey,
  options: Pick<RunLocalOptions, "signal">,
): Promise<void> {
  if (!await needsPassphrase(file, options)) return;
  const [, key] = publicKey.split(" ");
  const agent = await said(["ssh-add", "-L"], options);
  if (agent === undefined || agent.includes(` ${key}`)) return;
  // Another agent than that of the environment, which may have it.
  const config = await said(["ssh", "-G", "localhost"], options);
  if (/^identityagent (?!none$|SSH_AUTH_SOCK$)/m.test(config ?? "")) return;
  throw new ProvisionError(
    `Cannot use the ssh key "${file}": it needs a passphrase, and no agent has it; \`ssh-add ${file}\` gives it to one`,
    { fatal: true },
  );
}

/** What a program prints, however it ends; nothing if it is not there. */
async function said(
  argv: readonly string[],
  options: Pick<RunLocalOptions, "signal">,
): Promise<string | undefined> {
  try {
    const { stdout } = await outputLocal({ argv }, options);
    return new TextDecoder().decode(stdout);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isUnavailable(error)) return undefined;
    throw error;
  }
}

/**
 * The absolute path of a private key, which has to be there.
 *
 * @throws {ProvisionError} if it is not
 */
export async function keyFile(file: string | URL): Promise<string> {
  const path = absolute(file);
  try {
    await Deno.stat(path);
  } catch (error) {
    throw new ProvisionError(
      `Cannot use the ssh key "${path}": ${(error as Error).message}`,
      { cause: error, fatal: true },
    );
  }
  return path;
}

/** The absolute path of a file; "~/" is the home directory. */
export function absolute(file: string | URL): string {
  const path = pathOf(file);
  if (!path.startsWith("~/")) return resolve(path);
  return resolve(join(Deno.env.get("HOME") ?? "/", path.slice(2)));
}

async function keyIn(
  file: string,
  dispose: () => Promise<void> = () => Promise.resolve(),
): Promise<SshKey> {
  const fail = (why: string, cause?: unknown) =>
    new ProvisionError(`Cannot use the ssh key "${file}": ${why}`, {
      cause,
      fatal: true,
    });
  let text;
  try {
    await Deno.stat(file);
    text = await Deno.readTextFile(`${file}.pub`);
  } catch (error) {
    throw fail(
      error instanceof Deno.errors.NotFound
        ? `there has to be this file, and "${file}.pub" beside it`
        : (error as Error).message,
      error,
    );
  }
  const [, type, key] = /^([\w@.-]+) ([\w+/=]+)(\s|$)/.exec(text) ?? [];
  if (key === undefined) throw fail(`"${file}.pub" holds no public key`);
  return {
    file,
    publicKey: `${type} ${key}`,
    [Symbol.asyncDispose]: dispose,
  };
}

/** The user's key, if there is one with both halves. */
async function ownKey(): Promise<string | undefined> {
  const home = Deno.env.get("HOME");
  if (!home) return undefined;
  const directory = join(home, ".ssh");
  const names = new Set<string>();
  try {
    for await (const { name } of Deno.readDir(directory)) names.add(name);
  } catch {
    return undefined; // no such directory, or not for us
  }
  const keys = [...names].filter((name) =>
    name.startsWith("id_") && names.has(`${name}.pub`)
  ).sort();
  const first = ORDER.find((name) => keys.includes(name)) ?? keys[0];
  return first === undefined ? undefined : join(directory, first);
}

async function newKey(options: RunLocalOptions): Promise<SshKey> {
  const directory = await Deno.makeTempDir({ prefix: temporaryPrefix() });
  const remove = () =>
    Deno.remove(directory, { recursive: true }).catch(() => {});
  const file = join(directory, "key");
  const argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "atex"];
  try {
    await runLocal({ argv: [...argv, "-f", file] }, options);
    return await keyIn(file, remove);
  } catch (error) {
    await remove();
    options.signal?.throwIfAborted();
    if (error instanceof ProvisionError) throw error;
    throw new ProvisionError((error as Error).message, {
      cause: error,
      fatal: true,
    });
  }
}
