/** Who may import whom, and that importing does nothing: what keeps the blocks apart. */
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

/**
 * What the files of a folder may import beside their own folder; the first entry that matches counts.
 * `options.ts` is for all, and imports nothing of ours; other top-level files (`mod.ts`) re-export everything.
 */
const MAY_IMPORT: [from: RegExp, to: RegExp | null][] = [
  [/^connections\//, null],
  [/^provisioners\//, /^connections\//],
  [/^executors\/fmf\/metadata\//, null],
  [
    /^executors\//,
    /^connections\/(connection|process|copy|ownership|time_limit)\.ts$/,
  ],
  [/^aggregators\//, /^executors\/results\.ts$/],
  [
    /^orchestrators\/policies\.ts$/,
    /^(connections\/connection|provisioners\/provisioner|executors\/(executor|results|fmf\/duration)|aggregators\/aggregator)\.ts$/,
  ],
  [
    /^orchestrators\//,
    /^(connections\/(connection|ownership|time_limit)|provisioners\/provisioner|executors\/(executor|results)|aggregators\/aggregator)\.ts$/,
  ],
  [/^options\.ts$/, null],
  [/^(cli\/.*|[^/]+)$/, /./],
];

/** Files that all implementations of their folder build on. */
const SHARED = new Set([
  "connections/connection.ts",
  "connections/copy.ts",
  "connections/ownership.ts",
  "connections/process.ts",
  "connections/program.ts",
  "connections/time_limit.ts",
  "provisioners/events.ts",
  "provisioners/pooled.ts",
  "provisioners/provisioner.ts",
  "provisioners/shared_limit.ts",
  "provisioners/sshd.ts",
  "executors/activity.ts",
  "executors/error_note.ts",
  "executors/executor.ts",
  "executors/leash.ts",
  "executors/open_artifacts.ts",
  "executors/results.ts",
  "executors/storage.ts",
  "executors/variables.ts",
  "aggregators/aggregator.ts",
  "orchestrators/orchestrator.ts",
]);

/** Implementations that may import siblings: those which choose among them, variants with their base, and what another folder needs of one. */
const MAY_IMPORT_SIBLINGS: Record<string, RegExp> = {
  "cli/mod.ts": /./,
  "connections/kubernetes.ts": /^connections\/kubernetes_flags\.ts$/,
  "connections/podman.ts": /^connections\/made_container\.ts$/,
  "connections/ssh.ts": /^connections\/ssh_(drop|key)\.ts$/,
  "provisioners/from_string.ts": /./,
  "executors/beakerlib.ts": /^executors\/fmf\//,
  "provisioners/systemd.ts": /^provisioners\/podman\.ts$/,
};

const EXTERNAL = [
  /^jsr:\/?@std\/(async@~|cli@\^|yaml@\^)\d+\.\d+\.\d+\/./,
  // those beside posix/ load what they do on Windows as well: twice the modules
  /^jsr:\/?@std\/path@\^\d+\.\d+\.\d+\/posix\/./,
  /^npm:\/?zod@\^4$/,
  /^npm:\/?@xmldom\/xmldom@\^0\.9$/,
  /^node:/,
];

interface Module {
  path: string;
  /** Paths of our own files that it imports, types included. */
  imports: string[];
  external: string[];
}

interface Info {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: {
      specifier: string;
      code?: { specifier?: string };
      type?: { specifier?: string };
    }[];
  }[];
}

async function readGraph(): Promise<Map<string, Module>> {
  const graph = new Map<string, Module>();
  for (const entry of Object.values(config.exports)) {
    const { success, stdout, stderr } = await new Deno.Command(
      Deno.execPath(),
      {
        args: ["info", "--json", "--no-remote", "--no-npm", entry],
        cwd: root,
      },
    ).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const { modules }: Info = JSON.parse(new TextDecoder().decode(stdout));
    for (const { specifier, error, dependencies = [] } of modules) {
      if (!specifier.startsWith(root.href)) continue;
      assert.equal(error, undefined, `${entry}: ${error}`);
      const path = specifier.slice(root.href.length);
      const targets = dependencies.map((dependency) =>
        dependency.code?.specifier ?? dependency.type?.specifier ??
          dependency.specifier
      );
      const own = targets.filter((target) => target.startsWith(root.href));
      graph.set(path, {
        path,
        imports: own.map((target) => target.slice(root.href.length)),
        external: targets.filter((target) => !own.includes(target)),
      });
    }
  }
  return graph;
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);
const topOf = (path: string) => path.split("/")[0];

/** `executors/fmf/x.ts` belongs to the implementation `executors/fmf`, as `connections/ssh.ts` is `connections/ssh`. */
const unitOf = (path: string) => path.split("/", 2).join("/");

function faultOf(from: string, to: string): string | undefined {
  if (to === "options.ts" && !from.startsWith("executors/fmf/metadata/")) {
    return undefined;
  }
  if (/(^|\/)_[^/]*$/.test(to) && folderOf(from) !== folderOf(to)) {
    return "a file named _… is for its own folder";
  }
  if (topOf(from) === topOf(to) && from.includes("/")) {
    if (
      from.startsWith("executors/fmf/metadata/") &&
      !to.startsWith("executors/fmf/metadata/")
    ) return "the metadata library stands alone";
    const siblings = unitOf(from) !== unitOf(to) && !SHARED.has(to) &&
      !/(^|\/)_[^/]*$/.test(to);
    return siblings && !MAY_IMPORT_SIBLINGS[from]?.test(to)
      ? "an implementation does not import a sibling"
      : undefined;
  }
  const rule = MAY_IMPORT.find(([pattern]) => pattern.test(from));
  assert.ok(rule, `${from}: in no folder of the design`);
  return rule[1]?.test(to) ? undefined : `not for ${topOf(from)}`;
}

/** The first cycle that is met from `path`, as a list of paths. */
function cycleFrom(
  graph: Map<string, Module>,
  path: string,
  trail: string[],
  done: Set<string>,
): string[] | undefined {
  if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
  if (done.has(path)) return;
  for (const next of graph.get(path)?.imports ?? []) {
    const cycle = cycleFrom(graph, next, [...trail, path], done);
    if (cycle) return cycle;
  }
  done.add(path);
}

Deno.test("modules import what their folder may", async (t) => {
  const graph = await readGraph();
  await t.step("every import is allowed", () => {
    const faults = [...graph.values()].flatMap(({ path, imports }) =>
      imports.map((to) => ({ path, to, why: faultOf(path, to) }))
        .filter(({ why }) => why)
        .map(({ to, why }) => `${path} imports ${to}: ${why}`)
    );
    assert.deepEqual(faults, []);
  });
  await t.step(
    "single files of @std, zod, xmldom and node: are all else",
    () => {
      const faults = [...graph.values()].flatMap(({ path, external }) =>
        external.filter((to) => !EXTERNAL.some((pattern) => pattern.test(to)))
          .map((to) => `${path} imports ${to}`)
      );
      assert.deepEqual(faults, []);
    },
  );
  await t.step("options.ts imports nothing of ours", () => {
    assert.deepEqual(graph.get("options.ts")!.imports, []);
  });
  await t.step("libraries of one file are loaded with that file alone", () => {
    const users = [...graph.values()].filter(({ external }) =>
      external.some((to) => to.includes("xmldom"))
    );
    assert.deepEqual(
      users.map(({ path }) => path),
      ["provisioners/_domain_xml.ts"],
    );
  });
  await t.step("there is no cycle", () => {
    const done = new Set<string>();
    for (const path of graph.keys()) {
      assert.equal(cycleFrom(graph, path, [], done)?.join(" -> "), undefined);
    }
  });
});

Deno.test("faultOf() sees each kind of fault", () => {
  for (
    const [from, to, allowed] of [
      ["connections/ssh.ts", "connections/process.ts", true],
      ["connections/ssh.ts", "connections/podman.ts", false],
      ["connections/ssh.ts", "provisioners/provisioner.ts", false],
      ["provisioners/podman.ts", "connections/podman.ts", true],
      ["provisioners/podman.ts", "connections/_master.ts", false],
      ["executors/fmf/executor.ts", "executors/fmf/metadata/mod.ts", true],
      ["executors/fmf/executor.ts", "executors/results.ts", true],
      ["executors/fmf/executor.ts", "connections/ssh.ts", false],
      ["executors/fmf/metadata/tree.ts", "executors/fmf/duration.ts", false],
      ["executors/function.ts", "executors/fmf/mod.ts", false],
      ["aggregators/jsonl.ts", "executors/results.ts", true],
      ["aggregators/jsonl.ts", "executors/executor.ts", false],
      ["orchestrators/adhoc.ts", "executors/executor.ts", true],
      ["orchestrators/adhoc.ts", "executors/results.ts", true],
      ["orchestrators/adhoc.ts", "executors/function.ts", false],
      ["orchestrators/adhoc.ts", "executors/fmf/duration.ts", false],
      ["orchestrators/policies.ts", "executors/fmf/duration.ts", true],
      ["mod.ts", "connections/ssh.ts", true],
      ["connections/ssh.ts", "options.ts", true],
      ["executors/fmf/executor.ts", "options.ts", true],
      ["executors/fmf/metadata/tree.ts", "options.ts", false],
      ["options.ts", "connections/connection.ts", false],
      ["options.ts", "mod.ts", false],
    ] as const
  ) assert.equal(faultOf(from, to) === undefined, allowed, `${from} -> ${to}`);
});

Deno.test("importing an export does nothing", async (t) => {
  for (const [name, path] of Object.entries(config.exports)) {
    await t.step(name, async () => {
      // Without any permission, and it has to end by itself.
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", "--no-prompt", "-"],
        cwd: root,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        signal: AbortSignal.timeout(60_000),
      }).spawn();
      const writer = child.stdin.getWriter();
      // Deno loads its streams, too, when the command is named
      const script = `
        const { get } = Object.getOwnPropertyDescriptor(Deno, "Command");
        Object.defineProperty(Deno, "Command", {
          get() {
            console.log(new Error("named while it is imported").stack);
            return get.call(Deno);
          },
        });
        await import(${JSON.stringify(path)});`;
      await writer.write(new TextEncoder().encode(script));
      await writer.close();
      const { code, stdout, stderr } = await child.output();
      const said = new TextDecoder().decode(stdout) +
        new TextDecoder().decode(stderr);
      assert.deepEqual({ code, said }, { code: 0, said: "" });
    });
  }
});
