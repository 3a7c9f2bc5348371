/** Writes an event log onto a disk that is too small for it. */
import { readEventLog, writeEventLog } from "../../orchestrators/event_log.ts";
import type { RunEvent } from "../../orchestrators/orchestrator.ts";

const [disk] = Deno.args as [string];
const path = `${disk}/events.jsonl`;
async function* events(): AsyncGenerator<RunEvent> {
  for (let time = 0; time < 10_000; time++) {
    yield await Promise.resolve({ time, type: "remote-idle", remote: "x" });
  }
}
const error = await writeEventLog(events(), path)
  .then(() => undefined, (error) => error.message);
const read = await Array.fromAsync(readEventLog(path));
console.log(JSON.stringify({
  error,
  whole: read.length > 100 && read.every(({ time }, index) => time === index),
}));
