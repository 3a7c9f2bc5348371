/** Looking at the machine from tests: what is there, and waiting until it is. */

/** Waits until `condition` holds; throws if that takes more milliseconds (half a minute if not given). */
export async function until(
  condition: () => boolean | Promise<boolean>,
  patience: number = 30_000,
): Promise<void> {
  const end = performance.now() + patience;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether there is such a file, link or directory. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The lines of a stream, to its end. */
export async function lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string[]> {
  const text = await new Response(stream).text();
  return text.split("\n").slice(0, -1);
}

/** The ids of processes on this machine (in containers too) whose command line holds `text`, words joined by blanks. */
export async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || +name === Deno.pid) continue;
    const argv = await Deno.readTextFile(`/proc/${name}/cmdline`)
      .catch(() => "");
    const words = argv.split("\0").slice(0, -1);
    // A script that is an argument is not the command itself.
    if (words.join(" ") === text || words.some((word) => word === text)) {
      found.push(+name);
    }
  }
  return found.sort((a, b) => a - b);
}
