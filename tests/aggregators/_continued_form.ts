/**
 * Ingests the tests of ROOT/artifacts that are not stored yet, in a form that goes on,
 * and prints `stored NAME` for each, then `stopped`. It kills itself before it changes
 * the file system for the STEP-th time; if that is a write, in the middle of it.
 */
import { dieAfter } from "./_die_at.ts";
import { type ContinuedForm, continuedOf } from "./_continued_forms.ts";

const [root, form, step] = Deno.args as [string, ContinuedForm, string];
dieAfter(Number(step));
const aggregator = await continuedOf(form, root).start();
for (const name of ["a", "b"]) {
  if (aggregator.count!("p", name) > 0) continue;
  await aggregator.ingest("p", name, `${root}/artifacts/${name}`);
  console.log(`stored ${name}`);
}
await aggregator.stop();
console.log("stopped");
