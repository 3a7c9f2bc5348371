/**
 * Runs the code in README, `docs/` and doc comments, as a reader would: outside
 * of this repository, with everything from `jsr:`.
 *
 * A page is read from its beginning to its end in one directory, with the suite
 * that `docs/README.md` makes: TypeScript is a file (of the name in its first line, if there
 * is one) that runs, shell commands run. `no-run` behind the name of the
 * language is for what needs more than this; its types are checked all the same
 * (`dev/check.ts`). Of what is in the text, only the names of places change:
 * the image and the hosts.
 */
import { ok } from "node:assert/strict";
import { walk } from "../../dev/_files.ts";
import { Agent } from "../_agent.ts";
import { type CodeBlock, codeBlocks } from "../_code_blocks.ts";
import { Container, imageName, podmanMissing } from "../_podman.ts";
import { cannotRun, sshdMissing } from "../_sshd.ts";

const ROOT = new URL("../../", import.meta.url);
const IMAGE = "fedora:42";
const HOSTS = ["root@10.0.0.7", "root@10.0.0.8"];
const LIMIT_MS = 180_000;

const ignore = cannotRun(
  "code in docs",
  podmanMissing(["tiny", "tiny-ssh"]) ?? sshdMissing(),
);

/** What stands for the systems that docs name. */
class Systems implements AsyncDisposable {
  private constructor(
    readonly containers: Container[],
    readonly agent: Agent,
  ) {}

  static async start(): Promise<Systems> {
    return new Systems(
      await Promise.all(
        HOSTS.map(() => Container.start({ image: "tiny-ssh" })),
      ),
      await Agent.start(Deno.env.get("ATEX_TEST_KEY")!),
    );
  }

  put(text: string): string {
    const hosts = this.containers.map(({ port }) => `root@127.0.0.1:${port}`);
    return HOSTS.reduce(
      (text, host, i) => text.replaceAll(host, hosts[i]),
      text.replaceAll(IMAGE, imageName("tiny")),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [this.agent, ...this.containers];
    await Promise.all(all.map((part) => part[Symbol.asyncDispose]()));
  }
}

/** A reader's directory. */
class Desk implements AsyncDisposable {
  #scripts = 0;

  private constructor(readonly path: string, readonly systems: Systems) {}

  static async open(systems: Systems): Promise<Desk> {
    const path = await Deno.makeTempDir({ prefix: "atex-test-docs-" });
    const desk = new Desk(path, systems);
    await Deno.mkdir(`${path}/.bin`);
    await Deno.symlink(Deno.execPath(), `${path}/.bin/deno`);
    const [suite] = await blocksOf("docs/README.md");
    await desk.run(suite);
    return desk;
  }

  /** Runs a block; throws with all that it printed if it fails. */
  async run({ place, language, text }: CodeBlock): Promise<void> {
    const code = this.systems.put(text);
    if (language === "sh") {
      return await this.command(["bash", "-euc", code], place);
    }
    // Where results are to be new, those of the block before are in the way.
    if (/Aggregator\(/.test(code)) {
      await Deno.remove(`${this.path}/out`, { recursive: true }).catch(
        () => {},
      );
    }
    const name = /^\/\/ ([\w.-]+\.ts)\b/.exec(code)?.[1] ??
      `script-${++this.#scripts}.ts`;
    await Deno.writeTextFile(`${this.path}/${name}`, code);
    const arguments_ = this.systems.put(
      /^\/\/ [\w.-]+\.ts: deno run -A \S+ ?(.*)/.exec(text)?.[1] ?? "",
    );
    await this.command(
      ["deno", "run", "-qA", name, ...arguments_.split(" ").filter(Boolean)],
      place,
    );
  }

  async command(argv: string[], place = argv[0]): Promise<void> {
    const [file, ...args] = argv;
    const { success, stdout, stderr } = await new Deno.Command(file, {
      args,
      cwd: this.path,
      env: {
        ...this.systems.agent.env,
        NO_COLOR: "1",
        PATH: `${this.path}/.bin:${Deno.env.get("PATH")}`,
      },
      stdin: "null",
      signal: AbortSignal.timeout(LIMIT_MS),
    }).output();
    const said = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    ok(success, `${place}:\n${said.join("")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

const runs = ({ language, attributes }: CodeBlock) =>
  ["ts", "sh"].includes(language) && attributes.length === 0;

async function blocksOf(path: string): Promise<CodeBlock[]> {
  return codeBlocks(path, await Deno.readTextFile(new URL(path, ROOT)))
    .filter(runs);
}

/** So many at a time as there are processors. */
async function forEach<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const faults: unknown[] = [];
  await Promise.all(
    Array.from({ length: navigator.hardwareConcurrency }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await work(next).catch((fault) => faults.push(fault));
      }
    }),
  );
  ok(faults.length === 0, faults.map(String).join("\n\n"));
}

async function pages(): Promise<string[]> {
  const docs = await Array.fromAsync(walk(new URL("docs/", ROOT)));
  return ["README.md", ...docs.map((path) => `docs/${path}`)]
    .filter((path) => path.endsWith(".md")).sort();
}

Deno.test({
  name: "code of README and docs runs",
  ignore,
  fn: async () => {
    await using systems = await Systems.start();
    await forEach(await pages(), async (page) => {
      await using desk = await Desk.open(systems);
      for (const block of await blocksOf(page)) await desk.run(block);
    });
  },
});
