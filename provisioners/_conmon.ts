/**
 * Functions of a shell for containers that podman no longer knows: where it is
 * killed while it makes one, `podman rm` removes what is recorded, but leaves a
 * conmon and the process that waits to become the container.
 */
export const CONMON_FUNCTIONS = `
# Tells of each conmon of this user: its process, its runtime, and the id and name of its container.
# What it says is carried out, and anybody can call a program so: one in a container, or a setuid one, is none.
# shellcheck disable=SC3013 # dash and busybox know -ef
conmons() {
  uid=$(id -u)
  for comm in /proc/[0-9]*/comm; do
    { read -r program <"$comm"; } 2>/dev/null || continue
    process=\${comm%/comm}
    if [ "$program" != conmon ]; then continue; fi
    [ "$process/ns/pid" -ef /proc/self/ns/pid ] || continue
    grep -qx "Uid:\\s$uid\\s$uid\\s$uid\\s$uid" "$process/status" || continue
    tr '\\0' '\\n' 2>/dev/null <"$process/cmdline" | {
      last='' runtime='' id='' name=''
      while read -r word; do
        case $last in
          -r) runtime=\${runtime:-$word} ;;
          -c) id=\${id:-$word} ;;
          -n) name=\${name:-$word} ;;
        esac
        last=$word
      done
      case "$runtime$id$name" in *[!A-Za-z0-9_./-]*) name='' ;; esac
      if [ -n "$name" ]; then printf '%s %s %s %s\\n' "\${process#/proc/}" "$runtime" "$id" "$name"; fi
    }
  done
}

# Ends the containers of all conmons whose names fit a pattern, and removes the network that podman made for them.
# shellcheck disable=SC3013 # dash and busybox know -ef
end_conmons() {
  conmons | while read -r process runtime id name; do
    # shellcheck disable=SC2254 # a pattern
    case $name in $1) ;; *) continue ;; esac
    child=''
    { read -r child _ <"/proc/$process/task/$process/children"; } 2>/dev/null || :
    network=''
    for file in /run/netns/netns-*; do
      if [ -n "$child" ] && [ "$file" -ef "/proc/$child/ns/net" ]; then network=$file; fi
    done
    if ! "$runtime" delete --force "$id"; then
      child=''
      { read -r child _ <"/proc/$process/task/$process/children"; } 2>/dev/null || :
      if [ -n "$child" ]; then kill -KILL "$child"; fi
    fi
    if [ -z "$network" ]; then continue; fi
    for user in /proc/[0-9]*/ns/net; do
      if [ "$user" != "/proc/$child/ns/net" ] && [ "$user" -ef "$network" ]; then continue 2; fi
    done
    umount "$network" && rm -f "$network"
  done
}
`;
