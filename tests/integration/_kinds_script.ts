/**
 * A script as a user might run it, for tests that kill it: lends a system of each
 * of several kinds, tells its run on stdout, and waits.
 *
 *     _kinds_script.ts '[["KIND", OPTIONS], …]'
 */
import { getRunId } from "../../provisioners/_run.ts";
import { kindOf } from "./_kinds.ts";

const kinds: [string, Record<string, unknown>][] = JSON.parse(Deno.args[0]);
for (const [kind, options] of kinds) {
  const pool = kindOf(kind).make(options);
  await pool.start();
  pool.provision(1);
  await pool.getRemote();
}
console.log(getRunId());
setInterval(() => {}, 1000); // nothing else may keep it alive
