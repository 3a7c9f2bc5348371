import assert from "node:assert/strict";
import {
  INSTALL_SCRIPT,
  WRITE_SCRIPT,
} from "../../provisioners/_image_scripts.ts";
import {
  LIST_WORK_SCRIPT,
  REMOVE_WORK_SCRIPT,
} from "../../provisioners/_left_work.ts";
import { CONMON_FUNCTIONS } from "../../provisioners/_conmon.ts";
import { END_PROCESSES_SCRIPT } from "../../provisioners/_left_processes.ts";
import { LEASE_SCRIPT } from "../../provisioners/_lease_script.ts";
import { EVENTS_SCRIPT } from "../../provisioners/_end_watch.ts";
import {
  DOMAIN_WATCHDOG_SCRIPT,
  WATCHDOG_SCRIPT,
} from "../../provisioners/_watchdog.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";

for (
  const [name, script] of Object.entries({
    EVENTS_SCRIPT,
    INSTALL_SCRIPT,
    WRITE_SCRIPT,
    LEASE_SCRIPT,
    LIST_WORK_SCRIPT,
    REMOVE_WORK_SCRIPT,
    CONMON_FUNCTIONS,
    END_PROCESSES_SCRIPT,
    WATCHDOG_SCRIPT,
    DOMAIN_WATCHDOG_SCRIPT,
  })
) {
  Deno.test({
    name: `${name} is a POSIX shell script without fault`,
    ignore: cannotRun("provisioners/scripts", missingPrograms("shellcheck")),
    fn: async () => {
      const child = new Deno.Command("shellcheck", {
        args: ["--shell=sh", "--color=never", "-"],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(script));
      await writer.close();
      const { stdout } = await child.output();
      assert.equal(new TextDecoder().decode(stdout), "");
    },
  });
}

Deno.test("LEASE_SCRIPT leaves no holder behind who was gone before it could be told", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const file = `${directory}/lock`;
    const { code } = await new Deno.Command("sh", {
      args: [
        "-c",
        // Nobody reads what it says by the time it takes the lease.
        '{ sleep 0.3; echo \'take "run":"r"}\'; } | sh -c "$1" sh "$2" id 600 | true',
        ...["sh", LEASE_SCRIPT, file],
      ],
      stdin: "null",
    }).output();
    assert.equal(code, 0);
    assert.equal(await Deno.readTextFile(file), "");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
