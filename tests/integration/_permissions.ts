/** The least permissions of each block, and the smallest use that shows them. */

/** A block, with a script that uses it. */
export interface Use {
  /** As it is imported, or an example. */
  readonly block: string;
  /** Permissions, without `--allow-`. */
  readonly flags: readonly string[];
  /** What the script does; `where` is a directory of its own, `ssh` are options of a connection to a server. */
  readonly script: string;
  /** What has to be there. */
  readonly needs?: "podman" | "ssh";
}

const results = (name: string, options: string, more = "") => `
  import { ${name} } from "jsr:@atex/atex/aggregators/${more || "jsonl"}";
  import { ArtifactsWriter } from "jsr:@atex/atex/executors/results";
  const artifacts = where + "/artifacts";
  Deno.mkdirSync(artifacts);
  {
    using writer = ArtifactsWriter.open(artifacts);
    writer.write({ status: "pass" });
  }
  await using it = await new ${name}(${options}).start();
  await it.ingest("p", "/t", artifacts);`;

const run = (name: string, module: string, options = "") => `
  import { ${name} } from "jsr:@atex/atex/orchestrators/${module}";
  import { FunctionExecutor } from "jsr:@atex/atex/executors/function";
  import { Tally } from "jsr:@atex/atex/aggregators/tally";
  import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
  await using pool = await new LocalProvisioner().start();
  await using results = await new Tally().start();
  await using run = new ${name}({
    platform: "p",
    tests: ["/t"],
    provisioners: [pool],
    executor: (remote) => new FunctionExecutor(remote, { tests: { "/t": () => {} } }),
    aggregator: results,
    artifacts: where,
    ${options}
  }).run();
  await run.finished;`;

/** What scripts find: places, systems, and a tree with a test. */
export interface Place {
  where: string;
  suite: string;
  ssh?: unknown;
  container?: string;
  image?: string;
}

/** The script of a use, with what it finds. */
export function scriptOf(use: Use, place: Place): string {
  const known = Object.entries(place)
    .map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
  return [...known, use.script].join("\n");
}

/** All that are tried. */
export const USES: readonly Use[] = [
  {
    block: "connections/local",
    flags: ["run=true"],
    script: `
  import { LocalConnection } from "jsr:@atex/atex/connections/local";
  import { run } from "jsr:@atex/atex/connections/process";
  await using here = await LocalConnection.open();
  await run(here, ["true"]);`,
  },
  {
    block: "connections/podman",
    flags: ["run=podman", "sys=uid"],
    needs: "podman",
    script: `
  import { PodmanConnection } from "jsr:@atex/atex/connections/podman";
  import { run } from "jsr:@atex/atex/connections/process";
  await using there = await PodmanConnection.open({ container });
  await run(there, ["true"]);`,
  },
  {
    block: "connections/ssh",
    flags: ["run=ssh,/bin/sh", "env", "read=DIR", "write=DIR"],
    needs: "ssh",
    script: `
  import { SshConnection } from "jsr:@atex/atex/connections/ssh";
  import { run } from "jsr:@atex/atex/connections/process";
  await using there = await SshConnection.open(ssh);
  await run(there, ["true"]);`,
  },
  {
    block: "provisioners/local",
    flags: ["sys=hostname"],
    script: `
  import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
  await using pool = await new LocalProvisioner().start();
  pool.provision();
  await using remote = await pool.getRemote();`,
  },
  {
    block: "provisioners/podman",
    flags: [
      "run=podman,sh",
      "env=XDG_RUNTIME_DIR",
      "sys=uid,hostname",
      "read=DIR",
      "write=DIR",
    ],
    needs: "podman",
    script: `
  import { PodmanProvisioner } from "jsr:@atex/atex/provisioners/podman";
  await using pool = await new PodmanProvisioner({ image, runOptions: ["--network=none"] }).start();
  pool.provision();
  await using remote = await pool.getRemote();`,
  },
  {
    block: "provisioners/hosts",
    flags: [
      "run=ssh,/bin/sh",
      "env",
      "sys=uid,hostname",
      "read=DIR",
      "write=DIR",
    ],
    needs: "ssh",
    script: `
  import { HostsProvisioner } from "jsr:@atex/atex/provisioners/hosts";
  await using pool = await new HostsProvisioner({ hosts: [ssh] }).start();
  pool.provision();
  await using remote = await pool.getRemote();`,
  },
  {
    block: "executors/function",
    flags: ["read=DIR", "write=DIR"],
    script: `
  import { FunctionExecutor } from "jsr:@atex/atex/executors/function";
  import { LocalConnection } from "jsr:@atex/atex/connections/local";
  await using here = await LocalConnection.open();
  await using executor = await new FunctionExecutor(here, { tests: { "/t": () => {} } }).start();
  await executor.runTest("/t", where);`,
  },
  {
    block: "executors/command",
    flags: ["run=/bin/sh", "write=DIR"],
    script: `
  import { CommandExecutor } from "jsr:@atex/atex/executors/command";
  import { LocalConnection } from "jsr:@atex/atex/connections/local";
  await using here = await LocalConnection.open();
  await using executor = await new CommandExecutor(here, { tests: { "/t": ["true"] } }).start();
  await executor.runTest("/t", where);`,
  },
  {
    block: "executors/fmf",
    flags: [
      "run=/bin/sh,sh,rsync",
      "read=DIR",
      "write=DIR",
    ],
    script: `
  import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
  import { LocalConnection } from "jsr:@atex/atex/connections/local";
  await using tests = await discover(suite);
  await using here = await LocalConnection.open();
  await using executor = await new FmfExecutor(here, { tests }).start();
  await executor.runTest("/t", where);`,
  },
  {
    block: "fmf",
    flags: ["read=DIR"],
    script: `
  import { openTree } from "jsr:@atex/atex/fmf";
  openTree(suite);`,
  },
  {
    block: "aggregators/jsonl",
    flags: ["read=DIR", "write=DIR"],
    script: results(
      "JsonLinesAggregator",
      "{ results: where + '/r.jsonl', files: where + '/files' }",
    ),
  },
  {
    block: "aggregators/junit",
    flags: ["read=DIR", "write=DIR"],
    script: results("JUnitAggregator", "{ target: where + '/r.xml' }", "junit"),
  },
  {
    block: "aggregators/tally",
    flags: ["read=DIR", "write=DIR"],
    script: results("Tally", "", "tally"),
  },
  {
    block: "orchestrators/adhoc",
    flags: ["read=DIR", "write=DIR", "sys=hostname"],
    script: run("AdHocOrchestrator", "adhoc"),
  },
  {
    block: "orchestrators/simple",
    flags: ["read=DIR", "write=DIR", "sys=hostname"],
    script: run("SimpleOrchestrator", "simple").replace(
      "provisioners: [pool]",
      "provisioner: pool",
    ),
  },
];
