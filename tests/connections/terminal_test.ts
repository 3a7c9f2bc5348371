import assert from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import { interact } from "../../connections/terminal.ts";

Deno.test("interact() runs nothing if it is aborted while the terminal is asked for its settings", async () => {
  await using here = await LocalConnection.open();
  const marker = await Deno.makeTempFile();
  const abort = new AbortController();
  const done = interact(here, ["rm", marker], {
    terminal: true,
    signal: abort.signal,
  });
  abort.abort(new Error("the window was closed"));
  await assert.rejects(done, /the window was closed/);
  await Deno.remove(marker); // rejects if the command ran
});

Deno.test("interact() names a program that is not there", async () => {
  await using here = await LocalConnection.open();
  await assert.rejects(
    interact(here, ["/nowhere/program"], { terminal: false }),
    {
      name: "NotFound",
      message:
        'Cannot run "/nowhere/program": "/nowhere/program" does not exist, or the interpreter that it names',
    },
  );
});
