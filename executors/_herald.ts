/**
 * Runs the leash, and tells its exit code on the standard output, which is not that of
 * the command: a client may go on for as long as anybody holds the latter. It survives
 * signals to the group of the command, and what a shell says of those is not printed.
 * Where it is not the leader of its group, as after sudo, the command gets one of its own.
 */
export const HERALD = `exec 3>&2 2>/dev/null
trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2
group=
kill -0 -$$ || group=$(command -v setsid)
( exec $group sh -c "$@" >&3 2>&3 3>&- )
code=$?
echo
echo "ended $code"
exit "$code"`;
