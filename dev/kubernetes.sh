#!/bin/bash
# Runs a command with a real cluster of Kubernetes: API server, scheduler, controllers, and one node with containerd.
#
#   dev/kubernetes.sh COMMAND...
#
# As root on Debian 12. The first time, it builds Kubernetes from Debian's source package, for there is no other: 10 minutes
# of CPU time, 3 GB of disk meanwhile, 350 MB to keep. From then on a cluster is ready after half a minute or less.
#
# The command gets these variables:
#   KUBECONFIG                   its contexts are `admin`, and `tester`, who may do nothing until there is a role for the user
#                                `tester`; the namespace of both is `atex`
#   ATEX_TEST_KUBERNETES_IMAGE   an image that the node has: the tiny one of dev/setup.sh
#   E2E=kubernetes               which asks for the tests that need all this
#
# The cluster has its own processes, mounts and network, and keeps all in memory: the kernel ends it when the command ends, or
# is ended. There is one at a time. $STATE/run has its logs until the next one starts; STATE is
# ${XDG_CACHE_HOME:-~/.cache}/atex-test/kubernetes.
set -euo pipefail
umask 022
export LC_ALL=C
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/atex-test
STATE=$CACHE/kubernetes
RUN=$STATE/run
PROGRAMS="kube-apiserver kube-scheduler kube-controller-manager kubelet"
PACKAGES="golang-go make rsync etcd-server containerd runc containernetworking-plugins iproute2 openssl"
COMMANDS="go make rsync etcd containerd runc ip openssl kubectl podman"
IMAGE=localhost/atex-test-tiny:1
# Of the range for benchmarks, which is in no network. The node itself cannot be reached from the machine.
MACHINE_IP=198.18.62.1 API_IP=198.18.62.2 NODE_IP=198.18.62.5
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'kubernetes: %s\n' "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }

# ---- programs ------------------------------------------------------------------------------------------------------
check_machine() {
  local command missing=()
  [ "$(id -u)" = 0 ] || die "only root can start a node"
  for command in $COMMANDS; do command -v "$command" >/dev/null || missing+=("$command"); done
  [ ${#missing[@]} = 0 ] || die "not installed: ${missing[*]} (apt-get install -y --no-install-recommends $PACKAGES; and kubectl)"
  [ -e "$CACHE/env" ] || die "dev/setup.sh has to be run before: it makes the image"
}

fetch_source() { # the version of Debian 12, whichever release this is
  local apt=(apt-get -qq -o Dir::Etc::SourceList="$STATE/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$STATE/apt/lists" -o APT::Sandbox::User=root)
  mkdir -p apt/lists/partial tree
  echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' >apt/sources.list
  "${apt[@]}" update
  "${apt[@]}" source --download-only kubernetes
  tar -xzf kubernetes_*.orig.tar.gz -C tree --strip-components=1
}

build() (
  set -e
  cd "$STATE"
  rm -rf apt tree go kubernetes_*
  fetch_source
  # Where Go looks for a package of that name; `make` has to be run there, not where the link leads.
  mkdir -p go/src/k8s.io
  ln -s "$STATE/tree" go/src/k8s.io/kubernetes
  cd go/src/k8s.io/kubernetes
  # shellcheck disable=SC2086 # a list
  GOPATH=$STATE/go GO111MODULE=off CGO_ENABLED=0 make WHAT="$(printf 'cmd/%s ' $PROGRAMS)"
  mkdir "$STATE/bin.new"
  for program in $PROGRAMS; do cp -L "_output/bin/$program" "$STATE/bin.new/"; done
  cd "$STATE"
  mv bin.new bin
  rm -rf apt tree go kubernetes_*
)

build_programs() {
  [ ! -e "$STATE/bin" ] || return 0
  say "building Kubernetes, once (log: $STATE/build.log)"
  rm -rf "$STATE/bin.new"
  # Not after `||`, where `set -e` would not hold.
  local status
  set +e; build >"$STATE/build.log" 2>&1 9>&-; status=$?; set -e
  [ "$status" = 0 ] || { tail -20 "$STATE/build.log" >&2; die "building Kubernetes (log: $STATE/build.log)"; }
}

# ---- files ---------------------------------------------------------------------------------------------------------
write_kubeconfig() { # what all parts and the command use
  local admin tester
  admin=$(openssl rand -hex 16) tester=$(openssl rand -hex 16)
  printf '%s\n' "$admin,admin,admin,system:masters" "$tester,tester,tester" >"$RUN/tokens"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=atex-test -addext "subjectAltName=IP:$API_IP" \
    -keyout "$RUN/key" -out "$RUN/certificate" 2>/dev/null
  cat >"$RUN/kubeconfig" <<END
apiVersion: v1
kind: Config
current-context: admin
clusters: [{ name: test, cluster: { server: "https://$API_IP:6443", certificate-authority: "$RUN/certificate" } }]
users: [{ name: admin, user: { token: "$admin" } }, { name: tester, user: { token: "$tester" } }]
contexts:
  - { name: admin, context: { cluster: test, user: admin, namespace: atex } }
  - { name: tester, context: { cluster: test, user: tester, namespace: atex } }
END
}

write_node_files() {
  cat >"$RUN/containerd.toml" <<END
version = 2
root = "/var/lib/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$IMAGE"
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$RUN/cni"
END
  mkdir "$RUN/cni"
  cat >"$RUN/cni/bridge.conf" <<END
{ "cniVersion": "0.3.1", "name": "pods", "type": "bridge", "bridge": "pods", "isGateway": true,
  "ipam": { "type": "host-local", "subnet": "10.64.0.0/16" } }
END
  cat >"$RUN/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }
authorization: { mode: AlwaysAllow }
# What needs rights that root in a container or a small virtual machine does not have.
cgroupsPerQOS: false
enforceNodeAllocatable: []
evictionHard: {}
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
nodeStatusUpdateFrequency: 1s
END
}

# ---- inside: the first process of the cluster ----------------------------------------------------------------------
# start NAME COMMAND...: in the background, without the lock.
start() { local name=$1; shift; "$@" >"$RUN/$name.log" 2>&1 9>&- & }

wait_for() { # wait_for SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >"$RUN/wait.log" 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "$what: $(tail -1 "$RUN/wait.log") (logs: $RUN)"
    sleep 0.2
  done
}

network() { # a cable between here and the machine, whose network is that of descriptor 8
  local machine=/proc/self/fd/8
  ip link set lo up
  ip addr add "$NODE_IP/32" dev lo
  ip link add atex-k8s type veth peer name machine
  ip link set atex-k8s netns "$machine"
  nsenter --net="$machine" ip addr add "$MACHINE_IP/30" dev atex-k8s
  nsenter --net="$machine" ip link set atex-k8s up
  ip addr add "$API_IP/30" dev machine
  ip link set machine up
  exec 8<&-
}

control_plane() {
  local bin=$STATE/bin
  start etcd etcd --data-dir=/var/lib/etcd
  start apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address="$API_IP" \
    --tls-cert-file="$RUN/certificate" --tls-private-key-file="$RUN/key" --token-auth-file="$RUN/tokens" \
    --authorization-mode=RBAC --kubelet-preferred-address-types=InternalIP --service-cluster-ip-range=10.65.0.0/24 \
    --service-account-issuer=https://atex-test --service-account-key-file="$RUN/key" --service-account-signing-key-file="$RUN/key"
  wait_for 120 "the API server is not ready" kubectl get --raw=/readyz
  start controllers "$bin/kube-controller-manager" --kubeconfig="$KUBECONFIG" --service-account-private-key-file="$RUN/key" \
    --leader-elect=false
  start scheduler "$bin/kube-scheduler" --kubeconfig="$KUBECONFIG" --leader-elect=false
  kubectl create namespace atex >/dev/null
}

node() {
  start containerd containerd --config="$RUN/containerd.toml"
  wait_for 60 "containerd is not ready" ctr version
  ctr --namespace=k8s.io images import "$RUN/image.tar" >"$RUN/image.log"
  ctr --namespace=k8s.io images tag localhost/atex-test-tiny:latest "$IMAGE" >>"$RUN/image.log"
  start kubelet env AWS_EC2_METADATA_DISABLED=true "$STATE/bin/kubelet" --config="$RUN/kubelet.yaml" --kubeconfig="$KUBECONFIG" \
    --container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
    --node-ip="$NODE_IP" --hostname-override=node
  wait_for 120 "the node is not ready" kubectl wait --for=condition=Ready --timeout=1s node/node
  wait_for 60 "no pods can be made" kubectl get serviceaccount default
}

# Those of the pods, which nothing else removes; one that has processes stays.
remove_cgroups() { find /sys/fs/cgroup/*/k8s.io -depth -type d -exec rmdir {} + 2>/dev/null || true; }

end_cluster() {
  exec 2>/dev/null     # bash tells of each that was killed
  kill -KILL -1
  wait
  remove_cgroups
  exit 0
}

cluster() {
  [ $$ = 1 ] || die "only main starts this, in namespaces of its own"
  trap end_cluster TERM
  local directory
  for directory in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 cluster "$directory"; done
  export KUBECONFIG=$RUN/kubeconfig
  network
  remove_cgroups
  control_plane
  node
  echo ready
  exec >/dev/null
  wait -n || true
  die "a part of the cluster has ended (logs: $RUN)"
}

# ---- outside -------------------------------------------------------------------------------------------------------
main() {
  [ $# -gt 0 ] || die "usage: dev/kubernetes.sh COMMAND..."
  local settings
  check_machine
  mkdir -p "$STATE"
  exec 9>"$STATE/lock"
  flock -n 9 || { say "waiting for the end of another cluster"; flock 9; }
  build_programs
  settings=$(sed -n 's/^CONTAINERS_CONF=//p' "$CACHE/env")
  [ -z "$settings" ] || export CONTAINERS_CONF=$settings
  rm -rf "$RUN"
  mkdir -m 700 "$RUN"
  write_kubeconfig
  write_node_files
  podman save --quiet --format=oci-archive --output="$RUN/image.tar" localhost/atex-test-tiny 9>&-
  # When this process ends, which by then is the command, the kernel kills `unshare`, and its child gets a signal. The child
  # keeps the lock to its own end.
  exec 7< <(exec setpriv --pdeathsig=KILL unshare --net --pid --mount --fork --kill-child=TERM --mount-proc \
    "$0" --cluster 8</proc/self/ns/net)
  read -r _ <&7 || exit 1
  exec 7<&- 9>&-
  export KUBECONFIG=$RUN/kubeconfig ATEX_TEST_KUBERNETES_IMAGE=$IMAGE E2E=kubernetes
  exec "$@"
}

if [ "${1:-}" = --cluster ]; then cluster; else main "$@"; fi
