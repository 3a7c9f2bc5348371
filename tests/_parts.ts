/** What tests with real parts need from the machine: `dev/setup.sh` makes it ready and says in a file where it is. */

/** Takes over what `dev/setup.sh` wrote, for a plain `deno test`; what is set already wins. */
function readSetup(): void {
  const cache = Deno.env.get("XDG_CACHE_HOME") ??
    `${Deno.env.get("HOME")}/.cache`;
  let text;
  try {
    text = Deno.readTextFileSync(`${cache}/atex-test/env`);
  } catch {
    return;
  }
  for (const [, name, value] of text.matchAll(/^(\w+)=(.*)$/gm)) {
    if (!Deno.env.has(name)) Deno.env.set(name, value);
  }
}

readSetup();

/** Where a program is, searched as a shell does, and where servers are kept. */
export function which(program: string): string | undefined {
  const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
  for (const directory of path.split(":")) {
    const file = `${directory || "."}/${program}`;
    try {
      const { isFile, mode } = Deno.statSync(file);
      if (isFile && (mode! & 0o111) !== 0) return file;
    } catch {
      // Not there.
    }
  }
}

/** Why tests that need these programs cannot run here, if they cannot. */
export function missingPrograms(...programs: string[]): string | undefined {
  const missing = programs.filter((program) => which(program) === undefined);
  if (missing.length > 0) return `not installed: ${missing.join(", ")}`;
}

/**
 * For `ignore` of a test: whether it cannot run here. Says so, once for each
 * suite; with `CI=true` the tests run, and fail.
 */
export function cannotRun(
  suite: string,
  ...reasons: (string | undefined)[]
): boolean {
  const reason = reasons.find((reason) => reason !== undefined);
  if (reason === undefined) return false;
  const inCi = Deno.env.get("CI") === "true";
  console.error(
    `${suite}: ${
      inCi ? "will fail" : "cannot run"
    } here: ${reason} (dev/setup.sh installs it)`,
  );
  return !inCi;
}
