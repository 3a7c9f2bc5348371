import assert from "node:assert/strict";

const script = new URL("../../dev/with_registry.ts", import.meta.url).pathname;

function start(args: string[]) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", script, ...args],
    env: { ATEX_JSR: "standin", ATEX_REGISTRY: "", NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function end(child: Deno.ChildProcess) {
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("with_registry.ts runs the command with JSR_URL and passes its status on", async () => {
  const { code, out } = await end(
    start(["sh", "-c", 'echo "$JSR_URL"; exit 7']),
  );
  assert.equal(code, 7);
  assert.match(out, /^http:\/\/127\.0\.0\.1:\d+\n$/);
});

Deno.test("with_registry.ts starts no second registry inside of itself", async () => {
  const nested =
    `echo "$JSR_URL"; "${Deno.execPath()}" run -qA "${script}" sh -c 'echo "$JSR_URL"'`;
  const { out } = await end(start(["sh", "-c", nested]));
  const [outer, inner] = out.split("\n");
  assert.equal(inner, outer);
});

Deno.test("with_registry.ts passes signals on and ends with the command", async () => {
  const child = start([
    "bash",
    "-c",
    "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done",
  ]);
  const reader = child.stdout.getReader();
  const first = await reader.read();
  assert.equal(new TextDecoder().decode(first.value), "ready\n");
  child.kill("SIGTERM");
  let rest = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    rest += new TextDecoder().decode(next.value);
  }
  await child.stderr.cancel();
  assert.equal(rest, "caught\n");
  assert.equal((await child.status).code, 9);
});

Deno.test("with_registry.ts ends with 128 + N when a signal ends the command", async () => {
  const { code } = await end(start(["sh", "-c", "kill -TERM $$"]));
  assert.equal(code, 143);
});

Deno.test("with_registry.ts refuses to run nothing and a --std that is no directory", async () => {
  const nothing = await end(start([]));
  assert.equal(nothing.code, 2);
  assert.match(nothing.err, /^usage: /);
  const wrong = await end(start(["--std", "/nowhere", "true"]));
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /--std \/nowhere: want a checkout of denoland\/std/);
});
