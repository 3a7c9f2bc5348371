/** Runs a command until its input ends; nobody but the command holds its output. */
export const EVENTS_SCRIPT = `
"$@" 2>&1 &
pid=$!
exec >/dev/null
cat >/dev/null
kill "$pid"
wait "$pid"
`;

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
