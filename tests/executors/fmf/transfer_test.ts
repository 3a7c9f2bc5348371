/** Files that are too large to pass through this program. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { withDirectory } from "../../_directory.ts";
import { onSmallDisk, smallDiskAvailable } from "../../_small_disk.ts";
import { TestAbortedError } from "../../../executors/executor.ts";
import { CountedWrites } from "./_counted_writes.ts";
import { runScripted } from "./_scripted.ts";

/** What `seq LAST` prints: more than 32 MiB. */
const LAST = 4_400_000;
const LENGTH = 34_088_896;
const json = JSON.stringify({ files: [{ name: "f", length: LENGTH }] });

/** How many programs copy for us. */
function copying(): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    try {
      const text = Deno.readTextFileSync(`/proc/${name}/stat`);
      if (text.startsWith(`${name} (dd) `)) {
        const [, parent] = text.slice(text.lastIndexOf(")") + 2).split(" ");
        if (Number(parent) === Deno.pid) count++;
      }
    } catch {
      // it has ended
    }
  }
  return count;
}

for (
  const [what, fd, passes] of [
    ["does not pass through this program", 1, false],
    ["does not, either, where the wrapper keeps its stdout", 8, false],
    ["passes if it is not known where it comes from", 9, true],
  ] as const
) {
  Deno.test(`a large file ${what}`, async () => {
    const move = fd === 1 ? "" : `exec ${fd}>&1 >/dev/null;`;
    const script = [
      "begin",
      `report '${json}'`,
      `seq ${LAST}`,
      `report '{"name":"after"}'`,
      "finish 0",
    ].map((command) => `${command} >&${fd}`).join("; ");
    using written = new CountedWrites("writeSync");
    const { error, results, files } = await runScripted({
      launches: [move + script],
    });
    strictEqual(error, undefined);
    deepStrictEqual(results, [{ files: ["f"] }, { name: "after" }]);
    const lines = Array.from({ length: LAST }, (_, n) => `${n + 1}\n`);
    // a failure must not show all of it
    ok(files.f === lines.join(""), `it has ${files.f?.length} characters`);
    strictEqual(written.bytes > LENGTH, passes, `${written.bytes} bytes`);
  });
}

Deno.test("a large file that does not come to its end is told as any other", async () => {
  const whole = await runScripted({
    launches: [`begin; report '${json}'; seq 10; finish 0`],
  });
  const { message } = whole.error as Error;
  ok(/end of stream inside its file "f"/.test(message), message);
  const { f } = whole.files;
  ok(f?.startsWith("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"), f);
});

Deno.test("a test is cancelled while it sends a large file", async () => {
  let copied = 0;
  const outcome = await runScripted({
    launches: [`begin; report '${json}'; seq 10; obey`],
  }, (_, abort) => {
    const timer = setInterval(() => {
      copied = copying();
      if (copied === 0) return;
      clearInterval(timer);
      abort.abort();
    }, 10);
  });
  ok(outcome.error instanceof TestAbortedError, `${outcome.error}`);
  strictEqual(outcome.error.reason, "cancelled");
  strictEqual(copied, 1);
  strictEqual(copying(), 0);
  deepStrictEqual(outcome.results.map(({ status }) => status), ["infra"]);
});

Deno.test("what a test sends after it is cancelled leaves no gap in a large file", async () => {
  const { error, files } = await runScripted({
    launches: [
      `begin; report '${json}'; for ((n = 1; ; n++)); do echo $n; done &
      read -r _; sleep 0.3; kill $!; exit 143`,
    ],
  }, (_, abort) => {
    const timer = setInterval(() => {
      if (copying() === 0) return;
      clearInterval(timer);
      abort.abort();
    }, 10);
  });
  strictEqual((error as TestAbortedError).reason, "cancelled");
  const lines = files.f!.split("\n").slice(0, -1);
  const gap = lines.findIndex((line, n) => line !== `${n + 1}`);
  strictEqual(gap, -1, `${lines[gap - 1]} is followed by ${lines[gap]}`);
});

Deno.test("the last bytes of a large file may take longer than exitGrace on a slow disk", async () => {
  await withDirectory(async (directory) => {
    // the last 40,000 bytes take two seconds
    await Deno.writeTextFile(
      `${directory}/dd`,
      `#!/bin/bash -e
PATH=$PATH_BEFORE
[[ $1 == bs=* ]] || exec dd "$@"
bytes=\${2#count=}
dd bs=128k "count=$((bytes -= 40000))" iflag=fullblock,count_bytes status=none
for ((; bytes < ${LENGTH - 1}; bytes += 2000)); do
  dd bs=2000 count=1 iflag=fullblock status=none
  sleep 0.1
done
`,
      { mode: 0o755 },
    );
    const path = Deno.env.get("PATH")!;
    Deno.env.set("PATH_BEFORE", path);
    Deno.env.set("PATH", `${directory}:${path}`);
    try {
      const { error, results } = await runScripted({
        launches: [`begin; report '${json}'; seq ${LAST}; finish 0`],
        executor: { exitGrace: 1000 },
      });
      strictEqual(error, undefined);
      deepStrictEqual(results, [{ files: ["f"] }]);
    } finally {
      Deno.env.set("PATH", path);
      Deno.env.delete("PATH_BEFORE");
    }
  });
});

Deno.test({
  name: "a large file on a full disk is the fault of the storage",
  ignore: !smallDiskAvailable,
  fn() {
    const directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
    try {
      const module = "executors/fmf/_disk_transfer.ts";
      const seen = onSmallDisk(directory, "4m", module, [directory]);
      deepStrictEqual(seen, {
        reason: "storage",
        message: 'Cannot store the file "f": No space left on device',
        left: [],
      });
    } finally {
      Deno.removeSync(directory);
    }
  },
});
