/** Measures one test with 1 000 000 results: see `_aggregate.ts` for the options. */
import { aggregateBenchmark } from "./_aggregate.ts";

await aggregateBenchmark({
  name: "aggregate_one",
  count: 1_000_000,
  prefix: "/",
  write(directory, count) {
    Deno.mkdirSync(`${directory}/one/files`, { recursive: true });
    using file = Deno.openSync(`${directory}/one/results`, {
      write: true,
      createNew: true,
    });
    const encoder = new TextEncoder();
    let lines = "";
    for (let n = 0; n < count; n++) {
      lines += `{"status": "pass", "name": "sub/test/number/${
        String(n).padStart(7, "0")
      }", "note": "note ${n}"}\n`;
      if (lines.length < 1024 * 1024 && n < count - 1) continue;
      const bytes = encoder.encode(lines);
      for (let done = 0; done < bytes.length;) {
        done += file.writeSync(bytes.subarray(done));
      }
      lines = "";
    }
  },
  check: (count) => `${count} lines, 0 files, 0 bytes`,
});
