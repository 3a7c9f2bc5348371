/** `atex clean`, with real scripts that live and that were killed. */
import assert from "node:assert/strict";
import { findImages } from "../../provisioners/_image_reaper.ts";
import { PodmanCli } from "../../provisioners/_podman_cli.ts";
import { holdRun } from "../../provisioners/_run.ts";
import { type Leftover, reap } from "../../provisioners/reap.ts";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";
import { exists, until } from "../_wait.ts";

const ignore = cannotRun("integration/clean", podmanMissing());
const ROOT = new URL("../../", import.meta.url).pathname;

/** What a script says that it has. */
interface Has {
  run: string;
  container: string;
  copy: string;
  work: string[];
}

class Script implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(tree: string, env: Record<string, string>) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", `--config=${ROOT}deno.json`],
        `${ROOT}tests/integration/_left_behind.ts`,
        ...[imageName("tiny"), tree],
      ],
      env,
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** What it tells next. */
  async told<T>(): Promise<T> {
    while (!this.#rest.includes("\n")) {
      const { done, value } = await this.#lines.read();
      assert.ok(!done, "the script ended");
      this.#rest += value;
    }
    const [line, ...rest] = this.#rest.split("\n");
    this.#rest = rest.join("\n");
    return JSON.parse(line);
  }

  /** Kills the script, and before it all of it that would clean up. */
  async kill({ run }: Has): Promise<void> {
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name) || +name === this.#child.pid) continue;
      const argv = await Deno.readTextFile(`/proc/${name}/cmdline`)
        .catch(() => "");
      if (argv.includes(run) && /^(\S*\/)?sh\0/.test(argv)) {
        Deno.kill(+name, "SIGKILL");
      }
    }
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Ended already.
    }
    await this.#child.status;
    await this.#lines.cancel();
  }
}

async function clean(
  args: string[],
  env: Record<string, string>,
  input = "",
): Promise<{ code: number; found: Leftover[]; said: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-qA", "--no-check", `--config=${ROOT}deno.json`],
      ...[`${ROOT}cli/mod.ts`, "clean", "--json", ...args],
    ],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const lines = new TextDecoder().decode(stdout).split("\n").filter(Boolean);
  return {
    code,
    found: lines.map((line) => JSON.parse(line)),
    said: new TextDecoder().decode(stderr),
  };
}

const verdictOf = (found: readonly Leftover[], wanted: string) =>
  found.find(({ name }) => name === wanted)?.verdict;

Deno.test({
  name:
    "atex clean removes what killed scripts left, and nothing of those that live",
  ignore,
  fn: async () => {
    const top = await Deno.makeTempDir({ prefix: "atex-test-" });
    const env = { TMPDIR: `${top}/tmp`, NO_COLOR: "1" };
    await Deno.mkdir(env.TMPDIR);
    await Deno.mkdir(`${top}/tree/.fmf`, { recursive: true });
    await Deno.writeTextFile(`${top}/tree/.fmf/version`, "1\n");
    await Deno.writeTextFile(
      `${top}/tree/main.fmf`,
      "/one: {test: 'true'}\n/plan: {discover: [{how: fmf, name: part}]}\n",
    );
    const all: Has[] = [];
    try {
      await using dead = new Script(`${top}/tree`, env);
      await using living = new Script(`${top}/tree`, env);
      const [left, kept] = [await dead.told<Has>(), await living.told<Has>()];
      all.push(left, kept);
      assert.equal(left.work.length, 1);
      await dead.kill(left);
      const names = ({ container, copy, work }: Has) => [
        container,
        copy,
        ...work,
      ];

      const looked = await clean(["--all"], env);
      assert.equal(looked.code, 0, looked.said);
      for (const name of names(left)) {
        assert.equal(verdictOf(looked.found, name), "dead", name);
      }
      for (const name of names(kept)) {
        assert.equal(verdictOf(looked.found, name), "alive", name);
      }
      assert.match(looked.said, /"--force" removes \d+\n$/);
      assert.ok(await exists(left.copy));

      const forced = await clean(["--force", "--run", left.run], env);
      assert.deepEqual(
        forced.found.map(({ name, removed }) => [name, removed]),
        [[left.container, true]],
      );
      // Of all others that work on this machine nothing is to be removed here.
      const [work] = left.work;
      const moved = `${top}/tmp/${work.split("/").at(-1)}`;
      await new Deno.Command("mv", { args: [work, moved] }).output();
      const reaped = await reap({
        kinds: ["directory", "work"],
        directories: [env.TMPDIR],
      });
      const removed = reaped.filter(({ removed }) => removed)
        .map(({ name }) => name);
      assert.ok(removed.includes(left.copy) && removed.includes(moved));
      assert.ok(!await exists(left.copy) && !await exists(moved));
      for (const path of [kept.copy, ...kept.work]) {
        assert.ok(await exists(path), path);
      }

      // What lives is taken if somebody says yes, and no earlier.
      const mine = ["--force", "--mine-alive", "--run", kept.run];
      for (const answer of ["", "n\n", "yes please\n"]) {
        const refused = await clean(mine, env, answer);
        assert.deepEqual([refused.code, refused.found], [2, []]);
        assert.match(
          refused.said,
          /Take 1 from scripts that live, .*\[y\/N\] /,
        );
      }
      await podman("container", "inspect", kept.container);
      const taken = await clean(mine, env, "y\n");
      assert.deepEqual(
        taken.found.map(({ name, verdict, mine, removed }) => [
          name,
          verdict,
          mine,
          removed,
        ]),
        [[kept.container, "alive", true, true]],
        taken.said,
      );
      assert.deepEqual(await living.told(), { lost: true });
    } finally {
      for (const { container, work } of all) {
        await podman("rm", "-f", "-i", "-t", "0", container);
        for (const path of work) {
          await Deno.remove(path, { recursive: true }).catch(() => {});
        }
      }
      await Deno.remove(top, { recursive: true });
    }
  },
});

Deno.test({
  name: "images that were built go if no container and no script can need them",
  ignore,
  fn: async () => {
    await using me = await holdRun("test");
    const { signal } = new AbortController();
    const cli = new PodmanCli(["podman"], 60_000);
    const digest = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
    const name = `localhost/atex-${digest}`;
    const somebodys = `localhost/atex-test-${digest}`;
    const container = `atex-test-${crypto.randomUUID().slice(0, 8)}`;
    const find = async (wanted: boolean) => {
      const all = await findImages(
        cli,
        me,
        signal,
        () => Promise.resolve(wanted),
      );
      assert.ok(!all.some((image) => image.name.startsWith(somebodys)));
      return all.find((image) => image.name.startsWith(name))!;
    };
    await podman("create", `--name=${container}`, imageName("tiny"), "true");
    try {
      await podman("commit", "-q", "-c", "LABEL atex.image=1", container, name);
      await podman("tag", name, `${name}:again`);
      // made from one of ours, with its label
      await podman(
        ...["commit", "-q", "-c", "LABEL atex.image=1", "-c", "LABEL own=1"],
        ...[container, somebodys],
      );
      assert.equal((await find(true)).verdict, "unknown");
      await podman("rm", container);
      await podman("create", `--name=${container}`, name, "true");
      const used = await find(false);
      assert.equal(used.verdict, "alive");
      await assert.rejects(used.remove(signal), /Cannot remove the image: /);
      await podman("rm", container);
      const unused = await find(false);
      assert.equal(unused.verdict, "dead");
      assert.ok(unused.age < 600_000);
      await unused.remove(signal);
      assert.equal(await find(false), undefined);
      await until(() =>
        podman("image", "exists", `${name}:again`).then(
          () => false,
          () => true,
        )
      );
    } finally {
      await podman("rm", "-f", "-i", container);
      await podman("rmi", "-f", "-i", name, `${name}:again`, somebodys).catch(
        () => {},
      );
    }
  },
});
