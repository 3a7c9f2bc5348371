/**
 * Uses everything that takes a secret, with success and in vain, and tells all that it gets to know: events, log
 * lines, errors, progress. What it stores is below the directory OUT.
 *
 *     _secrets_script.ts OUT PORT     PORT is that of an sshd on 127.0.0.1, for root and for tester
 *
 * The secrets are in the variables SECRET_…, so that they are in no argument from the outset.
 */
import { HtmlReportAggregator } from "../../aggregators/html.ts";
import { JsonLinesAggregator } from "../../aggregators/jsonl.ts";
import { JUnitAggregator } from "../../aggregators/junit.ts";
import { MultiAggregator } from "../../aggregators/multi.ts";
import { readResults } from "../../aggregators/reader.ts";
import {
  ReportPortalAggregator,
  ReportPortalApi,
} from "../../aggregators/report_portal.ts";
import { run } from "../../connections/process.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import { AdHocOrchestrator } from "../../orchestrators/adhoc.ts";
import { writeEventLog } from "../../orchestrators/event_log.ts";
import { showProgress } from "../../orchestrators/progress.ts";
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { KubernetesProvisioner } from "../../provisioners/kubernetes.ts";
import type { Provisioner, Remote } from "../../provisioners/provisioner.ts";
import { TestingFarmProvisioner } from "../../provisioners/testing_farm.ts";
import { FakeReportPortal } from "../_report_portal.ts";
import { KubernetesServer, refuse } from "../_kubernetes.ts";
import {
  drop,
  FarmServer,
  guestLog,
  html,
  status,
} from "../provisioners/_testing_farm_server.ts";

const [out, port] = Deno.args;
/** Taken out of the environment, which the processes inherit that stand in for pods. */
const secrets = new Map(
  Object.entries(Deno.env.toObject()).flatMap(([name, value]) => {
    if (!/^SECRET_|^ATEX_TEST_PASSWORD$/.test(name)) return [];
    Deno.env.delete(name);
    return [[name.replace("SECRET_", ""), value] as const];
  }),
);
const secret = (name: string) => secrets.get(name)!;
const tell = (what: unknown) =>
  console.log(Deno.inspect(what, { depth: 20, showHidden: true }));
const vain = async (promise: Promise<unknown>) => {
  const error = await promise.then(() => undefined, (error) => error);
  if (error === undefined) throw new Error("it was not in vain");
  tell(error);
};
const events = { onEvent: tell };

/** Tests that pass, fail, and break on a system, with reports of every form. */
async function testOn(provisioner: Provisioner, name: string): Promise<void> {
  const place = `${out}/${name}`;
  await Deno.mkdir(place);
  await using pool = await provisioner.start();
  await using results = await new MultiAggregator([
    new JsonLinesAggregator({
      results: `${place}/results.jsonl`,
      files: `${place}/files`,
      existing: "continue",
    }),
    new JUnitAggregator({
      target: `${place}/junit.xml`,
      existing: "continue",
    }),
    new HtmlReportAggregator({
      report: `${place}/report.html`,
      existing: "replace",
      stored: readResults(`${place}/results.jsonl`),
    }),
  ]).start();
  const tests = {
    "/passes": async (
      { remote, log }: { remote: Remote; log(text: string): void },
    ) => log(await run(remote, ["env"])),
    "/fails": ({ remote }: { remote: Remote }) => {
      throw new Error(Deno.inspect(remote, { depth: 20, showHidden: true }));
    },
    "/breaks": async ({ remote }: { remote: Remote }) =>
      void await run(remote, ["no-such-program"]),
  };
  await using testing = new AdHocOrchestrator({
    platform: name,
    tests: Object.keys(tests),
    provisioners: [pool],
    executor: (remote) => new FunctionExecutor(remote, { tests }),
    aggregator: results,
    journal: `${place}/journal`,
  }).run();
  const logged = writeEventLog(testing, `${place}/events.jsonl`);
  await showProgress(testing);
  await logged;
  tell(await testing.finished);
}

async function hosts(): Promise<void> {
  const host = `tester@127.0.0.1:${port}`;
  const options = { PubkeyAuthentication: false };
  await testOn(
    new HostsProvisioner({
      hosts: [host],
      ssh: { password: secret("PASSWORD"), options },
      ...events,
    }),
    "hosts",
  );
  await using wrong = await new HostsProvisioner({
    hosts: [{ host, password: secret("WRONG_PASSWORD"), options }],
    ...events,
  }).start();
  wrong.provision();
  await vain(wrong.getRemote());
}

async function testingFarm(): Promise<void> {
  await using server = new FarmServer();
  server.log = guestLog("root", `127.0.0.1:${port}`);
  const common = {
    compose: "Fedora-42",
    url: server.url,
    sshKey: Deno.env.get("ATEX_TEST_KEY")!,
    secrets: { PASSWORD: secret("VARIABLE") },
    onLog: tell,
    watchdog: true,
    ...events,
    times: {
      retryDelays: [0, 1],
      retryFor: 2000,
      releaseTimeout: 2000,
      pollInterval: 10,
      spread: 1,
      reapInterval: 10,
    },
  };
  const token = secret("FARM_TOKEN");
  server.fail("POST /v0.1/requests", status(503), html, drop);
  await testOn(new TestingFarmProvisioner({ ...common, token }), "farm");
  const wrong = secret("WRONG_TOKEN");
  await vain(new TestingFarmProvisioner({ ...common, token: wrong }).start());
  await using pool = await new TestingFarmProvisioner({
    ...common,
    token,
    retries: 0,
  }).start();
  server.states = ["queued", "error"];
  pool.provision();
  await vain(pool.getRemote());
  server.fail("POST /v0.1/requests", status(422));
  pool.provision();
  await vain(pool.getRemote());
}

async function kubernetes(): Promise<void> {
  await using server = await KubernetesServer.start();
  const config = JSON.parse(await Deno.readTextFile(server.kubeconfig));
  config.users[0].user = { token: secret("CLUSTER_TOKEN") };
  await Deno.writeTextFile(server.kubeconfig, JSON.stringify(config));
  const options = { image: "fedora:42", ...server.options, ...events };
  await testOn(new KubernetesProvisioner(options), "kubernetes");
  await using pool = await new KubernetesProvisioner(options).start();
  server.fail("POST", "/pods", refuse(403, "Forbidden", "not for you"));
  pool.provision();
  await vain(pool.getRemote());
}

async function reportPortal(): Promise<void> {
  const token = secret("PORTAL_TOKEN");
  const artifacts = `${out}/portal`;
  await Deno.mkdir(`${artifacts}/files`, { recursive: true });
  await Deno.writeTextFile(`${artifacts}/results`, '{"status":"fail"}\n');
  const answers = [
    undefined,
    () => Response.json({ message: `wrong ${token}` }, { status: 401 }),
    () => new Response(`<html>${token}</html>`, { status: 502 }),
  ];
  for (const answer of answers) {
    await using server = new FakeReportPortal(
      answer ? { before: answer } : {},
    );
    using api = new ReportPortalApi({
      url: server.url,
      project: "proj",
      token,
      retryDelays: [0],
      retryFor: 50,
    });
    const aggregator = new ReportPortalAggregator({
      api,
      launch: "nightly",
      onWarning: tell,
    });
    tell([api, aggregator]);
    if (answer) {
      await vain(aggregator.start());
    } else {
      await aggregator.start();
      tell(await aggregator.ingest("platform", "/test", artifacts));
      await aggregator.stop();
    }
  }
}

await hosts();
await testingFarm();
await kubernetes();
await reportPortal();
tell("all was used");
