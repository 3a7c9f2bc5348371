import { until } from "../_wait.ts";

/**
 * A program that behaves like podman as far as the provisioner needs it, with
 * containers that are files, and that can be told to fail. Commands "in" its
 * containers run here.
 */
const PODMAN = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
name_of() { for a; do case $a in --name=*) echo "\${a#--name=}";; esac; done; }
last_of() { for a; do :; done; echo "$a"; }
image_of() { echo "images/$(echo "$1" | tr / +)"; }
filter_of() { for a; do case $a in *name=^*) echo "\${a#*name=^}";; esac; done; }
case $1 in container|image) what=$2; shift;; *) what=$1;; esac
shift
if [ -e "$here/faults/$what" ]; then . "$here/faults/$what"; fi
case $what in
version) echo '{"Client":{"Version":"4.9.4","APIVersion":"4.9.4"}}';;
exists) case $1 in
  atex-*) test -e "$here/containers/$1";;
  *) test -e "$here/$(image_of "$1")";;
  esac;;
pull) shift; echo '{}' >"$here/$(image_of "$1")"; echo 0123456789abcdef;;
commit) labels=$(for change; do case $change in LABEL*)
    echo "\${change#LABEL }" | sed 's/=/":"/; s/.*/"&"/'; esac; done | paste -sd,)
  echo "{$labels}" >"$here/$(image_of "$(last_of "$@")")";;
run) : >"$here/containers/$(name_of "$@")"; echo 0123456789abcdef;;
inspect) case $1 in --format=json)
    echo "[{\\"Id\\":\\"$2\\",\\"Config\\":{\\"Labels\\":$(cat "$here/$(image_of "$2")")}}]"; exit;;
  esac
  printf '%s\\n' "$2" | sed -e "s,{{.Id}},$4," \\
  -e 's,{{.State.Status}},running,' -e "s,{{.OCIRuntime}},$here/runtime,";;
exec) shift 2; exec "$@";;
rm) # as podman 4.3: if one of several is not there, nothing happens
  for name; do case $name in atex-*)
    [ $# -lt 6 ] || [ -e "$here/containers/$name" ] || exit 0;;
  esac; done
  for name; do case $name in atex-*)
    [ -e "$here/containers/$name" ] || continue
    rm "$here/containers/$name"
    echo "{\\"Name\\":\\"$name\\",\\"Status\\":\\"died\\"}" >>"$here/events"
    echo "$name";;
  */*) rm -f "$here/$(image_of "$name")";;
  esac; done;;
ps) cd "$here/containers" || exit 125
  case " $* " in
  *json*) cat "$here/list";;
  *State*) for c in "$(filter_of "$@")"*; do [ -e "$c" ] && echo "$c running"; done;;
  *) for c in "$(filter_of "$@")"*; do [ -e "$c" ] && echo "$c"; done;;
  esac; exit 0;;
events) exec tail -n +1 -f "$here/events";;
*) echo "Error: unknown command $what" >&2; exit 125;;
esac
`;

const RUNTIME = `#!/bin/sh
shift 2
exec "$@"
`;

/** What the fake can be told to do wrong, or before it does right. */
export type Command =
  | "version"
  | "exists"
  | "pull"
  | "run"
  | "exec"
  | "commit"
  | "inspect"
  | "rm"
  | "ps"
  | "events";

/** Waits for the watchdog, which nobody else does. */
export async function childrenEnded(): Promise<void> {
  const tasks = `/proc/${Deno.pid}/task`;
  const children = () =>
    [...Deno.readDirSync(tasks)].map(({ name }) => {
      try {
        return Deno.readTextFileSync(`${tasks}/${name}/children`);
      } catch {
        return ""; // a thread that ended
      }
    }).join("").trim();
  await until(() => children() === "");
}

export class FakePodman implements AsyncDisposable {
  private constructor(readonly directory: string) {}

  static async make(): Promise<FakePodman> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    for (const name of ["faults", "containers", "images"]) {
      await Deno.mkdir(`${directory}/${name}`);
    }
    await Deno.writeTextFile(`${directory}/podman`, PODMAN, { mode: 0o755 });
    await Deno.writeTextFile(`${directory}/runtime`, RUNTIME, { mode: 0o755 });
    for (const file of ["calls", "events"]) {
      await Deno.writeTextFile(`${directory}/${file}`, "");
    }
    await Deno.writeTextFile(`${directory}/images/image`, "{}");
    await Deno.writeTextFile(`${directory}/list`, "[]");
    return new FakePodman(directory);
  }

  get program(): string {
    return `${this.directory}/podman`;
  }

  /** Shell commands to run at the beginning of a command; `$here` is the directory. */
  async fault(command: Command, script: string): Promise<void> {
    await Deno.writeTextFile(`${this.directory}/faults/${command}`, script);
  }

  async repair(command: Command): Promise<void> {
    await Deno.remove(`${this.directory}/faults/${command}`);
  }

  /** Names of the containers that there are. */
  get containers(): string[] {
    return [...Deno.readDirSync(`${this.directory}/containers`)]
      .map(({ name }) => name);
  }

  /** Names of the images that there are. */
  get images(): string[] {
    return [...Deno.readDirSync(`${this.directory}/images`)]
      .map(({ name }) => name.replaceAll("+", "/"));
  }

  /** Gives an image other labels. */
  async label(image: string, labels: Record<string, string>): Promise<void> {
    const name = image.replaceAll("/", "+");
    await Deno.writeTextFile(
      `${this.directory}/images/${name}`,
      JSON.stringify(labels),
    );
  }

  /** Argument lists of the calls so far, a line each. */
  get calls(): string[] {
    return Deno.readTextFileSync(`${this.directory}/calls`).trim().split("\n");
  }

  /** What `ps --format=json` shows. */
  async list(containers: unknown): Promise<void> {
    await Deno.writeTextFile(
      `${this.directory}/list`,
      JSON.stringify(containers),
    );
  }

  /** A container ends as if it had been killed. */
  async end(name: string, { silently = false } = {}): Promise<void> {
    await Deno.remove(`${this.directory}/containers/${name}`);
    if (silently) return;
    await Deno.writeTextFile(
      `${this.directory}/events`,
      JSON.stringify({ Name: name, Status: "died" }) + "\n",
      { append: true },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}
