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
const IMAGES = /(?:registry\.fedoraproject\.org\/)?fedora:42/g;
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
      text.replaceAll(IMAGES, imageName("tiny")),
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
    await this.write(name, code);
    const arguments_ = this.systems.put(
      /^\/\/ [\w.-]+\.ts: deno run -A \S+ ?(.*)/.exec(text)?.[1] ?? "",
    );
    await this.command(
      ["deno", "run", "-qA", name, ...arguments_.split(" ").filter(Boolean)],
      place,
    );
  }

  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.path}/${name}`, text);
  }

  async command(argv: string[], place = argv[0]): Promise<void> {
    const [file, ...args] = argv;
    const { success, stdout, stderr } = await new Deno.Command(file, {
      args,
      cwd: this.path,
      env: {
        ...this.systems.agent.env,
        NO_COLOR: "1",
        TMPDIR: this.path, // what it leaves there goes with the rest
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

/** What examples in doc comments find: the suite, artifacts of a test, and results of runs before, two of which were killed. */
const BEFORE = `
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { JUnitAggregator } from "jsr:@atex/atex/aggregators/junit";
import { MultiAggregator } from "jsr:@atex/atex/aggregators/multi";
import { CommandExecutor } from "jsr:@atex/atex/executors/command";
import { ArtifactsWriter } from "jsr:@atex/atex/executors/results";
import { writeEventLog } from "jsr:@atex/atex/orchestrators/event-log";
import { SimpleOrchestrator } from "jsr:@atex/atex/orchestrators/simple";
import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";

const tests = { "/smoke": ["uname", "-a"] };
const jsonLines = (name: string, compressed = false) =>
  new JsonLinesAggregator({
    results: name,
    files: name + ".files",
    ...(compressed && { compression: { format: "gzip" } }),
  });
{
  await using results = await new MultiAggregator([
    jsonLines("out/results.jsonl"),
    jsonLines("yesterday/results.jsonl"),
    jsonLines("out/results.jsonl.gz", true),
  ]).start();
  await using local = await new LocalProvisioner().start();
  await using run = new SimpleOrchestrator({
    platform: "here",
    tests: Object.keys(tests),
    provisioner: local,
    executor: (remote) => new CommandExecutor(remote, { tests }),
    aggregator: results,
  }).run();
  await writeEventLog(run, "out/events.jsonl");
}
async function artifacts(directory: string) {
  await Deno.mkdir(directory, { recursive: true });
  using writer = ArtifactsWriter.open(directory);
  await Deno.writeTextFile(writer.pathFor("output.txt", {}), "fine\\n");
  writer.write({ status: "pass", files: ["output.txt"] });
}
await artifacts("artifacts/smoke");
await artifacts("artifacts/last");
const killed = await new MultiAggregator([
  new JUnitAggregator({ target: "out/junit.xml" }),
  jsonLines("out/nightly.jsonl.gz", true),
]).start();
await killed.ingest("here", "/last", "artifacts/last");
Deno.kill(Deno.pid, "SIGKILL");
`;

/** Runs examples one after the other, each in its directory, in one process: most of their time is that of loading modules. */
const ONE_BY_ONE = `
for (const directory of Deno.env.get("EXAMPLES").split(" ")) {
  const place = Deno.readTextFileSync(directory + "/place");
  console.log("--- " + place);
  Deno.chdir(directory);
  await import("file://" + directory + "/example.ts");
  if (Deno.exitCode) throw new Error("exit code " + Deno.exitCode);
}
`;

/** Examples of all modules that users can import. */
async function examples(): Promise<CodeBlock[]> {
  const { publish } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  const blocks: CodeBlock[] = [];
  for await (const path of walk(ROOT, publish.exclude)) {
    if (path.endsWith(".ts")) blocks.push(...await blocksOf(path));
  }
  return blocks.filter(({ language, text }) =>
    language === "ts" && text.includes('"jsr:@atex/atex')
  );
}

Deno.test({
  name: "examples in doc comments run",
  ignore,
  fn: async () => {
    await using systems = await Systems.start();
    await using desk = await Desk.open(systems);
    await desk.write("before.ts", BEFORE);
    await desk.write("one_by_one.ts", ONE_BY_ONE);
    await desk.command(
      ["bash", "-c", "deno run -qA before.ts; test $? = 137"],
      "before.ts",
    );
    const blocks = await examples();
    ok(blocks.length > 50, `${blocks.length} examples`);
    const directories = await Promise.all(blocks.map(async (block, i) => {
      const directory = `${desk.path}/${i}`;
      await Deno.mkdir(directory);
      await desk.write(`${i}/place`, block.place);
      await desk.write(`${i}/example.ts`, systems.put(block.text));
      const found = /Aggregator\(/.test(block.text)
        ? ["suite", "artifacts"]
        : ["suite", "artifacts", "out", "yesterday"];
      await desk.command(["cp", "-r", ...found, directory]);
      return directory;
    }));
    const parts = [0, 1].map((part) =>
      directories.filter((_, i) => i % 2 === part)
    );
    await forEach(
      parts,
      (part) =>
        desk.command([
          "env",
          `EXAMPLES=${part.join(" ")}`,
          "deno",
          "run",
          "-qA",
          "one_by_one.ts",
        ]),
    );
  },
});

/** Containers, hosts with leases, fmf tests and a journal, in one script. */
const EVERYWHERE = `
import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
import { AdHocOrchestrator } from "jsr:@atex/atex/orchestrators/adhoc";
import { HostsProvisioner } from "jsr:@atex/atex/provisioners/hosts";
import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";

await using tests = await discover("./suite");
await using hosts = await new HostsProvisioner({
  hosts: ["root@10.0.0.7"],
}).start();
await using containers = await new PodmanProvisioner({
  image: "fedora:42",
  maxRemotes: 1,
}).start();
await using results = await new JsonLinesAggregator({
  results: "out/results.jsonl",
  files: "out/files",
  existing: "continue",
}).start();
await using run = new AdHocOrchestrator({
  platform: "everywhere",
  tests: tests.data.keys(),
  provisioners: [hosts, containers],
  executor: (remote) => new FmfExecutor(remote, { tests }),
  aggregator: results,
  journal: "out/run.journal",
}).run();
const { passed, tests: all } = await run.finished;
if (passed !== all) throw new Error(passed + " of " + all + " passed");
`;

Deno.test({
  name: "docs/macos.md: a script does without what only Linux tells",
  ignore,
  fn: async () => {
    await using systems = await Systems.start();
    await using desk = await Desk.open(systems);
    await desk.write("everywhere.ts", systems.put(EVERYWHERE));
    const deny = "--deny-read=/proc,/etc/machine-id,/run/user";
    await desk.command(["deno", "run", "-qA", deny, "everywhere.ts"]);
  },
});
