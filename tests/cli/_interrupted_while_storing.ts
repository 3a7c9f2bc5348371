/** `atex` on a slow disk, interrupted twice while the first result is being stored. */
import { delay } from "@std/async/delay";
import { Target } from "../../aggregators/_target.ts";
import { main } from "../../cli/mod.ts";
import { runMain } from "../../orchestrators/main.ts";

const { append } = Target.prototype;
Target.prototype.append = async function (...args) {
  Deno.kill(Deno.pid, "SIGINT");
  await delay(200);
  Deno.kill(Deno.pid, "SIGINT");
  await delay(3000); // longer than a run still waits then
  await append.apply(this, args);
};

await runMain((signal) => main(Deno.args, { signal }));
