/**
 * Reads many control channels at once, in a process of its own:
 *
 *     _control_many_once.ts ARTIFACTS STREAMS BYTES
 *
 * Each brings one file of so many bytes.
 */
import { Reporter } from "../executors/fmf/reporter.ts";
import { startLocal } from "../connections/process.ts";
import { measure, sizeOf } from "./_once.ts";

const [artifacts] = Deno.args;
const [streams, bytes] = Deno.args.slice(1).map(Number);
const json = JSON.stringify({
  status: "pass",
  name: "big",
  files: [{ name: "f", length: bytes }],
});
const script = 'printf "result %s\\n%s" "${#1}" "$1"; head -c "$2" /dev/zero';
const ignore = () => {};

async function stream(n: number): Promise<void> {
  const directory = `${artifacts}/${n}`;
  Deno.mkdirSync(directory);
  const reporter = Reporter.open(directory);
  const channel = reporter.channel({
    duration: {
      set: ignore,
      increment: ignore,
      decrement: ignore,
      save: ignore,
      restore: ignore,
    },
  });
  await using child = startLocal({
    argv: ["sh", "-c", script, "sh", json, String(bytes)],
  }, { stdout: "piped" });
  const reader = child.stdout.getReader({ mode: "byob" });
  let block = new Uint8Array(65536);
  for (;;) {
    const { done, value } = await reader.read(block);
    if (done) break;
    await channel.feed(value);
    block = new Uint8Array(value.buffer);
  }
  channel.end();
  await child.status;
  await reporter.finish({ exitCode: 0 });
}

const cost = measure();
await Promise.all(Array.from({ length: streams }, (_, n) => stream(n)));
const measured = cost();
const all = sizeOf(artifacts);
let received = 0;
for (let n = 0; n < streams; n++) {
  received += Deno.statSync(`${artifacts}/${n}/files/big/f`).size;
}
console.log(JSON.stringify({
  ...measured,
  check: `${all.files} files, ${received} bytes`,
}));
