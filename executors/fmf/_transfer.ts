import { outputLocal } from "../../connections/process.ts";

/** How the script ends if it cannot do it; then it has read nothing. */
const IMPOSSIBLE = 3;

/**
 * Copies `$3` bytes of what process `$1` prints to the end of file `$2`. Linux lets what is open be opened once
 * more; that this program has both open shows that number and path still mean what they meant. The wrapper keeps
 * its stdout as 8.
 */
const SCRIPT = `
for fd in /proc/$PPID/fd/*; do
  for end in "/proc/$1/fd/1" "/proc/$1/fd/8"; do
    if [ -p "$end" ] && [ "$fd" -ef "$end" ]; then in=$fd; fi
  done
  if [ "$fd" -ef "$2" ]; then out=$fd; fi
done
[ "$in" ] && [ "$out" ] &&
  dd count=0 iflag=fullblock,count_bytes status=none </dev/null &&
  command exec <"$in" >>"$out" || exit ${IMPOSSIBLE}
exec dd bs=128k count="$3" iflag=fullblock,count_bytes status=none
`;

/**
 * Has another program copy bytes of the stdout of a process, which this program reads, to the end of a file, which
 * it has open. Nothing may be read here meanwhile. Returns whether that is possible here; if not, nothing was read.
 * There are fewer bytes if the stream ended before, or it was aborted.
 *
 * @throws {Error} if not all that was read could be written
 */
export async function transfer(
  pid: number,
  path: string,
  bytes: number,
  signal: AbortSignal,
): Promise<boolean> {
  const argv = ["/bin/sh", "-c", SCRIPT, "sh", `${pid}`, path, `${bytes}`];
  let result;
  try {
    result = await outputLocal({ argv, env: { LC_ALL: "C" } }, { signal });
  } catch {
    return signal.aborted;
  }
  const { code, stderr } = result;
  if (code === 0) return true;
  if (code === IMPOSSIBLE) return false;
  const said = new TextDecoder().decode(stderr).trimEnd();
  throw new Error(
    said.slice(said.lastIndexOf(": ") + 1).trim() || `dd ended with ${code}`,
  );
}
