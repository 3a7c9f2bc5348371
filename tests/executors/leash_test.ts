import { strictEqual } from "node:assert/strict";
import { LEASH } from "../../executors/leash.ts";

/** Runs a script as the leader of a group, with the leash as `$1` and a directory as `$2`; returns what it prints. */
async function lead(script: string, leash = LEASH): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", script, "sh", leash, directory],
      stdin: "null",
      stderr: "null",
      detached: true,
    }).output();
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("LEASH leaves the group of its parent alone when the command is over", async () => {
  const printed = await lead(`
mkfifo "$2/in"
setsid sh -c "$1" sh true <"$2/in" &
exec 9>"$2/in"
wait $!
echo stop >&9
sleep 0.5
echo alive
`);
  strictEqual(printed, "alive\n");
});

for (
  const [where, leash] of [
    ["", LEASH],
    [", where there is no /proc", LEASH.replace("/proc/self/stat", "/missing")],
  ] as const
) {
  Deno.test(`LEASH ends what the command started, also in a group that is not its own${where}`, async () => {
    const printed = await lead(
      `
mkfifo "$2/in"
# as sudo of a login shell runs a command: the group is that of the shell
setsid sh -c 'trap : TERM; ( sh -c "$1" sh sh -c "sleep 60 & echo \\$! >\\"\\$0/pid\\"; wait" "$2"; : ); :' sh "$1" "$2" <"$2/in" &
exec 9>"$2/in"
until [ -s "$2/pid" ]; do sleep 0.02; done
read -r pid <"$2/pid"
[ -e "/proc/$pid/exe" ] && echo there
echo stop >&9
for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; [ -e "/proc/$pid/exe" ] || break; done
[ -e "/proc/$pid/exe" ] || echo gone # which a zombie is, too
`,
      leash,
    );
    strictEqual(printed, "there\ngone\n");
  });
}
