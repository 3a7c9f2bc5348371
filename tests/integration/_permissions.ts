/** The least permissions of each block, and the smallest use that shows them. */

/** A block, with a script that uses it. */
export interface Use {
  /** As it is imported. */
  readonly block: string;
  /** Permissions, without `--allow-`. */
  readonly flags: readonly string[];
  /** What the script does; what a {@linkcode Place} has, it knows by its name. */
  readonly script: string;
  /** What has to be there. */
  readonly needs?: Part;
}

/** What a use may need. */
export type Part =
  | "podman"
  | "systemd"
  | "ssh"
  | "kubernetes"
  | "testing-farm"
  | "libvirt"
  | "shared-libvirt"
  | "telemetry"
  | "report-portal";

/** What scripts find. */
export interface Place {
  /** A directory of its own. */
  readonly where: string;
  /** A tree with a test. */
  readonly suite: string;
  /** Artifacts of a test. */
  readonly artifacts: string;
  /** Options of a connection to a server. */
  readonly ssh?: unknown;
  readonly container?: string;
  readonly image?: string;
  /** Options of a block that talks to a service. */
  readonly service?: unknown;
}

const ingest = (imports: string, aggregator: string) => `
  ${imports}
  await using it = await new ${aggregator}.start();
  await it.ingest("p", "/t", artifacts);`;

const lend = (name: string, module: string, options: string) => `
  import { ${name} } from "jsr:@atex/atex/provisioners/${module}";
  await using pool = await new ${name}(${options}).start();
  pool.provision();
  await using remote = await pool.getRemote();`;

const run = (name: string, module: string, pool: string) => `
  import { ${name} } from "jsr:@atex/atex/orchestrators/${module}";
  import { FunctionExecutor } from "jsr:@atex/atex/executors/function";
  import { Tally } from "jsr:@atex/atex/aggregators/tally";
  import { LocalProvisioner } from "jsr:@atex/atex/provisioners/local";
  await using pool = await new LocalProvisioner().start();
  await using results = await new Tally().start();
  await using run = new ${name}({
    platform: "p",
    tests: ["/t"],
    ${pool},
    executor: (remote) => new FunctionExecutor(remote, { tests: { "/t": () => {} } }),
    aggregator: results,
    artifacts: where,
  }).run();
  await run.finished;`;

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
    block: "connections/kubernetes",
    flags: ["run=kubectl"],
    needs: "kubernetes",
    script: `
  import { KubernetesConnection } from "jsr:@atex/atex/connections/kubernetes";
  import { run } from "jsr:@atex/atex/connections/process";
  await using there = await KubernetesConnection.open(service);
  await run(there, ["true"]);`,
  },
  {
    block: "connections/copy",
    flags: ["run=sh,rsync"],
    script: `
  import { download, upload } from "jsr:@atex/atex/connections/copy";
  import { LocalConnection } from "jsr:@atex/atex/connections/local";
  await using here = await LocalConnection.open();
  await upload(here, where + "/results.jsonl", where + "/there");
  await download(here, where + "/there", where + "/back");`,
  },
  {
    block: "provisioners/local",
    flags: ["sys=hostname"],
    script: lend("LocalProvisioner", "local", ""),
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
    script: lend(
      "PodmanProvisioner",
      "podman",
      `{ image, runOptions: ["--network=none"] }`,
    ),
  },
  {
    block: "provisioners/systemd",
    flags: [
      "run=podman,sh",
      "env=XDG_RUNTIME_DIR",
      "sys=uid,hostname",
      "read=DIR",
      "write=DIR",
    ],
    needs: "systemd",
    script: lend(
      "SystemdProvisioner",
      "systemd",
      `{ image, runOptions: ["--network=none"] }`,
    ),
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
    script: lend("HostsProvisioner", "hosts", "{ hosts: [ssh] }"),
  },
  {
    block: "provisioners/kubernetes",
    flags: [
      "run=kubectl,sh",
      "env=XDG_RUNTIME_DIR",
      "sys=uid,hostname",
      "read=DIR",
      "write=DIR",
    ],
    needs: "kubernetes",
    script: lend(
      "KubernetesProvisioner",
      "kubernetes",
      `{ image: "fedora:42", kubeconfig: service.kubeconfig }`,
    ),
  },
  {
    block: "provisioners/testing-farm",
    flags: [
      "run=ssh,/bin/sh",
      "net=SERVICE",
      "env",
      "sys=uid,hostname",
      "read=DIR",
      "write=DIR",
    ],
    needs: "testing-farm",
    script: lend("TestingFarmProvisioner", "testing-farm", "service"),
  },
  {
    block: "provisioners/libvirt",
    flags: [
      "run=virsh,ssh,/bin/sh,sh",
      "net=127.0.0.1",
      "env",
      "sys=uid,hostname",
      "read=DIR",
      "write=DIR",
    ],
    needs: "libvirt",
    script: lend("LibvirtProvisioner", "libvirt", "service"),
  },
  {
    block: "provisioners/shared-libvirt",
    flags: [
      "run=ssh,/bin/sh",
      "net=127.0.0.1",
      "env",
      "read=DIR",
      "write=DIR",
    ],
    needs: "shared-libvirt",
    script: lend("SharedLibvirtProvisioner", "shared-libvirt", "service"),
  },
  {
    block: "provisioners/virt-helper",
    flags: ["run=ssh,/bin/sh", "env", "read=DIR", "write=DIR"],
    needs: "ssh",
    script: `
  import { SshConnection } from "jsr:@atex/atex/connections/ssh";
  import { installVirtHelper } from "jsr:@atex/atex/provisioners/virt-helper";
  await using host = await SshConnection.open(ssh);
  await installVirtHelper(host, { path: where + "/helper" });`,
  },
  {
    block: "provisioners/podman-image",
    flags: [
      "run=podman,sh",
      "env=XDG_RUNTIME_DIR",
      "sys=uid,hostname",
      "read=DIR",
      "write=DIR",
    ],
    needs: "podman",
    script: `
  import { buildImage } from "jsr:@atex/atex/provisioners/podman-image";
  const built = await buildImage(image, {
    packages: [],
    files: { "/where": where }, // or it would be there already
    runOptions: ["--network=none"],
  });
  await new Deno.Command("podman", { args: ["rmi", built] }).output();`,
  },
  {
    block: "provisioners/leases",
    flags: ["run=ssh", "env", "sys=uid,hostname"],
    needs: "ssh",
    script: `
  import { readLeases } from "jsr:@atex/atex/provisioners/leases";
  const [lease] = await readLeases({ hosts: [ssh] });
  if (lease.error) throw lease.error;`,
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
  await using executor = await new FmfExecutor(here, {
    tests,
    onEvent: (event) => console.error(event), // it warns of what it cannot remove
  }).start();
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
    script: ingest(
      `import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";`,
      "JsonLinesAggregator({ results: where + '/r.jsonl', files: where + '/files' })",
    ),
  },
  {
    block: "aggregators/yaml",
    flags: ["read=DIR", "write=DIR"],
    script: ingest(
      `import { YamlAggregator } from "jsr:@atex/atex/aggregators/yaml";`,
      "YamlAggregator({ results: where + '/r.yaml', files: where + '/files' })",
    ),
  },
  {
    block: "aggregators/junit",
    flags: ["read=DIR", "write=DIR"],
    script: ingest(
      `import { JUnitAggregator } from "jsr:@atex/atex/aggregators/junit";`,
      "JUnitAggregator({ target: where + '/r.xml' })",
    ),
  },
  {
    block: "aggregators/html",
    flags: ["read=DIR", "write=DIR"],
    script: ingest(
      `import { HtmlReportAggregator } from "jsr:@atex/atex/aggregators/html";`,
      "HtmlReportAggregator({ report: where + '/r.html' })",
    ),
  },
  {
    block: "aggregators/github",
    flags: ["env=GITHUB_ACTIONS,GITHUB_STEP_SUMMARY", "read=DIR", "write=DIR"],
    script: ingest(
      `import { GitHubAggregator } from "jsr:@atex/atex/aggregators/github";`,
      "GitHubAggregator()",
    ),
  },
  {
    block: "aggregators/report-portal",
    flags: ["net=SERVICE", "read=DIR", "write=DIR"],
    needs: "report-portal",
    script: `
  import { ReportPortalAggregator, ReportPortalApi } from "jsr:@atex/atex/aggregators/report-portal";
  using api = new ReportPortalApi(service);
  await using it = await new ReportPortalAggregator({ api, launch: "l" }).start();
  await it.ingest("p", "/t", artifacts);`,
  },
  {
    block: "aggregators/multi",
    flags: ["read=DIR"],
    script: ingest(
      `import { MultiAggregator } from "jsr:@atex/atex/aggregators/multi";
  import { Tally } from "jsr:@atex/atex/aggregators/tally";`,
      "MultiAggregator([new Tally(), new Tally()])",
    ),
  },
  {
    block: "aggregators/tally",
    flags: ["read=DIR"],
    script: ingest(
      `import { Tally } from "jsr:@atex/atex/aggregators/tally";`,
      "Tally()",
    ),
  },
  {
    block: "aggregators/compare",
    flags: ["read=DIR"],
    script: `
  import { compareResults } from "jsr:@atex/atex/aggregators/compare";
  import { readResults } from "jsr:@atex/atex/aggregators/reader";
  const results = () => readResults(where + "/results.jsonl");
  await Array.fromAsync(compareResults(results(), results()));`,
  },
  {
    block: "aggregators/reader",
    flags: ["read=DIR"],
    script: `
  import { readResults } from "jsr:@atex/atex/aggregators/reader";
  await Array.fromAsync(readResults(where + "/results.jsonl"));`,
  },
  {
    block: "orchestrators/adhoc",
    flags: ["read=DIR", "write=DIR", "sys=hostname"],
    script: run("AdHocOrchestrator", "adhoc", "provisioners: [pool]"),
  },
  {
    block: "orchestrators/simple",
    flags: ["read=DIR", "write=DIR", "sys=hostname"],
    script: run("SimpleOrchestrator", "simple", "provisioner: pool"),
  },
  {
    block: "orchestrators/progress",
    flags: [],
    script: `
  import { showProgress } from "jsr:@atex/atex/orchestrators/progress";
  const run = Object.assign((async function* () {})(), { status: {} });
  await showProgress(run, { live: true });`,
  },
  {
    block: "orchestrators/telemetry",
    flags: [],
    needs: "telemetry",
    script: `
  import { sendSpans } from "jsr:@atex/atex/orchestrators/telemetry";
  await sendSpans((async function* () {
    yield { time: 1, type: "run-started", platform: "p", tests: ["/t"] };
  })());`,
  },
  {
    block: "orchestrators/trace",
    flags: ["write=DIR"],
    script: `
  import { writeTrace } from "jsr:@atex/atex/orchestrators/trace";
  await writeTrace([], where + "/trace.json");`,
  },
  {
    block: "orchestrators/event-log",
    flags: ["write=DIR"],
    script: `
  import { writeEventLog } from "jsr:@atex/atex/orchestrators/event-log";
  await writeEventLog([], where + "/events.jsonl");`,
  },
];

/** Permissions of the examples: `examples_test.ts` runs them with these. */
export const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  "commands.ts": ["run=ssh,/bin/sh", "env", "read=DIR", "write=DIR"],
  "containers.ts": [
    "run=podman,sh,/bin/sh",
    "env=XDG_RUNTIME_DIR",
    "sys=uid,hostname",
    "read=DIR",
    "write=DIR",
  ],
  "demo.ts": [
    "run=/bin/sh,sh,rsync,bash",
    "sys=hostname",
    "read=DIR",
    "write=DIR",
  ],
  "functions.ts": [
    "run=podman,sh",
    "env=XDG_RUNTIME_DIR",
    "sys=uid,hostname",
    "read=DIR",
    "write=DIR",
  ],
  "one_by_one.ts": [
    "run=/bin/sh,sh,rsync",
    "sys=hostname",
    "read=DIR",
    "write=DIR",
  ],
  "one_machine.ts": [
    "run=ssh,/bin/sh,sh,rsync",
    "env",
    "read=DIR",
    "write=DIR",
  ],
  "own_provisioner.ts": [
    "run=pwd,ls,/bin/sh",
    "sys=hostname",
    "read=DIR",
    "write=DIR",
  ],
  "resume.ts": ["run=sleep", "sys=hostname", "read=DIR", "write=DIR"],
};
