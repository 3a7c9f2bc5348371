/**
 * A script as a user might run it, for tests that kill it: it has a container, a
 * copy of a tree, and a work directory of tests on this system. Tells what it has
 * as a line of JSON, and waits.
 *
 *     _left_behind.ts IMAGE TREE
 */
import { LocalConnection } from "../../connections/local.ts";
import { discover, FmfExecutor } from "../../executors/fmf/mod.ts";
import { getRunId } from "../../provisioners/_run.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";

const [image, tree] = Deno.args;
const pool = await new PodmanProvisioner({
  image,
  runOptions: ["--network=none"],
}).start();
pool.provision(1);
const remote = await pool.getRemote();
// A plan with named sections is copied.
await using tests = await discover(tree, { plan: "/plan" });
await using here = await LocalConnection.open();
await using executor = new FmfExecutor(here, { tests });
const before = new Set(namesIn("/var").concat(namesIn("/var/tmp")));
await executor.start();
console.log(JSON.stringify({
  run: getRunId(),
  container: remote.attributes.container,
  copy: tests.root,
  work: namesIn("/var").concat(namesIn("/var/tmp"))
    .filter((path) => !before.has(path) && isOurs(path)),
}));
await remote.lost;
console.log(JSON.stringify({ lost: true }));
await new Promise((resolve) => setTimeout(resolve, 600_000));

function namesIn(directory: string): string[] {
  return Array.from(
    Deno.readDirSync(directory),
    ({ name }) => `${directory}/${name}`,
  );
}

/** Others may work here at the same time. */
function isOurs(path: string): boolean {
  try {
    return Deno.readTextFileSync(`${path}/owner`).includes(`/${Deno.pid}/`);
  } catch {
    return false;
  }
}
