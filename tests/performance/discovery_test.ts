/** Growth of discovery, and the trees that the benchmarks measure. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { measureDiscovery } from "../../bench/_discover.ts";
import { type Shape, SHAPES, writeTree } from "../../bench/_trees.ts";
import { temporaryDirectory } from "./_directory.ts";

/** Files, their bytes, and the SHA-256 of all, in the order of their paths. */
const TREES: Record<Shape, [files: number, bytes: number, sha256: string]> = {
  flat: [
    1001,
    195707,
    "dc997ccca1f31c5f1d8208717aa4f4c45ceba9b5763e36949840a94b850f409b",
  ],
  wide: [
    11,
    241707,
    "00098189c3da6a98e5850136ae13894b0efa3d184b3bcd6505fe6045f42b670f",
  ],
  adjust: [
    11,
    400057,
    "6d4dc7a10e1928defbe70675a68e4875f8a047ae6c85527abdc45d682773a416",
  ],
  deep: [
    111,
    247247,
    "32352726ea10c55c40a18ee679789209c007a75b0f80abecfcfae427f3c79fab",
  ],
};

function* filesBelow(directory: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory) yield* filesBelow(`${directory}/${name}`);
    else if (name.endsWith(".fmf")) yield `${directory}/${name}`;
  }
}

Deno.test("the trees of the benchmarks are those that others measure", async () => {
  await using directory = await temporaryDirectory();
  for (const shape of SHAPES) {
    const root = `${directory.path}/${shape}`;
    writeTree(root, shape, 1000);
    const hash = createHash("sha256");
    let bytes = 0;
    const files = [...filesBelow(root)].sort();
    for (const file of files) {
      const content = Deno.readFileSync(file);
      hash.update(content);
      bytes += content.length;
    }
    deepStrictEqual([files.length, bytes, hash.digest("hex")], TREES[shape]);
  }
});

Deno.test("the time and the memory of a discovery grow with the tests, and no faster", async () => {
  await using directory = await temporaryDirectory();
  const measure = async (tests: number) => {
    const root = `${directory.path}/${tests}`;
    writeTree(root, "adjust", tests);
    return await measureDiscovery(root);
  };
  // so many that the room for young objects, which grows by chance, does not count
  const few = await measure(4000);
  const more = await measure(16_000);
  deepStrictEqual([few.n, more.n], [4000, 16_000]);
  ok(more.cpu_ms <= 6 * few.cpu_ms, `${few.cpu_ms}, then ${more.cpu_ms} ms`);
  const each = (more.peak_mib - few.peak_mib) * 1024 / 12_000;
  ok(each <= 10, `${each} KiB for each test`);
});
