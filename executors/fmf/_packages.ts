/**
 * Installing packages with whatever the system has for that.
 *
 * What is there already is found out first, because nothing is faster than not
 * to call a package manager.
 */

/**
 * A script for bash with functions that print what they do and return another
 * status than 0 if they fail:
 *
 * - `install_packages NAME… -- NAME…`: required ones, recommended ones.
 * - `install_terminal`: the `script` of util-linux.
 *
 * With `with_log` before them they print only if they fail.
 */
export const PACKAGES = `\
# shellcheck shell=bash
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

find_tool() {
  local tool
  for tool in dnf5 dnf microdnf yum zypper apt-get apk; do
    if type -P "$tool" >/dev/null; then echo "$tool"; return; fi
  done
}

# What knows what is there: not any that can be found, systems have tools of others.
find_query() {
  case $tool in
    apt-get) echo dpkg-query ;;
    apk) echo apk ;;
    ?*) echo rpm ;;
    *) type -P rpm || type -P dpkg-query ;;
  esac
}

# Whether all of these are there.
are_present() {
  local name states
  case $query in
    *rpm) rpm -q --whatprovides "$@" >/dev/null 2>&1 ;;
    *dpkg-query)
      # every one of them, and nothing else that a pattern finds
      states=$(dpkg-query -W -f '\${db:Status-Status} ' "$@" 2>/dev/null) || return 1
      [[ $states == "$(printf 'installed %.0s' "$@")" ]]
      ;;
    apk)
      for name; do apk info -e "$name" >/dev/null 2>&1 || return 1; done
      ;;
    *) return 1 ;;
  esac
}

# Sets missing to those of the arguments that are not there.
find_missing() {
  local name
  missing=()
  (($# > 0)) || return 0
  if are_present "$@"; then return 0; fi
  for name; do
    if [[ $name == /* && $query != *rpm ]]; then
      [[ -e $name ]] || missing+=("$name")
    else
      are_present "$name" || is_provided "$name" || missing+=("$name")
    fi
  done
}

# Whether a package that is there stands for this name: apt-get does not choose among several that could.
is_provided() {
  local line found=''
  [[ $query == *dpkg-query ]] || return
  while IFS= read -r line; do
    case $line in "installed, "*", $1,"* | "installed, "*", $1 ("*) found=1 ;; esac
  done < <(dpkg-query -W -f '\${db:Status-Status}, , \${Provides},\n' 2>/dev/null)
  [[ $found ]]
}

# Shows a command and runs it.
run_tool() {
  printf '+%s\\n' "$(printf ' %q' "$@")"
  "$@"
}

# Fails if apt-get or apk would do something else than to install a package of this name.
refuse_others() {
  local name reason
  for name; do
    reason=
    case $tool:$name in
      *:/*) reason="$tool does not install by path" ;;
      apt-get:*-) reason='with a "-" at its end it would be removed' ;;
      apt-get:~* | apt-get:*[!a-zA-Z0-9.+:=/~_-]*) reason='it is not the name of a package' ;;
    esac
    [[ ! $reason ]] || { echo "Cannot install $name: $reason"; return 1; }
  done
}

install_apt() {
  local command=(apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600)
  # a name that does not exist is no pattern for others that do
  command+=(-o APT::Cmd::Pattern-Only=true install "$@")
  if run_tool "\${command[@]}"; then return 0; fi
  [[ $updated ]] || { updated=1; run_tool apt-get -q -o DPkg::Lock::Timeout=600 update; } || true
  run_tool "\${command[@]}"
}

install_required() {
  local name check=()
  case $tool in
    dnf5 | dnf) run_tool "$tool" -q -y --setopt=install_weak_deps=False install "$@" ;;
    microdnf) run_tool microdnf -y --setopt=install_weak_deps=0 install "$@" ;;
    yum)
      run_tool yum -q -y install "$@" || return
      # it is content with one of several
      for name; do
        case $name in @* | *://* | *.rpm) ;; *) check+=("$name") ;; esac
      done
      find_missing "\${check[@]}"
      ((\${#missing[@]} == 0)) || { echo "Cannot install \${missing[*]}: $tool left them out"; return 1; }
      ;;
    zypper)
      run_tool zypper --non-interactive --quiet install --no-recommends --auto-agree-with-licenses "$@"
      ;;
    apt-get) refuse_others "$@" && install_apt "$@" ;;
    apk) refuse_others "$@" && run_tool apk add -q --no-cache "$@" ;;
    *)
      echo "Cannot install $*: the system has no package manager that is known here"
      return 1
      ;;
  esac
}

install_recommended() {
  local name
  case $tool in
    dnf5)
      run_tool dnf5 -q -y --setopt=install_weak_deps=False install --skip-broken --skip-unavailable "$@" || true
      ;;
    dnf) run_tool dnf -q -y --setopt=install_weak_deps=False install --skip-broken "$@" || true ;;
    # yum fails if no name is valid, so it gets one that is
    yum) run_tool yum -q -y install --skip-broken filesystem "$@" || true ;;
    '') ;;
    *) for name; do install_required "$name" || true; done ;;
  esac
}

install_packages() {
  local tool query missing updated='' required=()
  while [[ $1 != -- ]]; do
    required+=("$1")
    shift
  done
  shift
  tool=$(find_tool)
  query=$(find_query)
  find_missing "\${required[@]}"
  if ((\${#missing[@]} > 0)); then install_required "\${missing[@]}" || return 1; fi
  find_missing "$@"
  if ((\${#missing[@]} > 0)); then install_recommended "\${missing[@]}"; fi
}

# Runs a command with its output in a file: what it leaves running must not hold the channel, or write to it.
with_log() {
  "$@" >"$state/setup.$$.log" 2>&1 || {
    cat "$state/setup.$$.log"
    return 1
  }
}

install_terminal() {
  local package
  if script -q -e -f -c true /dev/null >/dev/null 2>&1; then return 0; fi
  case $(find_tool) in
    apt-get) package=bsdutils ;;
    apk) package=util-linux-misc ;;
    '') package='' ;;
    *) package=/usr/bin/script ;;
  esac
  if [[ $package ]]; then install_packages "$package" -- || true; fi
  if script -q -e -f -c true /dev/null >/dev/null 2>&1; then return 0; fi
  echo 'Cannot give the test a terminal: the system has no "script" program of util-linux'
  return 1
}
`;

/**
 * The call that installs packages, to be run after {@linkcode PACKAGES}.
 *
 * @throws {TypeError} if something is not the name of a package
 */
export function packageArguments(
  required: readonly string[],
  recommended: readonly string[],
): string[] {
  for (const name of [...required, ...recommended]) {
    // with "!" before it a package is removed, for some tools
    if (name === "" || /^[-!]|\0/.test(name)) {
      throw new TypeError(
        `Cannot install ${
          JSON.stringify(name)
        }: a name is not empty and begins with no "-" or "!"`,
      );
    }
  }
  return [...required, "--", ...recommended];
}
