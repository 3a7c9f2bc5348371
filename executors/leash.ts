/** Ending commands on a system together with their clients here. */

/** How long a command has to end, and what it started, in seconds. */
const PATIENCE = 5;

/** What the leash reads to end the command. */
export const STOP = new TextEncoder().encode("stop\n");

/** How long the client of a command that was told to end may take, in milliseconds: longer. */
export const LEASH_GRACE = 7000;

/**
 * A script that becomes the command that its arguments are, and leaves a watcher beside it
 * that ends the command's process group when that is said on the standard input, or that
 * ends while the command is there: with the client here, whatever became of it, the command
 * ends there too. The group is only that of a process that is known to be ours: group 1
 * would be everybody, and that of a parent might be the user's.
 */
export const LEASH = `exec 7<&0 </dev/null
atex_pid="" atex_group=""
{ read -r atex_pid _ _ _ atex_group _ </proc/self/stat; } 2>/dev/null
[ "$atex_pid" = $$ ] || atex_group=$(ps -o pgid= -p $$ 2>/dev/null)
[ "$((atex_group))" -gt 1 ] || atex_group=$$
( exec <&7 7<&- >/dev/null 2>&1
  trap '' HUP INT TERM
  line=
  while [ "$line" != stop ] && read -r line; do :; done
  [ "$line" = stop ] || kill -0 $$ || exit
  kill -TERM -"$((atex_group))" || kill -TERM $$
  round=0
  while kill -0 $$ && [ $round -lt ${PATIENCE}0 ]; do
    sleep 0.1 || sleep 1
    round=$((round + 1))
  done
  [ "$line" = stop ] || kill -0 $$ || exit
  kill -KILL -"$((atex_group))" || kill -KILL $$
) &
exec 7<&-
exec "$@"`;
