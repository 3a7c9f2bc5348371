/** harmlessTar() gives archives again, without what is dangerous, however they come. */
import { deepStrictEqual, rejects } from "node:assert/strict";
import { harmlessTar } from "../../connections/_harmless_tar.ts";

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

async function filter(bytes: Uint8Array<ArrayBuffer>, size = bytes.length) {
  return await new Blob(await Array.fromAsync(harmlessTar(pieces(bytes, size))))
    .bytes();
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
