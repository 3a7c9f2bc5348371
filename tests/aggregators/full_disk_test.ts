import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { onSmallDisk, smallDiskAvailable } from "../_small_disk.ts";
import { temporary } from "./_artifacts.ts";
import type { Form } from "./_forms.ts";

const noDisk = smallDiskAvailable ? undefined : "no memory file system";
const FORMS: Form[] = ["jsonl", "gzip", "zstd", "xz", "yaml", "junit", "multi"];

Deno.test({
  name: "JUnitAggregator.start() on a full disk leaves nothing behind",
  ignore: cannotRun("a report on a full disk", noDisk),
  async fn() {
    await using disk = temporary();
    const { error, ...seen } = onSmallDisk(
      disk.path,
      "400k",
      "aggregators/_junit_on_full_disk.ts",
      [disk.path],
    ) as { error: string };
    ok(/No space left/.test(error), error);
    deepStrictEqual(seen, {
      left: ["filler"],
      open: [],
      later: ["junit.xml"],
    });
  },
});

for (const form of FORMS) {
  const noXz = form === "xz" ? missingPrograms("xz") : undefined;
  const ignore = cannotRun(`${form} on a full disk`, noDisk, noXz);

  Deno.test({
    name:
      `${form}: a full disk leaves everything as it was, and what failed can be repeated`,
    ignore,
    async fn() {
      await using disk = temporary();
      const { ingest, stop, found } = onSmallDisk(
        disk.path,
        "400k",
        "aggregators/_forms_on_full_disk.ts",
        [disk.path, form],
        // deno-lint-ignore no-explicit-any -- what it prints
      ) as any;
      const full = form === "xz" ? /No space left|xz/ : /No space left/;
      ok(full.test(ingest.error), ingest.error);
      strictEqual(ingest.artifactsIntact, true);
      // of several, one may have found room
      strictEqual(ingest.storedIntact, true);
      strictEqual(ingest.copies, 2);
      const atTheEnd = ["gzip", "zstd", "xz", "junit", "multi"].includes(form);
      if (atTheEnd) {
        ok(full.test(stop.error), stop.error);
        ok(/finish(?:Results|JUnit)\(\)/.test(stop.error), stop.error);
      } else strictEqual(stop.error, undefined);
      const results = form === "multi"
        ? ["gzip.part", "junit.part", "yaml"]
        : [atTheEnd ? `${form}.part` : form];
      deepStrictEqual(
        stop.names.filter((name: string) => name.startsWith("results-")),
        results.map((name) => `results-${name}`),
      );
      for (const [form, counts, a, b] of found) {
        deepStrictEqual(counts, { a: 1, b: 21 });
        if (form !== "junit") deepStrictEqual([a, b], ["a", true]);
      }
    },
  });

  Deno.test({
    name: `${form}: read-only directories`,
    ignore,
    async fn() {
      await using disk = temporary();
      await using elsewhere = temporary();
      const seen = onSmallDisk(
        disk.path,
        "1m",
        "aggregators/_forms_read_only.ts",
        [disk.path, elsewhere.path, form],
      ) as { start: string; ingest: string | null; intact: boolean };
      ok(
        /Read-only file system.*(?:results|files)-/.test(seen.start),
        seen.start,
      );
      deepStrictEqual({ ...seen, start: "", ingest: seen.ingest !== null }, {
        start: "",
        // to be read is all that one of them wants
        ingest: form !== "junit",
        intact: true,
        found: form === "multi"
          ? [["gzip", 0, null], ["junit", 1, null], ["yaml", 0, null]]
          : [[form, form === "junit" ? 1 : 0, null]],
      });
    },
  });
}
