import { quote } from "./_quote.ts";

/**
 * What the two ends of a copy run. The same scripts work here and on the other
 * system, with the tools of GNU and those of busybox.
 */

/** A command line: `sh`, a script, and its arguments. */
function script(text: string, ...args: string[]): readonly string[] {
  return ["sh", "-c", text, "sh", ...args];
}

/** The line before what counts: a login shell may have printed something first. */
const MARK = "atex-copy";
/** As it is printed. */
export const MARK_LINE = `\n${MARK}\n`;
const SAY_MARK = `printf '\\n%s\\n' ${MARK}`;
const SKIP_TO_MARK =
  `while IFS= read -r line && [ "$line" != ${MARK} ]; do :; done`;

/** What comes after the mark. */
export function afterMark(stdout: Uint8Array<ArrayBuffer>): {
  /** Whether there is one. */
  readonly marked: boolean;
  /** Whether there is something before it. */
  readonly noise: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
} {
  // One character for each byte: what follows need not be text.
  const start = new TextDecoder("latin1").decode(stdout).indexOf(MARK_LINE);
  const end = start < 0 ? stdout.length : start + MARK_LINE.length;
  return {
    marked: start >= 0,
    noise: start > 0,
    bytes: stdout.subarray(end),
  };
}

/** What an end said about itself. */
export interface Findings {
  /** What is at the path; for a destination whether anything is in it. */
  readonly kind: string;
  readonly rsync: boolean;
  readonly tar: boolean;
  /** Whose tar it is: that of GNU, of BSD and macOS, or another one. */
  readonly kindOfTar: "gnu" | "bsd" | "other";
  /** Permissions and time of a directory, in the words of chmod and touch. */
  readonly mode: string;
  readonly time: string;
  /** Whether a login shell printed something. */
  readonly noise: boolean;
}

const TELL = `
rsync=no; tar=no; kind_of_tar=other
command -v rsync >/dev/null 2>&1 && rsync=yes
command -v tar >/dev/null 2>&1 && tar=yes
case $(tar --version 2>/dev/null) in
  *GNU*) kind_of_tar=gnu;;
  *bsdtar*)
    kind_of_tar=bsd
    # that of macOS is often too old to pass on any name
    rsync -s --version >/dev/null 2>&1 || rsync=no;;
esac
${SAY_MARK}
echo "$kind" "$rsync" "$tar" "$kind_of_tar" $(stat -c '%a %Y' "$1/." 2>/dev/null || stat -f '%Lp %m' "$1/." 2>/dev/null)
`;

/** Reads what {@linkcode source} and {@linkcode destination} print. */
export function readFindings(stdout: Uint8Array<ArrayBuffer>): Findings {
  const { noise, bytes } = afterMark(stdout);
  const words = new TextDecoder().decode(bytes).trim().split(" ");
  const [kind, rsync, tar, kindOfTar, mode = "755", time = "0"] = words;
  return {
    kind,
    rsync: rsync === "yes",
    tar: tar === "yes",
    kindOfTar: kindOfTar as Findings["kindOfTar"],
    mode,
    time,
    noise,
  };
}

/** Finds out what is to be copied: a `directory`, a `file`, `other` or `nothing`. */
export function source(path: string): readonly string[] {
  return script(
    `
if [ -d "$1" ]; then kind=directory
elif [ -f "$1" ]; then kind=file
elif [ -e "$1" ]; then kind=other
else kind=nothing; fi
${TELL}`,
    path,
  );
}

/**
 * Makes the directories that are needed, that of a tree also in place of a file or a
 * link. A directory is then `empty` or `full`; the place of a file is `free` or a
 * `directory`; the place of both may be something `special` like a device.
 */
export function destination(
  path: string,
  kind: "directory" | "file",
): readonly string[] {
  return script(
    kind === "directory"
      ? `path=\${1%/}
kind=
if [ -d "$1" ]; then :
elif [ -L "$path" ] || [ -f "$path" ]; then rm -f -- "$path" || exit
elif [ -e "$path" ]; then kind=special; fi
if [ -z "$kind" ]; then
  mkdir -p "$1" && cd "$1" || exit
  if [ -z "$(ls -A .)" ]; then kind=empty; else kind=full; fi
fi
${TELL}`
      : `mkdir -p "$2" || exit
if [ -d "$1" ]; then kind=directory
elif [ -e "$1" ] && [ ! -f "$1" ]; then kind=special
else kind=free; fi
${TELL}`,
    path,
    path.slice(0, path.lastIndexOf("/") + 1),
  );
}

/** Leaves out directories of these names, as a part of the expression of find. */
function prune(exclude: readonly string[]): string {
  if (exclude.length === 0) return "";
  const names = exclude.map((name) =>
    `-name ${quote(name.replace(/[\\*?[\]]/g, "\\$&"))}`
  );
  return `-type d \\( ${names.join(" -o ")} \\) -prune -o`;
}

/** Lists a tree: directories first, with a slash behind; each ends with NUL. */
export function list(
  path: string,
  exclude: readonly string[],
): readonly string[] {
  return script(
    `
cd "$1" && ${SAY_MARK} &&
find . ${prune(exclude)} -type d -exec printf '%s/\\0' {} + &&
find . ${prune(exclude)} ! -type d -print0`,
    path,
  );
}

/**
 * Checks what a system under test says that {@linkcode list} printed: all has to
 * be below the tree, in directories that come before what is in them, or
 * {@linkcode makeWay} would remove something elsewhere.
 *
 * @throws {TypeError} if something is not
 */
export function checkList(listed: Uint8Array<ArrayBuffer>): void {
  const directories = new Set(["."]);
  // One character for each byte: what follows need not be text.
  const paths = new TextDecoder("latin1").decode(listed).split("\0");
  const rest = paths.pop();
  if (rest !== "") throw new TypeError(`"${rest}" does not come to its end`);
  for (const path of paths) {
    const [, parent, name, slash] = /^([^]*)\/([^/]+)(\/?)$/.exec(path) ?? [];
    const isTop = path === "./";
    if (
      !isTop && (!directories.has(parent!) || name === "." || name === "..")
    ) {
      throw new TypeError(
        `"${path}" is not in a directory that the system told of before`,
      );
    }
    if (slash) directories.add(`${parent}/${name}`);
  }
}

/** Removes what is in the way of a tree that {@linkcode list} has listed. */
export function makeWay(path: string): readonly string[] {
  const each = `
for path; do
  case $path in
    */)
      path=\${path%/}
      if [ -L "$path" ] || { [ -e "$path" ] && [ ! -d "$path" ]; }; then
        rm -f -- "$path" || exit 255
      fi;;
    *) rm -rf -- "$path" || exit 255;;
  esac
done`;
  return script('cd "$1" && xargs -0 sh -c "$2" sh', path, each);
}

/** Lists the symbolic links in a tree; each ends with NUL. */
export function listLinks(path: string): readonly string[] {
  return script('cd "$1" && find . -type l -print0', path);
}

/** How the two ends understand each other. */
export interface Format {
  /** What the source said about itself. */
  readonly from: Findings;
  /** What the destination said about itself. */
  readonly to: Findings;
}

function create({ from, to }: Format): string {
  switch (from.kindOfTar) {
    case "gnu": {
      // Only GNU's tar understands the format with fractions of seconds.
      const format = to.kindOfTar === "gnu"
        ? "--format=posix --pax-option=delete=atime,delete=ctime"
        : "--format=gnu";
      return `tar --no-recursion --numeric-owner --owner=0 --group=0 ${format}`;
    }
    case "bsd":
      // What only macOS knows of files would be further files elsewhere.
      return "COPYFILE_DISABLE=1 tar --no-recursion --numeric-owner --uid 0 --gid 0 --no-acls --no-xattrs --no-fflags --format gnutar";
    case "other":
      return "tar --no-recursion";
  }
}

/** Writes a tree to stdout, or only its directories. */
export function packTree(
  path: string,
  exclude: readonly string[],
  format: Format,
  only?: "directories",
): readonly string[] {
  const find = `find . ${prune(exclude)}`;
  // Directories come after what is in them, deepest first: their times are
  // then not touched any more. A failure of find makes tar fail.
  const names = `{
  ${only ? ":" : `${find} ! -type d -print0`} &&
  ${find} -type d -print0 | LC_ALL=C sort -zr || printf './.atex/find failed\\0'
}`;
  const pack = format.from.kindOfTar !== "other"
    ? `${create(format)} --null -T - -cf -`
    : `xargs -0 ${create(format)} -cf -`;
  return script(
    `export LC_ALL=C\ncd "$1" && ${SAY_MARK} || exit\n${names} | ${pack}`,
    path,
  );
}

/** Writes one file to stdout; a link is followed. */
export function packFile(path: string, format: Format): readonly string[] {
  const [directory, name] = split(path);
  return script(
    `cd "$1" && ${SAY_MARK} && ${create(format)} -h -cf - "./$2"`,
    directory,
    name,
  );
}

function extract({ from, to }: Format, where = "."): string {
  // What busybox packs can be several archives in a row.
  const several = from.kindOfTar === "other" && to.kindOfTar !== "other"
    ? "--ignore-zeros"
    : "";
  return `{ ${SKIP_TO_MARK}; tar -x -p -o ${several} -C ${where} -f -; }`;
}

/** Reads a tree from stdin; with `empty` what is there is removed before. */
export function unpackTree(
  path: string,
  empty: boolean,
  format: Format,
): readonly string[] {
  const steps = ['cd "$1"'];
  if (empty) steps.push("find . ! -name . -prune -exec rm -rf -- {} +");
  steps.push(extract(format));
  if (format.to.kindOfTar !== "gnu") { // it leaves this directory as it is
    steps.push(
      'chmod "$2" .',
      '{ touch -d "@$3" . 2>/dev/null || touch -t "$(date -r "$3" +%Y%m%d%H%M.%S)" .; }',
    );
  }
  return script(steps.join(" && "), path, format.from.mode, format.from.time);
}

/** Reads the file `name` from stdin. */
export function unpackFile(
  path: string,
  from: string,
  format: Format,
): readonly string[] {
  return script(
    `
directory=
trap 'rm -rf -- "$directory"' EXIT
trap 'exit 143' TERM INT HUP
directory=$(trap '' TERM INT HUP; mktemp -d "$1.XXXXXX") || exit
${extract(format, '"$directory"')} &&
  if [ -f "$directory/$2" ] && [ ! -L "$directory/$2" ]; then mv -f -- "$directory/$2" "$1"
  else echo "tar: no file was packed" >&2; false; fi`,
    path,
    split(from)[1],
  );
}

function split(path: string): [directory: string, name: string] {
  const slash = path.lastIndexOf("/");
  return [path.slice(0, slash + 1), path.slice(slash + 1)];
}
