/** What commands find around them, so that it can be seen what they leave there. */
import { podman } from "../_podman.ts";
import { until } from "../_wait.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** The command line of `atex`. */
export function atex(...args: string[]): string[] {
  return [
    ...[Deno.execPath(), "run", "-qA", "--no-check"],
    ...[`--config=${ROOT}deno.json`, `${ROOT}cli/mod.ts`, ...args],
  ];
}

/** Containers of the runs that had their run files in a directory. */
export async function containersOf(directory: string): Promise<string[]> {
  const list = await podman(
    ...["ps", "-a", "--external", "--filter=name=^atex-"],
    "--format={{.Names}}",
  );
  const runs = await runsIn(directory);
  return list.split("\n").filter((name) =>
    runs.some((run) => name.startsWith(`atex-${run}-`))
  );
}

const seen = new Map<string, Set<string>>();

/** The runs that had their run files in a directory, also those that ended. */
export async function runsIn(directory: string): Promise<string[]> {
  const known = seen.get(directory) ?? new Set();
  seen.set(directory, known);
  for await (const { name } of Deno.readDir(`${directory}/atex/runs`)) {
    known.add(name);
  }
  return [...known];
}

/** The surroundings of commands: at the end nothing is left in them. */
export async function surrounded(
  use: (env: Record<string, string>, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const env = { XDG_RUNTIME_DIR: directory, TMPDIR: `${directory}/tmp` };
    await Deno.mkdir(env.TMPDIR);
    await Deno.mkdir(`${directory}/atex/runs`, { recursive: true });
    await use(env, directory);
    await until(() => isEmpty(env.TMPDIR) && isEmpty(`${directory}/atex/runs`));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const isEmpty = (directory: string) =>
  Array.from(Deno.readDirSync(directory)).length === 0;
