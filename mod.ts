/**
 * ATEX (Ad-hoc Test EXecution): building blocks for one-file scripts that run
 * tests on a pool of systems.
 *
 * Each block is a module of its own; a script that imports only those it needs
 * starts faster than with this one, which has them all.
 *
 * @example A suite of fmf tests over a pool of containers
 * ```ts
 * import {
 *   AdHocOrchestrator,
 *   discover,
 *   FmfExecutor,
 *   JsonLinesAggregator,
 *   PodmanProvisioner,
 *   showProgress,
 * } from "jsr:@atex/atex";
 *
 * await using tests = await discover("./suite");
 * await using results = await new JsonLinesAggregator({
 *   results: "out/results.jsonl",
 *   files: "out/files",
 * }).start();
 * await using pool = await new PodmanProvisioner({
 *   image: "fedora:42",
 *   pull: "missing",
 * }).start();
 * await using run = new AdHocOrchestrator({
 *   platform: "fedora-42@x86_64",
 *   tests: tests.data.keys(),
 *   provisioners: [pool],
 *   executor: (remote) => new FmfExecutor(remote, { tests }),
 *   aggregator: results,
 * }).run();
 * await showProgress(run);
 * ```
 *
 * @module
 */

// Connections: run commands on one system, copy files.
export * from "./connections/connection.ts";
export * from "./connections/process.ts";
export * from "./connections/copy.ts";
export * from "./connections/owner.ts";
export * from "./connections/terminal.ts";
export * from "./connections/local.ts";
export * from "./connections/podman.ts";
export * from "./connections/ssh.ts";
export * from "./connections/kubernetes.ts";

// Provisioners: lend systems and take them back.
export * from "./provisioners/provisioner.ts";
export * from "./provisioners/events.ts";
export * from "./provisioners/pooled.ts";
export * from "./provisioners/shared_limit.ts";
export * from "./provisioners/sshd.ts";
export * from "./provisioners/from_string.ts";
export * from "./provisioners/local.ts";
export * from "./provisioners/podman.ts";
export * from "./provisioners/podman_image.ts";
export * from "./provisioners/systemd.ts";
export * from "./provisioners/reap.ts";
export * from "./provisioners/hosts.ts";
export * from "./provisioners/leases.ts";
export * from "./provisioners/testing_farm.ts";
export * from "./provisioners/kubernetes.ts";
export * from "./provisioners/libvirt.ts";
export * from "./provisioners/shared_libvirt.ts";
export * from "./provisioners/virt_helper.ts";

// Executors: prepare a system, run one test at a time on it.
export * from "./executors/executor.ts";
export * from "./executors/results.ts";
export * from "./executors/fmf/mod.ts";
export * from "./executors/fmf/metadata/mod.ts";
export * from "./executors/beakerlib.ts";
export * from "./executors/function.ts";
export * from "./executors/command.ts";

// Aggregators: collect results and files of many tests.
export * from "./aggregators/aggregator.ts";
export * from "./aggregators/compare.ts";
export * from "./aggregators/github.ts";
export * from "./aggregators/html.ts";
export * from "./aggregators/report_portal.ts";
export * from "./aggregators/jsonl.ts";
export * from "./aggregators/yaml.ts";
export * from "./aggregators/junit.ts";
export * from "./aggregators/multi.ts";
export * from "./aggregators/tally.ts";
export * from "./aggregators/reader.ts";

// Orchestrators: string them together.
export * from "./orchestrators/orchestrator.ts";
export * from "./orchestrators/adhoc.ts";
export * from "./orchestrators/simple.ts";
export * from "./orchestrators/run_all.ts";
export * from "./orchestrators/policies.ts";
export * from "./orchestrators/progress.ts";
export * from "./orchestrators/event_log.ts";
export * from "./orchestrators/trace.ts";
export * from "./orchestrators/telemetry.ts";
export * from "./orchestrators/main.ts";
