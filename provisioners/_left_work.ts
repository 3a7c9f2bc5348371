import type { Connection } from "../connections/connection.ts";
import { run } from "../connections/process.ts";
import { isWorkDirectory, judgeWork } from "./_directory_reaper.ts";
import type { Run } from "./_run.ts";

/**
 * Tells of the user's own directories of tests, and what each says of who needs it,
 * with a NUL after each: names and owners may hold anything else.
 */
export const LIST_WORK_SCRIPT = `
for directory in /var/atex-?????????? /var/tmp/atex-?????????? "\${TMPDIR:-/tmp}"/atex-??????????; do
  if [ -L "$directory" ] || [ ! -f "$directory/owner" ]; then continue; fi
  # shellcheck disable=SC3067 # all shells have it
  if [ ! -O "$directory" ]; then continue; fi
  printf '%s\\0%s\\0' "$directory" "$(head -c 1000 "$directory/owner" | tr -d '\\0')"
done 2>/dev/null
`;

/**
 * Removes the directories that it reads, a line each, but none that a process
 * names: a test may have outlived its script. They are no arguments, or it
 * would be such a process itself.
 */
export const REMOVE_WORK_SCRIPT = `
processes=$(cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n')
if [ -z "$processes" ]; then exit 0; fi
failed=
while IFS= read -r directory; do
  case $processes in *"$directory"*) continue ;; esac
  rm -rf -- "$directory" || failed=1
done
[ -z "$failed" ]
`;

/** Removes from a system what tests of dead scripts of this machine left there. */
export async function removeLeftWork(
  connection: Connection,
  me: Run,
  signal: AbortSignal,
): Promise<void> {
  const list = await run(connection, ["sh", "-c", LIST_WORK_SCRIPT], {
    signal,
  });
  const fields = list.split("\0");
  const dead: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [directory, text] = fields.slice(i, i + 2);
    // More than one line would be removed as other directories.
    if (!/^\/[^\n]*$/.test(directory) || !isWorkDirectory(directory)) continue;
    const [owner] = text.split("\n");
    if (await judgeWork(owner, me) === "dead") dead.push(`${directory}\n`);
  }
  if (dead.length === 0) return;
  await run(connection, ["sh", "-c", REMOVE_WORK_SCRIPT], {
    signal,
    stdin: dead.join(""),
  });
}
