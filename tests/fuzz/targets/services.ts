/** What services and programs answer. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { ReportPortalApi } from "../../../aggregators/_report_portal_api.ts";
import { ReportPortalError } from "../../../aggregators/_report_portal_http.ts";
import type { Kubectl } from "../../../provisioners/_kubernetes_cli.ts";
import { findOwners } from "../../../provisioners/_kubernetes_reaper.ts";
import {
  judgePod,
  lossOf,
  podSchema,
} from "../../../provisioners/_kubernetes_pod.ts";
import type { PodmanCli } from "../../../provisioners/_podman_cli.ts";
import { findContainers } from "../../../provisioners/_podman_reaper.ts";
import type { Run } from "../../../provisioners/_run.ts";
import { TestingFarmApi } from "../../../provisioners/_testing_farm_api.ts";
import { HttpError } from "../../../provisioners/_testing_farm_http.ts";
import {
  ConfusedError,
  ReplyParser,
  type VirtHelperReply,
} from "../../../provisioners/_virt_helper_replies.ts";
import { ProvisionError } from "../../../provisioners/provisioner.ts";
import { like, mutated } from "../mutation.ts";
import { bytesOf, cut, cuts, outcomeOf, target, utf8 } from "../target.ts";

const TOKEN = "secret-of-the-service";

/** An answer of a server: JSON that is like the right one, or something else. */
function answers(...samples: unknown[]) {
  return fc.record({
    status: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(200, 201) },
      { weight: 3, arbitrary: fc.constantFrom(204, 302, 400, 401, 404, 409) },
      { weight: 2, arbitrary: fc.constantFrom(408, 429, 500, 503) },
    ),
    type: fc.oneof(
      { weight: 8, arbitrary: fc.constant("application/json") },
      { weight: 1, arbitrary: fc.constantFrom("text/html", "") },
    ),
    headers: fc.dictionary(
      fc.constantFrom("location", "retry-after"),
      fc.constantFrom("/x", "http://elsewhere.invalid/", "0", "1e9", "soon"),
      { maxKeys: 2 },
    ),
    body: fc.oneof(
      { weight: 8, arbitrary: fc.oneof(...samples.map(like)).map(printedAs) },
      {
        weight: 2,
        arbitrary: mutated(samples.map((one) => JSON.stringify(one)), [TOKEN]),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(1000, 5000).map((depth) =>
          "[".repeat(depth) + "]".repeat(depth)
        ),
      },
    ),
  });
}

/** JSON, also of what has none. */
function printedAs(value: unknown): string {
  return JSON.stringify(value) ?? "";
}

type Answer = ReturnType<typeof answers> extends fc.Arbitrary<infer A> ? A
  : never;

/** Runs `action` while all requests get the same answer. */
async function answering<T>(
  { status, type, headers, body }: Answer,
  action: () => Promise<T>,
): Promise<T> {
  const { fetch } = globalThis;
  let calls = 0;
  globalThis.fetch = () => {
    ok(++calls < 50, "it asks without end");
    const isEmpty = status === 204;
    return Promise.resolve(
      new Response(isEmpty ? null : body, {
        status,
        headers: { ...headers, ...(type && { "content-type": type }) },
      }),
    );
  };
  try {
    return await action();
  } finally {
    globalThis.fetch = fetch;
  }
}

const request = {
  id: "6c1",
  state: "running",
  run: { artifacts: "https://artifacts.example/6c1" },
  result: { summary: "well" },
  environments_requested: [{
    settings: { provisioning: { tags: { "atex-run": "x", other: {} } } },
  }],
};
const identity = { token: { id: "t", ranch: "public" }, user: { id: "u" } };

export const testingFarm = target({
  name: "testing-farm",
  oracle:
    "an answer of Testing Farm is taken, or an HttpError tells what it was, without the token",
  inputs: fc.record({
    call: fc.constantFrom("whoami", "get", "list", "cancel", "submit"),
    answer: answers(request, [request], identity, { message: TOKEN }),
  }),
  async check({ call, answer }) {
    const api = new TestingFarmApi({
      url: "http://farm.invalid",
      token: TOKEN,
      retryDelays: [0],
      retryFor: 0,
      callTimeout: 10_000,
    });
    const calls = {
      whoami: () => api.whoami(),
      get: () => api.get("6c1"),
      list: () => api.listAlive("t"),
      cancel: () => api.cancel("6c1"),
      submit: () => api.submit({}, () => Promise.resolve(undefined)),
    };
    const { error } = await answering(answer, () =>
      outcomeOf<unknown>(
        calls[call as keyof typeof calls],
        (error) => error instanceof HttpError,
      ));
    ok(!error?.message.includes(TOKEN), error?.message);
    ok((error?.message.length ?? 0) < 1000);
  },
});

export const reportPortal = target({
  name: "report-portal",
  oracle:
    "an answer of ReportPortal is taken, or a ReportPortalError tells what it was, without the token",
  inputs: fc.record({
    call: fc.constantFrom("start", "finish", "log", "read", "list"),
    answer: answers(
      { id: "uuid-1" },
      { id: 1, uuid: "uuid-1", name: "n" },
      {
        content: [{ id: 1, uuid: "uuid-1", name: "n" }],
        page: { totalPages: 2 },
      },
      { message: TOKEN },
    ),
  }),
  async check({ call, answer }) {
    using api = new ReportPortalApi({
      url: "http://portal.invalid",
      project: "p",
      token: TOKEN,
      retryDelays: [0],
      retryFor: 0,
      callTimeout: 10_000,
    });
    const entry = {
      launchUuid: "l",
      itemUuid: "i",
      time: 0,
      level: "INFO",
      message: "m",
    };
    const calls = {
      start: () => api.startLaunch({ name: "n" }),
      finish: () => api.finishLaunch("l"),
      log: () => api.log(entry),
      read: () => api.readItem("i"),
      list: async () => {
        let count = 0;
        for await (const _ of api.launches()) if (++count > 100) break;
      },
    };
    const { error } = await answering(answer, () =>
      outcomeOf<unknown>(
        calls[call as keyof typeof calls],
        (error) => error instanceof ReportPortalError,
      ));
    ok(!error?.message.includes(TOKEN), error?.message);
    ok((error?.message.length ?? 0) < 1000);
  },
});

const reply = {
  success: true,
  cmd: "ping",
  reply: "pong",
  name: "domain",
  lines: [{ text: "x" }],
};
const replies = [reply, { success: false, reply: "no\u001b[0m" }]
  .map((one) => `${JSON.stringify(one)}\n`).join("");

export const virtHelper = target({
  name: "virt-helper",
  oracle:
    "the same replies are seen however the stream is cut, or a ConfusedError; a reply has a success and text",
  inputs: fc.record({
    stream: fc.oneof(
      {
        weight: 10,
        arbitrary: mutated([replies], ['{"success": true}\n', "\n", "null\n"]),
      },
      {
        weight: 10,
        arbitrary: fc.array(like(reply), { maxLength: 3 }).map((made) =>
          made.map((one) => `${printedAs(one)}\n`).join("")
        ),
      },
      { weight: 1, arbitrary: fc.constant("x".repeat(70_000)) },
    ).map(utf8),
    cuts,
  }),
  cost: 2,
  async check({ stream, cuts }) {
    const bytes = bytesOf(stream);
    const read = (pieces: Uint8Array[]) => {
      const parser = new ReplyParser();
      const replies: VirtHelperReply[] = [];
      return outcomeOf(() => {
        for (const piece of pieces) replies.push(...parser.push(piece));
        return replies;
      }, (error) => error instanceof ConfusedError);
    };
    const outcome = await read([bytes]);
    const pieces = cut(
      bytes,
      cuts,
      (bytes, start, end) => bytes.subarray(start, end),
    );
    const again = await read(pieces);
    strictEqual(again.error?.message, outcome.error?.message);
    if (outcome.error) {
      ok(outcome.error.message.length < 200);
      return;
    }
    deepStrictEqual(again, outcome);
    for (const { success, cmd, reply } of outcome.value) {
      strictEqual(typeof success, "boolean");
      ok(cmd === undefined || typeof cmd === "string");
      ok(reply === undefined || typeof reply === "string");
    }
  },
});

const pod = {
  metadata: { name: "atex-x-1", uid: "u", deletionTimestamp: "2026-01-01" },
  spec: { nodeName: "n" },
  status: {
    phase: "Running",
    reason: "r",
    message: "m",
    conditions: [
      { type: "Ready", status: "True", message: "m" },
      { type: "PodScheduled", status: "False", message: null },
    ],
    containerStatuses: [{
      name: "main",
      state: { waiting: { reason: "ErrImagePull", message: "m" } },
    }],
  },
};

export const pods = target({
  name: "pods",
  oracle:
    "what is no pod is told from one, and of each pod it is told how it is",
  inputs: fc.oneof(like(pod), like({ ...pod, metadata: { name: "x" } })),
  check(value) {
    const { success, data } = podSchema.safeParse(value);
    if (!success) return;
    const state = judgePod(data, "main");
    ok(
      ["ready", "failed", "troubled", "unscheduled", "coming"].includes(
        state.is,
      ),
    );
    if ("why" in state) ok(typeof state.why === "string");
    ok(["undefined", "string"].includes(typeof lossOf(data, "main", 0)));
  },
});

const me: Run = {
  id: "abcdefghij",
  owner: {
    hostname: "h",
    bootId: "b",
    pid: "1",
    startTime: "1",
    directory: "d",
    pidNamespace: "n",
    machine: "m",
  },
  directory: "/nonexistent/runs",
  file: "/nonexistent/runs/abcdefghij",
  strike: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

const owner = "h/b/2/3/d/n/m";
const lease = {
  kind: "Lease",
  metadata: {
    name: "atex-zzzzzzzzzz-1",
    labels: { "atex.run": "zzzzzzzzzz" },
    annotations: { "atex.owner": owner },
    managedFields: [{ time: "2020-01-01T00:00:00Z" }],
  },
  spec: { leaseDurationSeconds: 120 },
};
const now = {
  metadata: { uid: "u", creationTimestamp: "2020-01-02T00:00:00Z" },
};

/** JSON that a program prints, also damaged. */
const printed = (sample: unknown) =>
  fc.oneof(
    { weight: 3, arbitrary: like(sample).map(printedAs) },
    { weight: 1, arbitrary: mutated([JSON.stringify(sample)]) },
  );

export const kubernetesOwners = target({
  name: "kubernetes-owners",
  oracle:
    "only owners with a name and labels of ours are removed, however the list looks; what is no list is a ProvisionError",
  inputs: printed({ items: [lease, { ...lease, kind: "ConfigMap" }] }),
  async check(stdout) {
    const deleted: string[] = [];
    const kubectl = {
      output: ([verb]: string[]) => {
        const said = verb === "create" ? JSON.stringify(now) : stdout;
        return Promise.resolve({ code: 0, stdout: said, said: "" });
      },
      run: (_what: string, args: string[]) => {
        deleted.push(args[2]!);
        return Promise.resolve("");
      },
    };
    const { signal } = new AbortController();
    await outcomeOf(
      async () => {
        for (
          const { verdict, remove } of await findOwners(
            kubectl as unknown as Kubectl,
            me,
            signal,
          )
        ) if (verdict === "dead") await remove(signal);
      },
      (error) => error instanceof ProvisionError,
    );
    for (const name of deleted) ok(name.startsWith("atex-"), name);
  },
});

const container = {
  Names: ["atex-zzzzzzzzzz-1-1"],
  Labels: {
    "atex.run": "zzzzzzzzzz",
    "atex.owner": owner,
    "atex.until": "1700000000",
  },
  Created: 1_700_000_000,
};

export const podmanContainers = target({
  name: "podman-containers",
  oracle:
    "only containers with a name of ours are judged, however the list looks; what is no list is a ProvisionError",
  inputs: printed([
    container,
    { ...container, Labels: null },
    { ...container, Names: null },
    { ...container, Names: ["mine"] },
  ]),
  async check(stdout) {
    const cli = {
      list: () => Promise.resolve(stdout),
      conmons: () => Promise.resolve([]),
    };
    const { value } = await outcomeOf(
      () =>
        findContainers(
          cli as unknown as PodmanCli,
          me,
          new AbortController().signal,
        ),
      (error) => error instanceof ProvisionError,
    ) as { value?: { name: string }[] };
    for (const { name } of value ?? []) {
      ok(/^atex-[a-z0-9]{10}-\d+-\d+$/.test(name), name);
    }
  },
});
