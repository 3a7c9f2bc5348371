// One test on one machine that you have: deno run -A one_machine.ts root@10.0.0.7 [/smoke]
import { SshConnection } from "jsr:@atex/atex/connections/ssh";
import { discover, FmfExecutor } from "jsr:@atex/atex/executors/fmf";
import { readArtifacts } from "jsr:@atex/atex/executors/results";
import { runMain } from "jsr:@atex/atex/main";

await runMain(async (signal) => {
  const [host, name = "/smoke"] = Deno.args;
  const suite = new URL("./suite", import.meta.url);
  await using tests = await discover(suite, { plan: "/plans/demo", signal });
  await using machine = await SshConnection.open({ host, signal });
  await using executor = await new FmfExecutor(machine, { tests })
    .start({ signal });

  const artifacts = await Deno.makeTempDir({ prefix: "one-machine-" });
  const code = await executor.runTest(name, artifacts, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(600_000)]),
  });
  for await (const result of readArtifacts(artifacts)) console.log(result);
  console.log(`exit code ${code}, files in ${artifacts}/files`);
  return code === 0 ? 0 : 1;
});
