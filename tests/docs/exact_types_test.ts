/**
 * Scripts of users whose `deno.json` has `exactOptionalPropertyTypes`: what is there
 * only sometimes can be passed on all the same. The code of README, `docs/`, doc
 * comments and `examples/` is checked as theirs would be: outside of this repository.
 */
import { ok } from "node:assert/strict";
import { dirname } from "@std/path/posix/dirname";
import { walk } from "../../dev/_files.ts";
import { codeBlocks } from "../_code_blocks.ts";

const ROOT = new URL("../../", import.meta.url);
const OWN = "jsr:@atex/atex";

/** What is not in the docs: a function that hands on what it may have got. */
const HANDED_ON = `
import { MultiAggregator, Tally } from "${OWN}";
import type { Aggregator, AdHocOptions, Provisioner } from "${OWN}";

export const both: Aggregator = new MultiAggregator([new Tally()]);

export async function use(
  pool: Provisioner,
  { signal, reason }: { signal?: AbortSignal; reason?: "done" | "abort" } = {},
): Promise<void> {
  const remote = await pool.getRemote({ signal });
  await remote.release({ reason });
}

export function options(
  given: Pick<AdHocOptions, "tests" | "provisioners" | "executor" | "aggregator">,
  journal?: string,
  maxSpares?: number,
): AdHocOptions {
  return { platform: "here", ...given, journal, maxSpares };
}
`;

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

/** Scripts by the path that they get. */
async function scripts(): Promise<Map<string, string>> {
  const found = new Map([["handed_on.ts", HANDED_ON]]);
  for await (
    const path of walk(ROOT, ["tests", "bench", "dev", "out", ".git"])
  ) {
    if (/^examples\/\w+\.ts$/.test(path)) found.set(path, await read(path));
    else if (/\.(md|ts)$/.test(path)) {
      for (
        const [index, { language, text }] of codeBlocks(path, await read(path))
          .entries()
      ) {
        if (language !== "ts" || !text.includes(OWN)) continue;
        // pages name the files that others of their blocks import
        const name = /^\/\/ ([\w.-]+\.ts)\b/.exec(text)?.[1] ?? `_${index}.ts`;
        found.set(`${path.replaceAll(".", "_")}/${name}`, text);
      }
    }
  }
  return found;
}

Deno.test("code in docs and examples has the right types also if optional properties are exact", async () => {
  const all = await scripts();
  ok(all.size > 150, `${all.size} scripts`);
  const directory = await Deno.makeTempDir({ prefix: "atex-test-exact-" });
  try {
    const compilerOptions = { exactOptionalPropertyTypes: true };
    await Deno.writeTextFile(
      `${directory}/deno.json`,
      JSON.stringify({ compilerOptions, lock: false }),
    );
    for (const [path, text] of all) {
      await Deno.mkdir(dirname(`${directory}/${path}`), { recursive: true });
      await Deno.writeTextFile(`${directory}/${path}`, text);
    }
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "-q", ...all.keys()],
      cwd: directory,
      env: { NO_COLOR: "1" },
    }).output();
    ok(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
