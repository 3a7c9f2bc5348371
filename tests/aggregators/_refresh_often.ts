/** Makes an HTML report that is written anew as often as possible, until it is killed. */
import { HtmlReportAggregator } from "../../aggregators/html.ts";
import { layOut } from "./_artifacts.ts";

const [directory] = Deno.args as [string];
const report = new HtmlReportAggregator({
  report: `${directory}/report.html`,
  refresh: 1,
});
await report.start();
const artifacts = layOut(`${directory}/artifacts`, [
  { status: "fail", note: "x".repeat(5000), files: ["output.txt"] },
], { "output.txt": "y".repeat(5000) });
console.log("started");
for (let n = 0;; n++) {
  await report.ingest("p", `/t${n}`, artifacts);
  await new Promise((resolve) => setTimeout(resolve, 1));
}
