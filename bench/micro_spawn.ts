/** Starting a child that does nothing: alone, with pipes, beside children that live on. */
import { spawnOnly } from "./_units.ts";

const TRUE = ["/bin/true"];

Deno.bench("no streams", { group: "spawn", baseline: true }, async () => {
  await spawnOnly(TRUE);
});

Deno.bench("stdout and stderr piped", { group: "spawn" }, async () => {
  await new Deno.Command("/bin/true", { stdin: "null" }).output();
});

Deno.bench("stdin and stdout piped", { group: "spawn" }, async () => {
  const child = new Deno.Command("/bin/true", {
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  await child.stdin.close().catch(() => {}); // it may have ended
  await child.stdout.cancel();
  await child.status;
});

const living: Deno.ChildProcess[] = [];
addEventListener("unload", () => {
  for (const child of living) child.kill("SIGKILL");
});

for (const count of [100, 1000]) {
  Deno.bench(`beside ${count} children`, { group: "spawn" }, async (b) => {
    while (living.length < count) living.push(sleeper());
    b.start();
    await spawnOnly(TRUE);
    b.end();
  });
}

const sleeper = () =>
  new Deno.Command("/bin/sleep", {
    args: ["infinity"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
