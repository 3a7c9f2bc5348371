/** `atex shell` and `atex run` that are interrupted at any moment. */
import assert from "node:assert/strict";
import { cannotRun, imageName, podmanMissing } from "../_podman.ts";
import { processesWith, until } from "../_wait.ts";
import { atex, containersOf, runsIn, surrounded } from "./_surrounded.ts";

const ignore = cannotRun("integration/interrupted_commands", podmanMissing());

/** Runs a command, and interrupts it some time after it has said a word. */
async function interrupted(
  argv: readonly string[],
  env: Record<string, string>,
  { word, wait, signal }: {
    word: string;
    wait: number;
    signal: "SIGINT" | "SIGTERM";
  },
): Promise<{ code: number; said: string }> {
  const [file, ...args] = argv;
  const child = new Deno.Command(file!, {
    args,
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let said = "";
  let isSent = false;
  for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += part;
    if (isSent || !said.includes(word)) continue;
    isSent = true;
    await new Promise((resolve) => setTimeout(resolve, wait));
    child.kill(signal);
  }
  return { code: (await child.status).code, said };
}

const ROUNDS = 3;

/** While the container is made, when it is there, when it is lent, and later. */
const WORDS = ["reserving", "ready", "lent", "lent"];

function moments(count: number) {
  return Array.from({ length: count }, (_, round) => ({
    word: WORDS[round % WORDS.length]!,
    wait: round < WORDS.length ? 0 : Math.random() * 1500,
    signal: round % 2 ? "SIGINT" as const : "SIGTERM" as const,
  }));
}

/** Does it at all these moments, and shows that nothing is left. */
async function leavesNothing(
  count: number,
  command: (round: number) => readonly string[],
  env: Record<string, string>,
  directory: string,
): Promise<void> {
  const watch = setInterval(() => runsIn(directory), 20);
  try {
    await Promise.all(
      moments(count).map(async (moment, round) => {
        const { code, said } = await interrupted(command(round), env, moment);
        assert.equal(
          code,
          moment.signal === "SIGINT" ? 130 : 143,
          `${Deno.inspect(moment)}: ${said}`,
        );
      }),
    );
  } finally {
    clearInterval(watch);
  }
  assert.deepEqual(await containersOf(directory), []);
}

Deno.test({
  name: "atex shell that is interrupted at any moment leaves nothing",
  ignore,
  fn: () =>
    surrounded(async (env, directory) => {
      await leavesNothing(
        ROUNDS,
        (round) =>
          atex(
            ...["shell", "-v", `podman:${imageName("tiny")}`],
            ...["--", "sleep", `600.${round}`],
          ),
        env,
        directory,
      );
    }),
});

Deno.test({
  name: "atex run that is interrupted at any moment leaves nothing but results",
  ignore,
  fn: () =>
    surrounded(async (env, directory) => {
      const marker = `600.${Deno.pid}`;
      const tree = `${directory}/tree`;
      await Deno.mkdir(`${tree}/.fmf`, { recursive: true });
      await Deno.writeTextFile(`${tree}/.fmf/version`, "1\n");
      await Deno.writeTextFile(
        `${tree}/main.fmf`,
        `/quick:\n  test: "true"\n/long:\n  test: sleep ${marker}\n`,
      );
      await leavesNothing(
        ROUNDS,
        (round) =>
          atex(
            ...[
              "run",
              "-v",
              tree,
              "--results",
              `${directory}/results.${round}`,
            ],
            ...["--on", round % 2 ? `podman:${imageName("tiny")}` : "local"],
          ),
        env,
        directory,
      );
      await until(async () =>
        (await processesWith(`sleep ${marker}`)).length === 0
      );
      // What was stored before is whole.
      for await (const { name } of Deno.readDir(directory)) {
        if (!/^results\.\d$/.test(name)) continue;
        const text = await Deno.readTextFile(`${directory}/${name}`);
        for (const line of text.split("\n").slice(0, -1)) JSON.parse(line);
        assert.ok(text === "" || text.endsWith("\n"));
      }
    }),
});
