/** Sends the spans of a run, in a span of the script. */
import { sendSpans } from "../../orchestrators/telemetry.ts";
import { eventfulRun, given, ONE_OF_EACH } from "./_events.ts";

switch (Deno.args[0]) {
  case "killed": // the events end in the middle
    await sendSpans(given([
      { time: 1000, type: "run-started", platform: "p", tests: ["/a"] },
      {
        time: 1001,
        type: "remote-ready",
        remote: "r",
        provisioner: "x",
        attributes: {},
      },
      {
        time: 1002,
        type: "test-started",
        remote: "r",
        test: "/a",
        attempt: 1,
        artifacts: "",
      },
      { time: 1005, type: "remote-idle", remote: "other" },
    ]));
    break;
  case "any":
    await sendSpans(given(ONE_OF_EACH));
    break;
  default: {
    const run = eventfulRun();
    await sendSpans(run);
    console.log((await run.finished).passed);
  }
}
