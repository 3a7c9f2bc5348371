# Sourced by tests: results and files go to the runner over a descriptor whose
# number is in ATEX_TEST_CONTROL.

# report JSON [FILE...]: a result, followed by the files that it announces.
report() {
  local LC_ALL=C json=$1
  shift
  {
    printf 'result %d\n%s' "${#json}" "$json"
    [ $# -eq 0 ] || cat -- "$@"
  } >&"$ATEX_TEST_CONTROL"
}

# entry FILE: how a result announces a file.
entry() {
  printf '{"name": "%s", "length": %d}' "${1##*/}" "$(wc -c <"$1")"
}
