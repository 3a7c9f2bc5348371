import { type Connection, ConnectionError } from "../connections/connection.ts";
import { CommandError, type Process, start } from "../connections/process.ts";
import { after } from "../connections/time_limit.ts";

/** Characters of what is said on the host that are kept. */
const SAID_KEPT = 4096;
/** How `ssh` ends that cannot reach the host, or not any more. */
const UNREACHABLE = 255;

/**
 * Ends processes that tests left in sessions of their own: those that have the
 * variable `TMT_TREE`, which names a work directory that is gone. Whoever made
 * the directory has removed it when its tests had ended.
 *
 * Not ended are this script and what it comes from, which may be an sshd that a
 * test started anew; nor what runs in a container: it has files of its own.
 *
 * A line at the beginning tells that the host is there. Without a /proc there is
 * nothing to see.
 */
export const END_PROCESSES_SCRIPT = `
echo here
LC_ALL=C
export LC_ALL
newline='
'
case $(cat /proc/[0-9]*/environ 2>/dev/null | tr -d '\\0') in *TMT_TREE=/*) ;; *) exit 0 ;; esac
own=' 1 '
pid=$$
while [ "\${pid:-0}" -gt 1 ]; do
  own="$own$pid "
  parent=
  while read -r key value; do
    if [ "$key" = PPid: ]; then parent=$value; fi
  done <"/proc/$pid/status"
  pid=$parent
done 2>/dev/null
is_left() {
  # No program: it has ended, or belongs to the kernel.
  if [ ! -e "/proc/$1/exe" ]; then return 1; fi
  # shellcheck disable=SC3013 # all have it
  if [ ! "/proc/$1/root/." -ef / ]; then return 1; fi
  # A variable a line; what has no place in a path that we take for one becomes another character.
  variables=$newline$(tr '\\0\\n\\200-\\377' '\\n\\1?' <"/proc/$1/environ")$newline
  case $variables in *"\${newline}TMT_TREE=/"*) ;; *) return 1 ;; esac
  tree=\${variables#*"\${newline}TMT_TREE="}
  tree=\${tree%%"$newline"*}
  work=\${tree%/tests}
  name=\${work##*/atex-}
  if [ "$tree" != "$work/tests" ] || [ "$work" != "\${work%/*}/atex-$name" ]; then return 1; fi
  case $name in *[!A-Za-z0-9]*) return 1 ;; ??????????) ;; *) return 1 ;; esac
  case $work in *[!A-Za-z0-9/._-]*) return 1 ;; esac
  # Nothing is known of what is in a directory that cannot be looked into.
  [ -d "\${work%/*}/." ] && [ ! -e "$work" ] && [ ! -e "/proc/$1/root$work" ]
} 2>/dev/null
find_left() {
  left=
  for process in /proc/[0-9]*; do
    pid=\${process#/proc/}
    case $own in *" $pid "*) continue ;; esac
    if is_left "$pid"; then left="$left $pid"; fi
  done
}
signal() {
  for pid in $left; do kill -s "$1" "$pid" 2>/dev/null; done
}
rest() { sleep "$1" 2>/dev/null || sleep 1; }
find_left
if [ -z "$left" ]; then exit 0; fi
signal TERM
for pause in 0.02 0.05 0.1 0.3 0.5 1; do
  rest "$pause"
  all=$left
  left=
  for pid in $all; do
    if is_left "$pid"; then left="$left $pid"; fi
  done
  if [ -z "$left" ]; then break; fi
done
# All again: they may have started others.
for pause in 0.02 0.05 0.1 0.3 0.5 1; do
  find_left
  if [ -z "$left" ]; then exit 0; fi
  signal KILL
  rest "$pause"
done
find_left
if [ -z "$left" ]; then exit 0; fi
echo "processes are still there:$left"
exit 1
`;

export interface EndProcessesOptions {
  /** Milliseconds in which the host has to answer, or it counts as away. */
  readonly patience: number;
  readonly signal: AbortSignal;
}

/**
 * Ends what tests left running on a system, if it is connected and answers.
 *
 * @throws {CommandError} if that failed
 */
export async function endLeftProcesses(
  connection: Connection,
  { patience, signal }: EndProcessesOptions,
): Promise<void> {
  const away = new AbortController();
  const either = AbortSignal.any([signal, away.signal]);
  await using process = startIfConnected(connection, either);
  if (!process) return;
  const stdout = process.stdout.getReader();
  // Whoever else holds the pipe, as the master of ssh does, may never let go of it.
  const giveUp = () => void process.status.then(() => stdout.cancel());
  either.addEventListener("abort", giveUp);
  const timer = after(patience, () => away.abort());
  const decoder = new TextDecoder();
  let said = "";
  for (;;) {
    const { done, value } = await stdout.read();
    if (done) break;
    clearTimeout(timer);
    said += decoder.decode(value, { stream: true });
    said = said.slice(-SAID_KEPT);
  }
  clearTimeout(timer);
  const status = await process.status;
  const isAway = either.aborted ? said === "" : status.code === UNREACHABLE;
  if (isAway) return;
  signal.throwIfAborted();
  if (status.success) return;
  throw new CommandError(["sh"], status, said.replace(/^here\n/m, ""));
}

function startIfConnected(
  connection: Connection,
  signal: AbortSignal,
): Process | undefined {
  try {
    return start(connection, ["sh", "-c", END_PROCESSES_SCRIPT], {
      stdout: "piped",
      stderr: "stdout",
      signal,
    });
  } catch (error) {
    if (error instanceof ConnectionError) return undefined;
    throw error;
  }
}
