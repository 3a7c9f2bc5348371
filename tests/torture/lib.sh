# What tests use to report, as real suites have it.
W=${TMT_TREE%/tests}
say() { printf '%s\n' "$*" >&8; }
report() {
  local LC_ALL=C
  say "result ${#1}"
  printf %s "$1" >&8
}
# Sends the JSON $1 and then the file $2 as it is.
upload() {
  report "$1"
  cat "$2" >&8
}
# A directory of the test's own, which is gone at its end.
scratch() {
  TMPDIR=$(mktemp -d)
  export TMPDIR
  trap 'cd /; rm -rf "$TMPDIR"' EXIT
  cd "$TMPDIR"
}
# Whether the system is there only for this test.
in_container() { [ "$TORTURE_SYSTEM" = container ]; }
# What a restart of the system looks like from within.
go_down() { in_container && kill -TERM 1; }
