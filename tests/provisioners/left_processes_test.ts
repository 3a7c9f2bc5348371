/** END_PROCESSES_SCRIPT: which processes are ended on a host. */
import assert from "node:assert/strict";
import { END_PROCESSES_SCRIPT } from "../../provisioners/_left_processes.ts";
import { cannotRun, missingPrograms, which } from "../_parts.ts";

const SHELLS: readonly (readonly string[])[] = [
  ["sh"],
  ["dash"],
  ["bash", "--posix"],
  ["busybox", "sh"],
];

/** Work directories by name, and processes that have variables. */
class Scene implements AsyncDisposable {
  readonly directory: string;
  readonly #children = new Map<string, Deno.ChildProcess>();
  #works = 0;

  constructor() {
    this.directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
  }

  /** The path of a work directory, and that of its tests. */
  work(isThere: boolean): { path: string; tests: string } {
    const name = `atex-${String(++this.#works).padStart(10, "A0")}`;
    const path = `${this.directory}/${name}`;
    if (isThere) Deno.mkdirSync(path);
    return { path, tests: `${path}/tests` };
  }

  get gone(): { TMT_TREE: string } {
    return { TMT_TREE: this.work(false).tests };
  }

  /** Starts a process in a session of its own, which says a line when it has begun. */
  async start(
    name: string,
    env: Record<string, string>,
    argv: readonly string[] = ["sh", "-c", "echo; exec sleep 600"],
  ): Promise<void> {
    const [file, ...args] = argv;
    const child = new Deno.Command(file, {
      args,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#children.set(name, child);
    const reader = child.stdout.getReader();
    assert.ok((await reader.read()).value, `${name} did not begin`);
    await reader.cancel();
  }

  /** Ends what is left as a host does; gives what it said. */
  async end(
    shell: readonly string[],
    env: Record<string, string> = {},
    wrap: readonly string[] = [],
  ): Promise<{ code: number; text: string }> {
    const [file, ...args] = [...wrap, ...shell, "-c", END_PROCESSES_SCRIPT];
    const { code, stdout, stderr } = await new Deno.Command(file, {
      args,
      env,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
  }

  /** How each of those processes ended, as far as it has. */
  async ends(): Promise<Record<string, string>> {
    const ends: Record<string, string> = {};
    for (const [name, child] of this.#children) {
      const stat = await Deno.readTextFile(`/proc/${child.pid}/stat`)
        .catch(() => "");
      const isAlive = stat !== "" && !/\) [ZX] /.test(stat);
      if (!isAlive) ends[name] = (await child.status).signal ?? "by itself";
    }
    return ends;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.values()) {
      try {
        Deno.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended.
      }
      await child.status;
    }
    await Deno.remove(this.directory, { recursive: true });
  }
}

const STUBBORN = [
  "sh",
  "-c",
  "trap '' TERM; echo; while :; do sleep 0.1; done",
];

for (const shell of SHELLS) {
  const name = shell.join(" ");
  Deno.test({
    name:
      `of tests whose directory is gone all processes are ended, and no others (${name})`,
    ignore: cannotRun("provisioners/left_processes", missingPrograms(shell[0])),
    fn: async () => {
      await using scene = new Scene();
      await scene.start("left", scene.gone);
      await scene.start("stubborn", scene.gone, STUBBORN);
      await scene.start("odd", {
        A: "\n\x01\u00fc\n",
        ...scene.gone,
        Z: "\nTMT_TREE=/\n",
      });
      const there = scene.work(true);
      await scene.start("of a test", { TMT_TREE: there.tests });
      await scene.start("unrelated", {});
      const { path, tests } = scene.work(false);
      for (
        const [name, tree] of [
          ["of another name", `${scene.directory}/other/tests`],
          ["of another length", `${path}0/tests`],
          ["of another kind", `${path.replace(/.$/, "-")}/tests`],
          ["of tmt", `${path}/tree`],
          ["relative", tests.slice(1)],
          [
            "in an odd place",
            `${scene.directory}/\u00fc/atex-AAAAAAAAAA/tests`,
          ],
          ["nowhere", `${scene.directory}/no/atex-AAAAAAAAAA/tests`],
          ["of two lines", `${tests}\n`],
        ]
      ) await scene.start(name, { TMT_TREE: tree });
      await scene.start("that tells of one", { A: `x\nTMT_TREE=${tests}\n` });
      await scene.start("with another variable", { A_TMT_TREE: tests });
      // That of the script itself, and of what it comes from.
      const { code, text } = await scene.end(shell, scene.gone, [
        ...["sh", "-c", '"$@"; exit $?', "sh"],
      ]);
      assert.deepEqual({ code, text }, { code: 0, text: "here\n" });
      assert.deepEqual(await scene.ends(), {
        left: "SIGTERM",
        stubborn: "SIGKILL",
        odd: "SIGTERM",
      });
    },
  });
}

Deno.test("hundreds of processes are ended, and what they start when they are", async () => {
  await using scene = new Scene();
  await scene.start("many", scene.gone, [
    "sh",
    "-c",
    "for i in $(seq 300); do sleep 600 & done; echo; exec sleep 600",
  ]);
  await scene.start("heir", scene.gone, [
    "bash",
    "-c",
    `trap 'setsid sleep 600 >/dev/null 2>&1 & exit' TERM; echo; while :; do sleep 0.1; done`,
  ]);
  const { code, text } = await scene.end(["sh"]);
  assert.deepEqual({ code, text }, { code: 0, text: "here\n" });
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = await Deno.readTextFile(`/proc/${name}/environ`)
      .catch(() => "");
    assert.ok(!text.includes(`TMT_TREE=${scene.directory}/`), name);
  }
});

const noNamespaces = () =>
  Deno.uid() === 0 && which("unshare")
    ? undefined
    : "needs root, and the program unshare";

Deno.test({
  name:
    "what has files of its own is ended only if the directory is gone there, too",
  ignore: cannotRun("provisioners/left_processes", noNamespaces()),
  fn: async () => {
    await using scene = new Scene();
    const within = (script: string) => [
      ...["unshare", "-m", "sh", "-c"],
      `${script}; echo; exec sleep 600`,
    ];
    const own = scene.work(false);
    const mount = `mount -t tmpfs none ${scene.directory}`;
    await scene.start(
      "there",
      { TMT_TREE: own.tests },
      within(`${mount} && mkdir ${own.path}`),
    );
    await scene.start("gone there, too", scene.gone, within(mount));
    const root = `${scene.directory}/root`;
    await Deno.mkdir(`${root}/bin`, { recursive: true });
    await Deno.copyFile(which("busybox")!, `${root}/bin/busybox`);
    await scene.start("in another root", scene.gone, [
      ...["chroot", root, "/bin/busybox", "sh", "-c"],
      "echo; exec /bin/busybox sleep 600",
    ]);
    assert.equal((await scene.end(["sh"])).code, 0);
    assert.deepEqual(await scene.ends(), { "gone there, too": "SIGTERM" });
  },
});

Deno.test({
  name: "without a /proc there is nothing to do",
  ignore: cannotRun("provisioners/left_processes", noNamespaces()),
  fn: async () => {
    await using scene = new Scene();
    const { code, text } = await scene.end([], {}, [
      ...["unshare", "-m", "sh", "-c"],
      'mount -t tmpfs none /proc && exec sh "$@"',
      "sh",
    ]);
    assert.deepEqual({ code, text }, { code: 0, text: "here\n" });
  },
});
