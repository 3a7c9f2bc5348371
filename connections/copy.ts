/**
 * Copying files and trees to a system and back.
 *
 * It is done by rsync where both sides have it, otherwise by tar, with the same
 * result. One of the two has to be there, and `sh`, `find`, `xargs`, `stat`.
 *
 * The copy has the content, permissions, modification times and hard links of the
 * original; symbolic links stay as they are, even dangling ones; names may be
 * anything. Owners, access lists and extended attributes are not copied, and by
 * {@linkcode download}, since systems under test are not trusted, neither are
 * setuid and setgid bits and device files. What
 * rsync does better: without it, where tar is that of busybox, times are whole
 * seconds; sockets are left out; and holes in files take as much room as zeros.
 *
 * Needs the permission to run programs.
 *
 * @example Bring a tree to a system, and a file back
 * ```ts
 * import { SshConnection } from "jsr:@atex/atex/connections/ssh";
 * import { download, upload } from "jsr:@atex/atex/connections/copy";
 *
 * await using machine = await SshConnection.open({ host: "root@10.0.0.7" });
 * await upload(machine, "./suite", "/var/tmp/suite", {
 *   exclude: [".git"],
 *   delete: true,
 * });
 * await download(machine, "/etc/passwd", "./passwd.txt");
 * ```
 *
 * @module
 */
import { resolve } from "@std/path/posix/resolve";
import { checkOptions, type Known, pathOf } from "../options.ts";
import type { Connection, LocalCommand, SignalOptions } from "./connection.ts";
import {
  afterMark,
  checkList,
  destination,
  type Findings,
  type Format,
  list,
  listLinks,
  makeWay,
  packFile,
  packTree,
  readFindings,
  source,
  unpackFile,
  unpackTree,
} from "./_copy_scripts.ts";
import type { Expected } from "./_harmless_tar.ts";
import { quoteAll } from "./_quote.ts";
import { runRsync } from "./_rsync.ts";
import { linkOf, shareLink } from "./_sessions.ts";
import { CommandError, type CommandResult, outputLocal } from "./process.ts";

/** Options of {@linkcode upload} and {@linkcode download}. */
export interface CopyOptions extends SignalOptions {
  /**
   * Names of directories that are left out, at any depth. Files of these names
   * are copied.
   *
   * @default {[]}
   */
  exclude?: readonly string[] | undefined;
  /**
   * Whether to remove from the destination what is not in the source, excluded
   * directories included.
   *
   * @default {false}
   */
  delete?: boolean | undefined;
}

const OPTIONS: Known<CopyOptions> = {
  exclude: "a list of strings, if given",
  delete: "true or false, if given",
  signal: "optional",
};

/**
 * Copies a directory or file from here to a system.
 *
 * If `from` is a directory, `to` becomes a directory like it: with what is in
 * it, its permissions and its time. If `from` is a file, `to` is the path of the
 * copy. A `from` that is a symbolic link is followed. The directories above
 * `to` are made if need be; what is in the way of the copy is replaced, but at
 * `to` itself neither a device, nor a directory if `from` is a file. A relative
 * `to` begins where a login does.
 *
 * A file that vanishes meanwhile is no error.
 *
 * @throws {Deno.errors.NotFound} if there is no `from`
 * @throws {Deno.errors.IsADirectory} if `from` is a file and `to` a directory
 * @throws {TypeError} if a path or a name to exclude cannot be used, or an option is
 * misspelt or of the wrong kind
 * @throws {Error} if it cannot be copied; the `cause` is the {@linkcode CommandError} of the tool
 */
export async function upload(
  connection: Connection,
  from: string | URL,
  to: string,
  options: CopyOptions = {},
): Promise<void> {
  const copy = new Copy("upload", connection, options);
  await copy.run({ here: true, path: pathOf(from) }, { here: false, path: to });
}

/**
 * Copies a directory or file from a system to here. See {@linkcode upload}, the
 * other way round.
 *
 * @throws {Deno.errors.NotFound} if there is no `from`
 * @throws {Deno.errors.IsADirectory} if `from` is a file and `to` a directory
 * @throws {TypeError} if a path or a name to exclude cannot be used, or an option is
 * misspelt or of the wrong kind
 * @throws {Error} if it cannot be copied; the `cause` is the {@linkcode CommandError} of the tool
 */
export async function download(
  connection: Connection,
  from: string,
  to: string | URL,
  options: CopyOptions = {},
): Promise<void> {
  const copy = new Copy("download", connection, options);
  await copy.run({ here: false, path: from }, { here: true, path: pathOf(to) });
}

/** One end of a copy. */
interface End {
  /** On this side, not on the other system. */
  readonly here: boolean;
  readonly path: string;
}

class Copy {
  readonly #what: "upload" | "download";
  readonly #connection: Connection;
  readonly #exclude: readonly string[];
  readonly #delete: boolean;
  readonly #options: SignalOptions;
  #title = "";

  constructor(
    what: "upload" | "download",
    connection: Connection,
    options: CopyOptions,
  ) {
    checkOptions(`${what}()`, options, OPTIONS);
    this.#what = what;
    this.#connection = connection;
    this.#exclude = options.exclude ?? [];
    this.#delete = options.delete ?? false;
    this.#options = options.signal ? { signal: options.signal } : {};
    for (const name of this.#exclude) {
      if (/^(|\.|\.\.)$|[/\0]/.test(name)) {
        throw new TypeError(
          `Cannot exclude "${name}": the name of a directory would be right`,
        );
      }
    }
  }

  async run(from: End, to: End): Promise<void> {
    this.#title = `Cannot ${this.#what} "${from.path}" to "${to.path}"`;
    from = this.#absolute(from);
    to = this.#absolute(to);
    const found = await this.#ask(from, source(from.path));
    const { kind } = found;
    if (kind === "nothing") {
      throw new Deno.errors.NotFound(
        `${this.#title}: "${from.path}" does not exist`,
      );
    }
    if (kind !== "directory" && kind !== "file") {
      throw new TypeError(
        `${this.#title}: "${from.path}" is neither a file nor a directory`,
      );
    }
    if (kind === "file" && to.path.endsWith("/")) {
      throw new TypeError(
        `${this.#title}: "${from.path}" is a file, "${to.path}" names a directory`,
      );
    }
    const format = {
      from: from.here ? found : { ...found, mode: harmlessMode(found.mode) },
      to: await this.#ask(to, destination(to.path, kind)),
    };
    if (format.to.kind === "directory") {
      throw new Deno.errors.IsADirectory(
        `${this.#title}: "${to.path}" is a directory`,
      );
    }
    if (format.to.kind === "special") {
      // rsync would replace /dev/null by a file.
      throw new TypeError(
        `${this.#title}: "${to.path}" is neither a file nor a directory`,
      );
    }
    const has = (tool: "rsync" | "tar") => format.from[tool] && format.to[tool];
    // Some versions of rsync take the path of the other side for a pattern, and
    // none gets along with a login shell that prints something.
    const delicate = /[*?[\\]/.test(from.here ? to.path : from.path) ||
      format.from.noise || format.to.noise;
    if (has("rsync") && !(delicate && has("tar"))) {
      return await this.#byRsync(kind, from, to);
    }
    if (!has("tar")) throw this.#noTools(from.here ? format.to : format.from);
    await this.#byTar(kind, from, to, format);
  }

  #absolute({ here, path }: End): End {
    if (path === "" || path.includes("\0")) {
      throw new TypeError(
        `${this.#title}: "${path}" is not a path`,
      );
    }
    const slash = path.endsWith("/") ? "/" : "";
    if (here) return { here, path: resolve(path).replace(/\/?$/, slash) };
    // Never an option, nor somebody's home directory.
    return { here, path: path.startsWith("/") ? path : `./${path}` };
  }

  #noTools(system: Findings): Error {
    const missing = system.tar || system.rsync
      ? "the two sides have neither rsync nor tar in common"
      : "the system has neither rsync nor tar";
    return new Error(`${this.#title}: ${missing}`);
  }

  /** What to run here so that `argv` runs at an end. */
  #at({ here }: Pick<End, "here">, argv: readonly string[]): LocalCommand {
    return here ? { argv } : this.#connection.local(argv);
  }

  async #ask(end: End, argv: readonly string[]): Promise<Findings> {
    return readFindings((await this.#output(end, argv)).stdout);
  }

  async #output(
    end: End,
    argv: readonly string[],
    stdin?: Uint8Array,
  ): Promise<CommandResult> {
    const result = await outputLocal(this.#at(end, argv), {
      ...this.#options,
      stdin,
    });
    if (!result.success) throw this.#failure(argv, result);
    return result;
  }

  async #byRsync(kind: "directory" | "file", from: End, to: End) {
    const name = ({ here, path }: End) => {
      const slash = kind === "directory" && !path.endsWith("/") ? "/" : "";
      return `${here ? "" : "remote:"}${path}${slash}`;
    };
    // -I: files of the same size and time can differ, tar would replace them.
    const args = kind === "file"
      ? ["-LptIS", "--force"]
      : ["-rlptHIS", "--force", ...this.#exclude.map(exclusion)];
    if (kind === "directory") args.push(from.here ? "-D" : "--specials");
    if (!from.here) args.push("--chmod=ug-s");
    if (kind === "directory" && this.#delete) {
      args.push("--delete", "--delete-excluded");
    }
    args.push("--", name(from), name(to));
    const end = await runRsync(this.#connection, args, this.#options);
    if (end.success || end.code === VANISHED) return;
    throw this.#failure(["rsync", ...args], {
      ...end,
      stdout: new Uint8Array(),
    });
  }

  async #byTar(
    kind: "directory" | "file",
    from: End,
    to: End,
    format: Format,
  ) {
    if (kind === "file") {
      return await this.#pipe(
        this.#at(from, packFile(from.path, format)),
        this.#at(to, unpackFile(to.path, from.path, format)),
      );
    }
    const full = format.to.kind === "full" && !this.#delete;
    if (full) {
      const { stdout } = await this.#output(
        from,
        list(from.path, this.#exclude),
      );
      const listed = afterMark(stdout).bytes;
      if (!from.here) this.#check(listed);
      await this.#output(to, makeWay(to.path), listed);
    }
    const into = (empty: boolean) =>
      this.#at(to, unpackTree(to.path, empty, format));
    const tree = packTree(from.path, this.#exclude, format);
    const links = full ? await this.#links(to) : [];
    await this.#pipe(this.#at(from, tree), into(this.#delete), { links });
    // Some links are made at the very end, which changes the times of directories
    // that are there already; to busybox all are.
    if (
      format.to.kindOfTar === "gnu" &&
      (this.#delete || format.to.kind === "empty")
    ) return;
    const again = packTree(from.path, this.#exclude, format, "directories");
    await this.#pipe(this.#at(from, again), into(false), {
      links: await this.#links(to),
      onlyDirectories: true,
    });
  }

  /** The symbolic links in what is here. */
  async #links(to: End): Promise<readonly string[]> {
    if (!to.here) return [];
    const { stdout } = await this.#output(to, listLinks(to.path));
    return new TextDecoder("latin1").decode(stdout).split("\0").slice(0, -1);
  }

  #check(listed: Uint8Array<ArrayBuffer>): void {
    try {
      checkList(listed);
    } catch (cause) {
      throw new Error(`${this.#title}: ${(cause as Error).message}`, { cause });
    }
  }

  #pipe(
    from: LocalCommand,
    to: LocalCommand,
    expected: Expected = {},
  ): Promise<void> {
    return this.#what === "upload"
      ? this.#pipeDirectly(from, to)
      : this.#pipeFiltered(from, to, expected);
  }

  /** Runs both commands, the output of one into the other, without what is dangerous in it. */
  async #pipeFiltered(
    from: LocalCommand,
    to: LocalCommand,
    expected: Expected,
  ): Promise<void> {
    // few need it: where there is rsync, it copies
    const { MOST_SAID, pipeArchive } = await import("./_copy_archive.ts");
    const { packed, unpacked, refused } = await pipeArchive(from, to, {
      ...this.#options,
      expected,
    });
    if (refused) {
      throw new Error(`${this.#title}: ${refused.message}`, { cause: refused });
    }
    if (!unpacked.success) {
      // of an archive that came to no end, the other side knows why
      const both = [packed.stderr, unpacked.stderr];
      const stderr = await new Blob(both).bytes();
      throw this.#failure(to.argv, { ...unpacked, stderr });
    }
    // Of more than that, the beginning is not known.
    const all = packed.stderr.length < MOST_SAID;
    if (!packed.success && !(all && onlyVanished(packed.stderr))) {
      throw this.#failure(from.argv, packed);
    }
  }

  /** Runs both commands, the output of one into the other, not through this program. */
  async #pipeDirectly(from: LocalCommand, to: LocalCommand): Promise<void> {
    const { env, clearEnv, cwd } = to;
    // After an abort the shells wait for who has something to clear up.
    const script = [
      "exec 3>&1 1>&2",
      "trap : TERM",
      `{ trap : TERM; ${quoteAll(from.argv)} 3>&-; echo "from $?" >&3; } |` +
      `{ trap : TERM; ${quoteAll(to.argv)} 3>&-; echo "to $?" >&3; }`,
    ].join("\n");
    const link = linkOf(to);
    const command: LocalCommand = {
      argv: ["/bin/sh", "-c", script],
      ...(env && { env }),
      ...(clearEnv && { clearEnv }),
      ...(cwd !== undefined && { cwd }),
    };
    const result = await outputLocal(
      link ? shareLink(command, link) : command,
      this.#options,
    );
    const said = new TextDecoder().decode(result.stdout);
    const code = (end: string) =>
      Number(new RegExp(`^${end} (\\d+)$`, "m").exec(said)?.[1] ?? 255);
    const fail = (command: LocalCommand, code: number) => {
      const status = { ...result, code, success: false, signal: null };
      throw this.#failure(command.argv, status);
    };
    if (code("to") !== 0) fail(to, code("to"));
    if (code("from") !== 0 && !onlyVanished(result.stderr)) {
      fail(from, code("from"));
    }
  }

  #failure(argv: readonly string[], result: CommandResult): Error {
    const { code, success, signal } = result;
    const output = new TextDecoder().decode(result.stderr.subarray(-64 * 1024));
    const cause = new CommandError(argv, { code, success, signal }, output);
    const lines = output.split("\n").map((line) => line.trim()).filter(Boolean);
    const telling = lines.filter((line) => !HARMLESS.test(line));
    const how = (telling.length > 0 ? telling : lines).slice(-3).join("; ") ||
      signal || `exit code ${code}`;
    return new Error(`${this.#title}: ${how}`, { cause });
  }
}

/** Permissions without the setuid and setgid bits. */
function harmlessMode(mode: string): string {
  return (parseInt(mode, 8) & 0o1777).toString(8);
}

/** Exit code of rsync when files vanished before they could be copied. */
const VANISHED = 24;

/** What is said of files that vanished, and of what follows from that. */
const HARMLESS =
  /^\S*?(bsdtar|tar|find): .*(No such file or directory|file changed as we read it|File removed before we read it|previous errors\.?)$|^file has vanished: /;

/** Whether tar and find complain of nothing else. */
function onlyVanished(stderr: Uint8Array): boolean {
  const lines = new TextDecoder().decode(stderr).trim().split("\n");
  return lines.every((line) => HARMLESS.test(line));
}

/** Excludes directories of a name. To rsync it is a pattern if it has certain characters. */
function exclusion(name: string): string {
  const pattern = /[*?[]/.test(name) ? name.replace(/[\\*?[]/g, "\\$&") : name;
  return `--filter=- ${pattern}/`; // --exclude would take "+ x" for a rule
}
