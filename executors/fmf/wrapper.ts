/**
 * The program that runs a test on the system, in the language of what it needs
 * there: bash 4.2, setsid, env, sleep and /proc; for a terminal also the
 * `script` of util-linux.
 *
 * Why it is written as it is:
 *
 * - Background commands of a shell without job control ignore INT and QUIT for
 *   ever, so tests are started under `set -m`.
 * - A process that leads a group makes setsid fork and lose the exit code, so
 *   the leader of the job only waits for the child that becomes setsid.
 * - What is exported last cannot disturb the shell that exports it. Names that
 *   mean something to a shell or a loader are left to env.
 * - The watcher has a group of its own: it outlives a kill of the wrapper's.
 * - The list of sessions is read through its descriptor: the directory may have
 *   gone, or belong to the next run.
 * - Timeouts are counted, because tests set the clock.
 */

/** The wrapper could not start the test. */
export const NOT_STARTED = 2;
/** The wrapper could not write to the control channel. */
export const CONTROL_CLOSED = 3;
/** The set-up script that came over standard input failed. */
export const SETUP_FAILED = 4;

/** The text of the wrapper. */
export const WRAPPER = `\
#!/bin/bash
# Runs one test. Usage: bash wrapper STATE_DIR CWD [FLAG...]
#   setup=N            standard input begins with a script of N bytes that fills STATE_DIR, which is emptied before
#   only               end after the script
#   lifeline[=S]       standard input is a lifeline: lines "stop", "release"; others are heartbeats, due every S seconds
#   pty                run the test on a terminal
#   nocontrol          give it no control channel
#   noexitcode nokill  leave out what they say
#   marker=NONCE       tell on the control channel when the test begins and when it has ended
#   NAME=VALUE         for the environment of the test
# Status: 0 the test ran, 2 it was not started, 3 the control channel is closed, 4 the script failed, 128 + n signal n.
shopt -s dotglob nullglob extglob

# Sets field to field $2 of /proc/$1/stat. The command in it may hold blanks, parentheses and newlines.
proc_field() {
  local text='' line want=$2
  field=
  while IFS= read -r line; do text+=$line; done <"/proc/$1/stat"
  # shellcheck disable=SC2086 # words
  set -- \${text##*) }
  shift $((want - 3)) && field=$1
}

# Sends signal $1 to all processes of the recorded groups and sessions; sets found if there are any.
signal_all() {
  local ids=' ' line text pid name state group session rest last now numbers='[0-9]*'
  found=
  while read -r line; do
    ids+="$line "
    [[ $1 != KILL ]] || kill_group "$line"
  done </proc/self/fd/6
  # What began after us has a higher number, unless numbers began again. Nobody forks 100000 times in a second.
  read -r _ _ _ _ last </proc/loadavg
  read -r now _ </proc/uptime
  (((10#\${now/./} - begin) * 1000 > pid_max || last < $$)) || numbers_above $$
  # shellcheck disable=SC2231 # a pattern
  for pid in /proc/$numbers; do
    pid=\${pid#/proc/} rest=
    read -r _ name state _ group session rest <"/proc/$pid/stat"
    # A name of up to 15 characters may look like the fields after it, but cannot hide that they come again.
    if [[ $name != *\\) || \${#rest} -lt 30 || $state$group$session$rest == *\\)* ]]; then
      text=
      while IFS= read -r line; do text+=$line; done <"/proc/$pid/stat"
      read_fields "\${text##*) }"
    fi
    case $ids in *" $group "* | *" $session "*) ;; *) continue ;; esac
    case $state in Z | X) continue ;; esac
    kill -s "$1" "$pid" && found=1
    [[ $1 != KILL ]] || kill_group "$group"
  done
}

# Sets numbers to a pattern of those above $1: a digit more, or a higher one after the same beginning. A loop over all
# that run would take longer than all else that we do at the end of a test.
numbers_above() {
  local at after=''
  numbers="[1-9]\${1//?/?}*"
  for ((at = \${#1} - 1; at >= 0; at--)); do
    ((\${1:at:1} == 9)) || numbers+="|\${1:0:at}[$((\${1:at:1} + 1))-9]$after"
    after+='?'
  done
  numbers="@($numbers)"
}

# Kills a group at once: whoever forks faster than we can look is in one. Groups 0 and 1 would be ourselves and everybody.
kill_group() {
  case $1 in '' | 0* | 1 | *[!0-9]*) ;; *) kill -s KILL -- "-$1" ;; esac
}

# Sets what the caller has of the fields of a process.
read_fields() {
  # shellcheck disable=SC2086 # words
  set -- $1
  state=\${1-} group=\${3-} session=\${4-}
}

kill_all() {
  local round
  for ((round = 0; round < 20; round++)); do
    ((round < 3)) || sleep 0.1
    signal_all KILL
    [[ $found ]] || return 0
  done
}

# Sets program to the path of $1. The table of bash spares the fork of a substitution, but holds no name of a function.
find_program() {
  program=
  hash -- "$1" && program=\${BASH_CMDS[$1]-}
  [[ $program ]] || program=$(type -P "$1")
}

atex_letters=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_

# Sorts NAME=VALUE: what export can do, and what only env can do without an effect on shell or loader.
take_variable() {
  case \${1%%=*} in
    '' | [0-9]* | *[!$atex_letters]*) atex_odd+=("$1") ;;
    _ | atex_* | BASH* | COMP_* | COPROC | DIRSTACK | EPOCH* | EUID | FUNC* | GLIBC_* | GLOBIGNORE | GROUPS | HIST* | IFS | \\
      IGNOREEOF | LANG* | LC_* | LD_* | LINENO | MALLOC_* | MAPFILE | OPT* | PIPESTATUS | POSIX* | PPID | PS[0-9] | RANDOM | \\
      READLINE* | REPLY | SECONDS | SHELLOPTS | SHLVL | SRANDOM | TEXTDOMAIN* | TIMEFORMAT | TMOUT | UID) atex_odd+=("$1") ;;
    *) atex_plain+=("$1") ;;
  esac
}

# Becomes the test. Arguments: the command that is to run it, "--", variables.
become_test() {
  local entry
  atex_command=() atex_plain=() atex_odd=()
  while [[ $1 != -- ]]; do
    atex_command+=("$1")
    shift
  done
  shift
  unset TMT_TEST_DATA TMT_TEST_PIDFILE TMT_TEST_SUBMITTED_FILES ATEX_TEST_CONTROL
  while IFS= read -r -d '' entry; do take_variable "$entry"; done <"$state/environment"
  for entry; do take_variable "$entry"; done
  if ((\${#atex_odd[@]} > 0)); then
    find_program env
    atex_command+=("$program" -- "\${atex_odd[@]}")
  fi
  set -- "\${atex_command[@]}" "$BASH" "$state/test.sh"
  [[ $terminal ]] || exec >&9 2>&9
  # what is ours, and what whoever started us left open
  for entry in /proc/self/fd/*; do
    case \${entry##*/} in [0128] | 255) ;; *) eval "exec \${entry##*/}>&-" ;; esac
  done
  ((\${#atex_plain[@]} == 0)) || export -- "\${atex_plain[@]}" 2>/dev/null
  exec "$@"
}

if [[ $1 == inside-terminal ]]; then
  state=$2 terminal=1
  echo $$ >&6
  if [[ $3 ]]; then SHELL=$3; else unset SHELL; fi
  shift 3
  stty rows 24 cols 80 2>/dev/null
  become_test -- "$@"
fi

# Whatever is printed from here on can reach neither the control channel nor the output of the test by accident.
exec 7<&0 8>&1 9>&2 </dev/null >/dev/null 2>/dev/null

end() {
  trap '' HUP INT TERM PIPE
  [[ $watcher ]] && kill -KILL -- "-$watcher" && wait "$watcher"
  exit "$1"
}

fail() {
  printf 'atex: %s\\n' "$2" >&9
  end "$1"
}

# shellcheck disable=SC2317 # traps call it
end_by_signal() {
  local round
  trap '' HUP INT TERM PIPE
  # it may have been started, and not been noted yet
  if [[ ! $job && $! != "$before" ]]; then
    job=$!
    echo "$job" >&6
  fi
  if [[ $job ]]; then
    signal_all HUP
    for ((round = 0; round < 50; round++)); do
      kill -0 "$job" || break
      sleep 0.1
    done
    kill_all
    # what a set-up was at, for those who wonder why it took so long
    [[ ! $setting_up || ! -s $state/setup.$$.log ]] || cat "$state/setup.$$.log" >&8
  fi
  end $((128 + $1))
}

state=$1 cwd=$2
shift 2 || fail 2 'a directory for the state and one to run in are needed'
setup='' only='' lifeline='' limit=0 pty='' nocontrol='' noexitcode='' nokill='' marker='' terminal='' stale=()
job='' before='' setting_up='' watcher='' code='' atex_flags=()
for flag; do
  case $flag in
    only | lifeline | pty | nocontrol | noexitcode | nokill) printf -v "$flag" 1 ;;
    lifeline=*) lifeline=1 limit=\${flag#*=} ;;
    setup=*) setup=\${flag#*=} ;;
    marker=*) marker=\${flag#*=} ;;
    *=*) atex_flags+=("$flag") ;;
    *) fail 2 "unknown flag: $flag" ;;
  esac
done

trap 'end_by_signal 1' HUP
trap 'end_by_signal 2' INT
trap 'end_by_signal 15' TERM
# Some clients pass on the signal that they get when nobody reads the control channel any more.
trap : PIPE

# Sets stale to what is in the directory: the set-up removes it while we go on. What does not allow that goes at once.
empty_state() {
  stale=("$state"/*)
  if [[ ! -d $state || -L $state || -e $state/sid.$$ ]] || ((\${#stale[@]} > 1000)); then
    stale=()
    rm -rf -- "$state"
    [[ -d $state ]] || mkdir -- "$state"
  fi
}

if [[ $setup ]]; then
  IFS= read -r -N "$setup" -u 7 script || fail 2 'the set-up script did not arrive'
  empty_state 2>&9 || end 4
fi

[[ -d $state ]] || fail 2 "there is no directory $state"
# a wrapper before the system restarted may have had our number
{ : >"$state/sid.$$" && exec 6>>"$state/sid.$$"; } || fail 2 "cannot write to $state"
read -r begin _ </proc/uptime
begin=$((10#\${begin/./}))
read -r pid_max </proc/sys/kernel/pid_max

watch() {
  local line='' part idle=0 released='' status round
  set +m
  exec 8>&- 9>&-
  trap '' HUP INT TERM PIPE
  while :; do
    IFS= read -r -t 5 -u 7 part
    status=$?
    line+=$part
    if ((status == 0)); then
      case $line in
        stop) break ;;
        release) released=1 ;;
      esac
      line='' idle=0
    elif ((status > 128)); then
      proc_field self 4
      [[ $field == "$$" ]] || break # the wrapper has gone
      ((idle += 5))
      ((limit == 0 || idle < limit)) || break
    else
      break
    fi
    part=
  done
  [[ $line == stop || ! $released ]] || exit
  kill -TERM $$
  for ((round = 0; round < 100; round++)); do
    sleep 0.1
    proc_field self 4
    [[ $field == "$$" ]] || break
  done
  kill_all
  ((round < 100)) || kill -KILL $$
}

# Waits for the job and sets code to its status. A wait that PIPE interrupts ends as for a job that PIPE killed.
wait_for_job() {
  code=141
  while ((code == 141)) && kill -0 "$job"; do
    wait "$job"
    code=$?
  done
  wait "$job"
  code=$?
}

if [[ $lifeline ]]; then
  set -m
  watch &
  watcher=$! before=$!
  set +m
fi

if [[ $setup ]]; then
  setting_up=1 before=$!
  set -m
  (
    set +m
    exec >&8 2>&8 6>&- 7<&- 8>&- 9>&-
    ((\${#stale[@]} == 0)) || rm -rf -- "\${stale[@]}"
    set -e
    eval "$script"
  ) &
  job=$!
  set +m
  echo "$job" >&6
fi

proc_field $$ 22
self=$field
proc_field 1 22
read -r boot </proc/sys/kernel/random/boot_id

if [[ $setup ]]; then
  wait_for_job
  if ((code != 0)); then
    kill_all
    end 4
  fi
  [[ ! $only ]] || end 0
  : >"$state/sid.$$"
  job='' setting_up=''
fi

printf '%s\\n' "$$ $self $boot-$field" >"$state/wrapper.pid" || fail 2 "cannot write to $state"
[[ -e $state/environment ]] || : >"$state/environment"
cd -- "$cwd" || fail 2 "there is no directory $cwd"
if [[ $pty ]]; then
  # Neither /dev/null nor the lifeline may be the terminal's input: an end of file there reaches the test.
  { mkfifo "$state/tty.$$" && exec 5<>"$state/tty.$$" && rm -f "$state/tty.$$"; } || fail 2 'cannot make a pipe for the terminal'
  atex_flags+=(TERM=vt100)
fi
[[ $nocontrol ]] || atex_flags+=(ATEX_TEST_CONTROL=8)
find_program setsid || fail 2 'there is no setsid'
[[ ! $marker ]] || printf 'noop atex-start %s\\n' "$marker" >&8 || end 3

before=$!
set -m
(
  set +m
  exec 7<&-
  (
    echo "$BASHPID" >&6
    [[ ! $nocontrol ]] || exec 8>&-
    if [[ $pty ]]; then
      printf -v command '%q ' exec "$BASH" "$0" inside-terminal "$state" "$SHELL" "\${atex_flags[@]}"
      export SHELL=$BASH
      exec <&5 >&9 2>&9 5<&- 9>&-
      exec "$program" script -q -e -f -c "$command" /dev/null
    fi
    become_test "$program" -- "\${atex_flags[@]}"
  )
  exit $?
) &
job=$!
set +m
echo "$job" >&6
wait_for_job

trap '' HUP INT TERM PIPE
[[ $nokill ]] || kill_all
if [[ ! $noexitcode ]]; then
  text="exitcode $code"
  [[ ! $marker ]] || text+=$'\\n'"noop atex-end $marker"
  printf '%s\\n' "$text" >&8 || end 3
fi
end 0
`;
