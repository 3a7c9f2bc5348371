/**
 * A libvirt host in a directory: a `virsh` that knows what the virt helper and
 * its clients ask for, domains that are files, and a storage pool.
 */
import { LocalConnection } from "../../connections/local.ts";
import { VIRT_HELPER } from "../../provisioners/virt_helper.ts";

const VIRSH = `#!/bin/sh
[ "$1" != -q ] || shift
[ "$1" != -c ] || shift 2
echo "$*" >>"$FAKE/log"
[ ! -x "$FAKE/hooks/$1" ] || "$FAKE/hooks/$@" || exit
fail() { echo "error: $1"; exit 1; }
domain=\${2#--domain=}
[ "$2" != --inactive ] || domain=\${3#--domain=}
case $1 in
  list) ls "$FAKE/domains"; exit ;;
  pool-*|vol-*) [ "$2" = --pool=default ] || fail "failed to get pool '\${2#--pool=}'" ;;
  *) [ -n "$domain" ] && [ -e "$FAKE/domains/$domain" ] || fail "failed to get domain '$domain'"; cd "$FAKE/domains/$domain" ;;
esac
case $1 in
  domstate) cat state; echo ;;
  start) [ "$(cat state)" != running ] || fail "Domain is already active"; printf running >state ;;
  destroy)
    [ "$(cat state)" = running ] || fail "Requested operation is not valid: domain is not running"
    printf 'shut off' >state ;;
  dumpxml) if [ "$3" = --xpath ]; then cat range; else cat xml; fi ;;
  pool-dumpxml) echo "<pool type='dir'><target><path>$FAKE/pool</path></target></pool>" ;;
  pool-refresh) ;;
  vol-path)
    [ -e "$FAKE/pool/\${3#--vol=}" ] || fail "failed to get vol '\${3#--vol=}'"
    echo "$FAKE/pool/\${3#--vol=}" ;;
  *) fail "unknown command: '$1'" ;;
esac
`;

/** The interpreter itself: a wrapper in its place may take a second to start. */
const python = new TextDecoder().decode(
  new Deno.Command("python3", {
    args: ["-c", "import sys; print(sys.executable)"],
  }).outputSync().stdout,
).trim();

/** The helper as a command, with what comes behind. */
export function helperCommand(...args: string[]): string[] {
  return [python, "-c", VIRT_HELPER, ...args];
}

export class FakeVirtHost implements AsyncDisposable {
  /** One that was made, perhaps by another process. */
  constructor(readonly directory: string) {}

  static async make(): Promise<FakeVirtHost> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-virt-" });
    for (const name of ["bin", "domains", "hooks", "pool"]) {
      await Deno.mkdir(`${directory}/${name}`);
    }
    const virsh = `${directory}/bin/virsh`;
    await Deno.writeTextFile(virsh, VIRSH, { mode: 0o755 });
    return new FakeVirtHost(directory);
  }

  /** Defines a domain, switched off, whose ssh port is this one if given. */
  async define(name: string, port?: number): Promise<void> {
    const directory = `${this.directory}/domains/${name}`;
    await Deno.mkdir(directory);
    await Deno.writeTextFile(`${directory}/state`, "shut off");
    await Deno.writeTextFile(
      `${directory}/range`,
      port === undefined ? "" : `<range start="${port}" to="22"/>\n`,
    );
    await Deno.writeTextFile(
      `${directory}/xml`,
      `<domain><name>${name}</name><os><nvram>${directory}/nvram</nvram></os>
        <devices><disk type='volume' device='disk'>
          <source pool='default' volume='${name}.raw'/>
        </disk></devices></domain>`,
    );
  }

  /** Lets a shell script run before a command of virsh, which is not run if that fails. */
  async hook(command: string, script: string): Promise<void> {
    await Deno.writeTextFile(
      `${this.directory}/hooks/${command}`,
      `#!/bin/sh\n${script}\n`,
      { mode: 0o755 },
    );
  }

  async addProgram(name: string, script: string): Promise<void> {
    const path = `${this.directory}/bin/${name}`;
    await Deno.writeTextFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  stateOf(domain: string): Promise<string> {
    return Deno.readTextFile(`${this.directory}/domains/${domain}/state`);
  }

  /** What virsh was asked for. */
  async log(): Promise<string[]> {
    const text = await Deno.readTextFile(`${this.directory}/log`)
      .catch(() => "");
    return text.split("\n").slice(0, -1);
  }

  get env(): Record<string, string> {
    return {
      PATH: `${this.directory}/bin:${Deno.env.get("PATH")}`,
      FAKE: this.directory,
      TMPDIR: this.directory,
    };
  }

  get connection(): LocalConnection {
    return new LocalConnection({ env: this.env });
  }

  /** The helper that runs on it. */
  get helper(): string[] {
    return helperCommand("--locks", `${this.directory}/locks`);
  }

  /** The directory is the last that is left of what was made on the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}
