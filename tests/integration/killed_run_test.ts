/** A whole run, killed in the middle: what is left of it, and whether others notice. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";

const ignore = cannotRun("integration/killed_run", podmanMissing());
const DEMO = new URL("../../examples/demo.ts", import.meta.url).pathname;
const SYSTEMS = 8;
/** Milliseconds that the watchdog may take on a busy machine. */
const CLEAN_WITHIN_MS = 60_000;

interface Demo {
  child: Deno.ChildProcess;
  /** Lines that it prints, as they come. */
  lines: ReadableStreamDefaultReader<string>;
  output: Promise<string>;
}

/** Starts the demo on containers; its results go to `directory`. */
function startDemo(directory: string): Demo {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-qA", DEMO, "--on", `podman:${imageName("tiny")}`],
      ...["--systems", `${SYSTEMS}`, "--output", directory],
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const [early, all] = child.stdout.pipeThrough(new TextDecoderStream()).tee();
  return {
    child,
    lines: early.getReader(),
    output: new Response(all.pipeThrough(new TextEncoderStream())).text(),
  };
}

/** Names of the containers of a process, in any state. */
async function containersOf(pid: number): Promise<string[]> {
  const rows = await podman(
    "ps",
    "-a",
    "--format",
    '{{.Names}} {{index .Labels "atex.owner"}}',
  );
  return rows.split("\n")
    .filter((row) => row.split(" ")[1]?.split("/").includes(`${pid}`))
    .map((row) => row.split(" ")[0]!);
}

Deno.test({
  name:
    "a run over 8 containers that is killed leaves nothing, and another run does not notice",
  ignore,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    const killed = startDemo(`${directory}/killed`);
    let printed = "";
    while (!printed.includes("\npass ")) {
      const { done, value } = await killed.lines.read();
      ok(!done, printed);
      printed += value;
    }
    const containers = await containersOf(killed.child.pid);
    ok(containers.length > 0, "it runs on containers");
    const other = startDemo(`${directory}/other`);

    killed.child.kill("SIGKILL");
    const since = performance.now();
    await killed.child.status;
    let left = containers;
    while (left.length > 0 && performance.now() - since < CLEAN_WITHIN_MS) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      left = await containersOf(killed.child.pid);
    }
    deepStrictEqual(left, []);

    strictEqual((await other.child.status).code, 0);
    match(await other.output, /\n13 passed, 0 failed, /);
    deepStrictEqual(await containersOf(other.child.pid), []);
    await Promise.all(
      [killed, other].flatMap(({ lines, output }) => [lines.cancel(), output]),
    );
    await Deno.remove(directory, { recursive: true });
  },
});
