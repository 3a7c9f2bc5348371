import { runLocal } from "./process.ts";

/** That of the script, without what ssh would pass on to the system. */
export function environment(): Record<string, string> {
  const env = Object.fromEntries(
    Object.entries(Deno.env.toObject())
      .filter(([name]) => name !== "LANG" && !name.startsWith("LC_")),
  );
  // ssh runs its own helpers in this shell: that of a service refuses.
  if (/\/(nologin|false)$/.test(env.SHELL ?? "")) env.SHELL = "/bin/sh";
  return env;
}

/** A directory for a socket: the path of one is short. */
export async function privateDirectory(): Promise<string> {
  const prefix = "atex-ssh-";
  const directory = await Deno.makeTempDir({ prefix });
  // 107 bytes, of which ssh needs 17 for itself while it makes the socket.
  if (new TextEncoder().encode(socketIn(directory)).length <= 90) {
    return directory;
  }
  await Deno.remove(directory);
  return await Deno.makeTempDir({ prefix, dir: "/tmp" });
}

/** The socket in such a directory. */
export function socketIn(directory: string): string {
  return `${directory}/s`;
}

/** Makes the program that tells ssh the password; returns the variables it takes. */
export async function askpass(
  directory: string,
  password: string,
): Promise<Record<string, string>> {
  const program = `${directory}/askpass`;
  const text = `#!/bin/sh\nprintf '%s\\n' "$ATEX_SSH_PASSWORD"\n`;
  // A shell writes it: while this program has it open for writing, what else is
  // started here inherits that for a moment, and nobody can run it.
  const write = 'cat >"$1" && chmod 700 "$1"';
  await runLocal(
    { argv: ["/bin/sh", "-c", write, "sh", program] },
    { stdin: text },
  );
  return {
    ATEX_SSH_PASSWORD: password,
    SSH_ASKPASS: program,
    SSH_ASKPASS_REQUIRE: "force",
    DISPLAY: Deno.env.get("DISPLAY") ?? ":0", // before OpenSSH 8.4
  };
}

/** Removes such a directory, if it is still there. */
export async function remove(directory: string): Promise<void> {
  await Deno.remove(directory, { recursive: true }).catch(() => {});
}
