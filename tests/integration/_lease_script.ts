/**
 * A script as a user might run it, for tests with many: lends one of the hosts
 * at a time, so many times, and uses it alone. What happens is told on stdout, a
 * word and a text a line. With 0 times it keeps the first host for ever.
 *
 *     _lease_script.ts OPTIONS TIMES
 */
import { run } from "../../connections/process.ts";
import { HostsProvisioner } from "../../provisioners/hosts.ts";

const options = JSON.parse(Deno.args[0]);
const times = Number(Deno.args[1]);

await using pool = await new HostsProvisioner({
  ...options,
  onEvent: (event) => {
    if (event.type === "waiting") console.log("waiting", event.reason);
    if (event.type === "reserve-failed") {
      console.log("failed", event.error.message);
    }
  },
}).start();
for (let time = 0; time < Math.max(times, 1); time++) {
  pool.provision();
  await using remote = await pool.getRemote();
  console.log("got", remote.id);
  if (times === 0) await new Promise((resolve) => setTimeout(resolve, 600_000));
  // Fails if somebody else is there.
  const { used } = remote.attributes;
  await run(remote, [
    "sh",
    "-c",
    'mkdir "$1" || exit; sleep 0.1; rmdir "$1"',
    "sh",
    used,
  ]);
}
console.log("done");
