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
