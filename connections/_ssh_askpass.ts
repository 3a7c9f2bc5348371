import { runLocal } from "./process.ts";
import { quote } from "./_quote.ts";

/**
 * Gives the password to nobody but who asks for that of the system: what else ssh may
 * ask, the server included, is answered by failing.
 */
const ASKPASS = `#!/bin/sh
asked=$1
case $asked in
"("*"@"*") "*) asked=\${asked#*") "} ;;
esac
case $asked in
*"'s password: ") ;;
*[Nn]ew" "* | *[Oo]ld" "* | *[Cc]urrent* | *[Rr]etype* | *[Oo]ne?[Tt]ime*) no=1 ;;
[Pp]assword | [Pp]assword: | [Pp]assword:" " | [Pp]assword" for "*) ;;
*" "[Pp]assword: | *" "[Pp]assword:" ") ;;
*) no=1 ;;
esac
if [ "$no" ]; then
  # Keys that cannot be used without one are passed over.
  case $asked in
  *passphrase*) ;;
  *) printf 'ssh asks for something else than the password: %s\\n' "$1" >&2 ;;
  esac
  exit 1
fi
printf '%s\\n' "$ATEX_SSH_PASSWORD"
`;

/** The variables with which ssh gets the password. */
const ASKING = [
  "ATEX_SSH_PASSWORD",
  "SSH_ASKPASS",
  "SSH_ASKPASS_REQUIRE",
  "DISPLAY",
];

/**
 * The shell for what ssh runs itself, such as the ssh of a `ProxyJump`: that
 * must not get the password, but what it would find without us.
 */
function innerShell(env: Readonly<Record<string, string>>): string {
  const before = ASKING.filter((name) => env[name] !== undefined)
    .map((name) => `export ${name}=${quote(env[name])}\n`);
  return `#!/bin/sh\nunset ${ASKING.join(" ")}\n${before.join("")}` +
    `export SHELL=/bin/sh\nexec /bin/sh "$@"\n`;
}

/**
 * Makes the programs with which ssh, and nobody whom it starts, learns the password;
 * returns the variables it takes.
 *
 * @param env the environment that ssh has without them
 */
export async function askpass(
  directory: string,
  password: string,
  env: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const program = `${directory}/askpass`;
  const shell = `${directory}/shell`;
  // A shell writes them: while this program has one open for writing, what else is
  // started here inherits that for a moment, and nobody can run it.
  const write = 'cat >"$1" && chmod 700 "$1"';
  for (const [file, stdin] of [[program, ASKPASS], [shell, innerShell(env)]]) {
    await runLocal({ argv: ["/bin/sh", "-c", write, "sh", file] }, { stdin });
  }
  return {
    ATEX_SSH_PASSWORD: password,
    SHELL: shell,
    SSH_ASKPASS: program,
    SSH_ASKPASS_REQUIRE: "force",
    DISPLAY: env.DISPLAY ?? ":0", // before OpenSSH 8.4
  };
}
