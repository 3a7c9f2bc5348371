/**
 * A script as a user might run it, for tests that kill it: lends clones of the
 * domain `origin`, asks for as many, takes one after the other, and waits. What
 * happens is told on stdout, a line each.
 *
 *     _libvirt_script.ts URI PORT COUNT
 */
import { LibvirtProvisioner } from "../../provisioners/libvirt.ts";
import { getRunId } from "../../provisioners/_run.ts";

const [uri, port, count] = Deno.args;
const pool = await new LibvirtProvisioner({
  origin: "origin",
  sshKey: Deno.env.get("ATEX_TEST_KEY")!,
  uri,
  domainHost: "127.0.0.1",
  portFrom: Number(port),
  onEvent: ({ type }) => console.log(type),
}).start();
console.log(`started ${getRunId()}`);
pool.provision(Number(count));
for (let i = 0; i < Number(count); i++) {
  const { attributes } = await pool.getRemote();
  console.log(`taken ${attributes.domain}`);
}
await new Promise((resolve) => setTimeout(resolve, 3_600_000));
