/** KubernetesConnection with the real kubectl, and an API server of ours. */
import assert from "node:assert/strict";
import { download, upload } from "../../connections/copy.ts";
import { KubernetesConnection } from "../../connections/kubernetes.ts";
import { output, run, start } from "../../connections/process.ts";
import { cannotRun, kubectlMissing, KubernetesServer } from "../_kubernetes.ts";
import { missingPrograms } from "../_parts.ts";
import { processesWith, until } from "../_wait.ts";

const ignore = cannotRun(
  "integration/connections_kubernetes",
  kubectlMissing(),
  missingPrograms("rsync"),
);

const SPEC = { containers: [{ name: "main", image: "x" }] };

/** A connection to a pod that runs. */
async function open(
  server: KubernetesServer,
): Promise<KubernetesConnection> {
  server.ready(server.add("pods", { metadata: { name: "p" }, spec: SPEC }));
  return await KubernetesConnection.open({ ...server.options, pod: "p" });
}

Deno.test({
  name:
    "KubernetesConnection runs commands with arguments, input and exit codes",
  ignore,
  fn: async () => {
    await using server = await KubernetesServer.start();
    await using pod = await open(server);
    assert.equal(pod.canReboot, false);
    const words = ["", " ", "'", '"', "$HOME", "a\nb", "*", "ä", "-n", "--"];
    assert.equal(
      await run(pod, ["printf", "%s|", ...words]),
      words.map((word) => `${word}|`).join(""),
    );
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    const { stdout } = await output(pod, ["cat"], { stdin: bytes });
    assert.deepEqual(stdout, bytes);
    const failed = await output(pod, [
      "sh",
      "-c",
      "echo out; echo err >&2; exit 42",
    ]);
    const text = (data: Uint8Array) => new TextDecoder().decode(data);
    assert.deepEqual(
      [failed.code, text(failed.stdout), text(failed.stderr)],
      [42, "out\n", "err\ncommand terminated with exit code 42\n"],
    );
    assert.equal((await output(pod, ["no-such-program"])).code, 127);
    assert.equal(
      await run(pod, ["sh", "-c", "pwd; echo $A"], {
        cwd: "/usr",
        env: { A: "b c" },
      }),
      "/usr\nb c\n",
    );
    const command = await pod.command("echo", { args: ["x"] }).output();
    assert.equal(text(command.stdout), "x\n");
  },
});

Deno.test("a terminal of KubernetesConnection is asked of kubectl, not of what comes before it", async () => {
  const kubectl = ["env", "-i", "true"];
  await using pod = await KubernetesConnection.open({ kubectl, pod: "p" });
  const { argv } = pod.local(["sh"], { terminal: true });
  assert.deepEqual(argv.slice(0, 6), [...kubectl, "exec", "-it", "p"]);
});

Deno.test({
  name: "KubernetesConnection copies files, by rsync and by upload()",
  ignore,
  fn: async () => {
    await using server = await KubernetesServer.start();
    await using pod = await open(server);
    const here = `${server.directory}/here`;
    await Deno.mkdir(here);
    await Deno.writeTextFile(`${here}/a b`, "content");
    await upload(pod, here, `${server.directory}/there`);
    assert.equal(
      await Deno.readTextFile(`${server.directory}/there/a b`),
      "content",
    );
    await download(
      pod,
      `${server.directory}/there`,
      `${server.directory}/back`,
    );
    assert.equal(
      await Deno.readTextFile(`${server.directory}/back/a b`),
      "content",
    );
    const { success } = await pod.rsync([
      "-a",
      `remote:${server.directory}/there/`,
      `${server.directory}/again/`,
    ]).output();
    assert.ok(success);
    assert.equal(
      await Deno.readTextFile(`${server.directory}/again/a b`),
      "content",
    );
  },
});

Deno.test({
  name: "KubernetesConnection says why it cannot connect",
  ignore,
  fn: async () => {
    await using server = await KubernetesServer.start();
    const { options } = server;
    const open = (more: object) =>
      KubernetesConnection.open({ ...options, pod: "p", ...more });
    await assert.rejects(open({}), {
      name: "ConnectError",
      message:
        'Cannot connect to the pod "p": Error from server (NotFound): pods "p" not found',
      code: 1,
    });
    server.onCreate = () => {};
    server.add("pods", { metadata: { name: "p" }, spec: SPEC });
    await assert.rejects(
      open({}),
      /^ConnectError: Cannot connect to the pod "p": ./,
    );
    await assert.rejects(open({ context: "other" }), /context .*other/);
    await assert.rejects(
      open({ kubectl: ["no-such-kubectl"] }),
      /the program "no-such-kubectl" is not installed/,
    );
    await assert.rejects(
      open({ signal: AbortSignal.abort(new Error("enough")) }),
      { message: "enough" },
    );
  },
});

Deno.test({
  name: "KubernetesConnection.connect() that is aborted leaves no process",
  ignore,
  fn: async () => {
    await using server = await KubernetesServer.start();
    const { kubeconfig } = server;
    server.add("pods", { metadata: { name: "p" }, spec: SPEC });
    const silent = Promise.withResolvers<Response>();
    server.fail("GET", "/pods/p", () => silent.promise);
    const abort = new AbortController();
    const opening = KubernetesConnection.open({
      ...server.options,
      pod: "p",
      signal: abort.signal,
    });
    await until(() => server.calls.some((call) => call.includes("/pods/p")));
    abort.abort(new Error("enough"));
    await assert.rejects(opening, { message: "enough" });
    silent.resolve(new Response());
    assert.deepEqual(await processesWith(`--kubeconfig=${kubeconfig}`), []);
  },
});

Deno.test({
  name: "KubernetesConnection lets go of a command that is terminated here",
  ignore,
  fn: async () => {
    await using server = await KubernetesServer.start();
    await using pod = await open(server);
    await using process = start(pod, ["sh", "-c", "echo up; exec sleep 60"], {
      stdout: "piped",
    });
    const reader = process.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "up\n");
    reader.releaseLock();
    assert.equal((await process.terminate()).success, false);
  },
});

Deno.test("KubernetesConnection refuses options that cannot be used, and commands before connect()", () => {
  for (
    const options of [{ pod: "" }, { pod: "-n" }, { pod: "p", kubectl: [] }]
  ) {
    assert.throws(() => new KubernetesConnection(options), TypeError);
  }
  const pod = new KubernetesConnection({ pod: "p" });
  assert.throws(() => pod.local(["true"]), {
    name: "NotConnectedError",
    message: 'Cannot run "true" in the pod "p": not connected',
  });
});
