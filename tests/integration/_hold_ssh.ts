/** A script that connects as its argument says, tells what it knows, and then waits or ends. */
import { run, start } from "../../connections/process.ts";
import { SshConnection } from "../../connections/ssh.ts";

const { wait, ...options } = JSON.parse(Deno.args[0]);
const connection = await SshConnection.open(options);
if (wait) start(connection, ["sleep", `${wait}`]);
console.log(await run(connection, ["echo", "connected"]));
if (wait) await new Promise((resolve) => setTimeout(resolve, 600_000));
