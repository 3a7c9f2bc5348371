/**
 * A stand-in for the shell functions of Beakerlib that tests call and that call
 * us. The library itself is a package of Fedora and its relatives; this is what
 * tests on other systems can have of it: the same calls, with the same arguments.
 */
export const STAND_IN = `
# A stand-in for Beakerlib, for tests.
rlJournalStart() {
  __failures=0 __journal=$(mktemp -d)
  [[ -d $BEAKERLIB_DIR ]] || { echo 'there is no BEAKERLIB_DIR'; exit 99; }
  grep -q '^test: ' "$BEAKERLIB_DIR/metadata.yaml" || { echo 'there is no metadata'; exit 98; }
  OUTPUTFILE=$BEAKERLIB_DIR/OUTPUTFILE
  export OUTPUTFILE
  echo log >"$OUTPUTFILE"
}
rlPhaseStart() {
  __type=$1 __name=$2 __failed=
  __log=$(mktemp)
  { printf '%s\\n' '' ':::::::::::::::::::::' "::   $__name" ':::::::::::::::::::::'; } | tee "$__log"
}
rlPhaseStartSetup() { rlPhaseStart WARN "\${1:-Setup}"; }
rlPhaseStartTest() { rlPhaseStart FAIL "\${1:-Test}"; }
rlPhaseStartCleanup() { rlPhaseStart WARN "\${1:-Cleanup}"; }
rlPhaseEnd() {
  local result=PASS name=$__name
  [[ ! $__failed ]] || result=$__type
  rlReport "\${name//[^a-zA-Z0-9]/-}" "$result" "\${__failed:-0}" "$__log"
  rm -f "$__log"
}
rlReport() {
  local name
  # any run of other characters is one dash
  name=$(tr -cs a-zA-Z0-9 - <<<"$1")
  [[ $TESTID ]] || return 0
  "$BEAKERLIB_COMMAND_REPORT_RESULT" "\${name%-}" "$2" "\${4:-$OUTPUTFILE}" "\${3:-0}"
}
rlRun() {
  eval "$1"
  local code=$?
  if [[ $code == "\${2:-0}" ]]; then rlPass "$1"; else rlFail "$1"; fi
  return $code
}
rlPass() { printf ':: [   PASS   ] :: %s\\n' "$1" | tee -a "$__log"; }
rlFail() { __failed=1; printf ':: [   FAIL   ] :: %s\\n' "$1" | tee -a "$__log"; }
rlFileSubmit() {
  local alias=\${2:-$1}
  alias=\${alias//\\//-}
  [[ $TESTID ]] || return 0
  cp "$1" "$__journal/\${alias#-}"
  "$BEAKERLIB_COMMAND_SUBMIT_LOG" -l "$__journal/\${alias#-}"
}
rlJournalEnd() {
  [[ $BEAKERLIB_JOURNAL == 0 ]] || touch "$BEAKERLIB_DIR/journal.xml"
  "$BEAKERLIB_COMMAND_SUBMIT_LOG" -l "$BEAKERLIB_DIR/journal.xml"
  rm -rf "$__journal"
}
`;
