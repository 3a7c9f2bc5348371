/** What is left of a script that lends systems of several kinds and is killed. */
import assert from "node:assert/strict";
import { kindsIn } from "../../provisioners/_run.ts";
import { reap } from "../../provisioners/reap.ts";
import { cannotRun } from "../_parts.ts";
import { type Ground, kindOf } from "./_kinds.ts";
import { processesOf, Scratch, untilNone } from "./_scratch.ts";

const KINDS = ["podman", "libvirt"].map(kindOf);
/** Milliseconds within which nothing may be left. */
const CLEAN_WITHIN = 60_000;

const ignore = cannotRun(
  "integration/killed_kinds",
  KINDS.map(({ missing }) => missing()).find((why) => why !== undefined),
);

/** A place for each kind, and a script that has a system of each. */
class Scene implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #child: Deno.ChildProcess;

  private constructor(
    readonly scratch: Scratch,
    readonly grounds: readonly Ground[],
    readonly run: string,
    child: Deno.ChildProcess,
    stack: AsyncDisposableStack,
  ) {
    this.#child = child;
    this.#stack = stack;
  }

  static async open(): Promise<Scene> {
    await using stack = new AsyncDisposableStack();
    const scratch = stack.use(await Scratch.open());
    const grounds: Ground[] = [];
    for (const kind of KINDS) grounds.push(stack.use(await kind.open(1)));
    const kinds = KINDS.map(({ name }, i) => [name, grounds[i].options]);
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-qA", "--no-check"],
        `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
        new URL("_kinds_script.ts", import.meta.url).pathname,
        JSON.stringify(kinds),
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    stack.defer(async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // Ended already.
      }
      await child.status;
    });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const run = new TextDecoder().decode(value).trim();
    assert.match(run, /^[a-z0-9]{10}$/);
    return new Scene(scratch, grounds, run, child, stack.move());
  }

  /** As when it runs out of memory. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  /** With the watchdogs. */
  async killAll(): Promise<void> {
    this.#child.kill("SIGSTOP"); // or it would start more
    for (const pid of await processesOf(this.scratch.mark)) {
      Deno.kill(pid, "SIGKILL");
    }
    await this.#child.status;
  }

  /** Starts another of a kind, until that has said that nothing is left of its kind. */
  async start(index: number): Promise<void> {
    await using pool = KINDS[index].make(this.grounds[index].options);
    await pool.start();
    await untilNone("its kind is left", async () => {
      const text = await Deno.readTextFile(this.#runFile).catch(() => "");
      const { name } = KINDS[index];
      return kindsIn(text).filter((kind) => kind.startsWith(name));
    }, CLEAN_WITHIN);
    await pool.stop();
  }

  get #runFile(): string {
    return `${this.scratch.path}/run/atex/runs/${this.run}`;
  }

  async untilClean(): Promise<void> {
    for (const ground of this.grounds) {
      await untilNone(
        "left outside",
        () => ground.left(this.run),
        CLEAN_WITHIN,
      );
    }
    await untilNone(
      "run files are left",
      () => this.scratch.runs,
      CLEAN_WITHIN,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

Deno.test({
  name: "watchdogs of two kinds leave nothing of a script that was killed",
  ignore,
  fn: async () => {
    await using scene = await Scene.open();
    await scene.kill();
    await scene.untilClean();
  },
});

Deno.test({
  name:
    "a script of two kinds that was killed with its watchdogs is forgotten when both have started anew",
  ignore,
  fn: async () => {
    await using scene = await Scene.open();
    await scene.killAll();
    await scene.start(0);
    assert.deepEqual(await scene.scratch.runs, [scene.run]); // the other kind needs it
    await scene.start(1);
    await scene.untilClean();
  },
});

Deno.test({
  name:
    "reap() forgets a script of two kinds that was killed with its watchdogs",
  ignore,
  fn: async () => {
    await using scene = await Scene.open();
    await scene.killAll();
    const { uri, virsh } = scene.grounds[1].options;
    const found = await reap({
      libvirt: { uri: uri as string, virsh: virsh as string[] },
      run: scene.run,
    });
    // Another test that starts a provisioner may be faster with the container.
    assert.deepEqual(
      found.filter(({ kind }) => kind !== "container")
        .map(({ kind, verdict, removed }) => [kind, verdict, removed]),
      [["domain", "dead", true]],
    );
    await scene.untilClean();
  },
});
