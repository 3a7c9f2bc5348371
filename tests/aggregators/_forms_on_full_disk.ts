/** Ingests in a form onto a small disk that is full now and then; prints what was seen. */
import {
  ChildFailedError,
  type MultiAggregator,
} from "../../aggregators/multi.ts";
import { contents, layOut } from "./_artifacts.ts";
import { aggregatorOf, find, type Form } from "./_forms.ts";

const [disk, form] = Deno.args as [string, Form];

/** Text that cannot be made smaller by more than a half. */
const random = (bytes: number) =>
  crypto.getRandomValues(new Uint8Array(bytes)).toHex();

function fill(): Disposable {
  const path = `${disk}/filler`;
  {
    using file = Deno.openSync(path, { write: true, createNew: true });
    try {
      for (;;) file.writeSync(new Uint8Array(4096));
    } catch {
      // it is full
    }
  }
  return { [Symbol.dispose]: () => Deno.removeSync(path) };
}

/** All but artifacts and what fills the disk. */
const stored = () =>
  JSON.stringify(
    Object.entries(contents(disk)).filter(([path]) =>
      path !== "filler" && !path.startsWith("artifacts/")
    ),
  );

/** Artifacts, but for the note which of several aggregators have them. */
function artifactsIn(directory: string): string {
  const { "taken-by": _note, ...found } = contents(directory);
  return JSON.stringify(found);
}

const aggregator = await aggregatorOf(form, disk).start();
const a = layOut(`${disk}/artifacts/a`, [{ status: "pass" }], { f: "a" });
await aggregator.ingest("p", "a", a);
const b = layOut(
  `${disk}/artifacts/b`,
  Array.from({ length: 20 }, (_, i) => ({ name: `${i}`, note: random(1000) })),
  { f: random(10_000) },
);
Deno.writeTextFileSync(`${b}/results`, '{"status":"fail"}\n', { append: true });
const file = Deno.readTextFileSync(`${b}/files/f`);
const laid = artifactsIn(b);
const before = stored();

let ingestError;
{
  using _filled = fill();
  ingestError = await aggregator.ingest("p", "b", b).catch((error) => error);
}
const ingest = {
  error: ingestError?.message,
  artifactsIntact: artifactsIn(b) === laid,
  storedIntact: stored() === before,
  copies: [...Deno.readDirSync(`${disk}/artifacts`)].length,
};

if (ingestError instanceof ChildFailedError) {
  await (aggregator as MultiAggregator).retry(ingestError);
} else await aggregator.ingest("p", "b", b);

let stopError;
{
  using _filled = fill();
  stopError = await aggregator.stop().catch((error) => error);
}
const names = [...Deno.readDirSync(disk)].map(({ name }) => name).sort();

const found = await find(form, disk);
console.log(JSON.stringify({
  ingest,
  stop: { error: stopError?.message, names },
  found: found.map(({ form, counts, file: read }) => [
    form,
    Object.fromEntries(counts),
    read("a", "f"),
    read("b", "f") === file,
  ]),
}));
