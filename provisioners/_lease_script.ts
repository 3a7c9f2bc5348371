/**
 * Runs on a host and holds the lease of it: a lock on the file `$1`, which the
 * kernel frees however this ends. `$2` is the id of the lease, `$3` the seconds
 * for which the host stays reserved after a crash or reboot of it.
 *
 * Reads lines: `take JSON` tries to get the lock and writes the holder into the
 * file, `renew` does the latter again, `look` only tells who has the lock. Answers
 * with a line: `locked`, `taken HOLDER`, `free`, or `error TEXT`. The end of its
 * input ends the lease.
 */
export const LEASE_SCRIPT = `
trap '' PIPE # who took the lease may be gone before it is told: what was written is forgotten all the same
file=$1 id=$2 grace=$3
held=
rest=
say() { printf '%s\\n' "$*"; }
tell() {
  # By way of the descriptor: another user's file may not be created anew.
  { printf '{"keepUntil":%s,%s\\n' "$(($(date +%s) + grace))" "$rest" >/proc/self/fd/9; } 2>/dev/null
}
forget() { { printf '' >/proc/self/fd/9; } 2>/dev/null; }
holder() {
  line=
  IFS= read -r line <"$file" || :
  printf '%.1000s' "$line"
}
kept() {
  case $1 in
    *'"lease":"'"$id"'"'*) return 1 ;;
    '{"keepUntil":'[0-9]*) ;;
    *) return 1 ;;
  esac
  until=\${1#*:}
  until=\${until%%[!0-9]*}
  [ \${#until} -le 11 ] || return 1
  left=$((until - $(date +%s)))
  # Nobody keeps a host for longer: the clock was wrong.
  [ "$left" -gt 0 ] && [ "$left" -le 86400 ]
}
take() {
  rest=$1
  if ! command -v flock >/dev/null; then say 'error there is no program "flock" on it'; return; fi
  if [ -L "$file" ] || { [ -e "$file" ] && [ ! -f "$file" ]; }; then say "error \\"$file\\" on it is not a file"; return; fi
  if [ ! -e "$file" ]; then
    # One that all users can lock and write. Somebody else may be faster.
    (umask 000; set -C; : >"$file") 2>/dev/null
  fi
  if [ ! -r "$file" ]; then say "error the lock file \\"$file\\" on it cannot be made or read"; return; fi
  exec 9<"$file"
  round=0
  while ! flock -n 9; do
    found=$(holder)
    # Without a holder, somebody has just got it and is about to tell, gives it back, or only looks.
    if [ -n "$found" ] || [ $round -ge 5 ]; then
      exec 9<&-
      say "taken $found"
      return
    fi
    round=$((round + 1))
    sleep 0.2 || sleep 1
  done
  found=$(holder)
  # shellcheck disable=SC3013 # all have it
  if [ ! "$file" -ef /proc/self/fd/9 ] || kept "$found"; then
    exec 9<&-
    say "taken $found"
    return
  fi
  held=1
  tell
  say locked
}
look() {
  if [ ! -e "$file" ]; then say free; return; fi
  if ! command -v flock >/dev/null; then say 'error there is no program "flock" on it'; return; fi
  if [ ! -f "$file" ] || [ ! -r "$file" ]; then say "error the lock file \\"$file\\" on it cannot be read"; return; fi
  found=$(holder)
  # Shared: whoever else looks at the same time does not take us for the holder.
  if flock -n -s "$file" true && ! kept "$found"; then say free; else say "taken $found"; fi
}
going_down() { [ "$(systemctl is-system-running 2>/dev/null)" = stopping ]; }
while IFS= read -r word; do
  case $word in
    'take '*) take "\${word#take }" ;;
    renew) tell ;;
    look) look ;;
  esac
done
if [ -n "$held" ] && ! going_down; then forget; fi
exit 0
`;
