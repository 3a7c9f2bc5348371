/**
 * The virt helper: a program that runs on a libvirt host and hands out its
 * domains, each to one user at a time, as
 * {@link https://jsr.io/@atex/atex/doc/provisioners/shared-libvirt | shared hosts}
 * need it. Here are the program itself, which takes nothing but Python 3.6 or
 * later, and a client for what the provisioner does not do: making volumes,
 * uploading files, `virt-install`.
 *
 * A domain is reserved by a lock on a file in `/var/lib/atex-virt-helper/locks`
 * (root) or `~/.atex-virt-helper/locks` (everybody else) for as long as the
 * program runs that reserved it. The kernel frees it, however that program ends,
 * and it ends with the connection that it was started over.
 *
 * Needs the permissions of the connection to the host.
 *
 * @example Install it on a host, from a shell
 * ```sh
 * deno eval 'import { VIRT_HELPER } from "jsr:@atex/atex/provisioners/virt-helper"; console.log(VIRT_HELPER)' |
 *   ssh root@virt.example.org 'cat >/usr/local/bin/atex-virt-helper && chmod 755 /usr/local/bin/atex-virt-helper'
 * ```
 *
 * @example The same from a script
 * ```ts no-run
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { installVirtHelper } from "jsr:@atex/atex/provisioners/virt-helper";
 *
 * await using host = await SshConnection.open({ host: "root@virt.example.org" });
 * await installVirtHelper(host);
 * ```
 *
 * @example Put another image on a host
 * ```ts no-run
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { VirtHelper } from "jsr:@atex/atex/provisioners/virt-helper";
 *
 * await using host = await SshConnection.open({ host: "root@virt.example.org" });
 * await using helper = await VirtHelper.open(host, {
 *   onOutput: (text) => console.log(text),
 * });
 * await helper.createVolume({
 *   pool: "default",
 *   name: "fedora-42.new",
 *   size: 10 * 2 ** 30,
 *   format: "raw",
 * });
 * await helper.upload("ks.cfg", await Deno.readTextFile("./fedora.ks"));
 * await helper.virtInstall([
 *   ...["--name", "install-fedora-42", "--transient", "--memory", "4096"],
 *   ...["--disk", "vol=default/fedora-42.new", "--noreboot"],
 *   ...["--location", "https://mirror.example.org/fedora/42"],
 *   ...["--initrd-inject", "ks.cfg", "--extra-args", "inst.ks=file:/ks.cfg"],
 * ], { destroyOnError: true });
 * await helper.copyVolume({
 *   pool: "default",
 *   from: "fedora-42.new",
 *   to: "fedora-42",
 *   move: true,
 * });
 * ```
 *
 * @module
 */
import type { Connection, SignalOptions } from "../connections/connection.ts";
import { run } from "../connections/process.ts";
import { checkKind, checkOptions, type Known } from "../options.ts";
import { VIRT_HELPER as program } from "./_virt_helper_program.ts";

export {
  type CopyVolumeOptions,
  type CreateVolumeOptions,
  VirtHelper,
  VirtHelperError,
  type VirtHelperOptions,
  type VirtInstallOptions,
} from "./_virt_helper.ts";
export type { VirtHelperReply } from "./_virt_helper_replies.ts";

/**
 * The program, in Python:
 * `atex-virt-helper [--log debug|info|warning|error] [--locks DIRECTORY] [LIBVIRT_URI]`.
 *
 * It can be run without being installed, too:
 * `helper: ["python3", "-c", VIRT_HELPER]`.
 */
export const VIRT_HELPER: string = program;

/** Options of {@linkcode installVirtHelper}. */
export interface InstallVirtHelperOptions extends SignalOptions {
  /**
   * Where to; a path that does not begin with `/` is in the home directory. The
   * directory is made if it is not there.
   *
   * @default {"/usr/local/bin/atex-virt-helper"}
   */
  path?: string | undefined;
}

const OPTIONS: Known<InstallVirtHelperOptions> = {
  path: "a string, if given",
  signal: "optional",
};

/** Puts what it reads into place when all of it is there. */
const INSTALL = `
set -e
umask 022
mkdir -p "$(dirname "$1")"
trap 'rm -f "$1.$$"' EXIT
cat >"$1.$$"
if [ "$(wc -c <"$1.$$")" -ne "$2" ]; then echo "not all of it came" >&2; exit 1; fi
python3 -c 'compile(open(__import__("sys").argv[1]).read(), "atex-virt-helper", "exec")' "$1.$$"
chmod 755 "$1.$$"
mv -f "$1.$$" "$1"
`;

/**
 * Installs the program on a host, over an older one if there is one. Those that
 * run are not disturbed.
 *
 * @throws {CommandError} if it cannot be written, or there is no `python3`
 */
export async function installVirtHelper(
  connection: Connection,
  options: InstallVirtHelperOptions = {},
): Promise<void> {
  checkKind("installVirtHelper()", "connection", connection, "a connection");
  checkOptions("installVirtHelper()", options, OPTIONS);
  const { path = "/usr/local/bin/atex-virt-helper", signal } = options;
  const bytes = new TextEncoder().encode(VIRT_HELPER);
  await run(
    connection,
    ["sh", "-c", INSTALL, "sh", path, String(bytes.length)],
    { stdin: bytes, signal },
  );
}
