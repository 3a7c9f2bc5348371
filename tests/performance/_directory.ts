/** A directory in memory, removed at the end. */
import { inMemory } from "../_memory.ts";

export async function temporaryDirectory(): Promise<
  { path: string } & AsyncDisposable
> {
  const path = await Deno.makeTempDir({ ...inMemory, prefix: "atex-test-" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
