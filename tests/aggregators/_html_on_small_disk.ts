/** Makes an HTML report on a disk that gets full. */
import { HtmlReportAggregator } from "../../aggregators/html.ts";
import { layOut } from "./_artifacts.ts";

const [disk, elsewhere] = Deno.args as [string, string];
const path = `${disk}/report.html`;
const report = new HtmlReportAggregator({ report: path, refresh: 0 });
await report.start();
const first = Deno.readTextFileSync(path);
const artifacts = layOut(`${elsewhere}/artifacts`, [
  { status: "fail", note: "x".repeat(9000) },
]);
for (let n = 0; n < 100; n++) await report.ingest("p", `/t${n}`, artifacts);
const error = await report.stop().then(() => undefined, String);

const none = new HtmlReportAggregator({ report: `${disk}/other.html` });
Deno.writeTextFileSync(`${disk}/filler`, "");
try {
  for (;;) {
    Deno.writeTextFileSync(`${disk}/filler`, "z".repeat(4096), {
      append: true,
    });
  }
} catch {
  // now it is full
}
const startError = await none.start().then(() => undefined, String);
console.log(JSON.stringify({
  error,
  startError,
  same: Deno.readTextFileSync(path) === first,
  left: [...Deno.readDirSync(disk)].map(({ name }) => name).sort(),
}));
