/**
 * Asks a question on the terminal; resolves with the answer, without the line
 * break, or `undefined` at the end of input or when the signal is aborted.
 *
 * A shell reads it: it takes one line and no more, and can be ended, unlike a
 * read of our own, which would take what comes later, too.
 */
export async function ask(
  question: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (signal.aborted) return undefined;
  await Deno.stderr.write(new TextEncoder().encode(question));
  const { success, stdout } = await new Deno.Command("sh", {
    args: ["-c", 'IFS= read -r line && printf "%s" "$line"'],
    stdin: "inherit",
    stderr: "null",
    signal,
  }).output();
  return success && !signal.aborted
    ? new TextDecoder().decode(stdout)
    : undefined;
}
