/** Reports into artifacts on a small disk until it is full; prints what came of it. */
import { TestAbortedError } from "../../../executors/executor.ts";
import { bytesOf, result } from "./_messages.ts";
import { reportTo } from "./_small_disk_report.ts";

const [directory, what] = Deno.args as [string, "files" | "large" | "results"];
const { artifacts, reporter, channel } = reportTo(directory);
const length = what === "large" ? 8 * 1024 * 1024 : 1000;
const report = bytesOf(
  what === "results"
    ? result({ name: "s", note: "x".repeat(300) })
    : result({ name: "s", files: [{ name: "f", length }] }) +
      "x".repeat(length),
);
let error: unknown;
let fed = 0;
while (!error && fed < 5000) {
  await channel.feed(report).then(() => fed++, (reason) => error = reason);
}
await reporter.finish({ error });
const lines = Deno.readTextFileSync(`${artifacts}/results`).split("\n");
console.log(JSON.stringify({
  error: error instanceof TestAbortedError && error.reason,
  note: String(error),
  fed,
  whole: lines.pop() === "",
  results: lines.map((line) =>
    JSON.parse(line)
  ).filter(({ name }) => name).length,
  left: [...Deno.readDirSync(artifacts)].map(({ name }) => name).sort(),
}));
