/**
 * Ingests all directories below `ROOT/artifacts` in a form, eight at a time, and
 * prints the name of each when it is done.
 */
import { aggregatorOf, type Form } from "./_forms.ts";

const [root, form] = Deno.args as [string, Form];
const names = [...Deno.readDirSync(`${root}/artifacts`)].map(({ name }) =>
  name
);
const aggregator = await aggregatorOf(form, root).start();
await Promise.all(Array.from({ length: 8 }, async () => {
  for (let name = names.pop(); name; name = names.pop()) {
    await aggregator.ingest("p", name, `${root}/artifacts/${name}`);
    Deno.stdout.writeSync(new TextEncoder().encode(`${name}\n`));
  }
}));
await aggregator.stop();
