/**
 * The commands that tests report with: results of their parts, files, a restart
 * of the system, that they cannot go on. They are for tests in any language; those
 * who want more write to the control channel themselves.
 */

/**
 * The names of the commands. Besides our own they have those that tests written
 * for other harnesses call.
 */
export const HELPER_NAMES: readonly string[] = [
  ...["atex", "tmt", "rstrnt", "rhts"].flatMap((harness) =>
    ["report-result", "reboot", "abort"].map((what) => `${harness}-${what}`)
  ),
  "atex-file-submit",
  "tmt-file-submit",
  "rstrnt-report-log",
  "rhts-submit-log",
];

/**
 * The text of all of them, for bash 4.2: each command is a file that reads it
 * after it has set `work` and `can_reboot`.
 *
 * Why it is written as it is:
 *
 * - Names and logs are whatever somebody called them; the channel takes ASCII
 *   lines, strict JSON and files of exactly the announced length, and a mistake
 *   is the end of the test.
 * - Replacements are quoted variables, because literal backslashes and ampersands
 *   there mean different things in different versions of bash.
 * - Lengths are taken from the open file: a name may lead elsewhere a moment later.
 * - There are no here-strings: before bash 5.1 they need a disk that is not full.
 */
export const HELPERS = `\
# Reports to whoever runs the test. What it does depends on the name that it is called by:
#   atex-report-result NAME RESULT [LOG] [SCORE]   a result of a part of the test, with its log
#   atex-file-submit -l FILE                       a file for the result of the test itself
#   atex-reboot [-c COMMAND]                       restart the system; the test is then started again
#   atex-abort                                     the test cannot go on
# The first lines set work, the directory with all that belongs to the tests, and can_reboot.
# Status: 0 done, 1 it was not possible, 2 wrong arguments.
set +o posix
me=\${0##*/} control='' status=0 b=\\\\ q=\\"
export PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C # lengths are bytes

warn() { printf '%s: %s\\n' "$me" "$1" >&2; }

fail() {
  warn "$2"
  exit "$1"
}

# Sets fields to those of /proc/$1/stat after the command: state, parent, group, session; 19 is the start time.
read_stat() {
  local text=''
  IFS= read -r -d '' text <"/proc/$1/stat"
  # shellcheck disable=SC2206 # words
  fields=(\${text##*) })
} 2>/dev/null

# ---- the channel

hold_channel() {
  local shared=/run/lock/atex-test-control
  [[ ! $control ]] || return 0
  control=\${ATEX_TEST_CONTROL-}
  [[ $control == [0-9] ]] || fail 1 'there is nobody to report to: ATEX_TEST_CONTROL is not set'
  { : >&"$control"; } 2>/dev/null || fail 1 "there is nobody to report to: descriptor $control is closed"
  trap '' HUP INT TERM # half a message would be the end of the test
  if type -P flock >/dev/null; then
    hold_file "$work/control.lock"
    # for tests that write to the channel by themselves; other users cannot make us wait
    [[ -e $shared && ! -O $shared ]] || hold_file "$shared"
  else
    hold_link "$work/test/control.owner"
  fi
}

hold_file() {
  local lock
  {
    [[ -e $1 ]] || (umask 077 && : >>"$1")
    [[ -f $1 ]] && exec {lock}<"$1" && flock "$lock"
  } 2>/dev/null
}

# Where there is no flock: a link that names its owner.
hold_link() {
  local link=$1 self owner failures=0
  read_stat $$
  self="$$ \${fields[19]}"
  until ln -s "$self" "$link"; do
    owner=$(readlink "$link")
    read_stat "\${owner% *}"
    if [[ ! $owner ]]; then
      ((++failures < 50)) || return # it was not given back just now: it cannot be made
    elif [[ \${fields[19]-} != "\${owner#* }" ]] && mkdir "$link.old"; then
      # its owner was killed, and only we remove it
      [[ $(readlink "$link") != "$owner" ]] || rm -f "$link"
      rmdir "$link.old"
    fi
    sleep 0.1
  done
  # shellcheck disable=SC2064 # now
  trap "rm -f '$link'" EXIT
} 2>/dev/null

# Sends a result: the members of its JSON, and, if there is one, a file with the name that it gets.
send_result() {
  local json=$1 source='' size=0
  if [[ \${2-} ]]; then open_file "$2"; fi
  hold_channel
  if [[ $source ]]; then
    size=$(stat -L -c %s "/proc/$$/fd/$source" 2>/dev/null) || size=$(wc -c <"/proc/$$/fd/$source")
    json+=",\${q}files$q:[{\${q}name$q:$q$3$q,\${q}length$q:$((size))}]"
  fi
  json="{$json}"
  printf 'result %s\\n%s' "\${#json}" "$json" >&"$control" || fail 1 'the result could not be sent'
  if ((size > 0)); then send_bytes "$source" "$size" || fail 1 'the file could not be sent'; fi
}

# Sets source to a descriptor of a file.
open_file() {
  local copy=$work/control.$$
  if ! { exec {source}<"$1"; } 2>/dev/null; then
    warn "cannot read $1"
    source='' status=1
    return
  fi
  case $(readlink "/proc/$$/fd/$source") in
    /proc/* | /sys/*)
      # the size of such a file says nothing
      { cat <&"$source" >"$copy" && exec {source}<"$copy"; } || source='' status=1
      rm -f "$copy"
      ;;
  esac
}

# Sends exactly $2 bytes of descriptor $1: the file may grow or shrink meanwhile.
send_bytes() {
  local key value rest=$2
  head -c "$2" <&"$1" >&"$control"
  while read -r key value; do
    if [[ $key == pos: ]]; then ((rest -= value)); fi
  done <"/proc/$$/fdinfo/$1"
  ((rest > 0)) || return 0
  head -c "$rest" /dev/zero >&"$control" || return
  warn "$rest bytes of the file were gone before they were sent: there are zeros in place of them"
  status=1
}

# ---- texts

# Sets text to $1 as it is inside a JSON string. What is not UTF-8 is left out.
quote() {
  local rest=$1 part first length low high code i
  text=''
  while [[ $rest ]]; do
    part=\${rest%%[!\\ -~]*}
    rest=\${rest:\${#part}}
    part=\${part//"$b"/"$b$b"}
    text+=\${part//"$q"/"$b$q"}
    [[ $rest ]] || return 0
    byte "$rest"
    first=$code length=1 low=128 high=191
    case $first in
      9) text+=\${b}t ;;
      10) text+=\${b}n ;;
      13) text+=\${b}r ;;
      *)
        if ((first < 128)); then text+=_
        elif ((first >= 194 && first < 245)); then length=$((first < 224 ? 2 : first < 240 ? 3 : 4)); fi
        ;;
    esac
    case $first in 224) low=160 ;; 237) high=159 ;; 240) low=144 ;; 244) high=143 ;; esac
    part=\${rest:0:length}
    for ((i = 1; i < length; i++)); do
      byte "\${part:i}"
      if ((code < low || code > high)); then length=1; fi
      low=128 high=191
    done
    # from C2 80 to C2 9F there are more control characters
    if ((length > 1 && first == 194 && code < 160)); then text+=_
    elif ((length > 1)); then text+=$part; fi
    rest=\${rest:length}
  done
}

# Sets code to the first byte of $1.
byte() {
  printf -v code %d "'$1"
  ((code &= 255, 1))
}

# Sets file_name to the name of file $1 followed by $2, as artifacts can have it.
name_of() {
  local base=\${1##*/}
  base=\${base//[!a-zA-Z0-9 _.,:+=%@-]/}
  file_name=\${base:0:255-\${#2}}$2
  case $file_name in '' | . | ..) file_name=log ;; esac
}

# ---- what can be asked for

# The result $1 with status $2 and perhaps the log $3.
report() {
  local name=$1 log=$3 json='' file_name='' text
  quote "\${2,,}"
  json=\${q}status$q:$q$text$q
  if [[ $name ]]; then
    quote "$name"
    json+=,\${q}name$q:$q$text$q
  else json+=,\${q}partial$q:true; fi
  if [[ $log ]] && ! is_path "$text"; then
    warn "the name of the result is too long for a directory with $log"
    log='' status=1
  fi
  if [[ $log ]]; then name_of "$log" .txt; fi
  send_result "$json" "$log" "$file_name"
}

# Whether there can be directories with the name $1.
is_path() {
  local rest=$1/
  ((\${#rest} < 2000)) || return
  while [[ $rest ]]; do
    [[ \${rest:0:256} == */* ]] || return
    rest=\${rest#*/}
  done
}

# Whether $1 is a log that is worth sending with result $2.
is_log() {
  local line
  [[ -f $1 && ! $1 -ef \${BEAKERLIB_DIR-}/OUTPUTFILE ]] || return
  case $2 in Setup | Test | Cleanup) return 1 ;; esac
  [[ $1 == */tmp.* ]] || return 0
  # the journal of a phase comes with every phase
  while IFS= read -r line || [[ $line ]]; do
    case $line in '' | ::*) ;; *) return 0 ;; esac
  done <"$1"
  return 1
}

# NAME RESULT [LOG] [SCORE], as Beakerlib has it.
report_part() {
  (($# >= 2)) || fail 2 'a name and a result are needed'
  if is_log "\${3-}" "$1"; then report "$1" "$2" "$3"; else report "$1" "$2" ''; fi
}

# The same with options, as other harnesses have it. A result of the whole test is not final.
report_any() {
  local words=() log='' name
  while (($# > 0)); do
    case $1 in
      -o | --outputfile | --outputFile)
        log=\${2-}
        shift
        ;;
      --outputfile=* | --outputFile=*) log=\${1#*=} ;;
      -s | -t | -p | --server | --message | --disable-plugin | --port) shift ;;
      -c | --current | --no-plugins | --server=* | --message=* | --disable-plugin=* | --port=*) ;;
      --)
        shift
        words+=("$@")
        break
        ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  set -- "\${words[@]}"
  (($# >= 2)) || fail 2 'a name and a result are needed'
  name=\${1%:}
  if [[ $name == / || $name == "\${TMT_TEST_NAME-}" ]]; then name=''; fi
  if [[ ! $log ]]; then
    if [[ \${3-} && -f $3 ]]; then log=$3; else log=\${OUTPUTFILE-}; fi
    is_log "$log" "$name" || log=''
  elif [[ ! -f $log ]]; then
    warn "there is no file $log"
    log='' status=1
  fi
  report "$name" "$2" "$log"
}

submit() {
  local file file_name
  while (($# > 0)); do
    case $1 in
      -l)
        file=\${2-}
        if [[ -f $file ]]; then
          name_of "$file" ''
          send_result "\${q}partial$q:true" "$file" "$file_name"
        fi
        shift
        ;;
      -[sST]) shift ;;
    esac
    shift
  done
}

reboot_system() {
  local command='' soft='' unit
  while (($# > 0)); do
    case $1 in
      -c)
        command=\${2-}
        shift
        ;;
      -t) shift ;;
      -s) soft=1 ;;
    esac
    shift
  done
  hold_channel
  if [[ ! $can_reboot ]]; then
    # who runs the test makes an error of it
    echo disconnect >&"$control"
    sleep_forever
  fi
  # nobody may log in to a system that is about to go down
  for unit in sshd.socket ssh.socket sshd.service ssh.service; do
    if systemctl -q is-active "$unit"; then systemctl stop "$unit"; fi
  done >/dev/null 2>&1
  trap '' PIPE HUP
  trap - INT TERM
  echo disconnect >&"$control" || fail 1 'the restart could not be announced'
  while echo noop >&"$control"; do sleep 0.1; done 2>/dev/null
  sync
  if [[ $command ]]; then bash -c "$command"
  elif [[ $soft ]]; then systemctl soft-reboot
  elif ! systemctl --no-block --job-mode=replace-irreversibly start reboot.target; then reboot; fi
  sleep_forever
}

sleep_forever() { while :; do sleep 3600; done; }

abort() {
  send_result "\${q}partial$q:true,\${q}status$q:\${q}error$q"
  # now: the next test has others
  find_sessions
  signal_sessions TERM
  end_sessions </dev/null >/dev/null 2>&1 &
  exit 143
}

# Waits for the test to end, and kills it if it does not.
end_sessions() {
  local round
  eval "exec $control>&-"
  for ((round = 0; round < 50; round++)); do
    signal_sessions 0
    [[ $found ]] || return
    sleep 0.1
  done
  signal_sessions KILL
}

# Sets sessions to the ids of those that this process and the test belong to.
find_sessions() {
  local file line
  read_stat $$
  sessions=" \${fields[3]} "
  for file in "$work"/test/sid.*; do
    while read -r line; do sessions+="$line "; done <"$file"
  done
} 2>/dev/null

# Sends signal $1 to all processes of the test but this one; sets found if there are any.
signal_sessions() {
  local stat
  found=''
  for stat in /proc/[0-9]*; do
    stat=\${stat#/proc/}
    read_stat "$stat"
    [[ \${fields[0]-Z} != [ZX] && $stat != "$BASHPID" && $sessions == *" \${fields[3]} "* ]] || continue
    kill -s "$1" "$stat" && found=1
  done
} 2>/dev/null

case $me in
  atex-report-result) report_part "$@" ;;
  *-report-result) report_any "$@" ;;
  *-file-submit | *-report-log | *-submit-log) submit "$@" ;;
  *-reboot) reboot_system "$@" ;;
  *-abort) abort ;;
  *) fail 2 'there is nothing to do under this name' ;;
esac
exit "$status"
`;
