/** Runs a command that passes and one that takes too long; prints what became of them. */
import { LocalConnection } from "../../connections/local.ts";
import { CommandExecutor } from "../../executors/command.ts";

const [directory] = Deno.args as [string];
const tests = {
  passes: ["echo", "hi"],
  hangs: { command: ["sleep", "60"], timeout: 100 },
};
await using here = await LocalConnection.open();
await using executor = new CommandExecutor(here, { tests });
for (const name of Object.keys(tests)) {
  Deno.mkdirSync(`${directory}/${name}`);
  const end = await executor.runTest(name, `${directory}/${name}`)
    .catch(({ reason }) => reason);
  console.log(name, end);
}
