/** What shellcheck has to say of scripts that are texts in our modules. */
import assert from "node:assert/strict";
import { missingPrograms } from "./_parts.ts";

/** Why scripts cannot be checked here, if so. */
export function shellcheckMissing(): string | undefined {
  return missingPrograms("shellcheck");
}

/** Checks a script for a shell: shellcheck has nothing to object, and has come to its end. */
export async function checkScript(
  script: string,
  shell: "sh" | "bash",
  ...options: string[]
): Promise<void> {
  const child = new Deno.Command("shellcheck", {
    args: [`--shell=${shell}`, "--color=never", ...options, "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  assert.equal(decoder.decode(stdout) + decoder.decode(stderr), "");
  assert.equal(code, 0);
}
