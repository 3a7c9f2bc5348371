import { CONMON_FUNCTIONS } from "./_conmon.ts";
import { spawnLeashed } from "./_leashed.ts";

/**
 * Removes all containers whose name has the prefix `$1` when its input ends, by
 * the command in the arguments from `$3` on, and then the file `$2`. It goes on
 * until it found nothing three times, for those that are still being made, but
 * not for ever. A line `home` ends it instead; any other keeps the file.
 *
 * With `--external` podman also lists containers that it makes or removes at the
 * moment, whatever the filter: those of others are left alone by their names.
 * At last it ends those that podman has lost.
 */
export const WATCHDOG_SCRIPT = `
${CONMON_FUNCTIONS}
trap '' INT HUP TERM
prefix=$1
file=$2
shift 2
read -r word
if [ "$word" = home ]; then exit 0; fi
quiet=0
rounds=0
while [ "$quiet" -lt 3 ] && [ "$rounds" -lt 300 ]; do
  cd "$PWD" || cd / # podman wants a directory that is there
  if names=$("$@" ps -a --external --filter "name=^$prefix" --format "{{.Names}}"); then
    ours=
    for name in $names; do
      case $name in "$prefix"*) ours="$ours $name" ;; esac
    done
    if [ -n "$ours" ]; then
      quiet=0
      # shellcheck disable=SC2086 # a list
      "$@" rm -f -v -t 0 $ours
    else
      quiet=$((quiet + 1))
    fi
    rounds=$((rounds + 1))
  else
    rounds=$((rounds + 10))
  fi
  sleep 1
done
end_conmons "$prefix*"
if [ -z "$word" ]; then rm -f -- "$file"; fi
`;

/** The same for domains of libvirt, where each look takes as long as what is still being made takes to begin. */
export const DOMAIN_WATCHDOG_SCRIPT = `
trap '' INT HUP TERM
prefix=$1
file=$2
shift 2
read -r word
if [ "$word" = home ]; then exit 0; fi
LC_ALL=C
export LC_ALL
quiet=0
rounds=0
while [ "$quiet" -lt 5 ] && [ "$rounds" -lt 300 ]; do
  if names=$("$@" list --all --name); then
    quiet=$((quiet + 1))
    for name in $names; do
      case $name in "$prefix"*) quiet=0; "$@" destroy "$name";; esac
    done
    rounds=$((rounds + 1))
  else
    rounds=$((rounds + 10))
  fi
  sleep 1
done
if [ -z "$word" ]; then rm -f -- "$file"; fi
`;

/** A process that removes what we made when we are gone. */
export class Watchdog implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #status: Promise<Deno.CommandStatus>;
  #closed?: Promise<void>;

  /** The run file goes with the last thing whose name has the prefix. */
  constructor(
    script: string,
    argv: readonly string[],
    prefix: string,
    runFile: string,
  ) {
    this.#child = spawnLeashed(script, [prefix, runFile, ...argv]);
    this.#status = this.#child.status;
  }

  /** Sends it home: nothing is left for it to do. */
  async dismiss(): Promise<void> {
    this.#closed ??= this.#say("home\n");
    this.#child.ref();
    await this.#closed;
    await this.#status;
  }

  /** Lets it look now; it ends by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#say("look\n");
    await this.#closed;
  }

  async #say(text: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(text));
      await writer.close();
    } catch {
      // Somebody ended it.
    }
  }
}
