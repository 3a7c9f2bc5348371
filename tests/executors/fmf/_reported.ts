/** Runs of a test as its reporter sees them, and what they leave behind. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { inMemory } from "../../_memory.ts";
import { BadControlError } from "../../../executors/executor.ts";
import {
  type DurationActions,
  Reporter,
  type ReporterOptions,
} from "../../../executors/fmf/reporter.ts";
import { placeOf, readArtifacts } from "../../../executors/results.ts";
import { bytesOf, concat } from "./_messages.ts";

/** Writes down what it is told. */
export class Recorder implements DurationActions {
  readonly calls: string[] = [];
  set = (ms: number) => void this.calls.push(`set ${ms}`);
  increment = (ms: number) => void this.calls.push(`increment ${ms}`);
  decrement = (ms: number) => void this.calls.push(`decrement ${ms}`);
  save = () => void this.calls.push("save");
  restore = () => void this.calls.push("restore");
}

/** A run of a test, with what it left behind. */
export class Run implements AsyncDisposable {
  readonly parent = Deno.makeTempDirSync({
    prefix: "atex-test-",
    ...inMemory,
  });
  readonly directory = `${this.parent}/artifacts`;
  readonly reporter: Reporter;
  readonly duration = new Recorder();
  channel;

  constructor(options?: ReporterOptions) {
    Deno.mkdirSync(this.directory);
    this.reporter = Reporter.open(this.directory, options);
    this.channel = this.reporter.channel({ duration: this.duration });
  }

  print(text: string): void {
    Deno.writeTextFileSync(this.reporter.output, text, { append: true });
  }

  feed(...parts: (string | Uint8Array)[]): Promise<void> {
    return this.channel.feed(
      concat(
        parts.map((part) => typeof part === "string" ? bytesOf(part) : part),
      ),
    );
  }

  results(): Promise<unknown[]> {
    return Array.fromAsync(readArtifacts(this.directory));
  }

  /** Content of the regular files below a directory, by path; other things by their kind. */
  files(root = `${this.directory}/files`, below = ""): Record<string, string> {
    const found: Record<string, string> = {};
    for (const entry of Deno.readDirSync(`${root}/${below}`)) {
      const path = below + entry.name;
      if (entry.isDirectory) {
        Object.assign(found, this.files(root, `${path}/`));
      } else if (entry.isFile) {
        found[path] = Deno.readTextFileSync(`${root}/${path}`);
      } else found[path] = entry.isSymlink ? "symlink" : "other";
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reporter.close();
    await Deno.remove(this.parent, { recursive: true });
  }
}

/** All that can be seen after a run with these bytes. */
export async function play(pieces: Uint8Array[]) {
  await using run = new Run();
  run.print("output");
  let error: unknown;
  try {
    for (const piece of pieces) {
      const block = piece.slice();
      await run.channel.feed(block);
      block.fill(0xff);
    }
    run.channel.end();
  } catch (reason) {
    error = reason;
    ok(reason instanceof BadControlError, Deno.inspect(reason));
  }
  const { exitCode = 0, disconnected } = run.channel;
  await run.reporter.finish(error ? { error } : { exitCode });

  const left = [...Deno.readDirSync(run.directory)].map(({ name }) => name);
  deepStrictEqual(left.sort(), ["files", "results"]);
  strictEqual([...Deno.readDirSync(run.parent)].length, 1);
  const results = await run.results();
  const files = run.files();
  for (const result of results as { name?: string; files?: string[] }[]) {
    ok(!("partial" in result) && !("testout" in result));
    strictEqual(new Set(result.files).size, result.files?.length ?? 0);
    for (const file of result.files ?? []) {
      const place = placeOf(result);
      ok(files[place === "" ? file : `${place}/${file}`] !== undefined);
    }
  }
  ok(results.some((result) => !(result as { name?: string }).name));
  return {
    results,
    files,
    disconnected,
    exitCode,
    error: error instanceof Error ? `${error.name}: ${error.message}` : error,
    duration: run.duration.calls,
  };
}
