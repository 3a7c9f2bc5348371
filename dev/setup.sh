#!/bin/bash
# Makes ready what the tests with real parts need: podman, ssh, rsync, shellcheck, xmllint, strace, virsh, and container images
# that are built here, without any registry.
#
#   dev/setup.sh            says what it does; a second run has nothing to do
#   dev/setup.sh --check    changes nothing; tells what is missing
#
# As root on Debian, Ubuntu or Fedora it installs packages; elsewhere it prints the line that would.
# Ends with status 0: ready; 3: something is missing (what there is, is in `env` all the same); 1: a step failed.
#
# It writes $STATE/env, lines of NAME=VALUE for whatever runs the tests:
#   CONTAINERS_CONF            only where podman's own settings do not work: the settings to use
#   ATEX_TEST_KEY              private key that the images with sshd accept, for root (and for `tester` in the Debian one)
#   ATEX_TEST_HOST_KEY         public host key of the images with sshd
#   ATEX_TEST_PASSWORD         password of `tester` in the Debian image; this user may sudo without one
#   ATEX_TEST_IMAGE_TINY       bash and busybox only: no Python, no rsync, no GNU tools
#   ATEX_TEST_IMAGE_TINY_SSH   the same with sshd, which is its command
#   ATEX_TEST_IMAGE_DEBIAN     Debian with systemd (its command), sshd, sudo, rsync, apt; no Python
#   ATEX_TEST_IMAGE_VIRT_HOST  Debian with libvirt, QEMU, passt, sshd, Python, and a guest in /guest: see tests/_virt_host.ts
# Where STATE is ${XDG_CACHE_HOME:-~/.cache}/atex-test. A variable whose part could not be had is left out.
set -eEuo pipefail
umask 022
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
STATE=${XDG_CACHE_HOME:-$HOME/.cache}/atex-test
CHECK_ONLY=; [ "${1:-}" = --check ] && CHECK_ONLY=1
DEBIAN_PACKAGES="podman runc conmon catatonit netavark aardvark-dns iptables openssh-client openssh-server sshpass rsync
  busybox-static bash-static mmdebstrap shellcheck git iproute2 procps xz-utils libxml2-utils strace libvirt-clients qemu-utils
  e2fsprogs python3 libarchive-tools"
FEDORA_PACKAGES="podman runc openssh-clients openssh-server sshpass rsync busybox mmdebstrap ShellCheck git iproute procps-ng xz libxml2 strace
  libvirt-client qemu-img e2fsprogs python3 bsdtar"
BROWSERS="chromium chromium-browser google-chrome"
COMMANDS="podman ssh sshd sshpass rsync busybox shellcheck git ip xz xmllint strace virsh qemu-img python3 bsdtar"
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
[ "$(uname)" = Linux ] || { say "tests with containers and sshd need Linux"; exit 3; }
die() { say "FAILED: $*" >&2; exit 1; }

trap 'say "FAILED: line $LINENO: $BASH_COMMAND" >&2' ERR

mkdir -p "$STATE"
exec 9>"$STATE/lock"
flock -n 9 || { say "another setup is at work, waiting for it"; flock -w 1200 9 || die "the other setup did not end"; }
# Whatever starts daemons must not keep the lock: they run with `9>&-`.
podman() { command podman "$@" 9>&-; }

scratch=$(df -k --output=avail /dev/shm 2>/dev/null | tail -1)
if [ "${scratch:-0}" -gt 1000000 ] && [ -w /dev/shm ]; then scratch=/dev/shm; else scratch=$STATE; fi
scratch=$scratch/atex-test-setup.$(id -u)
# What a killed run left, too: it may have mounts, and what is behind those is not ours to remove.
clear_scratch() {
  local place
  while read -r _ place _; do
    case $place in "$scratch"/*) umount -l "$place" ;; esac
  done < <(tac /proc/self/mounts)
  rm -rf --one-file-system "$scratch"
}
clear_scratch; mkdir "$scratch"
trap clear_scratch EXIT
export TMPDIR=$scratch

# ---- packages ------------------------------------------------------------------------------------------------------
missing_commands() {
  local c; for c in $COMMANDS; do command -v "$c" >/dev/null || printf '%s ' "$c"; done
}

packages() {
  local p missing=()
  if command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086 # a list
    mapfile -t missing < <(comm -13 <({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' $DEBIAN_PACKAGES 2>/dev/null || true; } \
      | sed -n 's/^installed //p' | sort) <(printf '%s\n' $DEBIAN_PACKAGES | sort))
    line="apt-get install -y --no-install-recommends ${missing[*]}"
  elif command -v dnf >/dev/null; then
    for p in $FEDORA_PACKAGES; do rpm -q "$p" >/dev/null || missing+=("$p"); done
    line="dnf install -y --setopt=install_weak_deps=False ${missing[*]}"
  else
    line="install with your system's package manager: $(missing_commands)"
    [ -z "$(missing_commands)" ] || missing=("?")
  fi
  [ ${#missing[@]} = 0 ] && return 0
  if [ -n "$CHECK_ONLY" ] || [ "$(id -u)" != 0 ] || [ "${missing[0]}" = "?" ]; then
    say "to run every test, as root: $line"
    return 0
  fi
  say "$line"
  if command -v apt-get >/dev/null; then
    local apt=(apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
    dpkg --configure -a >"$STATE/packages.log" 2>&1 9>&- || true     # after an interrupted install
    "${apt[@]}" update >>"$STATE/packages.log" 2>&1 9>&- || true
    "${apt[@]}" install -y --no-install-recommends --no-upgrade "${missing[@]}" </dev/null >>"$STATE/packages.log" 2>&1 9>&-
  else
    dnf install -y --setopt=install_weak_deps=False "${missing[@]}" </dev/null >"$STATE/packages.log" 2>&1 9>&-
  fi || { tail -20 "$STATE/packages.log" >&2; die "installing packages (log: $STATE/packages.log)"; }
}

# The browser for HTML reports comes by itself: not every release has it, and all else works without.
have_browser() { local b; for b in $BROWSERS; do ! command -v "$b" >/dev/null || return 0; done; return 1; }
browser() {
  local line manager=1
  if have_browser; then return 0; fi
  if command -v apt-get >/dev/null; then
    line="apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends chromium fonts-dejavu-core"
  elif command -v dnf >/dev/null; then
    line="dnf install -y --setopt=install_weak_deps=False chromium dejavu-sans-fonts"
  else
    line="install with your system's package manager: chromium"; manager=
  fi
  if [ -n "$CHECK_ONLY" ] || [ "$(id -u)" != 0 ] || [ -z "$manager" ]; then
    say "to test HTML reports, as root: $line"
  else
    say "$line"
    ! command -v apt-get >/dev/null || apt-get -qq -o DPkg::Lock::Timeout=600 update >/dev/null 2>&1 9>&- || true
    # shellcheck disable=SC2086 # a command
    $line </dev/null >"$STATE/browser.log" 2>&1 9>&- || say "no browser could be installed (log: $STATE/browser.log)"
  fi
}

# ---- images --------------------------------------------------------------------------------------------------------
TINY=localhost/atex-test-tiny
TINY_SSH=localhost/atex-test-tiny-ssh
VIRT_HOST=localhost/atex-test-virt-host
DEBIAN=localhost/atex-test-debian
PASSWORD=atex-test-password

# Changes when the text of those functions or the keys change; an image carries it as a label.
recipe_of() { { declare -f "$@"; cat "$STATE/id.pub" "$STATE/hostkey.pub"; } | sha256sum | cut -c1-16; }
image_is() { [ "$(podman image inspect -f '{{index .Labels "recipe"}}' "$1" 2>/dev/null)" = "$2" ]; }

# import_root TAR TAG RECIPE [OPTION...]. Never from a pipe: when the producer dies, podman tags what had come by then.
import_root() {
  local tar=$1 tag=$2 recipe=$3 old; shift 3
  old=$(podman image inspect -f '{{.Id}}' "$tag" 2>/dev/null || true)
  podman import -q --change "LABEL recipe=$recipe" "$@" "$tar" "$tag" >/dev/null || die "podman import $tag"
  rm -f "$tar"
  [ -z "$old" ] || podman rmi "$old" >/dev/null 2>&1 || true
  say "built image $tag"
}

copy_program() { # copy_program ROOT PROGRAM [PLACE]: a program of this machine with its libraries
  local root=$1 program lib
  program=$(readlink -f "$(command -v "$2")")
  install -D -m 755 "$program" "$root/${3:-bin/$2}"
  { ldd "$program" 2>/dev/null || true; } | { grep -oE '/[^ ]+\.so[^ ]*' || true; } | while read -r lib; do
    [ -e "$root$lib" ] || install -D -m 755 "$(readlink -f "$lib")" "$root$lib"
  done
}

tiny_root() { # tiny_root ROOT: busybox and bash laid out as a system
  local root=$1 applet
  mkdir -p "$root"/{bin,sbin,usr,etc/ssh,root/.ssh,tmp,var/tmp,run/sshd,dev,proc,sys,home}
  ln -s ../bin "$root/usr/bin"; ln -s ../sbin "$root/usr/sbin"
  chmod 1777 "$root/tmp" "$root/var/tmp"; chmod 700 "$root/root" "$root/root/.ssh"
  copy_program "$root" busybox
  for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
  rm -f "$root/bin/sh" "$root/bin/bash"
  if [ -x /bin/bash-static ]; then cp /bin/bash-static "$root/bin/bash"; else copy_program "$root" bash; fi
  ln -s bash "$root/bin/sh"
  printf '%s\n' root:x:0:0:root:/root:/bin/bash sshd:x:100:65534::/run/sshd:/bin/false \
    nobody:x:65534:65534::/:/bin/false >"$root/etc/passwd"
  printf '%s\n' root:x:0: nogroup:x:65534: >"$root/etc/group"
  printf '%s\n' 'root:*:19000::::::' 'sshd:!:19000::::::' >"$root/etc/shadow"; chmod 600 "$root/etc/shadow"
}

tiny() { # the image, with sshd or without
  local tag=$1 recipe root=$scratch/root part
  recipe=$(recipe_of tiny tiny_root copy_program)
  image_is "$tag" "$recipe" && return 0
  tiny_root "$root"
  local change=(--change 'CMD ["/bin/sleep","infinity"]')
  if [ "$tag" = "$TINY_SSH" ]; then
    copy_program "$root" sshd
    copy_program "$root" flock        # for leases; Debian's busybox has none
    for part in /usr/lib/openssh/sshd-* /usr/libexec/openssh/sshd-*; do    # newer releases split the server
      [ ! -x "$part" ] || copy_program "$root" "$part" "$part"
    done
    printf '%s\n' 'UsePAM no' 'StrictModes no' 'PidFile none' 'MaxStartups 200:30:400' 'UseDNS no' \
      'Subsystem sftp internal-sftp' 'HostKey /etc/ssh/ssh_host_ed25519_key' >"$root/etc/ssh/sshd_config"
    install -m 600 "$STATE/hostkey" "$root/etc/ssh/ssh_host_ed25519_key"
    install -m 600 "$STATE/id.pub" "$root/root/.ssh/authorized_keys"
    change=(--change 'CMD ["/bin/sshd","-D","-e"]')
  fi
  tar -C "$root" --owner=0 --group=0 -cf "$scratch/root.tar" .; rm -rf "$root"
  import_root "$scratch/root.tar" "$tag" "$recipe" "${change[@]}"
}

debian() { # one real system: boots, or runs a plain command
  local recipe codename=stable options=() dir
  recipe=$(recipe_of debian)
  image_is "$DEBIAN" "$recipe" && return 0
  say "building a Debian image (half a minute)"
  # shellcheck disable=SC1091
  ! grep -qE '^ID=(debian|ubuntu)$' /etc/os-release || codename=$(. /etc/os-release; echo "$VERSION_CODENAME")
  cat >"$scratch/customize.sh" <<HOOK
set -e
root=\$1
install -d -m 700 "\$root/root/.ssh"
install -m 600 "$STATE/id.pub" "\$root/root/.ssh/authorized_keys"
rm -f "\$root"/etc/ssh/ssh_host_*
install -m 600 "$STATE/hostkey" "\$root/etc/ssh/ssh_host_ed25519_key"
printf 'MaxStartups 200:30:400\nUseDNS no\n' >"\$root/etc/ssh/sshd_config.d/test.conf"
chroot "\$root" useradd -m -s /bin/bash tester
echo 'tester:$PASSWORD' | chroot "\$root" chpasswd
echo 'tester ALL=(ALL) NOPASSWD: ALL' >"\$root/etc/sudoers.d/tester"; chmod 440 "\$root/etc/sudoers.d/tester"
cp -r "\$root/root/.ssh" "\$root/home/tester/.ssh"; chroot "\$root" chown -R tester: /home/tester/.ssh
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer; do
  ln -sf /dev/null "\$root/etc/systemd/system/\$unit"
done
: >"\$root/etc/machine-id"; mkdir -p "\$root/run/sshd"
HOOK
  for dir in man doc info locale lintian; do options+=(--dpkgopt="path-exclude=/usr/share/$dir/*"); done
  mmdebstrap --quiet --variant=apt --dpkgopt=force-unsafe-io "${options[@]}" --aptopt='Acquire::Languages "none"' \
    --include=openssh-server,rsync,sudo,procps,iproute2,systemd-sysv,dbus,libpam-systemd \
    --customize-hook="sh '$scratch/customize.sh' \"\$1\"" "$codename" "$scratch/debian.tar" >"$STATE/debian.log" 2>&1 9>&- \
    || { tail -20 "$STATE/debian.log" >&2; die "building the Debian image (log: $STATE/debian.log)"; }
  import_root "$scratch/debian.tar" "$DEBIAN" "$recipe" --change 'STOPSIGNAL SIGRTMIN+3' --change 'CMD ["/sbin/init"]'
}

# ---- a host of virtual machines ------------------------------------------------------------------------------------
# In a container: newer than this system where that is needed, and without a daemon here. Emulated, since KVM is rarely
# to be had in a container, and does not boot every kernel.
guest_root() { # guest_root ROOT: the system on the guest's disk is that of the image with sshd
  local container
  container=$(podman create "$TINY_SSH")
  mkdir -p "$1"
  podman export "$container" | tar -x -C "$1"
  podman rm "$container" >/dev/null
  rm -f "$1/.dockerenv" "$1/run/.containerenv" "$1/etc/hosts" "$1/etc/resolv.conf"
  printf '%s\n' '::sysinit:/etc/rc' '::respawn:/bin/sshd -D -e' '::shutdown:/bin/umount -a -r' >"$1/etc/inittab"
  cat >"$1/etc/rc" <<'RC'
#!/bin/sh
mount -o remount,rw /
mount -t sysfs none /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts none /dev/pts
for directory in /dev/shm /run /tmp; do mount -t tmpfs -o mode=1777 none $directory; done
mkdir -p -m 755 /run/sshd
hostname guest
RC
  chmod +x "$1/etc/rc"
}

guest_init() { # guest_init: what finds and mounts that disk
  cat <<'INIT'
#!/bin/sh
b=/bin/busybox
$b mount -t devtmpfs none /dev
$b mount -t proc none /proc
for module in $($b cat /modules/order); do $b insmod /modules/$module.ko; done
$b ip link set lo up
$b ip addr add 100.80.60.1/24 dev eth0
$b ip link set eth0 up
$b ip route add default dev eth0
i=0
while [ ! -b /dev/vda ] && [ $i -lt 200 ]; do $b usleep 50000; i=$((i+1)); done
$b mount -o ro -t ext4 /dev/vda /mnt || exec $b sh
$b mount --move /dev /mnt/dev
$b mount --move /proc /mnt/proc
exec $b switch_root /mnt /bin/init
INIT
}

virt_host_command() { # virt_host_command: sshd, and the libvirt of the user `virt`
  cat <<'RUN'
#!/bin/sh
mkdir -p /run/sshd
runuser -u virt -- env -i HOME=/home/virt PATH=/usr/sbin:/usr/bin libvirtd -d
exec /usr/sbin/sshd -D -e
RUN
}

virt_host_hook() { # virt_host_hook DIRECTORY: run with the root of the host as its argument
  cat <<HOOK
set -e
root=\$1
work=$1
chroot "\$root" useradd -m -s /bin/bash virt
install -d -m 700 "\$root/home/virt/.ssh"
install -m 600 "$STATE/id.pub" "\$root/home/virt/.ssh/authorized_keys"
chroot "\$root" chown -R virt: /home/virt
rm -f "\$root"/etc/ssh/ssh_host_*
install -m 600 "$STATE/hostkey" "\$root/etc/ssh/ssh_host_ed25519_key"
printf 'MaxStartups 200:30:400\nUseDNS no\nClientAliveInterval 5\n' >"\$root/etc/ssh/sshd_config.d/test.conf"
install -m 755 "\$work/virt-host" "\$root/usr/local/sbin/virt-host"
HOOK
  cat <<'HOOK'
mkdir "$root/guest" "$root/tmp/kernel"
chroot "$root" sh -ec '
  cd /tmp/kernel
  name=$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/.*Depends: \(linux-image-[^ ]*\).*/\1/p" | head -1)
  apt-get -qq -o APT::Sandbox::User=root download "$name"
  dpkg-deb -x "$name"_*.deb .'
mv "$root"/tmp/kernel/boot/vmlinuz* "$root/guest/vmlinuz"
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk failover net_failover virtio_net; do
  file=$(find "$root/tmp/kernel" -name "$module.ko*")
  [ -n "$file" ] || continue    # built in
  case $file in *.xz) xz -dc "$file";; *) cat "$file";; esac >"$work/initrd/modules/$module.ko"
  echo "$module" >>"$work/initrd/modules/order"
done
rm -r "$root/tmp/kernel"
(cd "$work/initrd" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$root/guest/initrd.gz"
cp "$work/guest.raw" "$root/guest/guest.raw"
chmod 644 "$root"/guest/*
HOOK
}

virt_host_tar() { # virt_host_tar TAR
  local work=$scratch/virt options=() dir
  mkdir -p "$work/initrd"/{bin,dev,proc,mnt,modules}
  guest_root "$work/root"
  truncate -s 48M "$work/guest.raw"
  mke2fs -q -F -t ext4 -O ^has_journal -d "$work/root" "$work/guest.raw"
  copy_program "$work/initrd" busybox
  ln -s busybox "$work/initrd/bin/sh"
  guest_init >"$work/initrd/init"; chmod +x "$work/initrd/init"
  virt_host_command >"$work/virt-host"
  virt_host_hook "$work" >"$work/customize.sh"
  for dir in man doc info locale lintian; do options+=(--dpkgopt="path-exclude=/usr/share/$dir/*"); done
  mmdebstrap --quiet --variant=apt --dpkgopt=force-unsafe-io "${options[@]}" --aptopt='Acquire::Languages "none"' \
    --include=openssh-server,libvirt-daemon,libvirt-daemon-driver-qemu,libvirt-daemon-driver-storage,libvirt-clients \
    --include=qemu-system-x86,qemu-utils,passt,iproute2,procps,netcat-openbsd,python3 --aptopt='APT::Install-Recommends "false"' \
    --customize-hook="sh '$work/customize.sh' \"\$1\"" trixie "$1" 9>&-
}

VIRT_HOST_BUILDER=
begin_virt_host() { # builds it beside what comes next
  VIRT_HOST_RECIPE=$(recipe_of tiny_root copy_program guest_root guest_init virt_host_command virt_host_hook virt_host_tar)
  if [ "$(uname -m)" != x86_64 ]; then say "no host of virtual machines: its guest is for x86-64"; return 0; fi
  if image_is "$VIRT_HOST" "$VIRT_HOST_RECIPE"; then return 0; fi
  say "building a host of virtual machines (half a minute, beside other things)"
  (trap - ERR; virt_host_tar "$scratch/virt-host.tar") >"$STATE/virt-host.log" 2>&1 &
  VIRT_HOST_BUILDER=$!
}

end_virt_host() {
  if [ -n "$VIRT_HOST_BUILDER" ]; then
    if ! wait "$VIRT_HOST_BUILDER"; then
      say "no host of virtual machines (log: $STATE/virt-host.log): $(tail -1 "$STATE/virt-host.log")"
      lacking+="virt-host "; return 0
    fi
    import_root "$scratch/virt-host.tar" "$VIRT_HOST" "$VIRT_HOST_RECIPE" --change 'CMD ["/usr/local/sbin/virt-host"]'
  fi
  if image_is "$VIRT_HOST" "$VIRT_HOST_RECIPE"; then add ATEX_TEST_IMAGE_VIRT_HOST "$VIRT_HOST"; fi
}

# ---- a podman that runs here ---------------------------------------------------------------------------------------
# Inside some virtual machines and containers podman's own settings ask for more than is allowed (higher limits than
# ours) or for a cgroup layout that crun does not know. Then: runc, and no limits above our own.
podman_settings() {
  local conf=$STATE/containers.conf recipe
  recipe=$(podman --version; uname -r; ulimit -Hn; ulimit -Hu; declare -f podman_settings)
  if [ "$(cat "$STATE/podman" 2>/dev/null)" != "$recipe" ]; then
    if (unset CONTAINERS_CONF; runs); then
      rm -f "$conf"
    else
      printf '[containers]\ndefault_ulimits = ["nofile=%s", "nproc=%s"]\n[engine]\nruntime = "runc"\nevents_logger = "file"\n' \
        "$(at_most_16384 -Hn)" "$(at_most_16384 -Hu)" >"$conf.new"
      if ! CONTAINERS_CONF=$conf.new runs; then
        say "podman runs no container here: $(CONTAINERS_CONF=$conf.new podman run --rm --pull=never "$TINY" true 2>&1 | tail -1)"
        return 1
      fi
      mv "$conf.new" "$conf"
      say "podman runs with the settings in $conf"
    fi
    printf '%s' "$recipe" >"$STATE/podman"
  fi
  if [ -e "$conf" ]; then export CONTAINERS_CONF=$conf; else unset CONTAINERS_CONF; fi
}
# The kernel names higher limits than it grants.
at_most_16384() { local n; n=$(ulimit "$1"); if [ "$n" = unlimited ] || [ "$n" -gt 16384 ]; then n=16384; fi; echo "$n:$n"; }
runs() { podman run --rm --pull=never "$TINY" true >/dev/null 2>&1; }

# ---- all together --------------------------------------------------------------------------------------------------
[ ! -e "$STATE/containers.conf" ] || export CONTAINERS_CONF=$STATE/containers.conf
packages
browser
lacking=$(missing_commands)
have_browser || lacking+="chromium "
: >"$scratch/env"
add() { printf '%s=%s\n' "$1" "$2" >>"$scratch/env"; }
if [ -z "$CHECK_ONLY" ] && command -v ssh-keygen >/dev/null; then
  for key in id hostkey; do
    [ -e "$STATE/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "atex-test-$key" -f "$STATE/$key"
  done
  add ATEX_TEST_KEY "$STATE/id"; add ATEX_TEST_HOST_KEY "$STATE/hostkey.pub"
fi
images() {
  tiny "$TINY"
  podman_settings || { lacking+="podman "; return 0; }
  [ -z "${CONTAINERS_CONF:-}" ] || add CONTAINERS_CONF "$CONTAINERS_CONF"
  add ATEX_TEST_IMAGE_TINY "$TINY"
  if command -v sshd >/dev/null; then tiny "$TINY_SSH"; add ATEX_TEST_IMAGE_TINY_SSH "$TINY_SSH"; fi
  if ! command -v mmdebstrap >/dev/null; then say "no Debian image: it takes mmdebstrap"; lacking+="mmdebstrap "; return 0; fi
  [ -z "$(podman image ls -q "$TINY_SSH")" ] || begin_virt_host
  debian
  add ATEX_TEST_IMAGE_DEBIAN "$DEBIAN"; add ATEX_TEST_PASSWORD "$PASSWORD"
  end_virt_host
}
if [ -z "$CHECK_ONLY" ] && command -v podman >/dev/null && command -v busybox >/dev/null && command -v ssh-keygen >/dev/null; then
  if podman image ls >"$STATE/podman.log" 2>&1; then images; else
    say "podman does not work here: $(tail -1 "$STATE/podman.log")"; lacking+="podman "
  fi
fi
[ -n "$CHECK_ONLY" ] || mv "$scratch/env" "$STATE/env"
if [ -n "$lacking" ]; then say "missing: $lacking"; exit 3; fi
say "ready ($STATE/env)"
