import assert from "node:assert/strict";
import {
  judgeEnd,
  type TestEnd,
  type Verdict,
} from "../../../executors/fmf/_test_end.ts";
import {
  CONTROL_CLOSED,
  NOT_STARTED,
  SETUP_FAILED,
} from "../../../executors/fmf/wrapper.ts";

/** A channel that has begun, of which nothing else is known. */
const begun = {
  started: true,
  ended: false,
  exitCode: undefined,
  disconnected: false,
};

function check(end: TestEnd, verdict: Verdict): void {
  assert.deepEqual(judgeEnd(end), verdict, Deno.inspect(end));
}

Deno.test("judgeEnd(): a test that did not begin", () => {
  for (const code of [0, NOT_STARTED, SETUP_FAILED, 255]) {
    const channel = { ...begun, started: false };
    check(
      { how: "end", code, channel: undefined },
      { is: "not-started", inSetup: true },
    );
    check(
      { how: "end", code, channel },
      { is: "not-started", inSetup: false },
    );
  }
});

Deno.test("judgeEnd(): a test that is over stays over, whatever came after", () => {
  for (const exitCode of [0, 1, 143]) {
    const channel = { ...begun, ended: true, exitCode };
    for (const code of [undefined, 1, CONTROL_CLOSED, 255]) {
      for (const how of ["end", "disconnect", "grace"] as const) {
        check({ how, code, channel }, { is: "over", exitCode });
        const disconnected = { ...channel, disconnected: true };
        check({ how, code, channel: disconnected }, { is: "over", exitCode });
      }
    }
    check({ how: "grace", code: 0, channel }, { is: "over", exitCode });
  }
});

Deno.test("judgeEnd(): a system that went away as announced", () => {
  const channel = { ...begun, disconnected: true };
  for (const code of [0, 1, CONTROL_CLOSED, 255]) {
    check({ how: "disconnect", code, channel }, { is: "away" });
  }
  check(
    { how: "disconnect", code: 255, channel: { ...channel, exitCode: 0 } },
    { is: "away" },
  );
});

Deno.test("judgeEnd(): a wrapper that came to its end", () => {
  for (const exitCode of [undefined, 0, 7]) {
    for (const ended of [false, true]) {
      check(
        { how: "end", code: 0, channel: { ...begun, ended, exitCode } },
        { is: "complete", exitCode },
      );
    }
  }
  check(
    {
      how: "disconnect",
      code: 0,
      channel: { ...begun, disconnected: true, exitCode: 0 },
    },
    { is: "complete", exitCode: 0 },
  );
});

Deno.test("judgeEnd(): a wrapper that did not come to its end", () => {
  for (const exitCode of [undefined, 0]) {
    const channel = { ...begun, exitCode };
    for (const code of [CONTROL_CLOSED, NOT_STARTED]) {
      check({ how: "end", code, channel }, { is: "cut-off", by: "wrapper" });
    }
    for (const code of [1, SETUP_FAILED, 255]) {
      check({ how: "end", code, channel }, { is: "cut-off", by: "connection" });
    }
  }
  check(
    { how: "end", code: 255, channel: { ...begun, ended: true } },
    { is: "cut-off", by: "connection" },
  );
});
