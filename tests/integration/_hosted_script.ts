/**
 * A script as a user might run it, for tests that kill it: lends systems of a
 * hosted kind, and then does what the last argument says.
 *
 *     _hosted_script.ts testing-farm|kubernetes OPTIONS COUNT wait|end
 */
import { KubernetesProvisioner } from "../../provisioners/kubernetes.ts";
import { TestingFarmProvisioner } from "../../provisioners/testing_farm.ts";

const [kind, options, count, then] = Deno.args;
const Kind = kind === "kubernetes"
  ? KubernetesProvisioner
  : TestingFarmProvisioner;
const pool = await new Kind(JSON.parse(options)).start();
console.log("started");
pool.provision(Number(count));
for (let i = 0; i < Number(count); i++) await pool.getRemote();
console.log("lent");
if (then === "wait") {
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}
// "end": nobody calls stop()
