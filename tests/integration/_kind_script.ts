/**
 * A script as a user might run it, for tests that kill it: lends so many systems
 * of a kind, and runs a test on each that does not end. What happens is told on
 * stdout, a JSON object a line. At a line on stdin it tries all of its systems.
 *
 *     _kind_script.ts KIND OPTIONS COUNT MARK
 */
import { run } from "../../connections/process.ts";
import { CommandExecutor } from "../../executors/command.ts";
import { getRunId } from "../../provisioners/_run.ts";
import type { Remote } from "../../provisioners/provisioner.ts";
import { kindOf } from "./_kinds.ts";

const [kind, options, count, mark] = Deno.args;
const tell = (what: unknown) => console.log(JSON.stringify(what));
const artifacts = await Deno.makeTempDir({
  dir: Deno.env.get("ATEX_TEST_ARTIFACTS"),
});

tell({ type: "loaded", run: getRunId() });
const pool = kindOf(kind).make({
  ...JSON.parse(options),
  onEvent: (event) => {
    const { type } = event;
    if (type === "warning" || type === "reserve-failed" || type === "lost") {
      tell({ type, what: event.error.message });
    } else tell(event);
  },
});
await pool.start();
tell({ type: "started" });
pool.provision(Number(count));
const remotes: Remote[] = [];
for (let i = 0; i < Number(count); i++) {
  const remote = await pool.getRemote();
  remotes.push(remote);
  remote.lost.then((error) => tell({ type: "lost", what: error.message }));
  tell({ type: "taken", id: remote.id });
  const executor = new CommandExecutor(remote, {
    tests: { "/t": ["sh", "-c", "while :; do sleep 1; done", mark] },
  });
  const directory = `${artifacts}/${i}`;
  await Deno.mkdir(directory);
  executor.runTest("/t", directory).then(
    (code) => tell({ type: "ended", what: `exit code ${code}` }),
    (error) => tell({ type: "ended", what: error.message }),
  );
}
tell({ type: "all" });
for await (const _ of Deno.stdin.readable) {
  await Promise.all(remotes.map((remote) => run(remote, ["true"])));
  tell({ type: "fine" });
}
