/**
 * A program that behaves like `virsh` as far as the provisioner needs it, with
 * domains that are files, and that can be told to fail.
 */
const VIRSH = `#!/bin/sh
here=$(dirname "$0")
if [ "$1" = -q ]; then shift; fi
if [ "$1" = -c ]; then URI=$2; shift 2; fi
echo "$*" >>"$here/calls"
what=$1
shift
fail() { echo "error: $1" >&2; exit 1; }
make() { printf %s "$xml" >"$here/new-$name" && mv "$here/new-$name" "$here/domains/$name"; }
if [ "$what" = create ]; then
  xml=$(cat)
  name=\${xml#*<name>}
  name=\${name%%</name>*}
fi
if [ -e "$here/faults/$what" ]; then . "$here/faults/$what"; fi
case $what in
uri) echo "qemu:///session";;
domstate) if [ "$1" = origin ]; then echo "shut off"; else fail "failed to get domain '$1'"; fi;;
dumpxml) cat "$here/origin.xml";;
list) ls "$here/domains";;
metadata) grep -o '<atex:run [^>]*>' "$here/domains/$1" || fail "metadata not found";;
create) make;;
destroy) [ -e "$here/domains/$1" ] || fail "failed to get domain '$1'"
  rm "$here/domains/$1"
  echo "event 'lifecycle' for domain '$1': Stopped Destroyed" >>"$here/events";;
event) exec tail -n +1 -f "$here/events";;
*) fail "unknown command: '$what'";;
esac
`;

const ORIGIN =
  `<domain type="qemu"><name>origin</name><devices><disk type="file"><driver type="raw"/><source file="/disk"/></disk></devices></domain>`;

export class FakeLibvirt implements AsyncDisposable {
  private constructor(readonly directory: string) {}

  static async make(): Promise<FakeLibvirt> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    for (const name of ["faults", "domains"]) {
      await Deno.mkdir(`${directory}/${name}`);
    }
    await Deno.writeTextFile(`${directory}/virsh`, VIRSH, { mode: 0o755 });
    for (const file of ["calls", "events"]) {
      await Deno.writeTextFile(`${directory}/${file}`, "");
    }
    await Deno.writeTextFile(`${directory}/origin.xml`, ORIGIN);
    return new FakeLibvirt(directory);
  }

  get program(): string[] {
    return [`${this.directory}/virsh`];
  }

  /**
   * Shell commands to run at the beginning of a command; `$here` is the directory,
   * `$URI` the libvirt, `fail TEXT` complains, `make` makes the domain `$name`.
   */
  async fault(command: string, script: string): Promise<void> {
    await Deno.writeTextFile(`${this.directory}/faults/${command}`, script);
  }

  async repair(command: string): Promise<void> {
    await Deno.remove(`${this.directory}/faults/${command}`);
  }

  /** Names of the domains that there are. */
  get domains(): string[] {
    return [...Deno.readDirSync(`${this.directory}/domains`)]
      .map(({ name }) => name);
  }

  xmlOf(domain: string): string {
    return Deno.readTextFileSync(`${this.directory}/domains/${domain}`);
  }

  /** Argument lists of the calls so far, a line each. */
  get calls(): string[] {
    return Deno.readTextFileSync(`${this.directory}/calls`).trim().split("\n");
  }

  /** A domain ends as if its system had been switched off. */
  async end(name: string, { silently = false } = {}): Promise<void> {
    await Deno.remove(`${this.directory}/domains/${name}`);
    if (silently) return;
    await Deno.writeTextFile(
      `${this.directory}/events`,
      `event 'lifecycle' for domain '${name}': Stopped Shutdown\n`,
      { append: true },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}
