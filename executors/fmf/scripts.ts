/**
 * The scripts that run on the system. All of them are for bash, except for the
 * first, which looks whether there is one.
 */
import { packageArguments, PACKAGES } from "./_packages.ts";
import { HELPER_NAMES, HELPERS } from "./helpers.ts";
import { WRAPPER } from "./wrapper.ts";

/** Paths on the system, below the work directory. */
export class WorkDirectory {
  /** Creates the paths below an absolute path. */
  constructor(
    /** The work directory itself. */
    readonly path: string,
  ) {}

  /** The uploaded tree. */
  get tests(): string {
    return `${this.path}/tests`;
  }

  /** The file with variables that scripts and tests add to. */
  get planEnvironment(): string {
    return `${this.path}/plan_env`;
  }

  /** The directory of the test that runs; emptied before each. */
  get test(): string {
    return `${this.path}/test`;
  }

  /** The metadata of the test that runs. */
  get metadata(): string {
    return `${this.test}/metadata.yaml`;
  }

  /** The directory of the script of the plan that runs. */
  get plan(): string {
    return `${this.path}/plan`;
  }

  /** The commands for tests, in front of their `PATH`. */
  get bin(): string {
    return `${this.path}/bin`;
  }

  /** The same commands as functions, where no file can be executed. */
  get functions(): string {
    return `${this.path}/functions`;
  }

  /** The program that runs tests. */
  get wrapper(): string {
    return `${this.path}/wrapper`;
  }

  /** The functions that install packages. */
  get packages(): string {
    return `${this.path}/packages`;
  }
}

/**
 * A word for bash, in ASCII, so that its length is the same in every locale and
 * no old bash stumbles over control characters in what it reads.
 */
export function quote(text: string): string {
  if (/^[A-Za-z0-9@%+=:,./_-]+$/.test(text)) return text;
  if (/^[\n\x20-\x7e]*$/.test(text)) {
    return `'${text.replaceAll("'", `'\\''`)}'`;
  }
  let word = "";
  for (const byte of new TextEncoder().encode(text)) {
    if (byte === 10 || byte >= 0x20 && byte < 0x7f) {
      const character = String.fromCharCode(byte);
      word += /['\\]/.test(character) ? `\\${character}` : character;
    } else word += `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `$'${word}'`;
}

/**
 * The command that looks for what is needed and makes the work directory. Its
 * arguments are used by the script: name of the directory, whether a test can
 * restart the system (`""` if not), names of the commands for tests, lengths of
 * the three files that it reads from standard input, and who needs the directory.
 *
 * What it prints is for {@linkcode readStart}.
 */
export function startCommand(
  name: string,
  canReboot: boolean,
  owner = "",
): { argv: string[]; stdin: string } {
  const script = `\
name=$1
say() { printf '%s %s\\n' "$name" "$*"; }
missing=
lacks() { missing=1; say "missing $*"; }
if command -v bash >/dev/null; then
  bash -c '(( BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 402 ))' || lacks 'bash 4.2 or newer'
else
  lacks bash
fi
for tool in setsid env sleep rm mkdir chmod; do
  command -v "$tool" >/dev/null || lacks "$tool"
done
command -v rsync >/dev/null || command -v tar >/dev/null || lacks 'rsync or tar'
[ -r /proc/self/stat ] || lacks '/proc'
[ -c /dev/null ] && (: >/dev/null) || lacks '/dev/null'
[ -z "$missing" ] || exit 0
umask 077
for base in /var /var/tmp "\${TMPDIR:-/tmp}"; do
  mkdir "$base/$1" 2>/dev/null || continue
  work=$base/$1
  break
done
[ -n "$work" ] || { lacks "a directory to work in: cannot write to /var, /var/tmp and \${TMPDIR:-/tmp}"; exit 0; }
shift
bash -c '
  cd "$1" || exit
  IFS= read -r -N "$4" wrapper && IFS= read -r -N "$5" packages && IFS= read -r -N "$6" helpers || exit
  printf %s "$wrapper" >wrapper && printf %s "$packages" >packages && : >plan_env && : >control.lock || exit
  printf "%s\\n" "$7" >owner || exit
  printf "work=%q can_reboot=%q\\n%s" "$1" "$2" "$helpers" >helpers && mkdir bin tests || exit
  for name in $3; do printf "#!%s -p\\n. %q\\n" "$BASH" "$1/helpers" >"bin/$name" || exit; done
  chmod 0755 bin/*
  [[ -x bin/atex-abort ]] || for name in $3; do
    printf "%s() { \\"\\$BASH\\" -p %q \\"\\$@\\"; }; export -f %s\\n" "$name" "$1/bin/$name" "$name" || exit
  done >functions
' bash "$work" "$@" || { rm -rf "$work"; exit 1; }
read -r boot </proc/sys/kernel/random/boot_id
say "boot $boot"
say "work $work"
`;
  return {
    argv: [
      "sh",
      "-c",
      script,
      "atex",
      name,
      canReboot ? "1" : "",
      HELPER_NAMES.join(" "),
      String(WRAPPER.length),
      String(PACKAGES.length),
      String(HELPERS.length),
      owner,
    ],
    stdin: WRAPPER + PACKAGES + HELPERS,
  };
}

/** What the first command found out. */
export interface StartFindings {
  /** What the system lacks. */
  readonly missing: readonly string[];
  /** The work directory; absent if something is missing. */
  readonly work?: string;
  /** Tells one boot of a machine from all others; `""` if it is not known. */
  readonly boot: string;
}

/** Reads what the command of {@linkcode startCommand} printed; a login shell may have printed too. */
export function readStart(name: string, text: string): StartFindings {
  const said = (word: string) =>
    text.split("\n").filter((line) => line.startsWith(`${name} ${word} `))
      .map((line) => line.slice(name.length + word.length + 2));
  const [work] = said("work");
  return {
    missing: said("missing"),
    boot: said("boot")[0] ?? "",
    ...(work !== undefined && { work }),
  };
}

/** The command that removes the work directory, wherever it was made. */
export function removeCommand(name: string, work?: string): string[] {
  const remove = work !== undefined
    ? 'rm -rf -- "$2"'
    : 'rm -rf "/var/$1" "/var/tmp/$1" "${TMPDIR:-/tmp}/$1"';
  // again, if what a test left running has put something there meanwhile
  const script = `${remove} 2>/dev/null || ${remove} 2>/dev/null || ${remove}`;
  // by sh, as it was made: locally, that takes no further permission
  return ["sh", "-c", script, "atex", name, ...(work ? [work] : [])];
}

/** What became of the last start of a test. */
export interface ProbeFindings {
  /** Whether the system started again since. */
  readonly restarted: boolean;
  /** Whether the wrapper is still there. */
  readonly alive: boolean;
}

/** Reads what the command of {@linkcode probeCommand} printed; `undefined` if the test left no trace. */
export function readProbe(text: string): ProbeFindings | undefined {
  const match = /^atex-probe (new|same) (alive|dead)$/m.exec(text);
  return match
    ? { restarted: match[1] === "new", alive: match[2] === "alive" }
    : undefined;
}

/**
 * The command that looks what became of the last start of a test. What it prints
 * is for {@linkcode readProbe}. With `end` it ends the wrapper and what it runs;
 * what a wrapper left that was killed is ended in any case.
 */
export function probeCommand(work: WorkDirectory, end = false): string[] {
  const script = `\
inspect() {
  local text='' line
  while IFS= read -r line; do text+=$line; done <"/proc/$1/stat"
  set -- \${text##*) }
  state=$1 group=$3 session=$4 start=\${20-}
}
read -r pid then boot <"$1/wrapper.pid" || exit 0
inspect 1
read -r id </proc/sys/kernel/random/boot_id
if [[ $boot == "$id-$start" ]]; then again=same; else again=new; fi
is_alive() {
  start=
  inspect "$pid" 2>/dev/null
  [[ $start && $start == "$then" && $state != [ZX] ]]
}
kill_sessions() {
  local ids=' ' round other
  while read -r other; do
    [[ $other == [1-9]* && $other != 1 ]] || continue
    ids+="$other "
    kill -KILL -- "-$other"
  done <"$1"
  for ((round = 0; round < 20; round++)); do
    left=
    for other in /proc/[0-9]*; do
      inspect "\${other#/proc/}"
      case $ids in *" $group "* | *" $session "*) ;; *) continue ;; esac
      [[ $state != [ZX] ]] && kill -KILL "\${other#/proc/}" && left=1
    done
    [[ $left ]] || return
    sleep 0.1
  done
}
left=
if is_alive; then
  echo "atex-probe $again alive"
  if [[ $2 ]]; then
    kill -TERM "$pid"
    for ((round = 0; round < 150; round++)); do is_alive || exit 0; sleep 0.1; done
  fi
else
  # it may have been killed, and what it ran lives on
  [[ $again == new ]] || kill_sessions "$1/sid.$pid" 2>/dev/null
  if [[ $left ]]; then echo "atex-probe $again alive"; else echo "atex-probe $again dead"; fi
fi
`;
  return ["bash", "-c", script, "atex", work.test, end ? "end" : ""];
}

/** What the set-up of a test consists of. */
export interface TestSetup {
  /** The text of the test. */
  readonly test: string;
  /** Required packages. */
  readonly required: readonly string[];
  /** Packages that would be good to have. */
  readonly recommended: readonly string[];
  /** Whether it runs on a terminal. */
  readonly terminal: boolean;
  /** The metadata, as YAML. */
  readonly metadata: string;
  /** Entries `NAME=value`. */
  readonly environment: readonly string[];
  /** More commands for bash. */
  readonly more?: string | undefined;
}

/**
 * The script that sets up a test.
 *
 * @throws {TypeError} if something cannot be in a script
 */
export function testSetupScript(work: WorkDirectory, setup: TestSetup): string {
  const { required, recommended, terminal } = setup;
  const lines = ["umask 022"];
  if (required.length + recommended.length > 0 || terminal) {
    lines.push(`. ${quote(work.packages)}`);
  }
  if (required.length + recommended.length > 0) {
    lines.push(installCall(required, recommended));
  }
  if (terminal) lines.push("with_log install_terminal");
  lines.push(
    writeFile("metadata.yaml", setup.metadata, "the metadata"),
    ...(setup.more ? [setup.more] : []),
    ...writeRunnable(work, setup.test, setup.environment, "the test"),
  );
  return lines.join("\n");
}

/**
 * The script that sets up a script of the plan.
 *
 * @throws {TypeError} if something cannot be in a script
 */
export function planSetupScript(
  work: WorkDirectory,
  script: string,
  environment: readonly string[],
): string {
  return [
    "umask 022",
    ...writeRunnable(work, script, environment, "the script"),
  ]
    .join("\n");
}

/**
 * The script that installs packages.
 *
 * @throws {TypeError} if something is not the name of a package
 */
export function installScript(
  work: WorkDirectory,
  packages: readonly string[],
  recommended: readonly string[] = [],
): string {
  return [
    `. ${quote(work.packages)}`,
    installCall(packages, recommended),
    'cat "$state/setup.$$.log"',
  ].join("\n");
}

function installCall(
  required: readonly string[],
  recommended: readonly string[],
): string {
  const words = packageArguments(required, recommended).map(quote);
  return `with_log install_packages ${words.join(" ")}`;
}

/** From there on, in characters, variables may be more than a system gives to a program. */
const MANY = 100_000;

/** Fails where they are, which the test could not tell from a failure of its own. */
const CAN_BE_GIVEN = `\
(
  entries=()
  while IFS= read -r -d '' entry; do entries+=("$entry"); done <"$state/environment"
  env=$(type -P env)
  "$env" -i -- "\${entries[@]}" "$env" >/dev/null 2>&1
) || { echo 'its variables are more than the system gives to a program' >&2; exit 1; }`;

function writeRunnable(
  work: WorkDirectory,
  text: string,
  environment: readonly string[],
  what: string,
): string[] {
  const program = `\
#!/bin/bash
if [ -f "$TMT_PLAN_ENVIRONMENT_FILE" ]; then
  set -o allexport; . "$TMT_PLAN_ENVIRONMENT_FILE"; set +o allexport
fi
if [ -d ${quote(work.bin)} ]; then export PATH=${quote(work.bin)}:"$PATH"; fi
if [ -e ${quote(work.functions)} ]; then . ${quote(work.functions)}; fi
set -e -o pipefail
${text}
`;
  return [
    writeFile("test.sh", program, what),
    "umask 077",
    `printf ${
      environment.length === 0
        ? "''"
        : `'%s\\0' ${environment.map(quote).join(" ")}`
    } >"$state/environment"`,
    ...(environment.join("").length > MANY ? [CAN_BE_GIVEN] : []),
    // the last command: what runs the script becomes it
    'exec chmod 0755 "$state/test.sh"',
  ];
}

function writeFile(name: string, content: string, what: string): string {
  if (content.includes("\0")) {
    throw new TypeError(`Cannot write ${what} to the system: it holds NUL`);
  }
  return `printf %s ${quote(content)} >"$state/${name}"`;
}
