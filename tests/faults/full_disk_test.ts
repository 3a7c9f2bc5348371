/** A full disk here, where artifacts are written by programs that do not tell. */
import { deepStrictEqual } from "node:assert/strict";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";

Deno.test({
  name: "a test whose output finds no room has neither passed nor failed",
  ignore: !smallDiskAvailable,
  fn() {
    const directory = Deno.makeTempDirSync({ prefix: "atex-test-" });
    try {
      const module = "faults/_full_artifacts.ts";
      const seen = onSmallDisk(directory, "1m", module, [directory]);
      const aborted = (...statuses: string[]) => ({
        reason: "storage",
        says: true,
        statuses,
        left: ["files", "results"],
      });
      deepStrictEqual(seen, {
        "a test that passes": aborted("pass", "infra"),
        "a test that fails by it": aborted("pass", "infra"),
        "a test that stands still": aborted("pass", "infra"),
        "a command": aborted(),
        "a function that knows": aborted(),
        "a function that does not care": aborted("pass", "infra"),
        "a function that reports a file": aborted("pass", "infra"),
      });
    } finally {
      Deno.removeSync(directory);
    }
  },
});
