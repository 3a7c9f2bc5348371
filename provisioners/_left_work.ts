import type { Connection } from "../connections/connection.ts";
import { run } from "../connections/process.ts";
import { isWorkDirectory, judgeWork } from "./_directory_reaper.ts";
import type { Run } from "./_run.ts";

/** Tells of the directories of tests, and what each says of who needs it. */
export const LIST_WORK_SCRIPT = `
for directory in /var/atex-* /var/tmp/atex-* "\${TMPDIR:-/tmp}"/atex-*; do
  if [ -L "$directory" ] || [ ! -f "$directory/owner" ]; then continue; fi
  if IFS= read -r owner <"$directory/owner"; then printf '%s\\t%s\\n' "$directory" "$owner"; fi
done 2>/dev/null
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
  const dead: string[] = [];
  for (const line of list.split("\n")) {
    const [directory, owner = ""] = line.split("\t");
    if (!isWorkDirectory(directory)) continue;
    if (await judgeWork(owner, me) === "dead") dead.push(directory);
  }
  if (dead.length === 0) return;
  await run(connection, ["rm", "-rf", "--", ...dead], { signal });
}
