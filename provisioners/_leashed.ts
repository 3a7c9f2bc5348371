/** Where the output of a leashed script goes. */
export interface LeashedOptions {
  stdout?: "null" | "piped";
}

/**
 * Starts a shell script that outlives us in a session of its own, and learns
 * from the end of its input that we are gone. It does not keep this process
 * from ending.
 */
export function spawnLeashed(
  script: string,
  args: readonly string[],
  { stdout = "null" }: LeashedOptions = {},
): Deno.ChildProcess {
  const child = new Deno.Command("sh", {
    args: ["-c", script, "sh", ...args],
    stdin: "piped",
    stdout,
    stderr: "null",
    detached: true,
  }).spawn();
  child.unref();
  return child;
}
