/**
 * The program that runs a test on the system, in the language of what it needs
 * there: bash 4.2, setsid, env, sleep, rm, mkdir, cat and /proc; for a terminal
 * also mkfifo, stty and the `script` of util-linux.
 *
 * Why it is written as it is:
 *
 * - Background commands of a shell without job control ignore INT and QUIT for
 *   ever, so tests are started under `set -m`.
 * - A process that leads a group makes setsid fork and lose the exit code, so
 *   the leader of the job only waits for the child that becomes setsid.
 * - What is exported last cannot disturb the shell that exports it. Names that
 *   mean something to a shell or a loader are left to env.
 * - A variable that the system's environment has reaches the test, unless the
 *   shell sets one of that name: those that are not local begin with `atex_`.
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
#   setup=N            standard input begins with a script of N bytes that fills STATE_DIR, which is emptied before;
#                      it finds the path in the variable "state"
#   only               end after the script
#   lifeline[=S]       standard input is a lifeline: lines "stop", "release"; others are heartbeats, due every S seconds
#   pty                run the test on a terminal
#   nocontrol          give it no control channel
#   noexitcode nokill  leave out what they say
#   marker=NONCE       tell on the control channel when the test begins and when it has ended
#   NAME=VALUE         for the environment of the test
# Status: 0 the test ran, 2 it was not started, 3 the control channel is closed, 4 the script failed, 128 + n signal n.

# In posix mode, which the environment may ask for, bash forgets how a job ended once it has told it.
atex_posix=()
[[ ! \${POSIXLY_CORRECT+set} ]] || atex_posix=("POSIXLY_CORRECT=$POSIXLY_CORRECT")
set +o posix
shopt -s dotglob nullglob extglob

# Sets atex_field to field $2 of /proc/$1/stat. The command in it may hold blanks, parentheses and newlines.
proc_field() {
  local text='' line want=$2
  atex_field=
  while IFS= read -r line; do text+=$line; done <"/proc/$1/stat"
  # shellcheck disable=SC2086 # words
  set -- \${text##*) }
  shift $((want - 3)) && atex_field=$1
}

# Sends signal $1 to all processes of the recorded groups and sessions; sets atex_found if there are any. Only KILL is
# for those, too, that have to be there until the test has ended: the job that waits for it, and what makes its terminal.
signal_all() {
  local ids=' ' line text pid name state parent group session rest last now numbers='[0-9]*'
  atex_found=
  while read -r line; do
    ids+="$line "
    [[ $1 != KILL ]] || kill_group "$line"
  done </proc/self/fd/6
  # What began after us has a higher number, unless numbers began again. Nobody forks 100000 times in a second.
  read -r _ _ _ _ last </proc/loadavg
  read -r now _ </proc/uptime
  (((10#\${now/./} - atex_begin) * 1000 > atex_pid_max || last < $$)) || numbers_above $$
  # shellcheck disable=SC2231 # a pattern
  for pid in /proc/$numbers; do
    pid=\${pid#/proc/} rest=
    read -r _ name state parent group session rest <"/proc/$pid/stat"
    # A name of up to 15 characters may look like the fields after it, but cannot hide that they come again.
    if [[ $name != *\\) || \${#rest} -lt 30 || $state$parent$group$session$rest == *\\)* ]]; then
      text=
      while IFS= read -r line; do text+=$line; done <"/proc/$pid/stat"
      read_fields "\${text##*) }"
    fi
    case $ids in *" $group "* | *" $session "*) ;; *) continue ;; esac
    case $state in Z | X) continue ;; esac
    [[ $1 == KILL || $atex_setting_up ]] || ! stays || continue
    kill -s "$1" "$pid" && atex_found=1
    [[ $1 != KILL ]] || kill_group "$group"
  done
}

# Whether the process has to be there until the test has ended.
stays() {
  [[ $pid == "$atex_job" || $atex_pty && $parent == "$atex_job" ]]
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
  state=\${1-} parent=\${2-} group=\${3-} session=\${4-}
}

kill_all() {
  local round
  for ((round = 0; round < 20; round++)); do
    ((round < 3)) || sleep 0.1
    signal_all KILL
    [[ $atex_found ]] || return 0
  done
}

# Sets atex_program to the path of $1. The table of bash spares the fork of a substitution, but holds no name of a
# function, and is none if BASH_CMDS was inherited.
find_program() {
  atex_program=
  hash -- "$1" && atex_program=\${BASH_CMDS[$1]-}
  [[ $atex_program == */"$1" ]] || atex_program=$(type -P "$1")
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

# Restores what the environment had: what is started next may be strict.
restore_posix() {
  ((\${#atex_posix[@]} == 0)) || export -- "\${atex_posix[@]}"
}

# Becomes the test. Arguments: the command that is to run it, "--", variables.
become_test() {
  atex_command=() atex_plain=() atex_odd=()
  while [[ $1 != -- ]]; do
    atex_command+=("$1")
    shift
  done
  shift
  unset TMT_TEST_DATA TMT_TEST_PIDFILE TMT_TEST_SUBMITTED_FILES ATEX_TEST_CONTROL
  while IFS= read -r -d '' atex_entry; do take_variable "$atex_entry"; done <"$atex_state/environment"
  for atex_entry; do take_variable "$atex_entry"; done
  if ((\${#atex_odd[@]} > 0)); then
    find_program env
    atex_command+=("$atex_program" -- "\${atex_odd[@]}")
  fi
  set -- "\${atex_command[@]}" "$BASH" "$atex_state/test.sh"
  [[ $atex_terminal ]] || exec >&9 2>&9
  # what is ours, and what whoever started us left open
  for atex_entry in /proc/self/fd/*; do
    case \${atex_entry##*/} in [0128] | 255) ;; *) eval "exec \${atex_entry##*/}>&-" ;; esac
  done
  ((\${#atex_plain[@]} == 0)) || export -- "\${atex_plain[@]}" 2>/dev/null
  restore_posix
  exec "$@"
}

if [[ $1 == inside-terminal ]]; then
  atex_state=$2 atex_terminal=1
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
  [[ $atex_watcher ]] && kill -KILL -- "-$atex_watcher" && wait "$atex_watcher"
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
  if [[ ! $atex_job && $! != "$atex_before" ]]; then
    atex_job=$!
    echo "$atex_job" >&6
  fi
  if [[ $atex_job ]]; then
    signal_all HUP
    # nobody there yet: nobody who may clean up. The group is that of a set-up, whose shell may end before its programs.
    for ((round = 0; round < 50; round++)); do
      [[ $atex_found ]] || break
      kill -0 -- "-$atex_job" || break
      sleep 0.1
    done
    kill_all
    # what a set-up was at, for those who wonder why it took so long
    [[ ! $atex_setting_up || ! -s $atex_state/setup.$$.log ]] || cat "$atex_state/setup.$$.log" >&8
  fi
  end $((128 + $1))
}

atex_state=$1 atex_cwd=$2
shift 2 || fail 2 'a directory for the state and one to run in are needed'
atex_setup='' atex_only='' atex_lifeline='' atex_limit=0 atex_pty='' atex_nocontrol='' atex_noexitcode='' atex_nokill=''
atex_marker='' atex_flags=() atex_stale=() atex_job='' atex_before='' atex_setting_up='' atex_watcher='' atex_terminal=''
for atex_flag; do
  case $atex_flag in
    only | lifeline | pty | nocontrol | noexitcode | nokill) printf -v "atex_$atex_flag" 1 ;;
    lifeline=*) atex_lifeline=1 atex_limit=\${atex_flag#*=} ;;
    setup=*) atex_setup=\${atex_flag#*=} ;;
    marker=*) atex_marker=\${atex_flag#*=} ;;
    *=*) atex_flags+=("$atex_flag") ;;
    *) fail 2 "unknown flag: $atex_flag" ;;
  esac
done

trap 'end_by_signal 1' HUP
trap 'end_by_signal 2' INT
trap 'end_by_signal 15' TERM
# Some clients pass on the signal that they get when nobody reads the control channel any more.
trap : PIPE

# Sets atex_stale to what is in the directory: the set-up removes it while we go on. That would not do if something else
# is in the place of the directory, if it holds a file with the name of our record, or if there are more names than one
# command takes however long they are: then all goes at once.
empty_state() {
  atex_stale=("$atex_state"/*)
  if [[ ! -d $atex_state || -L $atex_state || -e $atex_state/sid.$$ ]] || ((\${#atex_stale[@]} > 100)); then
    atex_stale=()
    rm -rf -- "$atex_state"
    [[ -d $atex_state ]] || mkdir -- "$atex_state"
  fi
}

if [[ $atex_setup ]]; then
  IFS= read -r -N "$atex_setup" -u 7 atex_script || fail 2 'the set-up script did not arrive'
  empty_state 2>&9 || end 4
fi

[[ -d $atex_state ]] || fail 2 "there is no directory $atex_state"
# a wrapper before the system restarted may have had our number
{ : >"$atex_state/sid.$$" && exec 6>>"$atex_state/sid.$$"; } || fail 2 "cannot write to $atex_state"
read -r atex_begin _ </proc/uptime
atex_begin=$((10#\${atex_begin/./}))
read -r atex_pid_max </proc/sys/kernel/pid_max

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
      [[ $atex_field == "$$" ]] || break # the wrapper has gone
      ((idle += 5))
      ((atex_limit == 0 || idle < atex_limit)) || break
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
    [[ $atex_field == "$$" ]] || break
  done
  kill_all
  ((round < 100)) || kill -KILL $$
}

# Waits for the job and sets atex_code to its status. A wait that PIPE interrupts ends as for a job that PIPE killed.
wait_for_job() {
  atex_code=141
  while ((atex_code == 141)) && kill -0 "$atex_job"; do
    wait "$atex_job"
    atex_code=$?
  done
  wait "$atex_job"
  atex_code=$?
}

if [[ $atex_lifeline ]]; then
  set -m
  watch &
  atex_watcher=$! atex_before=$!
  set +m
fi

if [[ $atex_setup ]]; then
  atex_setting_up=1 atex_before=$!
  set -m
  (
    set +m
    exec >&8 2>&8 6>&- 7<&- 8>&- 9>&-
    ((\${#atex_stale[@]} == 0)) || rm -rf -- "\${atex_stale[@]}"
    # shellcheck disable=SC2034 # the script uses it
    state=$atex_state
    set -e
    eval "$atex_script"
  ) &
  atex_job=$!
  set +m
  echo "$atex_job" >&6
fi

proc_field $$ 22
atex_self=$atex_field
proc_field 1 22
read -r atex_boot </proc/sys/kernel/random/boot_id

if [[ $atex_setup ]]; then
  wait_for_job
  if ((atex_code != 0)); then
    kill_all
    end 4
  fi
  [[ ! $atex_only ]] || end 0
  : >"$atex_state/sid.$$"
  atex_job='' atex_setting_up=''
fi

printf '%s\\n' "$$ $atex_self $atex_boot-$atex_field" >"$atex_state/wrapper.pid" || fail 2 "cannot write to $atex_state"
[[ -e $atex_state/environment ]] || : >"$atex_state/environment"
cd -- "$atex_cwd" || fail 2 "there is no directory $atex_cwd"
if [[ $atex_pty ]]; then
  # Neither /dev/null nor the lifeline may be the terminal's input: an end of file there reaches the test.
  { mkfifo "$atex_state/tty.$$" && exec 5<>"$atex_state/tty.$$" && rm -f "$atex_state/tty.$$"; } || fail 2 'cannot make a pipe for the terminal'
  atex_flags+=(TERM=vt100)
fi
[[ $atex_nocontrol ]] || atex_flags+=(ATEX_TEST_CONTROL=8)
find_program setsid || fail 2 'there is no setsid'
[[ ! $atex_marker ]] || printf 'noop atex-start %s\\n' "$atex_marker" >&8 || end 3

atex_before=$!
set -m
(
  set +m
  exec 7<&-
  (
    echo "$BASHPID" >&6
    [[ ! $atex_nocontrol ]] || exec 8>&-
    if [[ $atex_pty ]]; then
      printf -v atex_command '%q ' exec "$BASH" "$0" inside-terminal "$atex_state" "$SHELL" "\${atex_flags[@]}"
      export SHELL=$BASH
      exec <&5 >&9 2>&9 5<&- 9>&-
      restore_posix
      exec "$atex_program" script -q -e -f -c "$atex_command" /dev/null
    fi
    become_test "$atex_program" -- "\${atex_flags[@]}"
  )
  exit $?
) &
atex_job=$!
set +m
echo "$atex_job" >&6
wait_for_job

trap '' HUP INT TERM PIPE
[[ $atex_nokill ]] || kill_all
if [[ ! $atex_noexitcode ]]; then
  atex_end="exitcode $atex_code"
  [[ ! $atex_marker ]] || atex_end+=$'\\n'"noop atex-end $atex_marker"
  printf '%s\\n' "$atex_end" >&8 || end 3
fi
end 0
`;
