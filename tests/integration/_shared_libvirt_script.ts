/**
 * A script as a user might run it: borrows domains of a shared host, so many at
 * a time, so many times, and looks whether it is alone on each. What happens is
 * told on stdout, a word and a text a line. With 0 times it keeps the first ones
 * for ever.
 *
 *     _shared_libvirt_script.ts OPTIONS COUNT TIMES
 */
import { run } from "../../connections/process.ts";
import { SharedLibvirtProvisioner } from "../../provisioners/shared_libvirt.ts";

const { used, ...options } = JSON.parse(Deno.args[0]);
const count = Number(Deno.args[1]);
const times = Number(Deno.args[2]);

/** Fails if somebody else is there. */
const ALONE = 'mkdir "$1" || exit; sleep 0.1; rmdir "$1"';

await using pool = await new SharedLibvirtProvisioner({
  ...options,
  onEvent: (event) => {
    if (event.type === "waiting") console.log("waiting", event.reason);
    if (event.type === "reserve-failed") {
      console.log("failed", event.error.message);
    }
  },
}).start();
console.log("started");
await Promise.all(Array.from({ length: count }, async () => {
  for (let time = 0; time < Math.max(times, 1); time++) {
    pool.provision();
    await using remote = await pool.getRemote();
    const { domain } = remote.attributes;
    console.log("got", domain);
    if (times === 0) await new Promise((done) => setTimeout(done, 600_000));
    const marker = `${used}.${domain}`;
    await run(remote, ["sh", "-c", ALONE, "sh", marker]);
  }
}));
console.log("done");
