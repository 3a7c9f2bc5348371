/** Nobody gets to know a secret who was not told it. */
import assert from "node:assert/strict";
import { kubectlMissing } from "../_kubernetes.ts";
import { missingPrograms } from "../_parts.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";
import { TOKEN as PORTAL_TOKEN } from "../_report_portal.ts";
import { TOKEN as FARM_TOKEN } from "../provisioners/_testing_farm_server.ts";

const ignore = cannotRun(
  "integration/secrets",
  podmanMissing(["debian"]),
  kubectlMissing(),
  missingPrograms("strace"),
);

/** All files below a directory, with what is in them. */
async function* contentsOf(
  directory: string,
): AsyncGenerator<[string, string]> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) yield* contentsOf(path);
    else yield [path, await Deno.readTextFile(path)];
  }
}

Deno.test({
  name:
    "a secret is in no argument of a process, event, error, log, report or stored result",
  ignore,
  fn: async () => {
    await using undo = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    undo.defer(() => Deno.remove(directory, { recursive: true }));
    const container = undo.use(
      await Container.start({ image: "debian", ssh: true }),
    );
    const secrets = {
      PASSWORD: Deno.env.get("ATEX_TEST_PASSWORD")!,
      FARM_TOKEN,
      PORTAL_TOKEN,
      ...Object.fromEntries(
        [
          "WRONG_PASSWORD",
          "WRONG_TOKEN",
          "VARIABLE",
          "CLUSTER_TOKEN",
        ].map((name) => [name, `secret-${crypto.randomUUID()}`]),
      ),
    };
    const out = `${directory}/out`;
    await Deno.mkdir(out);
    const script = new URL("_secrets_script.ts", import.meta.url).pathname;
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command("strace", {
      args: [
        ...["-f", "-qq", "-e", "trace=execve", "-e", "signal=none"],
        ...["-s", "1000000", "-o", `${directory}/processes`],
        ...[Deno.execPath(), "run", "-qA", "--no-check", `--config=${config}`],
        ...[script, out, `${container.port}`],
      ],
      env: Object.fromEntries(
        Object.entries(secrets).map(([name, value]) => [
          `SECRET_${name}`,
          value,
        ]),
      ),
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const said = decoder.decode(stdout) + decoder.decode(stderr);
    assert.equal(code, 0, said);
    assert.match(said, /all was used/);

    const places = new Map([["what was said", said]]);
    for await (const [path, text] of contentsOf(directory)) {
      places.set(path.slice(directory.length + 1), text);
    }
    // All of it was looked at.
    const started = places.get("processes")!;
    for (const program of ["ssh", "kubectl", "rm"]) {
      assert.match(started, new RegExp(`execve\\("[^"]*/${program}"`));
    }
    for (const kind of ["hosts", "farm", "kubernetes"]) {
      for (
        const file of [
          "results.jsonl",
          "junit.xml",
          "report.html",
          "events.jsonl",
          "journal",
        ]
      ) assert.ok(places.get(`out/${kind}/${file}`), `${kind}/${file}`);
    }
    for (const [place, text] of places) {
      for (const [name, secret] of Object.entries(secrets)) {
        const at = text.indexOf(secret);
        const around = text.slice(Math.max(0, at - 300), at + 300);
        assert.equal(at, -1, `${name} is in ${place}: ${around}`);
      }
    }
  },
});
