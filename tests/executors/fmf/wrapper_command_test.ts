/** How what a wrapper says is read, and who gets a turn meanwhile. */
import { ok, strictEqual } from "node:assert/strict";
import { LocalConnection } from "../../../connections/local.ts";
import { WrapperCommand } from "../../../executors/fmf/_wrapper_command.ts";

/** Runs this instead of the wrapper. */
class Instead extends LocalConnection {
  constructor(readonly argv: string[]) {
    super();
  }
  override local() {
    return super.local(this.argv);
  }
}

async function startInstead(...argv: string[]): Promise<WrapperCommand> {
  const connection = new Instead(argv);
  await connection.connect();
  const work = { wrapper: "none" } as Parameters<
    typeof WrapperCommand.start
  >[1];
  return WrapperCommand.start(connection, work, {
    state: "none",
    cwd: "/",
    flags: [],
    stderr: "null",
  });
}

/** Gives the writer time to write more. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

Deno.test("WrapperCommand.read() lets others go on however much there is to read", async () => {
  await using command = await startInstead("cat", "/dev/zero");
  let turns = 0;
  const interval = setInterval(() => turns++);
  let reads = 0;
  for (; turns < 10 && reads < 200; reads++) {
    ok(await command.read());
    work(1);
  }
  clearInterval(interval);
  strictEqual(turns, 10, `after ${reads} reads`);
});

Deno.test("WrapperCommand.read() gives all that is said, to the end", async () => {
  await using command = await startInstead("seq", "100000");
  let text = "";
  for (let bytes; (bytes = await command.read());) {
    text += new TextDecoder().decode(bytes);
  }
  strictEqual(
    text,
    Array.from({ length: 100000 }, (_, n) => `${n + 1}\n`).join(""),
  );
});
