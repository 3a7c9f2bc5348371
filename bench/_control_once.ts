/**
 * One stream through the control channel in a process of its own, for
 * `_control.ts`: prints what it cost and what came of it.
 */
import { Reporter } from "../executors/fmf/reporter.ts";
import { measure, sizeOf } from "./_once.ts";

const [stream, artifacts] = Deno.args as [string, string];
const ignore = () => {};
const reporter = Reporter.open(artifacts);
const channel = reporter.channel({
  duration: {
    set: ignore,
    increment: ignore,
    decrement: ignore,
    save: ignore,
    restore: ignore,
  },
});

const cost = measure();
const child = new Deno.Command("cat", {
  args: [stream],
  stdin: "null",
  stdout: "piped",
}).spawn();
const reader = child.stdout.getReader({ mode: "byob" });
let block = new Uint8Array(65536);
let reads = 0;
for (;;) {
  const { done, value } = await reader.read(block);
  if (done) break;
  reads++;
  await channel.feed(value);
  block = new Uint8Array(value.buffer);
}
channel.end();
await child.status;
await reporter.finish({ exitCode: 0 });
const measured = cost();

const results = Deno.readTextFileSync(`${artifacts}/results`)
  .split("\n").length - 1;
const { files, bytes } = sizeOf(`${artifacts}/files`);
console.log(JSON.stringify({
  ...measured,
  reads,
  check: `${results} results, ${files} files, ${bytes} bytes`,
}));
