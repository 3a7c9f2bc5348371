/** Reports while a small disk is full, and ends the run when there is room again; prints what came of it. */
import { TestAbortedError } from "../../../executors/executor.ts";
import { bytesOf, result } from "./_messages.ts";
import { reportTo } from "./_small_disk_report.ts";

const [directory] = Deno.args as [string];
const { artifacts, reporter, channel } = reportTo(directory);
const filler = Deno.openSync(`${directory}/filler`, {
  write: true,
  create: true,
});
try {
  for (;;) filler.writeSync(new Uint8Array(4096));
} catch {
  filler.close();
}
let error: unknown;
await channel.feed(bytesOf(result({ status: "pass" })))
  .catch((reason) => error = reason);
const { hasOwnResult } = reporter;
Deno.removeSync(`${directory}/filler`);
await reporter.finish({ error });
console.log(JSON.stringify({
  reason: error instanceof TestAbortedError && error.reason,
  hasOwnResult,
  results: Deno.readTextFileSync(`${artifacts}/results`),
}));
