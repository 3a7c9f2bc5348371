/** harmlessTar() gives archives again, without what is dangerous, however they come. */
import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { type Expected, harmlessTar } from "../../connections/_harmless_tar.ts";

async function pack(
  directory: string,
  ...args: string[]
): Promise<Uint8Array<ArrayBuffer>> {
  const { stdout, success } = await new Deno.Command("tar", {
    args: ["-C", directory, "-c", "-f", "-", ...args, "."],
  }).output();
  deepStrictEqual(success, true);
  return stdout;
}

async function* pieces(bytes: Uint8Array<ArrayBuffer>, size: number) {
  for (let start = 0; start < bytes.length; start += size) {
    yield bytes.slice(start, start + size);
  }
}

async function filter(
  bytes: Uint8Array<ArrayBuffer>,
  size = bytes.length,
  expected?: Expected,
) {
  const filtered = harmlessTar(pieces(bytes, size), expected);
  return await new Blob(await Array.fromAsync(filtered)).bytes();
}

Deno.test("harmlessTar() changes nothing else, and does not mind how the archive is cut", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const long = "long".repeat(40);
    Deno.writeTextFileSync(`${directory}/${long}`, "x".repeat(1500));
    Deno.writeTextFileSync(`${directory}/žluťoučký`, "");
    Deno.linkSync(`${directory}/${long}`, `${directory}/hard`);
    Deno.symlinkSync(long, `${directory}/link`);
    for (const format of ["gnu", "posix"]) {
      Deno.chmodSync(`${directory}/${long}`, 0o755);
      const good = await pack(directory, `--format=${format}`, "--sort=name");
      Deno.chmodSync(`${directory}/${long}`, 0o6755);
      const bad = await pack(directory, `--format=${format}`, "--sort=name");
      const list = (archive: Uint8Array<ArrayBuffer>) => {
        Deno.writeFileSync(`${directory}.tar`, archive);
        const { stdout, stderr } = new Deno.Command("tar", {
          args: ["--full-time", "-tvf", `${directory}.tar`],
        }).outputSync();
        return new TextDecoder().decode(stdout) +
          new TextDecoder().decode(stderr);
      };
      for (const size of [1, 7, 511, 512, 10_000, bad.length]) {
        deepStrictEqual(list(await filter(bad, size)), list(good));
      }
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
    await Deno.remove(`${directory}.tar`);
  }
});

Deno.test("harmlessTar() gives what is before a cut end, for tar to complain", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    Deno.writeTextFileSync(`${directory}/file`, "x".repeat(700));
    const archive = await pack(directory);
    for (let length = 0; length < 2500; length += 97) {
      const whole = (await filter(archive.slice(0, length))).length;
      deepStrictEqual(whole <= length && whole > length - 512, true);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("harmlessTar() refuses what tar could understand in another way", async () => {
  const header = (type: string, size: string) => {
    const bytes = new Uint8Array(1024);
    const put = (text: string, at: number) =>
      bytes.set(new TextEncoder().encode(text), at);
    put("name", 0);
    put("0006755\0", 100);
    put(size, 124);
    put(type, 156);
    put(" ".repeat(8), 148);
    const sum = bytes.reduce((sum, byte) => sum + byte, 0);
    put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return bytes;
  };
  deepStrictEqual((await filter(header("0", "0\0"))).length, 1024);
  deepStrictEqual((await filter(header("3", "0\0"))).length, 512);
  for (
    const archive of [
      header("S", "0\0"), // sparse: more headers may follow
      header("g", "0\0"),
      header("3", "1000\0"),
      header("5", "1000\0"),
      header("0", "-1\0"),
      header("x", "77777777\0"),
      header("0", "0\0").map((byte, at) => at === 101 ? byte + 1 : byte),
    ]
  ) await rejects(filter(archive), TypeError);
});

/** A header, and what follows it. */
function entry(
  type: string,
  name: string,
  content: Uint8Array<ArrayBuffer> | string = "",
  { size, prefix = "", link = "" }: {
    size?: string;
    prefix?: string;
    link?: string;
  } = {},
): Uint8Array<ArrayBuffer> {
  const body = typeof content === "string"
    ? new TextEncoder().encode(content)
    : content;
  const bytes = new Uint8Array(512 + Math.ceil(body.length / 512) * 512);
  const put = (text: string, at: number) =>
    bytes.set(Uint8Array.from(text, (char) => char.charCodeAt(0)), at);
  put(name, 0);
  put("0006755\0", 100);
  put(size ?? `${body.length.toString(8).padStart(11, "0")}\0`, 124);
  put(type, 156);
  put(link, 157);
  put("ustar\x0000", 257);
  put(prefix, 345);
  put(" ".repeat(8), 148);
  const sum = bytes.subarray(0, 512).reduce((sum, byte) => sum + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  bytes.set(body, 512);
  return bytes;
}

/** A line of fields of POSIX. */
function field(text: string): string {
  let length = text.length + 3;
  while (`${length} ${text}\n`.length !== length) length++;
  return `${length} ${text}\n`;
}

const EVIL = entry("0", "evil");
const SIZE = String(EVIL.length);

/** Archives in which programs that unpack may see the header of a setuid program where there is content to others. */
const HOSTILE: Record<string, Uint8Array<ArrayBuffer>[]> = {
  "a directory by its name": [entry("0", "dir/", EVIL)],
  "a directory by its prefix": [entry("0", "", EVIL, { prefix: "dir" })],
  "a directory by a long name": [
    entry("L", "l", "dir/\0"),
    entry("0", "x", EVIL),
  ],
  "a directory by a field": [
    entry("x", "x", field("path=dir/")),
    entry("0", "x", EVIL),
  ],
  "a directory by the beginning of a field": [
    entry("x", "x", field("path=dir/\0f")),
    entry("0", "x", EVIL),
  ],
  "a size before a long name": [
    entry("x", "x", field(`size=${512 + EVIL.length}`)),
    entry("L", "l", "long\0"),
    EVIL,
    entry("0", "x"),
  ],
  "a size that is too large": [
    entry("x", "x", field(`size=${"9".repeat(25)}`)),
    entry("0", "x"),
    EVIL,
  ],
  "a binary size that is too large": [
    entry("0", "x", "", { size: `\x80\0\0\x01${"\0".repeat(8)}` }),
    EVIL,
  ],
  "a size behind two blanks": [
    entry("x", "x", field(` size=${SIZE}`)),
    entry("0", "x", EVIL, { size: "00000000000\0" }),
  ],
  "a size behind what is no field": [
    entry("x", "x", `9 nothing\n${field(`size=${SIZE}`)}`),
    entry("0", "x", EVIL, { size: "00000000000\0" }),
  ],
  "a size in a field only": [
    entry("x", "x", field(`size=${SIZE}`)),
    entry("0", "x", EVIL, { size: " ".repeat(11) }),
  ],
  "capabilities in a field": [
    entry("x", "x", field("SCHILY.xattr.security.capability=x")),
    entry("0", "x"),
  ],
};

for (const [name, parts] of Object.entries(HOSTILE)) {
  Deno.test(`harmlessTar() refuses ${name}`, async () => {
    const archive = await new Blob([...parts, new Uint8Array(1024)]).bytes();
    await rejects(filter(archive), TypeError, "is not understood");
  });
}

Deno.test("harmlessTar() takes a size in a field, and what is empty", async () => {
  const content = new Uint8Array(700).fill(1);
  const archive = await new Blob([
    entry("5", "dir/"),
    entry("0", "empty"),
    entry("x", "x", field("size=700") + field("mtime=1.5")),
    entry("0", "x", content, { size: "00000000000\0" }),
    EVIL,
    new Uint8Array(1024),
  ]).bytes();
  const filtered = await filter(archive);
  deepStrictEqual(filtered.length, archive.length);
  const modes = [0, 512, 2048, 3584].map((at) =>
    new TextDecoder().decode(filtered.subarray(at + 100, at + 107))
  );
  deepStrictEqual(modes, Array(4).fill("0000755"));
});

const LINK = entry("2", "./a/link", "", { link: ".." });
const SAME_LINK = entry("1", "./hard", "", { link: "./a/link" });

/** Entries that lead elsewhere if `a/link` is a symbolic link. */
const ELSEWHERE: Record<string, Uint8Array<ArrayBuffer>[]> = {
  "a file behind it": [entry("0", "./a/link/x")],
  "a file far behind it": [entry("0", "a//./link/x/y/z")],
  "a link behind it": [entry("2", "./a/link/x", "", { link: "x" })],
  "a directory in its place": [entry("5", "./a/link")],
  "a directory in its place, by its name": [entry("0", "./a/link/")],
  "a file behind it by its prefix": [entry("0", "x", "", { prefix: "a/link" })],
  "a file behind it by a long name": [
    entry("L", "l", "./a/link/x\0"),
    entry("0", "x"),
  ],
  "a file behind it by a field": [
    entry("x", "x", field("path=./a/link/x")),
    entry("0", "x"),
  ],
  "a file behind it, if a field does not count": [
    entry("x", "x", field("path=./x")),
    entry("0", "./a/link/x"),
  ],
  "another name for a file behind it": [
    entry("1", "./x", "", { link: "./a/link/x" }),
  ],
  "another name by a long link": [
    entry("K", "l", "./a/link/x\0"),
    entry("1", "./x", "", { link: "x" }),
  ],
  "another name by a field": [
    entry("x", "x", field("linkpath=a/link/x")),
    entry("1", "./x", "", { link: "x" }),
  ],
};

for (const [name, parts] of Object.entries(ELSEWHERE)) {
  Deno.test(`harmlessTar() refuses ${name}, be the link there or in the archive`, async () => {
    const archive = await new Blob(parts).bytes();
    strictEqual((await filter(archive)).length, archive.length);
    const links = ["./b", "./a/link"];
    await rejects(filter(archive, 512, { links }), /leads elsewhere/);
    const both = await new Blob([LINK, ...parts]).bytes();
    await rejects(filter(both), /leads elsewhere/);
  });
}

Deno.test("harmlessTar() refuses dots, and what is behind another name of a link", async () => {
  for (
    const parts of [
      [entry("0", "../x")],
      [entry("0", "./a/../../x")],
      [entry("5", "./a/..")],
      [entry("1", "x", "", { link: "./a/../../x" })],
      [LINK, SAME_LINK, entry("0", "./hard/x")],
    ]
  ) {
    await rejects(
      filter(await new Blob(parts).bytes()),
      /leads elsewhere/,
    );
  }
});

Deno.test("harmlessTar() does not mind links that nothing is behind", async () => {
  const name = `./${"n".repeat(97)}`;
  const archive = await new Blob([
    LINK,
    SAME_LINK,
    entry("0", "./a/link2"),
    entry("2", "./up", "", { link: "../../.." }),
    // cut to 100 characters, its own name is that of the directory
    entry("L", "l", `${name}/link\0`),
    entry("2", `${name}/`, "", { link: "x" }),
    entry("0", `${name}/y`),
    entry("5", `${name}/`),
    entry("5", "./"),
    new Uint8Array(1024),
  ]).bytes();
  const filtered = await filter(archive, 512, { links: ["./a/link", "./b"] });
  strictEqual(filtered.length, archive.length);
});

Deno.test("harmlessTar() takes nothing but directories if nothing else is expected", async () => {
  const directories = await new Blob([
    entry("L", "l", "./long/\0"),
    entry("5", "./l"),
    entry("5", "./"),
  ]).bytes();
  const onlyDirectories = true;
  strictEqual(
    (await filter(directories, 512, { onlyDirectories })).length,
    directories.length,
  );
  for (const part of [EVIL, entry("0", "dir/"), LINK, SAME_LINK]) {
    await rejects(
      filter(part, 512, { onlyDirectories }),
      /an entry of type "." among directories/,
    );
  }
});
