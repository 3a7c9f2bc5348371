/** The key of a user who needs none: a file, and its public half, for as long as the tests last. */
const directory = await Deno.makeTempDir({ prefix: "atex-test-" });

/** The path of the private half, which is empty. */
export const sshKey = `${directory}/key`;

await Deno.writeTextFile(sshKey, "");
await Deno.writeTextFile(`${sshKey}.pub`, "ssh-ed25519 AAAA me@home\n");
globalThis.addEventListener(
  "unload",
  () => Deno.removeSync(directory, { recursive: true }),
);
