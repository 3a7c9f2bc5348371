/** Starts a JUnit report on a disk that is full; prints what is left, and how it goes later. */
import { JUnitAggregator } from "../../aggregators/junit.ts";

const [disk] = Deno.args as [string];
const report = new JUnitAggregator({
  target: `${disk}/out/junit.xml`,
  name: "x".repeat(10_000), // it is written at the start
});
const filler = `${disk}/filler`;
{
  using file = Deno.openSync(filler, { write: true, createNew: true });
  try {
    for (;;) file.writeSync(new Uint8Array(4096));
  } catch {
    // it is full
  }
  // for directories and empty files
  file.truncateSync(file.statSync().size - 4096);
}
const error = await report.start().then(() => undefined, String);
const left = [...Deno.readDirSync(disk)].map(({ name }) => name);
const open = [...Deno.readDirSync("/proc/self/fd")]
  .map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return "";
    }
  })
  .filter((path) => path.startsWith(disk));
Deno.removeSync(filler);
await report.start();
await report.stop();
const later = [...Deno.readDirSync(`${disk}/out`)].map(({ name }) => name);
console.log(JSON.stringify({ error, left, open, later }));
