/**
 * A file system that is full after a few bytes: a memory file system that only
 * the child which is to meet it can see.
 */

const MOUNT = [
  "unshare",
  ...(Deno.uid() === 0 ? [] : ["--map-root-user"]),
  "--mount",
  "sh",
  "-c",
];

/** Whether the system lets us mount one. */
export const smallDiskAvailable = mountAndRun("/tmp", "64k", ["true"]).success;

function mountAndRun(
  directory: string,
  size: string,
  argv: readonly string[],
): Deno.CommandOutput {
  const [program, ...args] = [
    ...MOUNT,
    'mount -t tmpfs -o size="$0" none "$1" && shift && exec "$@"',
    size,
    directory,
    ...argv,
  ];
  try {
    return new Deno.Command(program!, { args, stdin: "null" }).outputSync();
  } catch (error) {
    return {
      success: false,
      code: 127,
      signal: null,
      stdout: new Uint8Array(),
      stderr: new TextEncoder().encode(String(error)),
    };
  }
}

/**
 * Runs a module of ours with an empty file system of some size, such as `64k`,
 * at a directory; returns what the module printed, as JSON.
 */
export function onSmallDisk(
  directory: string,
  size: string,
  module: string,
  args: readonly string[] = [],
): unknown {
  const { success, stdout, stderr } = mountAndRun(directory, size, [
    Deno.execPath(),
    "run",
    "-qA",
    "--no-check",
    new URL(module, import.meta.url).pathname,
    ...args,
  ]);
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(text + new TextDecoder().decode(stderr));
  return JSON.parse(text);
}
