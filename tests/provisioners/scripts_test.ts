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
import { EVENTS_SCRIPT } from "../../provisioners/_leashed.ts";
import {
  DOMAIN_WATCHDOG_SCRIPT,
  WATCHDOG_SCRIPT,
} from "../../provisioners/_watchdog.ts";
import { cannotRun, missingPrograms, which } from "../_parts.ts";
import { checkScript, shellcheckMissing } from "../_shellcheck.ts";

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
    ignore: cannotRun("provisioners/scripts", shellcheckMissing()),
    fn: async () => {
      await checkScript(script, "sh");
    },
  });
}

for (
  const shell of [["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"]]
) {
  Deno.test({
    name: `INSTALL_SCRIPT asks for packages as they are named (${
      shell.join(" ")
    })`,
    ignore: cannotRun("provisioners/scripts", missingPrograms(shell[0])),
    fn: async () => {
      const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
      try {
        const asked = async (tool: string, packages: readonly string[]) => {
          const bin = await Deno.makeTempDir({ dir: directory });
          const program = '#!/bin/sh\nprintf "[%s]" "$@"\n';
          await Deno.writeTextFile(`${bin}/${tool}`, program, { mode: 0o755 });
          const [file, ...args] = shell;
          const { stdout } = await new Deno.Command(which(file)!, {
            args: [...args, "-c", INSTALL_SCRIPT, "sh", ...packages],
            cwd: directory,
            env: { PATH: bin },
            clearEnv: true,
          }).output();
          return new TextDecoder().decode(stdout);
        };
        await Deno.writeTextFile(`${directory}/library`, "");
        assert.equal(
          await asked("apk", ["lib*", "foo >= 1.2", "python", "@systemd", "z"]),
          "[add][--no-cache][lib*][foo >= 1.2][python][systemd][z]",
        );
        assert.match(
          await asked("yum", ["@systemd", "python"]),
          /\[systemd\]\[dbus-broker\]\[python\]/,
        );
        assert.match(
          await asked("zypper", ["a", "python"]),
          /\[a\]\[python3\]/,
        );
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
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

for (
  const [what, holds, answers] of [
    [
      "who has just got it",
      'flock "$f" sh -c \'sleep 0.5; echo "{who}" >"$0"; sleep 3\' "$f"',
      ["taken {who}"],
    ],
    ["who only looks at it", 'flock -s "$f" sleep 0.5', ["locked"]],
    ["who does not tell", 'flock "$f" sleep 3', ["taken "]],
  ] as const
) {
  Deno.test(`LEASE_SCRIPT waits a moment for ${what}`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      const script = `
f=$2; : >"$f"
${holds} & holder=$!
while flock -n "$f" true; do sleep 0.02; done
echo 'take "run":"r"}' | sh -c "$1" sh "$f" id 600
kill $holder`;
      const { stdout } = await new Deno.Command("sh", {
        args: ["-c", script, "sh", LEASE_SCRIPT, `${directory}/lock`],
        stdin: "null",
        stderr: "null",
      }).output();
      const said = new TextDecoder().decode(stdout);
      assert.deepEqual(said.split("\n").slice(0, -1), answers);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}
