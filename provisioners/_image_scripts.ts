/**
 * Installs the packages in its arguments with the first tool that there is.
 * `@systemd` stands for what a system with systemd needs.
 */
export const INSTALL_SCRIPT = `
set -e
has() { command -v "$1" >/dev/null 2>&1; }
# Each as it is: in a list of words, the shell would put files in place of "lib*".
for package; do
  shift
  case $package in
    @systemd)
      if has apt-get; then set -- "$@" systemd systemd-sysv dbus
      elif has dnf || has yum; then set -- "$@" systemd dbus-broker
      else set -- "$@" systemd
      fi
      continue ;;
    python) if has apt-get || has zypper; then package=python3; fi ;;
  esac
  set -- "$@" "$package"
done
if has dnf; then
  skip=
  case $(dnf --version 2>/dev/null) in *dnf5*) skip=--skip-unavailable ;; esac
  dnf -y -q --setopt=install_weak_deps=False install --skip-broken $skip "$@"
  dnf -q clean packages
elif has yum; then
  yum -y -q install --skip-broken "$@"
  yum -q clean packages
elif has apt-get; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install --no-install-recommends "$@"
  rm -rf /var/lib/apt/lists/*
elif has zypper; then
  zypper -nq install --no-recommends "$@"
  zypper -nq clean
elif has apk; then
  apk add --no-cache "$@"
else
  echo 'the origin has no known package manager: dnf, yum, apt-get, zypper or apk would be right' >&2
  exit 1
fi
`;

/** Writes what it reads into the file `$1`. */
export const WRITE_SCRIPT = `
set -e
case $1 in */*/*) mkdir -p "\${1%/*}" ;; esac
cat >"$1"
`;
