/** Directories of artifacts and of files, as the cases of aggregators write them. */
import { gunzipSync, zstdDecompressSync } from "node:zlib";

/** A file, or a symbolic link; an empty object is an empty directory. */
export type Entry =
  & (
    | { text: string }
    | { base64: string }
    | { symlink: string }
    | Record<string, never>
  )
  & { compressed?: "gzip" | "xz" | "zstd" };

/** Files, links and empty directories by path. */
export type Tree = Record<string, Entry>;

/** A directory of artifacts. */
export interface Artifacts {
  results?: string;
  resultsBase64?: string;
  files?: Tree;
}

/** Makes a directory of artifacts. */
export async function layOut(
  directory: string,
  { results, resultsBase64, files }: Artifacts,
): Promise<string> {
  await Deno.mkdir(directory, { recursive: true });
  if (results !== undefined) {
    await Deno.writeTextFile(`${directory}/results`, results);
  }
  if (resultsBase64 !== undefined) {
    await Deno.writeFile(
      `${directory}/results`,
      Uint8Array.fromBase64(resultsBase64),
    );
  }
  if (files) await Deno.mkdir(`${directory}/files`);
  for (const [path, entry] of Object.entries(files ?? {})) {
    const target = `${directory}/files/${path}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), {
      recursive: true,
    });
    if (isDirectory(entry)) await Deno.mkdir(target, { recursive: true });
    else if ("symlink" in entry) await Deno.symlink(entry.symlink, target);
    else {
      await Deno.writeFile(
        target,
        "text" in entry
          ? new TextEncoder().encode(entry.text)
          : Uint8Array.fromBase64(entry.base64),
      );
    }
  }
  return directory;
}

function isDirectory(entry: Entry): boolean {
  return Object.keys(entry).length === 0;
}

/**
 * The files and links below a directory, in the form in which they are expected; empty
 * directories only where they are.
 */
export async function read(
  root: string,
  expected: Tree = {},
  below = "",
): Promise<Tree> {
  const tree: Tree = {};
  for await (const entry of Deno.readDir(`${root}/${below}`)) {
    const path = below + entry.name;
    if (entry.isDirectory) {
      const inside = await read(root, expected, `${path}/`);
      const wanted = expected[path];
      const isEmpty = Object.keys(inside).length === 0;
      if (isEmpty && wanted && isDirectory(wanted)) tree[path] = {};
      Object.assign(tree, inside);
    } else if (entry.isSymlink) {
      tree[path] = { symlink: await Deno.readLink(`${root}/${path}`) };
    } else {
      // a test may have left one that is compressed by itself
      const { bytes, compressed } = expected[path]?.compressed
        ? await readPlain(`${root}/${path}`)
        : { bytes: await Deno.readFile(`${root}/${path}`) };
      tree[path] = {
        ...("base64" in (expected[path] ?? {})
          ? { base64: bytes.toBase64() }
          : { text: new TextDecoder().decode(bytes) }),
        ...(compressed && { compressed }),
      };
    }
  }
  return tree;
}

/** What is in a file, and how it is compressed if it is. */
export async function readPlain(
  path: string,
): Promise<{ bytes: Uint8Array; compressed?: "gzip" | "xz" | "zstd" }> {
  const bytes = await Deno.readFile(path);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    return { bytes: gunzipSync(bytes), compressed: "gzip" };
  }
  if (bytes[0] === 0x28 && bytes[1] === 0xb5) {
    return { bytes: zstdDecompressSync(bytes), compressed: "zstd" };
  }
  if (bytes[0] === 0xfd && bytes[1] === 0x37) {
    const { success, stdout } = await new Deno.Command("xz", {
      args: ["--decompress", "--stdout", path],
    }).output();
    if (!success) throw new Error(`${path}: xz cannot decompress it`);
    return { bytes: stdout, compressed: "xz" };
  }
  return { bytes };
}
