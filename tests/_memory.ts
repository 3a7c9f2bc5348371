/**
 * A directory in memory, where many small files cost little even if the disk is
 * busy; without one, the default of `Deno.makeTempDir()`.
 */
export const inMemory: { dir?: string } = isDirectory("/dev/shm")
  ? { dir: "/dev/shm" }
  : {};

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
