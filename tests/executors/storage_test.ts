import { deepStrictEqual } from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import { CommandExecutor } from "../../executors/command.ts";
import { type Executor, TestAbortedError } from "../../executors/executor.ts";
import { FunctionExecutor } from "../../executors/function.ts";
import { ArtifactsWriter } from "../../executors/results.ts";
import { withDirectory } from "../_directory.ts";
import { rejected } from "../_thrown.ts";

/** Results cannot be written as long as it lasts, though the disk has nothing to do with it. */
function withoutResults(): Disposable {
  const { write } = ArtifactsWriter.prototype;
  ArtifactsWriter.prototype.write = () => {
    throw new Deno.errors.PermissionDenied("Operation not permitted");
  };
  return {
    [Symbol.dispose]: () => {
      ArtifactsWriter.prototype.write = write;
    },
  };
}

const here = await LocalConnection.open();
const EXECUTORS: Record<string, () => Executor> = {
  CommandExecutor: () =>
    new CommandExecutor(here, { tests: { "/t": ["true"] } }),
  FunctionExecutor: () =>
    new FunctionExecutor(here, { tests: { "/t": () => {} } }),
};

for (const [name, make] of Object.entries(EXECUTORS)) {
  Deno.test(`${name}: that results cannot be stored, whatever the reason, is not the fault of the test`, async () => {
    await using executor = make();
    await withDirectory(async (directory) => {
      using _ = withoutResults();
      const error = await rejected(
        executor.runTest("/t", directory),
        TestAbortedError,
        "Cannot store the result of the test: Operation not permitted",
      );
      deepStrictEqual(error.reason, "storage");
    });
  });
}

Deno.test("FunctionExecutor: a subtest whose result cannot be stored ends the test, whatever it makes of that", async () => {
  const executor = new FunctionExecutor(here, {
    tests: {
      "/t": ({ report }) => {
        using _ = withoutResults();
        try {
          report({ name: "s", status: "pass" });
        } catch {
          // it goes on
        }
      },
    },
  });
  await withDirectory(async (directory) => {
    const error = await rejected(
      executor.runTest("/t", directory),
      TestAbortedError,
      'Cannot store the result "s": Operation not permitted',
    );
    deepStrictEqual(error.reason, "storage");
  });
});

Deno.test("FunctionExecutor: a file that a full disk does not even let be made is not the fault of the test", async () => {
  const { writeFileSync } = Deno;
  const executor = new FunctionExecutor(here, {
    tests: {
      "/t": ({ report }) => {
        Deno.writeFileSync = () => {
          const full = new Error("No space left on device");
          throw Object.assign(full, { code: "ENOSPC" });
        };
        try {
          report({ files: { log: "text" } });
        } finally {
          Deno.writeFileSync = writeFileSync;
        }
      },
    },
  });
  await withDirectory(async (directory) => {
    const error = await rejected(
      executor.runTest("/t", directory),
      TestAbortedError,
      'Cannot store the file "log": No space left on device',
    );
    deepStrictEqual(error.reason, "storage");
  });
});
