/** A script with runMain() and containers ends in good order, whichever signal it gets. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";
import { Script } from "../_script.ts";
import { processesWith, until } from "../_wait.ts";

const ignore = cannotRun("integration/signals", podmanMissing());

/** Starts the script, and waits until both of its containers have a test. */
async function start(directory: string, kind: string): Promise<Script> {
  const args = [imageName("tiny"), directory, kind];
  const script = new Script("integration/_signalled_run.ts", args);
  const running = () =>
    script.lines.filter((line) => line === "running").length === 2;
  await until(running);
  return script;
}

/** Checks that nothing of an ended script is left. */
async function checkClean(script: Script, directory: string): Promise<void> {
  const containers = script.lines.flatMap((line) =>
    /^container (.*)/.exec(line)?.[1] ?? []
  );
  deepStrictEqual(containers.length, 2);
  const there = (await podman("ps", "-a", "--format", "{{.Names}}"))
    .split("\n");
  for (const name of containers) {
    ok(!there.includes(name), `${name} is left`);
    // what removed it may still be about to end
    await until(async () => (await processesWith(name)).length === 0);
  }
  // nothing was stored: what was made for it is not in the way of the next try
  deepStrictEqual(
    [...Deno.readDirSync(directory)].map(({ name }) => name),
    ["artifacts"],
  );
}

/** What it said about signals. */
const answers = ({ lines }: Script) =>
  lines.filter((line) => /^SIG\w+: /.test(line)).map((line) =>
    line.split(/[,;]/)[0]
  );

function test(
  name: string,
  fn: (directory: string) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore,
    async fn() {
      const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
      try {
        await fn(directory);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

for (
  const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const
) {
  test(`a run on containers ends what runs and gives them back at ${signal}`, async (directory) => {
    await using script = await start(directory, "gentle");
    script.child.kill(signal);
    deepStrictEqual((await script.end()).code, code);
    deepStrictEqual(answers(script), [`${signal}: ending what runs`]);
    await checkClean(script, directory);
    deepStrictEqual([...Deno.readDirSync(`${directory}/artifacts`)], []);
  });
}

test("a run on containers waits for no test at the second signal, but gives them back", async (directory) => {
  await using script = await start(directory, "stubborn");
  script.child.kill("SIGINT");
  await until(script.has("SIGINT: ending"));
  script.child.kill("SIGINT");
  deepStrictEqual((await script.end()).code, 130);
  deepStrictEqual(answers(script), [
    "SIGINT: ending what runs",
    "SIGINT: only giving back systems",
  ]);
  await checkClean(script, directory);
});
