/** Reports a file that does not fit on a small disk, and is too large to pass through this program; prints what came of it. */
import { TestAbortedError } from "../../../executors/executor.ts";
import { runScripted } from "./_scripted.ts";

Deno.env.set("TMPDIR", Deno.args[0]!);
const length = 64 * 1024 * 1024;
const json = JSON.stringify({ files: [{ name: "f", length }] });
const { error, left } = await runScripted({
  launches: [`begin; report '${json}'; head -c ${length} /dev/zero; finish 0`],
});
console.log(JSON.stringify({
  reason: error instanceof TestAbortedError && error.reason,
  message: error instanceof Error && error.message,
  left,
}));
