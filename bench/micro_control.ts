/** The parser of the control channel alone, fed from memory. */
import { ControlParser } from "../executors/fmf/control.ts";

const COUNT = 10_000;
const stream = new TextEncoder().encode(
  Array.from({ length: COUNT }, (_, n) => {
    const start = `{"status": "pass", "name": "sub/${
      String(n).padStart(6, "0")
    }", `;
    return `result 100\n${start}"note": "${"x".repeat(89 - start.length)}"}`;
  }).join(""),
);

function parse(size: number): void {
  const parser = new ControlParser();
  let results = 0;
  for (let at = 0; at < stream.length; at += size) {
    for (const _event of parser.feed(stream.subarray(at, at + size))) results++;
  }
  if (results !== COUNT) throw new Error(`there are ${results} results`);
}

for (const size of [65536, 4096, 100, 1]) {
  Deno.bench(`${COUNT} results in pieces of ${size} bytes`, {
    group: "control",
    baseline: size === 65536,
  }, () => parse(size));
}
