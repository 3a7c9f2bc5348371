/**
 * Ingests the test `a`, then `b`, in a form, and prints the name of each when it is
 * done, then `stopped`. After `a`, it kills itself before it changes the file system for
 * the STEP-th time; if that is a write, in the middle of it.
 */
import { dieAfter } from "./_die_at.ts";
import { aggregatorOf, type Form } from "./_forms.ts";

const [root, form, step] = Deno.args as [string, Form, string];
const aggregator = await aggregatorOf(form, root).start();
const print = (text: string) => console.log(text);
await aggregator.ingest("p", "a", `${root}/artifacts/a`);
print("a");
dieAfter(Number(step));
await aggregator.ingest("p", "b", `${root}/artifacts/b`);
print("b");
await aggregator.stop();
print("stopped");
