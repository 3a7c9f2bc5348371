/**
 * A script as a user might run it, for tests that kill it: lends containers of
 * the image, asks for as many, takes one after the other, and then does what the
 * last argument says. What happens is told on stdout, a JSON object a line.
 *
 *     _pool_script.ts IMAGE COUNT wait|end
 */
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import { getRunId } from "../../provisioners/_run.ts";

const [image, count, then] = Deno.args;
const tell = (what: unknown) => console.log(JSON.stringify(what));

const pool = await new PodmanProvisioner({
  image,
  runOptions: ["--network=none", "--volume=/volume"],
  onEvent: (event) =>
    tell(
      event.type === "warning"
        ? { type: "warning", what: event.error.message }
        : event,
    ),
}).start();
tell({ type: "started", run: getRunId() });
pool.provision(Number(count));
for (let i = 0; i < Number(count); i++) {
  const remote = await pool.getRemote();
  tell({ type: "taken", container: remote.attributes.container });
}
if (then === "wait") {
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}
// "end": nobody calls stop()
