/** What scripts are told whose options are wrong: they run without a check of their types. */
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { HtmlReportAggregator, writeHtmlReport } from "../aggregators/html.ts";
import { compareResults } from "../aggregators/compare.ts";
import { GitHubAggregator, gitHubSummary } from "../aggregators/github.ts";
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { JUnitAggregator, writeJUnit } from "../aggregators/junit.ts";
import { MultiAggregator } from "../aggregators/multi.ts";
import { failedTests, readResults } from "../aggregators/reader.ts";
import {
  ReportPortalAggregator,
  ReportPortalApi,
} from "../aggregators/report_portal.ts";
import { Tally } from "../aggregators/tally.ts";
import { YamlAggregator } from "../aggregators/yaml.ts";
import { download, upload } from "../connections/copy.ts";
import { KubernetesConnection } from "../connections/kubernetes.ts";
import { LocalConnection } from "../connections/local.ts";
import { PodmanConnection } from "../connections/podman.ts";
import {
  output,
  outputLocal,
  run,
  start,
  startLocal,
} from "../connections/process.ts";
import { SshConnection } from "../connections/ssh.ts";
import { interact } from "../connections/terminal.ts";
import config from "../deno.json" with { type: "json" };
import { BeakerlibExecutor } from "../executors/beakerlib.ts";
import { CommandExecutor } from "../executors/command.ts";
import { discover, FmfExecutor } from "../executors/fmf/mod.ts";
import { FunctionExecutor } from "../executors/function.ts";
import {
  checkCounts,
  checkOptions,
  type Known,
  pathOf,
  shorten,
} from "../options.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import { replayRun, writeEventLog } from "../orchestrators/event_log.ts";
import { runMain } from "../orchestrators/main.ts";
import { byRank, reruns } from "../orchestrators/policies.ts";
import { showProgress } from "../orchestrators/progress.ts";
import { runAll } from "../orchestrators/run_all.ts";
import { SimpleOrchestrator } from "../orchestrators/simple.ts";
import { sendSpans } from "../orchestrators/telemetry.ts";
import { writeTrace } from "../orchestrators/trace.ts";
import { provisionerFromString } from "../provisioners/from_string.ts";
import { HostsProvisioner } from "../provisioners/hosts.ts";
import { KubernetesProvisioner } from "../provisioners/kubernetes.ts";
import { readLeases } from "../provisioners/leases.ts";
import { LibvirtProvisioner } from "../provisioners/libvirt.ts";
import { LocalProvisioner } from "../provisioners/local.ts";
import { PodmanProvisioner } from "../provisioners/podman.ts";
import {
  buildImage,
  buildSystemdImage,
  pullImage,
} from "../provisioners/podman_image.ts";
import { PooledProvisioner } from "../provisioners/pooled.ts";
import { reap } from "../provisioners/reap.ts";
import {
  listReservations,
  SharedLibvirtProvisioner,
} from "../provisioners/shared_libvirt.ts";
import {
  SystemdProvisioner,
  withSystemdImage,
} from "../provisioners/systemd.ts";
import {
  describeTestingFarm,
  listComposes,
  TestingFarmProvisioner,
} from "../provisioners/testing_farm.ts";
import { installVirtHelper, VirtHelper } from "../provisioners/virt_helper.ts";

// deno-lint-ignore no-explicit-any -- what the compiler would refuse
type Wrong = any;

/** The message of what is thrown, or of what it rejects with; none if all is well. */
async function said(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
  } catch (error) {
    ok(error instanceof TypeError, Deno.inspect(error));
    return error.message;
  }
}

const here = new LocalConnection();
const tests = { plan: {}, data: new Map(), sources: new Map(), root: "/" };
const aggregator = new Tally();
const provisioner = new LocalProvisioner();
const executor = () => new CommandExecutor(here, { tests: {} });
const noRun = { async *[Symbol.asyncIterator]() {} } as Wrong;
const api = new ReportPortalApi();

/** A class or a function, with options that are right and one that is misspelt. */
interface Row {
  of: string;
  call: (options: Wrong) => unknown;
  /** All that have to be given. */
  right: Record<string, unknown>;
  typo: [name: string, meant: string];
}

const CLASSES: Row[] = [
  {
    of: "SshConnection",
    call: (options) => new SshConnection(options),
    right: { host: "root@10.0.0.7" },
    typo: ["identityfile", "identityFile"],
  },
  {
    of: "PodmanConnection",
    call: (options) => new PodmanConnection(options),
    right: { container: "web" },
    typo: ["connecTimeout", "connectTimeout"],
  },
  {
    of: "KubernetesConnection",
    call: (options) => new KubernetesConnection(options),
    right: { pod: "web-0" },
    typo: ["kubeConfig", "kubeconfig"],
  },
  {
    of: "LocalConnection",
    call: (options) => new LocalConnection(options),
    right: {},
    typo: ["clear_env", "clearEnv"],
  },
  {
    of: "PooledProvisioner",
    call: (options) => new PooledProvisioner(options),
    right: { name: "own", maxRemotes: 1, backend: {} },
    typo: ["maxRemote", "maxRemotes"],
  },
  {
    of: "LocalProvisioner",
    call: (options) => new LocalProvisioner(options),
    right: {},
    typo: ["max-remotes", "maxRemotes"],
  },
  {
    of: "PodmanProvisioner",
    call: (options) => new PodmanProvisioner(options),
    right: { image: "fedora:42" },
    typo: ["maxRemote", "maxRemotes"],
  },
  {
    of: "SystemdProvisioner",
    call: (options) => new SystemdProvisioner(options),
    right: { image: "fedora:42" },
    typo: ["bootTimout", "bootTimeout"],
  },
  {
    of: "HostsProvisioner",
    call: (options) => new HostsProvisioner(options),
    right: { hosts: ["root@10.0.0.7"] },
    typo: ["reserveTimeot", "reserveTimeout"],
  },
  {
    of: "LibvirtProvisioner",
    call: (options) => new LibvirtProvisioner(options),
    right: { origin: "fedora-42", sshKey: "key" },
    typo: ["sshkey", "sshKey"],
  },
  {
    of: "SharedLibvirtProvisioner",
    call: (options) => new SharedLibvirtProvisioner(options),
    right: { host: "root@10.0.0.7", image: "fedora-42.raw" },
    typo: ["reserveNmae", "reserveName"],
  },
  {
    of: "KubernetesProvisioner",
    call: (options) => new KubernetesProvisioner(options),
    right: {},
    typo: ["Image", "image"],
  },
  {
    of: "TestingFarmProvisioner",
    call: (options) => new TestingFarmProvisioner(options),
    right: { compose: "Fedora-42" },
    typo: ["time", "times"],
  },
  {
    of: "FmfExecutor",
    call: (options) => new FmfExecutor(here, options),
    right: { tests },
    typo: ["test", "tests"],
  },
  {
    of: "BeakerlibExecutor",
    call: (options) => new BeakerlibExecutor(here, options),
    right: { tests },
    typo: ["instal", "install"],
  },
  {
    of: "FunctionExecutor",
    call: (options) => new FunctionExecutor(here, options),
    right: { tests: { "/a": () => {} } },
    typo: ["setUp", "setup"],
  },
  {
    of: "CommandExecutor",
    call: (options) => new CommandExecutor(here, options),
    right: { tests: { "/a": ["true"] } },
    typo: ["timout", "timeout"],
  },
  {
    of: "JsonLinesAggregator",
    call: (options) => new JsonLinesAggregator(options),
    right: { results: "out/results.jsonl", files: "out/files" },
    typo: ["result", "results"],
  },
  {
    of: "YamlAggregator",
    call: (options) => new YamlAggregator(options),
    right: { results: "out/results.yaml", files: "out/files" },
    typo: ["allowDuplicates", "allowDuplicate"],
  },
  {
    of: "JUnitAggregator",
    call: (options) => new JUnitAggregator(options),
    right: { target: "out/junit.xml" },
    typo: ["subtest", "subtests"],
  },
  {
    of: "HtmlReportAggregator",
    call: (options) => new HtmlReportAggregator(options),
    right: { report: "out/report.html" },
    typo: ["compare_with", "compareWith"],
  },
  {
    of: "GitHubAggregator",
    call: (options) => new GitHubAggregator(options),
    right: {},
    typo: ["annotation", "annotations"],
  },
  {
    of: "Tally",
    call: (options) => new Tally(options),
    right: {},
    typo: ["store", "stored"],
  },
  {
    of: "ReportPortalAggregator",
    call: (options) => new ReportPortalAggregator(options),
    right: { api, launch: "nightly" },
    typo: ["joinSubtests", "joinSubtest"],
  },
  {
    of: "ReportPortalApi",
    call: (options) => new ReportPortalApi(options),
    right: {},
    typo: ["caCert", "caCerts"],
  },
  {
    of: "AdHocOrchestrator",
    call: (options) => new AdHocOrchestrator(options),
    right: {
      platform: "here",
      tests: ["/a"],
      provisioners: [provisioner],
      executor,
      aggregator,
    },
    typo: ["provisioner", "provisioners"],
  },
  {
    of: "SimpleOrchestrator",
    call: (options) => new SimpleOrchestrator(options),
    right: {
      platform: "here",
      tests: ["/a"],
      provisioner,
      executor,
      aggregator,
    },
    typo: ["onerror", "onError"],
  },
];

/** Those with `right: {}` would do something if they were called with that. */
const FUNCTIONS: Row[] = [
  {
    of: "upload()",
    call: (options) => upload(here, "/no/such", "/no/such", options),
    right: {},
    typo: ["excludes", "exclude"],
  },
  {
    of: "download()",
    call: (options) => download(here, "/no/such", "/no/such", options),
    right: {},
    typo: ["Delete", "delete"],
  },
  ...[
    (options: Wrong) => output(here, ["true"], options),
    (options: Wrong) => outputLocal({ argv: ["true"] }, options),
    (options: Wrong) => start(here, ["true"], options),
    (options: Wrong) => startLocal({ argv: ["true"] }, options),
  ].map((call): Row => ({
    of: "a command",
    call,
    right: {},
    typo: ["stdIn", "stdin"],
  })),
  {
    of: "interact()",
    call: (options) => interact(here, ["true"], options),
    right: {},
    typo: ["Terminal", "terminal"],
  },
  {
    of: "discover()",
    call: (options) => discover("/", options),
    right: {},
    typo: ["filter", "filters"],
  },
  {
    of: "provisionerFromString()",
    call: (options) => provisionerFromString("local", options),
    right: {},
    typo: ["sharedlibvirt", "sharedLibvirt"],
  },
  {
    of: "pullImage()",
    call: (options) => pullImage("fedora:42", options),
    right: {},
    typo: ["signl", "signal"],
  },
  {
    of: "buildImage()",
    call: (options) => buildImage("fedora:42", options),
    right: {},
    typo: ["package", "packages"],
  },
  {
    of: "buildSystemdImage()",
    call: (options) => buildSystemdImage("fedora:42", options),
    right: {},
    typo: ["package", "packages"],
  },
  {
    of: "withSystemdImage()",
    call: (options) => withSystemdImage("fedora:42", options),
    right: {},
    typo: ["bild", "build"],
  },
  {
    of: "readLeases()",
    call: (options) => readLeases(options),
    right: { hosts: ["root@10.0.0.7"] },
    typo: ["leasefile", "leaseFile"],
  },
  {
    of: "listReservations()",
    call: (options) => listReservations(options),
    right: { host: "root@10.0.0.7" },
    typo: ["helpr", "helper"],
  },
  {
    of: "reap()",
    call: (options) => reap(options),
    right: {},
    typo: ["dryrun", "dryRun"],
  },
  {
    of: "describeTestingFarm()",
    call: (options) => describeTestingFarm(options),
    right: {},
    typo: ["tokn", "token"],
  },
  {
    of: "listComposes()",
    call: (options) => listComposes(options),
    right: {},
    typo: ["tokn", "token"],
  },
  {
    of: "installVirtHelper()",
    call: (options) => installVirtHelper(here, options),
    right: {},
    typo: ["paht", "path"],
  },
  {
    of: "VirtHelper.open()",
    call: (options) => VirtHelper.open(here, options),
    right: {},
    typo: ["helpr", "helper"],
  },
  {
    of: "writeHtmlReport()",
    call: (options) => writeHtmlReport([], options),
    right: { report: "out/report.html" },
    typo: ["event", "events"],
  },
  {
    of: "writeJUnit()",
    call: (options) => writeJUnit([], options),
    right: { target: "out/junit.xml" },
    typo: ["subtest", "subtests"],
  },
  {
    of: "gitHubSummary()",
    call: (options) => gitHubSummary([], options),
    right: {},
    typo: ["titel", "title"],
  },
  {
    of: "showProgress()",
    call: (options) => showProgress(noRun, options),
    right: {},
    typo: ["colour", "color"],
  },
  {
    of: "writeEventLog()",
    call: (options) => writeEventLog(noRun, "out/events.jsonl", options),
    right: {},
    typo: ["exsiting", "existing"],
  },
  {
    of: "writeTrace()",
    call: (options) => writeTrace(noRun, "out/trace.json", options),
    right: {},
    typo: ["exsiting", "existing"],
  },
  {
    of: "replayRun()",
    call: (options) => replayRun("out/events.jsonl", options),
    right: {},
    typo: ["runs", "run"],
  },
  {
    of: "runAll()",
    call: (options) => runAll([], options),
    right: {},
    typo: ["failfast", "failFast"],
  },
  {
    of: "runMain()",
    call: (options) => runMain(() => {}, options),
    right: {},
    typo: ["wirte", "write"],
  },
  {
    of: "byRank()",
    call: (options) => byRank(() => 0, options),
    right: {},
    typo: ["decide", "decides"],
  },
  {
    of: "reruns()",
    call: (options) => reruns(2, options),
    right: {},
    typo: ["exitCode", "exitCodes"],
  },
];

const quoted = (names: readonly string[]) =>
  names.map((name) => `"${name}"`).join(" and ");

for (
  const { of, call, right, typo: [misspelt, meant] } of [
    ...CLASSES,
    ...FUNCTIONS,
  ]
) {
  const needed = Object.keys(right);
  Deno.test(`${of} says which option is wrong`, async () => {
    const object = needed.length > 0
      ? `an object with ${quoted(needed)}`
      : "an object";
    strictEqual(
      await said(() => call(null)),
      `Cannot use null as the options of ${of}: ${object} would be right`,
    );
    strictEqual(
      await said(() => call({ [misspelt]: "a" })),
      `Cannot use "${misspelt}" as an option of ${of}: "${meant}" would be right`,
    );
    if (needed.length === 0) return;
    const missing = `Cannot use the options of ${of}: ${quoted(needed)} ${
      needed.length > 1 ? "are" : "is"
    } missing`;
    strictEqual(
      await said(() => call(undefined)),
      `Cannot use undefined as the options of ${of}: ${object} would be right`,
    );
    strictEqual(await said(() => call({})), missing);
    strictEqual(
      await said(() => call({ zzz: 1, xxx: 2, yyy: undefined })),
      `${missing}, and there is no option "zzz" or "xxx"`,
    );
    for (const name of needed) {
      strictEqual(
        await said(() => call({ ...right, [name]: undefined })),
        `Cannot use the options of ${of}: "${name}" is missing`,
      );
    }
  });
}

for (const { of, call, right, typo: [misspelt, meant] } of CLASSES) {
  if (of === "KubernetesProvisioner") continue; // needs the image or the template
  Deno.test(`${of} takes what has more than its options`, async () => {
    const more = { ...right, zzz: 1, signal: undefined, [misspelt]: undefined };
    strictEqual(await said(() => call(more)), undefined);
    if (Object.hasOwn(right, meant)) {
      const both = { ...right, [misspelt]: 1 };
      strictEqual(await said(() => call(both)), undefined);
    }
  });
}

Deno.test("every class that can be imported and takes options is looked at", async () => {
  const taking = new Set<string>();
  const load = (path: string) =>
    import(new URL(`../${path}`, import.meta.url).href);
  // what is in it stands alone, and has errors of its own
  const metadata = new Set(Object.values(await load(config.exports["./fmf"])));
  for (const path of Object.values(config.exports)) {
    for (const [name, value] of Object.entries<Wrong>(await load(path))) {
      if (typeof value !== "function" || metadata.has(value)) continue;
      if (value.prototype instanceof Error) continue;
      const [, parameters] =
        /^class\b[^]*?\bconstructor\(([^)]*)\)/.exec(String(value)) ?? [];
      if (parameters?.includes("options")) taking.add(name);
    }
  }
  const known = [...CLASSES, ...FUNCTIONS].map(({ of }) => of.split(".")[0]);
  ok(taking.has("SshConnection") && taking.has("LocalProvisioner"));
  deepStrictEqual([...taking].filter((name) => !known.includes(name)), []);
});

Deno.test("what is given has to be of the right kind", async () => {
  const promise = Promise.resolve();
  const simple = CLASSES.find(({ of }) => of === "SimpleOrchestrator")!;
  const adHoc = CLASSES.find(({ of }) => of === "AdHocOrchestrator")!;
  const podman = (options: Wrong) =>
    new PodmanProvisioner({ image: "x", ...options });
  const hosts = (options: Wrong) =>
    new HostsProvisioner({ hosts: ["a"], ...options });
  const pods = (options: Wrong) =>
    new KubernetesProvisioner({ image: "x", ...options });
  const command = (test: Wrong) =>
    new CommandExecutor(here, { tests: { "/a": test } });
  const timedFunction = (test: Wrong) =>
    new FunctionExecutor(here, { tests: { "/a": test } });
  const portal = (options: Wrong) =>
    new ReportPortalAggregator({ api, launch: "x", ...options });
  const lines = (options: Wrong) =>
    new JsonLinesAggregator({ results: "o", files: "f", ...options });
  const wrong: [action: () => unknown, message: string][] = [
    [
      () => new SshConnection("root@10.0.0.7" as Wrong),
      'Cannot use a string as the options of SshConnection: an object with "host" would be right',
    ],
    [
      () => new JsonLinesAggregator({ target: "out" } as Wrong),
      'Cannot use the options of JsonLinesAggregator: "results" and "files" are missing, and there is no option "target"',
    ],
    [
      () => new JsonLinesAggregator({ results: 3, files: "out" } as Wrong),
      'Cannot use 3 as "results" of JsonLinesAggregator: a path or a URL would be right',
    ],
    [
      () => new PodmanProvisioner({ image: ["fedora:42"] } as Wrong),
      'Cannot use a list as "image" of PodmanProvisioner: a string would be right',
    ],
    [
      () => new HostsProvisioner({ hosts: { host: "a" } } as Wrong),
      'Cannot use an object as "hosts" of HostsProvisioner: a list of hosts, or a file with one, would be right',
    ],
    [
      () => readLeases({ hosts: null } as Wrong),
      'Cannot use null as "hosts" of readLeases(): a list of hosts, or a file with one, would be right',
    ],
    [
      () => new HostsProvisioner({ hosts: ["a", 3] } as Wrong),
      'Cannot use 3 as "hosts[1]" of HostsProvisioner: an object would be right',
    ],
    [
      () =>
        new TestingFarmProvisioner({
          compose: "Fedora-42",
          times: { pollinterval: 1 } as Wrong,
        }),
      'Cannot use "pollinterval" as an option of "times" of TestingFarmProvisioner: "pollInterval" would be right',
    ],
    [
      () => upload(here, "/no/such", "/no/such", { exclude: ".git" as Wrong }),
      'Cannot use a string as "exclude" of upload(): a list of strings would be right',
    ],
    [
      () => download(here, "/no/such", "/no/such", { delete: "no" as Wrong }),
      'Cannot use a string as "delete" of download(): true or false would be right',
    ],
    [
      () => run(here, ["true"], { evn: {} } as Wrong),
      'Cannot use "evn" as an option of a command: "env" would be right',
    ],
    [
      () => start(here, ["true"], { stdin: "pipe" as Wrong }),
      'Cannot use a string as "stdin" of a command: "null" or "piped" would be right',
    ],
    [
      () => start(here, ["true"], { stdout: "pipe" as Wrong }),
      'Cannot use a string as "stdout" of a command: "null" or "piped" would be right',
    ],
    [
      () => start(here, ["true"], { stderr: null as Wrong }),
      'Cannot use null as "stderr" of a command: "null" or "piped" or "stdout" would be right',
    ],
    [
      () => discover("/no/such", { libraries: { existTimeout: 1 } as Wrong }),
      'Cannot use "existTimeout" as an option of "libraries" of discover(): "existsTimeout" would be right',
    ],
    [
      () =>
        discover("/no/such", { libraries: { existsTimeout: "1" as Wrong } }),
      'Cannot use a string as "existsTimeout": a positive number of milliseconds would be right',
    ],
    [
      () => discover("/no/such", { fetch: { max_age: 1 } as Wrong }),
      'Cannot use "max_age" as an option of "fetch" of discover(): "maxAge" would be right',
    ],
    [
      () => discover("/no/such", { fetch: { maxAge: "1h" as Wrong } }),
      'Cannot use a string as "maxAge": a number of milliseconds, 0 or more, would be right',
    ],
    [
      () => hosts({ maxFailures: "5" }),
      'Cannot use a string as "maxFailures" of HostsProvisioner: a number would be right',
    ],
    [
      () => readLeases({ hosts: ["a"], connectTimeout: "5" as Wrong }),
      'Cannot use a string as "connectTimeout": a positive number of milliseconds would be right',
    ],
    [
      () => VirtHelper.open(here, { commandTimeout: "5" as Wrong }),
      'Cannot use a string as "commandTimeout": a positive number of milliseconds would be right',
    ],
    ...[
      new CommandExecutor(here, { tests: { "/a": ["true"] } }),
      new FunctionExecutor(here, { tests: { "/a": () => {} } }),
    ].map((executor) =>
      [
        () => executor.runTest("/a", "/no/such", { attempt: "1" as Wrong }),
        'Cannot use a string as "attempt": a positive whole number would be right',
      ] as [() => unknown, string]
    ),
    [
      () => command(["true"]).runTest("/a", "/no/such", null as Wrong),
      "Cannot use null as the options of runTest(): an object would be right",
    ],
    [
      () => command(["true"]).runTest("/a", "/no/such", { atempt: 2 } as Wrong),
      'Cannot use "atempt" as an option of runTest(): "attempt" would be right',
    ],
    ...[
      (options: Wrong) => new PodmanConnection({ container: "x", ...options }),
      (options: Wrong) => new KubernetesConnection({ pod: "x", ...options }),
    ].map((make) =>
      [
        () => make({ connectTimeout: null }),
        'Cannot use null as "connectTimeout": a positive number of milliseconds would be right',
      ] as [() => unknown, string]
    ),
    ...[
      (options: Wrong) => new FunctionExecutor(here, { tests: {}, ...options }),
      (options: Wrong) => new CommandExecutor(here, { tests: {}, ...options }),
    ].map((make) =>
      [
        () => make({ timeout: null }),
        'Cannot use null as "timeout": a positive number of milliseconds would be right',
      ] as [() => unknown, string]
    ),
    [
      () => new FmfExecutor({ tests } as Wrong, undefined as Wrong),
      'Cannot use an object as "connection" of FmfExecutor: a connection would be right',
    ],
    [
      () => new BeakerlibExecutor(undefined as Wrong, { tests }),
      'Cannot use undefined as "connection" of BeakerlibExecutor: a connection would be right',
    ],
    [
      () => new CommandExecutor(provisioner as Wrong, { tests: {} }),
      'Cannot use an object as "connection" of CommandExecutor: a connection would be right',
    ],
    [
      () => new FunctionExecutor(promise as Wrong, { tests: {} }),
      'Cannot use a promise, which has to be awaited, as "remote" of FunctionExecutor: a connection would be right',
    ],
    [
      () => new FmfExecutor(here, { tests: promise as Wrong }),
      'Cannot use a promise, which has to be awaited, as "tests" of FmfExecutor: what discover() gives would be right',
    ],
    [
      () => new FmfExecutor(here, { tests: tests.data as Wrong }),
      'Cannot use a Map as "tests" of FmfExecutor: what discover() gives would be right',
    ],
    [
      () => new CommandExecutor(here, { tests: { "/a": "true" } as Wrong }),
      'Cannot use a string as "/a" of "tests" of CommandExecutor: a list would be right',
    ],
    [
      () => new FunctionExecutor(here, { tests: { "/a": null } as Wrong }),
      'Cannot use null as "/a" of "tests" of FunctionExecutor: a function would be right',
    ],
    [
      () => command({ command: ["true"] }),
      'Cannot use the options of test "/a" of CommandExecutor: "timeout" is missing',
    ],
    [
      () => command({ command: ["true"], tiemout: 5 }),
      'Cannot use "tiemout" as an option of test "/a" of CommandExecutor: "timeout" would be right',
    ],
    [
      () => command({ comand: ["true"], timeout: 5 }),
      'Cannot use "comand" as an option of test "/a" of CommandExecutor: "command" would be right',
    ],
    [
      () => command({ command: ["true"], timeout: null }),
      'Cannot use null as "timeout of /a": a positive number of milliseconds would be right',
    ],
    [
      () => command(new Set(["true"])),
      'Cannot use Set(1) { "true" } as the command of test "/a": a program and its arguments would be right',
    ],
    [
      () => timedFunction({ test() {} }),
      'Cannot use the options of test "/a" of FunctionExecutor: "timeout" is missing',
    ],
    [
      () => timedFunction({ tset() {}, timeout: 5 }),
      'Cannot use "tset" as an option of test "/a" of FunctionExecutor: "test" would be right',
    ],
    [
      () => new ReportPortalAggregator({ api: {}, launch: "a" } as Wrong),
      'Cannot use an object as "api" of ReportPortalAggregator: a ReportPortalApi would be right',
    ],
    [
      () => portal({ launch: 5 }),
      'Cannot use 5 as "launch" of ReportPortalAggregator: a name, or an object with "rerunOf", would be right',
    ],
    [
      () => portal({ launch: { rerun: "x" } }),
      'Cannot use "rerun" as an option of "launch" of ReportPortalAggregator: "rerunOf" would be right',
    ],
    [
      () => portal({ attributes: new Map() }),
      'Cannot use a Map as "attributes" of ReportPortalAggregator: an object would be right',
    ],
    [
      () => new FunctionExecutor(here, { tests: new Map() as Wrong }),
      'Cannot use a Map as "tests" of FunctionExecutor: an object would be right',
    ],
    [
      () => portal({ maxFileSize: "1" }),
      'Cannot use a string as "maxFileSize" of ReportPortalAggregator: a number would be right',
    ],
    [
      () => portal({ file: "x" }),
      'Cannot use a string as "file" of ReportPortalAggregator: a function would be right',
    ],
    ...(["JUnitAggregator", "writeJUnit()"] as const).flatMap((of) => {
      const make = (options: Wrong) => () =>
        of === "JUnitAggregator"
          ? new JUnitAggregator({ target: "x", ...options })
          : writeJUnit([], { target: "/dev/null/x", ...options });
      const outcomes = '"passed" or "failure" or "error" or "skipped"';
      return [
        [
          make({ statusMap: { warn: "fail" } }),
          `Cannot use a string as "warn" of "statusMap" of ${of}: ${outcomes} would be right`,
        ],
        [
          make({ statusMap: ["fail"] }),
          `Cannot use a list as "statusMap" of ${of}: an object would be right`,
        ],
        [
          make({ statusMap: new Map([["warn", "failure"]]) }),
          `Cannot use a Map as "statusMap" of ${of}: an object would be right`,
        ],
        [
          make({ subtests: "yes" }),
          `Cannot use a string as "subtests" of ${of}: "separate" or "none" would be right`,
        ],
        [
          make({ subtests: true }),
          `Cannot use true as "subtests" of ${of}: "separate" or "none" would be right`,
        ],
        [
          make({ name: 2026 }),
          `Cannot use 2026 as "name" of ${of}: a string would be right`,
        ],
        [
          make({ outputTail: "9" }),
          `Cannot use a string as "outputTail" of ${of}: a number would be right`,
        ],
      ] as [() => unknown, string][];
    }),
    [
      () =>
        new HtmlReportAggregator({
          report: "x",
          existing: "continue" as Wrong,
        }),
      'Cannot use a string as "existing" of HtmlReportAggregator: "fail" or "replace" would be right',
    ],
    [
      () => new HtmlReportAggregator({ report: "x", files: 5 as Wrong }),
      'Cannot use 5 as "files" of HtmlReportAggregator: a string or null would be right',
    ],
    [
      () => lines({ compression: "gzip" }),
      'Cannot use a string as "compression" of JsonLinesAggregator: an object would be right',
    ],
    [
      () => lines({ compression: { format: "gzip", exclude: "a.log" } }),
      'Cannot use a string as "exclude" of "compression": a list would be right',
    ],
    [
      () => lines({ compression: { format: "gzip", exclude: [5] } }),
      'Cannot use 5 as "exclude[0]" of "compression": a string would be right',
    ],
    [
      () => lines({ compression: { format: "gzip", sufix: "" } }),
      'Cannot use "sufix" as an option of "compression": "suffix" would be right',
    ],
    [
      () => lines({ compression: { format: "gzip", files: "no" } }),
      'Cannot use a string as "files" of "compression": true or false would be right',
    ],
    [
      () => lines({ compression: { format: "gzip", suffix: 5 } }),
      'Cannot use 5 as "suffix" of "compression": a string would be right',
    ],
    [
      () => lines({ compression: { format: "gzip", level: "9" } }),
      'Cannot use a string as "level" of "compression": a number would be right',
    ],
    [
      () => lines({ results: "o/results.jsonl", files: "./o/" }),
      'Cannot keep "files" in "./o/" and "results" in "o/results.jsonl": neither may be in the other',
    ],
    [
      () => lines({ results: "o", files: "o/files" }),
      'Cannot keep "files" in "o/files" and "results" in "o": neither may be in the other',
    ],
    [
      () => new YamlAggregator({ results: "o", files: "o" }),
      'Cannot keep "files" in "o" and "results" in "o": neither may be in the other',
    ],
    [
      () => lines({ allowDuplicate: "no" }),
      'Cannot use a string as "allowDuplicate" of JsonLinesAggregator: true or false would be right',
    ],
    [
      () => new MultiAggregator(aggregator as Wrong),
      'Cannot use an object as "children" of MultiAggregator: a list would be right',
    ],
    [
      () => new MultiAggregator([aggregator, promise as Wrong]),
      'Cannot use a promise, which has to be awaited, as "children[1]" of MultiAggregator: an aggregator would be right',
    ],
    [
      () => readResults(undefined as Wrong).next(),
      'Cannot use undefined as "path" of readResults(): a path or a URL would be right',
    ],
    [
      () => failedTests("out/results.jsonl" as Wrong).next(),
      'Cannot use a string as "results" of failedTests(): what readResults() gives would be right',
    ],
    [
      () => compareResults([], "out/results.jsonl" as Wrong).next(),
      'Cannot use a string as "earlier" of compareResults(): what readResults() gives would be right',
    ],
    [
      () => writeHtmlReport("out/results.jsonl" as Wrong, { report: "a" }),
      'Cannot use a string as "results" of writeHtmlReport(): what readResults() gives would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, tests: "/a" }),
      'Cannot use a string as "tests" of AdHocOrchestrator: a list would be right',
    ],
    [
      () => simple.call({ ...simple.right, tests: "/a" }),
      'Cannot use a string as "tests" of SimpleOrchestrator: a list would be right',
    ],
    [
      () => simple.call({ ...simple.right, provisioner: [provisioner] }),
      'Cannot use a list as "provisioner" of SimpleOrchestrator: a provisioner would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, tests: new Map([["/a", {}]]) }),
      'Cannot use a list as "tests[0]" of AdHocOrchestrator: a string would be right',
    ],
    [
      () => podman({ pull: "allways" }),
      'Cannot use a string as "pull" of PodmanProvisioner: "never" or "missing" or "newer" or "always" would be right',
    ],
    [
      () => podman({ command: "sleep inf" }),
      'Cannot use a string as "command" of PodmanProvisioner: a list of strings would be right',
    ],
    [
      () => podman({ command: [] }),
      'Cannot lend containers: "command" must be what keeps a container alive',
    ],
    [
      () => podman({ runOptions: "--privileged" }),
      'Cannot use a string as "runOptions" of PodmanProvisioner: a list of strings would be right',
    ],
    ...["--name=x", "--name", "--restart=always", "--replace"].map((option) =>
      [
        () => podman({ runOptions: ["--network=none", option] }),
        `Cannot use "${
          option.replace(/=.*/, "")
        }" in "runOptions": the name and the end of a container are up to its provisioner`,
      ] as [() => unknown, string]
    ),
    [
      () => buildImage("fedora:42", { packages: "rsync" as Wrong }),
      'Cannot use a string as "packages" of buildImage(): a list of strings would be right',
    ],
    [
      () => buildImage("fedora:42", { files: { "/x": 5 } as Wrong }),
      'Cannot use an object as "files" of buildImage(): an object of texts would be right',
    ],
    [
      () => hosts({ ssh: "x" }),
      'Cannot use a string as "ssh" of HostsProvisioner: an object would be right',
    ],
    ...["host", "user", "port"].map((name) =>
      [
        () => hosts({ ssh: { [name]: "x" } }),
        `Cannot use "${name}" in "ssh" of HostsProvisioner: it is an option of each host in "hosts"`,
      ] as [() => unknown, string]
    ),
    [
      () => hosts({ ssh: { idenityFile: "x" } }),
      'Cannot use "idenityFile" as an option of "ssh" of HostsProvisioner: "identityFile" would be right',
    ],
    [
      () => readLeases({ hosts: ["a"], ssh: { user: "x" } as Wrong }),
      'Cannot use "user" in "ssh" of readLeases(): it is an option of each host in "hosts"',
    ],
    [
      () => podman({ onEvent: "x" }),
      'Cannot use a string as "onEvent" of PodmanProvisioner: a function would be right',
    ],
    [
      () => hosts({ order: "random" }),
      'Cannot use a string as "order" of HostsProvisioner: "listed" or "shuffle" would be right',
    ],
    [
      () => hosts({ lease: false }),
      'Cannot use false as "lease" of HostsProvisioner: "remote" or "local" or "none" would be right',
    ],
    [
      () => hosts({ probe: "true" }),
      'Cannot use a string as "probe" of HostsProvisioner: a list of strings would be right',
    ],
    [
      () => hosts({ probe: [] }),
      'Cannot lend hosts: "probe" must be a command',
    ],
    [
      () => hosts({ prepare: ["dnf"] }),
      'Cannot use a list as "prepare" of HostsProvisioner: a function would be right',
    ],
    [
      () => pods({ command: "sleep" }),
      'Cannot use a string as "command" of KubernetesProvisioner: a list of strings would be right',
    ],
    [
      () => pods({ template: {} }),
      'Cannot use undefined as "spec" of "template" of KubernetesProvisioner: an object would be right',
    ],
    [
      () => pods({ template: { spec: { containers: { name: "main" } } } }),
      'Cannot use an object as "spec.containers" of "template" of KubernetesProvisioner: a list would be right',
    ],
    [
      () => pods({ template: { spec: { containers: ["main"] } } }),
      'Cannot use a string as "spec.containers[0]" of "template" of KubernetesProvisioner: an object would be right',
    ],
    [
      () => readLeases({ hosts: [], lease: "none" as Wrong }),
      'Cannot use a string as "lease" of readLeases(): "remote" or "local" would be right',
    ],
    [
      () => reap({ dryRun: true, kinds: ["containers" as Wrong] }),
      'Cannot use a string as "kinds[0]" of reap(): "container" or "domain" or "image" or "request" or "lease" or "ssh" or "directory" or "work" would be right',
    ],
    [
      () => reap({ dryRun: true, more: ["image", 1 as Wrong] }),
      'Cannot use 1 as "more[1]" of reap(): "container" or "domain" or "image" or "request" or "lease" or "ssh" or "directory" or "work" would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, provisioners: provisioner }),
      'Cannot use an object as "provisioners" of AdHocOrchestrator: a list would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, provisioners: [promise] }),
      'Cannot use a promise, which has to be awaited, as "provisioners[0]" of AdHocOrchestrator: a provisioner would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, executor: executor() }),
      'Cannot use an object as "executor" of AdHocOrchestrator: a function would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, aggregator: promise }),
      'Cannot use a promise, which has to be awaited, as "aggregator" of AdHocOrchestrator: an aggregator would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, earlier: {} }),
      'Cannot use an object as "earlier" of AdHocOrchestrator: an aggregator would be right',
    ],
    [
      () => adHoc.call({ ...adHoc.right, concurrency: { setups: 1 } }),
      'Cannot use "setups" as an option of "concurrency" of AdHocOrchestrator: "setup" would be right',
    ],
    [
      () => showProgress(new AdHocOrchestrator(adHoc.right as Wrong) as Wrong),
      'Cannot use an object as "run" of showProgress(): a run would be right',
    ],
    [
      () => showProgress([]),
      'Cannot use an empty list as "run" of showProgress(): a run, or a list of some, would be right',
    ],
    [
      () => showProgress([noRun, 1] as Wrong),
      'Cannot use 1 as "run[1]" of showProgress(): a run would be right',
    ],
    [
      () => showProgress([[noRun]] as Wrong),
      'Cannot use a list as "run[0]" of showProgress(): a run would be right',
    ],
    [
      () => writeEventLog(noRun, undefined as Wrong),
      'Cannot use undefined as "path" of writeEventLog(): a path or a URL would be right',
    ],
    [
      () => writeTrace("out/events.jsonl" as Wrong, "out/trace.json"),
      'Cannot use a string as "events" of writeTrace(): a run would be right',
    ],
    [
      () => sendSpans(undefined as Wrong),
      'Cannot use undefined as "events" of sendSpans(): a run would be right',
    ],
    [
      () => runAll([noRun]),
      'Cannot use an object as "orchestrators[0]" of runAll(): an orchestrator would be right',
    ],
    [
      () => runMain(undefined as Wrong),
      'Cannot use undefined as "main" of runMain(): a function would be right',
    ],
  ];
  for (const [action, message] of wrong) {
    strictEqual(await said(action), message);
  }
});

Deno.test("variables have to be texts, wherever they are given", async () => {
  const texts = { A: "5" };
  const makers: Record<string, (env: Wrong) => unknown> = {
    FmfExecutor: (env) => new FmfExecutor(here, { tests, env }),
    BeakerlibExecutor: (env) => new BeakerlibExecutor(here, { tests, env }),
    CommandExecutor: (env) => new CommandExecutor(here, { tests: {}, env }),
  };
  for (const [of, make] of Object.entries(makers)) {
    for (const value of [5, null, undefined, true]) {
      strictEqual(
        await said(() => make({ ...texts, B: value })),
        `Cannot use ${value} as "B" of "env" of ${of}: a string would be right`,
      );
    }
    strictEqual(
      await said(() => make("A=5")),
      `Cannot use a string as "env" of ${of}: an object would be right`,
    );
    strictEqual(await said(() => make(texts)), undefined);
  }
  const data = new Map([["/t", { test: "true" }]]);
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    await Deno.mkdir(`${directory}/root`);
    const suite = { ...tests, data, root: `${directory}/root` };
    for (
      const executor of [
        new FmfExecutor(here, { tests: suite }),
        new CommandExecutor(here, { tests: { "/t": ["true"] } }),
        new FunctionExecutor(here, { tests: { "/t": () => {} } }),
      ]
    ) {
      await using started = await executor.start();
      const artifacts = `${directory}/artifacts`;
      await Deno.mkdir(artifacts, { recursive: true });
      const env = { B: 5 } as Wrong;
      strictEqual(
        await said(() => started.runTest("/t", artifacts, { env })),
        'Cannot use 5 as "B" of "env" of runTest(): a string would be right',
      );
      deepStrictEqual([...Deno.readDirSync(artifacts)], []);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a word where true or false has to be, and other kinds, are refused by name", () => {
  // A "no" would count as a yes.
  const libvirt = { origin: "o", sshKey: "/k" };
  const shared = { host: "h", image: "i" };
  const wrong: [of: Wrong, options: Wrong, name: string, right: string][] = [
    [PodmanProvisioner, { image: "x" }, "init", "true or false"],
    [SystemdProvisioner, { image: "x" }, "bootCapability", "true or false"],
    [SharedLibvirtProvisioner, shared, "destroyOnRelease", "true or false"],
    [SharedLibvirtProvisioner, shared, "onEvent", "a function"],
    [SharedLibvirtProvisioner, shared, "ssh", "an object"],
    [LibvirtProvisioner, libvirt, "onEvent", "a function"],
    [LocalProvisioner, {}, "clearEnv", "true or false"],
    [LocalProvisioner, {}, "env", "an object of texts"],
    [LocalProvisioner, {}, "onEvent", "a function"],
    [LocalConnection, {}, "clearEnv", "true or false"],
    [PodmanConnection, { container: "x" }, "direct", "true or false"],
    [KubernetesProvisioner, { image: "x" }, "resources", "an object"],
    [
      HostsProvisioner,
      { hosts: ["a"] },
      "where",
      "an object of texts, or a function,",
    ],
  ];
  for (const [Block, options, name, right] of wrong) {
    throws(() => new Block({ ...options, [name]: "no" }), {
      name: "TypeError",
      message:
        `Cannot use a string as "${name}" of ${Block.name}: ${right} would be right`,
    });
  }
});

Deno.test("a lifetime that neither podman nor Kubernetes can count is refused", () => {
  for (const Provisioner of [PodmanProvisioner, KubernetesProvisioner]) {
    const make = (maxLifetime: number) =>
      new Provisioner({ image: "x", maxLifetime });
    for (const good of [2_147_483_647_000, Infinity]) ok(make(good));
    throws(() => make(1e14), {
      name: "RangeError",
      message:
        'Cannot use 100000000000000 as "maxLifetime": at most 2147483647000 milliseconds are possible, or Infinity for no limit',
    });
  }
});

Deno.test("times have to be numbers in range, wherever they are given", () => {
  const times: Record<string, string[]> = {
    SshConnection: ["connectTimeout"],
    PodmanConnection: ["connectTimeout"],
    KubernetesConnection: ["connectTimeout"],
    PodmanProvisioner: ["reserveTimeout", "commandTimeout", "maxLifetime"],
    SystemdProvisioner: ["bootTimeout"],
    HostsProvisioner: [
      "pollInterval",
      "connectTimeout",
      "probeTimeout",
      "reserveTimeout",
      "hookTimeout",
    ],
    LibvirtProvisioner: ["reserveTimeout", "commandTimeout"],
    SharedLibvirtProvisioner: ["reserveTimeout", "commandTimeout"],
    TestingFarmProvisioner: ["timeout"],
    FmfExecutor: ["setupTimeout", "exitGrace", "heartbeat", "heartbeatLimit"],
    FunctionExecutor: ["timeout", "setupTimeout", "grace"],
    CommandExecutor: ["timeout", "exitGrace"],
    AdHocOrchestrator: [
      "setupTimeout",
      "ingestTimeout",
      "releaseTimeout",
      "stallTimeout",
    ],
    SimpleOrchestrator: ["setupTimeout", "ingestTimeout", "releaseTimeout"],
  };
  const timesOrZero: Record<string, string[]> = {
    HostsProvisioner: [
      "retryAfter",
      "quarantine",
      "rebootTimeout",
      "rebootGrace",
    ],
    SharedLibvirtProvisioner: ["reserveDelay"],
    AdHocOrchestrator: ["cancelGrace"],
    SimpleOrchestrator: ["cancelGrace"],
  };
  const check = (of: string, name: string, orZero: boolean) => {
    const { call, right } = CLASSES.find((row) => row.of === of)!;
    const make = (value: unknown) => () => call({ ...right, [name]: value });
    const wanted = orZero
      ? "a number of milliseconds, 0 or more,"
      : "a positive number of milliseconds";
    const message = (what: string) =>
      `Cannot use ${what} as "${name}": ${wanted} would be right`;
    for (const text of ["5000", "5m"]) {
      throws(make(text), { name: "TypeError", message: message("a string") });
    }
    for (const ms of orZero ? [-1, NaN] : [0, -1, NaN]) {
      throws(make(ms), { name: "RangeError", message: message(`${ms}`) });
    }
    if (orZero) make(0)();
    make(100_000)();
  };
  for (const [of, names] of Object.entries(times)) {
    for (const name of names) check(of, name, false);
  }
  for (const [of, names] of Object.entries(timesOrZero)) {
    for (const name of names) check(of, name, true);
  }
});

Deno.test("pathOf() takes paths and URLs of files only", async () => {
  strictEqual(pathOf("a/b c"), "a/b c");
  strictEqual(pathOf(new URL("file:///a/b%20c")), "/a/b c");
  for (
    const [wrong, what] of [
      [new URL("https://me:secret@example.org/key"), 'a URL of "https:"'],
      [undefined, "undefined"],
      [{ pathname: "/etc" }, "an object"],
    ] as const
  ) {
    strictEqual(
      await said(() => pathOf(wrong as Wrong)),
      `Cannot use ${what} as a path: a string, or a URL of "file:", would be right`,
    );
  }
});

Deno.test("checkOptions() tells nothing of a value that may be secret", async () => {
  const known: Known<{ password: number }> = { password: "a number" };
  strictEqual(
    await said(() =>
      checkOptions("it", { password: "secret" } as never, known)
    ),
    'Cannot use a string as "password" of it: a number would be right',
  );
  strictEqual(
    await said(() => checkOptions("it", "secret" as never, known)),
    'Cannot use a string as the options of it: an object with "password" would be right',
  );
});

Deno.test("checkOptions() knows a misspelt option from another one", async () => {
  interface Options {
    ssh?: string;
    user?: string;
    timeout?: number;
    maxRemotes?: number;
  }
  const known: Known<Options> = {
    ssh: "optional",
    user: "optional",
    timeout: "optional",
    maxRemotes: "optional",
  };
  const meant = async (name: string) => {
    const message = await said(() =>
      checkOptions<Options>("it", { [name]: 1 }, known)
    );
    return message && /: "(\w+)" would be right$/.exec(message)?.[1];
  };
  for (
    const [name, expected] of [
      ["sh", "ssh"],
      ["ss", "ssh"],
      ["shs", "ssh"],
      ["url", undefined],
      ["users", "user"],
      ["usesr", "user"],
      ["Timeout", "timeout"],
      ["timeuot", "timeout"],
      ["time", undefined],
      ["hookTimeout", undefined],
      ["max_remotes", "maxRemotes"],
      ["MAX-REMOTE", "maxRemotes"],
      ["maxRemote", "maxRemotes"],
      ["", undefined],
      ["__proto__", undefined],
    ] as const
  ) strictEqual(await meant(name), expected, name);
});

Deno.test("checkCounts() takes whole numbers above 0, and Infinity where that is told", () => {
  checkCounts({ a: 1, b: 2 ** 40 });
  checkCounts({ a: Infinity }, { orInfinity: true });
  for (const count of [0, -1, 2.5, NaN, Infinity]) {
    throws(() => checkCounts({ a: 1, b: count }), {
      name: "RangeError",
      message:
        `Cannot use ${count} as "b": a positive whole number would be right`,
    });
  }
  throws(() => checkCounts({ a: 2.5 }, { orInfinity: true }), {
    name: "RangeError",
    message:
      'Cannot use 2.5 as "a": a positive whole number or Infinity would be right',
  });
});

Deno.test("shorten() leaves what is short enough, and cuts no character in two", () => {
  strictEqual(shorten("", 3), "");
  strictEqual(shorten("abc", 3), "abc");
  strictEqual(shorten("abcd", 3), "ab…");
  strictEqual(shorten("a😀bcd", 3), "a…");
  strictEqual(shorten("a😀bcd", 4), "a😀…");
});
