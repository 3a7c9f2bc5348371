// Commands on several machines at once, nothing else: deno run -A commands.ts HOST...
import { run } from "jsr:@atex/atex/connections/process";
import { SshConnection } from "jsr:@atex/atex/connections/ssh";

await Promise.all(Deno.args.map(async (host) => {
  await using machine = await SshConnection.open({ host });
  const kernel = await run(machine, ["uname", "-r"]);
  const load = await run(machine, ["cut", "-d ", "-f1-3", "/proc/loadavg"]);
  console.log(`${host}: kernel ${kernel.trim()}, load ${load.trim()}`);
}));
