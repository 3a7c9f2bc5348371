import { HERALD } from "../../executors/_herald.ts";
import { MERGED } from "../../executors/_function_commands.ts";
import { LEASH } from "../../executors/leash.ts";
import { cannotRun } from "../_parts.ts";
import { checkScript, shellcheckMissing } from "../_shellcheck.ts";

for (const [name, script] of Object.entries({ HERALD, LEASH, MERGED })) {
  Deno.test({
    name: `${name} is a POSIX shell script without fault`,
    ignore: cannotRun("executors/scripts", shellcheckMissing()),
    fn: async () => {
      await checkScript(script, "sh");
    },
  });
}
