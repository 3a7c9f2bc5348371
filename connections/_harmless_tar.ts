import { shorten } from "../options.ts";

/**
 * A tar archive from a system under test, without what is dangerous where it is
 * unpacked: the setuid and setgid bits, and device files. `tar` has no option
 * for that, and what is made first and taken away later was there for a while.
 *
 * Nor does anything come out of it that is behind a symbolic link. `tar` sees to
 * that for the links of the archive itself, but not for those that were there.
 *
 * A hostile archive has headers where we see the content of a file. So whatever
 * the programs that unpack do not all read as we do is refused; what GNU tar,
 * that of busybox and bsdtar pack of files is not like that.
 */

const BLOCK = 512;
/** A long name or the like may have so many bytes. */
const LONGEST_RECORD = 1024 * 1024;
/** Of the entry after them: a long name, a long target of a link, fields of POSIX. */
const RECORDS = new Set(["L", "K", "x"]);
const FILES = new Set(["0", "\0", "7"]);
/** Links, directories and FIFOs. */
const WITHOUT_CONTENT = new Set(["1", "2", "5", "6"]);
const DEVICES = new Set(["3", "4"]);
const HARD_LINK = "1";
const LINKS = new Set([HARD_LINK, "2"]);
const DIRECTORY = "5";
/** The names of all links of an archive may have so many bytes. */
const MOST_OF_LINKS = 64 * 1024 * 1024;

/** What an archive is to be for the place where it is unpacked. */
export interface Expected {
  /**
   * Symbolic links that are there, as `./a/b`, with one character for each byte.
   *
   * @default {[]}
   */
  readonly links?: Iterable<string>;
  /**
   * Whether it may have nothing but directories.
   *
   * @default {false}
   */
  readonly onlyDirectories?: boolean;
}

/**
 * Gives the archive again, without setuid and setgid bits and devices.
 *
 * @throws {TypeError} if there is something in it that cannot be judged, or that leads elsewhere
 */
export async function* harmlessTar(
  archive: AsyncIterable<Uint8Array<ArrayBuffer>>,
  { links = [], onlyDirectories = false }: Expected = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  await using input = new Input(archive);
  const paths = new Paths(links);
  let pending = new Pending();
  for (;;) {
    const header = await input.take(BLOCK);
    if (!header) return;
    if (header.every((byte) => byte === 0)) { // the end, or that of a part
      yield header;
      continue;
    }
    if (numberIn(header, 148, 8) !== sumOf(header)) throw strange("a checksum");
    const type = typeOf(header);
    if (RECORDS.has(type)) {
      await readRecord(input, header, pending);
      continue;
    }
    if (onlyDirectories && type !== DIRECTORY) {
      throw strange(`an entry of type "${type}" among directories`);
    }
    const { isWanted, size } = judgeEntry(header, pending, paths);
    if (isWanted) {
      dropSpecialBits(header);
      yield* pending.blocks;
      yield header;
      yield* input.pass(padded(size));
    }
    pending = new Pending();
  }
}

/** What records before an entry say of it. */
class Pending {
  /** The records themselves. */
  readonly blocks: Uint8Array<ArrayBuffer>[] = [];
  /** Their types. */
  readonly types = new Set<string>();
  fields: Fields = {};
  /** A name too long for the header. */
  long: string | undefined;
  /** A target of a link too long for it. */
  longLink: string | undefined;
}

/** Reads a record, after its header. */
async function readRecord(
  input: Input,
  header: Uint8Array<ArrayBuffer>,
  pending: Pending,
): Promise<void> {
  const type = typeOf(header);
  const size = sizeIn(header);
  const { types } = pending;
  const others = type === "x" ? types.size > 0 : types.has("x");
  if (size > LONGEST_RECORD || types.has(type) || others) {
    throw strange("a record");
  }
  const body = await input.takeAll(padded(size));
  pending.blocks.push(header, body);
  types.add(type);
  const text = textIn(body, 0, size);
  if (type === "x") pending.fields = fieldsIn(text);
  else if (type === "L") pending.long = upToNul(text);
  else pending.longLink = upToNul(text);
}

/**
 * Looks whether an entry is harmless, and wanted: devices are left out.
 *
 * @throws {TypeError} if it is not harmless
 */
function judgeEntry(
  header: Uint8Array<ArrayBuffer>,
  { fields, long, longLink }: Pending,
  paths: Paths,
): { isWanted: boolean; size: number } {
  const type = typeOf(header);
  const own = sizeIn(header); // refused if it is no number, also where a field counts
  const { size = own, path, linkpath } = fields;
  const name = upToNul(textIn(header, 0, 100));
  const prefix = upToNul(textIn(header, 345, 155));
  // To tar, a file of such a name is a directory, and its content the next headers.
  const names = [path, long, name];
  if (size > 0 && names.some((name) => name === "" || name?.endsWith("/"))) {
    throw strange("a directory with content");
  }
  // Programs that unpack do not agree on which of them counts.
  for (const each of names) paths.check(each ?? "");
  const whole = path ?? long ?? (prefix ? `${prefix}/${name}` : name);
  paths.check(type === DIRECTORY ? `${whole}/` : whole);
  if (LINKS.has(type)) paths.addLink(whole);
  if (type === HARD_LINK) {
    const link = upToNul(textIn(header, 157, 100));
    for (const each of [linkpath, longLink, link]) paths.check(each ?? "");
  }
  const isWanted = FILES.has(type) || WITHOUT_CONTENT.has(type) && size === 0;
  if (!isWanted && (!DEVICES.has(type) || size !== 0)) {
    throw strange(`an entry of type "${type}"`);
  }
  return { isWanted, size };
}

function typeOf(header: Uint8Array<ArrayBuffer>): string {
  return String.fromCharCode(header[156]!);
}

/** The size that the header itself tells. */
function sizeIn(header: Uint8Array<ArrayBuffer>): number {
  return numberIn(header, 124, 12);
}

/** As many bytes as whole blocks take. */
function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** Knows what is a link where an archive is unpacked. */
class Paths {
  readonly #links = new Set<string>();
  #room = MOST_OF_LINKS;

  constructor(links: Iterable<string>) {
    for (const path of links) this.#links.add(partsOf(path).join("/"));
  }

  /** Takes a path, which has no link before its last slash. */
  check(path: string): void {
    const parts = partsOf(path);
    if (parts.includes("..")) throw elsewhere(path);
    if (this.#links.size === 0) return;
    if (!path.endsWith("/")) parts.pop();
    while (parts.length > 0) {
      if (this.#links.has(parts.join("/"))) throw elsewhere(path);
      parts.pop();
    }
  }

  /** From now on it is a link. */
  addLink(path: string): void {
    this.#room -= path.length;
    if (this.#room < 0) throw strange("a number of links");
    this.#links.add(partsOf(path).join("/"));
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function elsewhere(path: string): TypeError {
  return new TypeError(
    `Cannot unpack an archive: "${
      shorten(path, 200)
    }" in it leads elsewhere, by ".." or a link`,
  );
}

function strange(what: string): TypeError {
  return new TypeError(
    `Cannot unpack an archive: there is ${what} in it that is not understood`,
  );
}

/** A number in octal digits, or, if it is large, in binary. */
function numberIn(
  header: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): number {
  const field = header.subarray(start, start + length);
  const number = field[0] === 0x80
    ? field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0)
    : parseInt(
      /^ *([0-7]+)[ \0]*$/.exec(textIn(header, start, length))?.[1] ?? "",
      8,
    );
  if (!Number.isSafeInteger(number)) throw strange("a number");
  return number;
}

/** The sum of a header's bytes, in which its checksum counts as blanks. */
function sumOf(header: Uint8Array<ArrayBuffer>): number {
  return header.reduce(
    (sum, byte, index) => sum + (index >= 148 && index < 156 ? 32 : byte),
    0,
  );
}

function dropSpecialBits(header: Uint8Array<ArrayBuffer>): void {
  const octal = (value: number, start: number, digits: number) => {
    const text = `${value.toString(8).padStart(digits, "0")}\0`;
    header.set(new TextEncoder().encode(text), start);
  };
  octal(numberIn(header, 100, 8) & 0o1777, 100, 7);
  octal(sumOf(header), 148, 7);
}

function textIn(
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): string {
  return new TextDecoder("latin1").decode(
    bytes.subarray(start, start + length),
  );
}

function upToNul(text: string): string {
  return text.split("\0", 1)[0]!;
}

/** What fields of POSIX say of the entry after them. */
interface Fields {
  size?: number;
  path?: string;
  linkpath?: string;
}

/** Fields that have one meaning to all that unpack; others could bring access lists, or capabilities. */
const KNOWN = /^(path|linkpath|size|[amc]time|[ug]id|[ug]name|comment)$/;

/** Fields of POSIX: lines of a length, a name and a value, in just this form. */
function fieldsIn(text: string): Fields {
  const fields: Fields = {};
  for (let start = 0; start < text.length;) {
    const length = Number(
      /^[1-9]\d{0,6}(?= )/.exec(text.slice(start, start + 8)),
    );
    const line = text.slice(start, start + length);
    const [, name = "", value = ""] = /^\d+ (\w+)=([^\0]*)\n$/.exec(line) ?? [];
    if (line.length !== length || !KNOWN.test(name)) throw strange("a field");
    if (name === "path" || name === "linkpath") fields[name] = value;
    if (name === "size") {
      fields.size = /^\d+$/.test(value) ? Number(value) : NaN;
      if (!Number.isSafeInteger(fields.size)) throw strange("a field");
    }
    start += length;
  }
  return fields;
}

/** What comes in pieces, taken in blocks. */
class Input implements AsyncDisposable {
  readonly #pieces: AsyncIterator<Uint8Array<ArrayBuffer>>;
  #left: Uint8Array<ArrayBuffer> = new Uint8Array();

  constructor(pieces: AsyncIterable<Uint8Array<ArrayBuffer>>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** What is left is not wanted. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces.return?.();
  }

  /** So many bytes, as they come. */
  async *pass(count: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    while (count > 0) {
      if (this.#left.length === 0) {
        const { done, value } = await this.#pieces.next();
        if (done) return; // tar tells that the archive ends too early
        this.#left = value;
      }
      const piece = this.#left.subarray(0, count);
      this.#left = this.#left.subarray(piece.length);
      count -= piece.length;
      yield piece;
    }
  }

  /** So many bytes in one piece, fewer at the end of the archive. */
  async takeAll(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(count);
    let length = 0;
    for await (const piece of this.pass(count)) {
      bytes.set(piece, length);
      length += piece.length;
    }
    return bytes.subarray(0, length);
  }

  /** The next block, if there is one. */
  async take(count: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.takeAll(count);
    return bytes.length < count ? undefined : bytes;
  }
}
