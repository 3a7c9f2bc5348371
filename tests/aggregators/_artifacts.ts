/** Artifacts to ingest, and what aggregators make of them. */
import type { Result } from "../../executors/results.ts";

/** A directory that is removed at the end. */
export function temporary(dir?: string): { path: string } & AsyncDisposable {
  const path = Deno.makeTempDirSync({
    prefix: "atex-test-",
    ...(dir !== undefined && { dir }),
  });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Lays out artifacts; directories on the way to files are made. */
export function layOut(
  directory: string,
  results: readonly Result[],
  files: Readonly<Record<string, string>> = {},
): string {
  Deno.mkdirSync(`${directory}/files`, { recursive: true });
  Deno.writeTextFileSync(
    `${directory}/results`,
    results.map((result) => `${JSON.stringify(result)}\n`).join(""),
  );
  for (const [path, content] of Object.entries(files)) {
    const target = `${directory}/files/${path}`;
    Deno.mkdirSync(target.slice(0, target.lastIndexOf("/")), {
      recursive: true,
    });
    Deno.writeTextFileSync(target, content);
  }
  return directory;
}

/** Contents of files, and aims of links, below a directory, by path, in order; `null` for an empty directory. */
export function contents(
  root: string,
  below = "",
): Record<string, string | null> {
  const found: Record<string, string | null> = {};
  const entries = [...Deno.readDirSync(`${root}/${below}`)]
    .sort((a, b) => a.name < b.name ? -1 : 1);
  for (const entry of entries) {
    const path = below + entry.name;
    if (entry.isDirectory) {
      const inside = contents(root, `${path}/`);
      Object.assign(found, inside);
      if (Object.keys(inside).length === 0) found[`${path}/`] = null;
    } else if (entry.isSymlink) {
      found[path] = `-> ${Deno.readLinkSync(`${root}/${path}`)}`;
    } else found[path] = Deno.readTextFileSync(`${root}/${path}`);
  }
  return found;
}
