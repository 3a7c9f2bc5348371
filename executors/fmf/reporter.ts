/**
 * What becomes of what a test reports: lines of `results`, files, and, when the
 * test is over, a result for the test itself.
 *
 * A {@linkcode Reporter} lasts as long as a run of a test; each time that the
 * test is started, also again after a restart of the system, there is a new
 * {@linkcode ControlChannel} that its bytes are fed to.
 *
 * ```ts ignore
 * using reporter = Reporter.open(artifacts);
 * // append the output of the test to reporter.output, then:
 * const channel = reporter.channel({ duration: limit, nonce });
 * for await (const block of stdout) {
 *   await channel.feed(block);
 *   if (channel.disconnected) break;
 * }
 * channel.end();
 * await reporter.finish({ exitCode: channel.exitCode });
 * ```
 *
 * @module
 */
import { errorNote } from "../error_note.ts";
import { BadReportJSONError } from "../executor.ts";
import { openArtifacts } from "../open_artifacts.ts";
import { type ArtifactsWriter, placeOf, type Result } from "../results.ts";
import { storeResults } from "../storage.ts";
import {
  type ChannelOptions,
  ControlChannel,
  type DurationActions,
  type UploadEvent,
} from "./_channel.ts";
import type { Report } from "./control.ts";
import { type Chain, Chains, extend } from "./_partial.ts";
import { plainResult, resultOf } from "./_written.ts";
import { type SystemCalls, Uploads } from "./_uploads.ts";

export { type ChannelOptions, ControlChannel, type DurationActions };

/** How much a test may report; more is a {@linkcode BadReportJSONError}. */
export interface ReportLimits {
  /**
   * Bytes of all files together.
   *
   * @default no limit
   */
  bytes?: number | undefined;
  /**
   * Results, partial ones included.
   *
   * @default no limit
   */
  results?: number | undefined;
  /**
   * Unfinished results at the same time.
   *
   * @default no limit
   */
  partials?: number | undefined;
}

/** Options of {@linkcode Reporter.open}. */
export interface ReporterOptions extends SystemCalls {
  /** How much the test may report. */
  limits?: ReportLimits;
}

/** How a run of a test came to its end: with an exit code, or not at all. */
export type Outcome = { readonly exitCode: number } | {
  readonly error: unknown;
};

/** Name of the file, in the artifacts, that collects the output of the test. */
const OUTPUT = "testout.temp";

/** Names for the output of the test in a made-up result: the first that is free. */
const OUTPUT_NAMES = [
  "output.txt",
  ...Array.from({ length: 9 }, (_, index) => `output-${index + 1}.txt`),
];

/** Writes the artifacts of one run of a test. */
export class Reporter implements Disposable {
  /** The file that the output of the test is to be appended to. */
  readonly output: string;
  readonly #writer: ArtifactsWriter;
  readonly #uploads: Uploads;
  readonly #limits: ReportLimits;
  readonly #chains = new Chains();
  /** Complete results that are not in the file yet. */
  readonly #pending: Result[] = [];
  readonly #statuses = new Set<string>();
  #hasOwnResult = false;
  #results = 0;
  #bytes = 0;
  #closed = false;

  private constructor(
    output: string,
    writer: ArtifactsWriter,
    options: ReporterOptions,
  ) {
    this.output = output;
    this.#writer = writer;
    this.#uploads = new Uploads(writer.files, output, options);
    this.#limits = options.limits ?? {};
  }

  /**
   * Makes `results`, `files` and the file for the output in an existing
   * directory.
   *
   * @throws {Deno.errors.AlreadyExists} if one of them is there; nothing is touched
   * @throws {Deno.errors.NotFound} if the directory does not exist
   */
  static open(
    artifacts: string | URL,
    options: ReporterOptions = {},
  ): Reporter {
    const writer = openArtifacts(
      artifacts,
      OUTPUT,
      (path) => Deno.openSync(path, { write: true, createNew: true }).close(),
    );
    return new Reporter(`${writer.directory}/${OUTPUT}`, writer, options);
  }

  /** Whether a result for the test itself was written: then no other is made up. */
  get hasOwnResult(): boolean {
    return this.#hasOwnResult;
  }

  /** Whether a result, written or unfinished, has one of these statuses. */
  hasStatus(...statuses: readonly string[]): boolean {
    if (statuses.some((status) => this.#statuses.has(status))) return true;
    for (const [, { values }] of this.#chains) {
      if (statuses.includes(values.status as string)) return true;
    }
    return false;
  }

  /** For the bytes of one start of the test; the one before is at its end. */
  channel(options: ChannelOptions): ControlChannel {
    this.#uploads.close();
    return new ControlChannel(options, {
      upload: (upload) => this.#upload(upload),
      transfer: (append) => this.#uploads.transfer(append),
      result: (report) => this.#take(report),
      flush: () => this.#flush(),
      close: () => this.#uploads.close(),
    });
  }

  /**
   * Writes a result of the executor's own, with the contents of its files.
   *
   * @throws {TestAbortedError} if it cannot be stored (`storage`)
   */
  write(
    result: Result,
    contents: Readonly<Record<string, string | Uint8Array>> = {},
  ): void {
    const files = Object.keys(contents);
    for (const name of files) {
      const content = contents[name]!;
      this.#uploads.store(
        pathOf(result.name ?? "", name),
        typeof content === "string"
          ? new TextEncoder().encode(content)
          : content,
      );
    }
    this.#pending.push(files.length > 0 ? { ...result, files } : result);
    this.#flush();
  }

  /**
   * Ends the run: unless there is a result for the test itself, one is made up
   * from the outcome, with the output of the test. Then all unfinished results
   * are written, and everything is closed.
   *
   * @throws {TestAbortedError} if not all could be stored (`storage`) and the
   * outcome is not an error itself
   */
  async finish(outcome: Outcome): Promise<void> {
    if (this.#closed) return;
    const failures: unknown[] = [];
    const attempt = (step: () => void) => {
      try {
        step();
      } catch (error) {
        failures.push(error);
      }
    };
    try {
      this.#uploads.close();
      attempt(() => this.#flush());
      const made = this.#hasOwnResult ? undefined : this.#fallBack(outcome);
      for (const [name, chain] of this.#chains) {
        const names = chain === made && !chain.testout
          ? OUTPUT_NAMES
          : [chain.testout];
        chain.testout = undefined;
        attempt(() => chain.testout = this.#attachFirst(name, names));
        this.#pending.push(resultOf(chain));
      }
      try {
        this.#flush();
      } catch {
        // a full disk may have room for some of them
        for (const result of this.#pending) {
          attempt(() => this.#store([result]));
        }
      }
      await this.#uploads.copyOutput().catch((error) => failures.push(error));
    } finally {
      this.close();
    }
    if (failures.length > 0 && "exitCode" in outcome) throw failures[0];
  }

  /** Closes everything, without a made-up result. Harmless after `finish()`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#uploads.close();
    this.#writer.close();
    try {
      Deno.removeSync(this.output);
    } catch {
      // it is gone, or goes with the directory
    }
  }

  /** The same as {@linkcode Reporter.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #upload(
    { report, file, bytes, first, last }: UploadEvent,
  ): Promise<void> | undefined {
    const uploads = this.#uploads;
    if (first) {
      this.#bytes += file.length;
      limit(this.#bytes, this.#limits.bytes, "bytes of files");
      const path = pathOf(report.name, file.name);
      if (last && file.length <= LARGE) {
        uploads.store(path, bytes);
        return undefined;
      }
      uploads.open(path);
    }
    if (file.length <= LARGE || !uploads.slow) {
      uploads.append(bytes, last);
      return undefined;
    }
    this.#flush();
    return uploads.appendLater(bytes, last);
  }

  /** Takes a complete report. */
  #take(report: Report): void {
    const { name, partial, testout } = report;
    limit(++this.#results, this.#limits.results, "results");
    if (partial) {
      extend(this.#chains.ensure(name), report);
      limit(this.#chains.size, this.#limits.partials, "unfinished results");
      return;
    }
    const chain = this.#chains.get(name);
    // the only step that can be refused comes first
    const output = testout === undefined ? chain?.testout : testout;
    if (output) this.#uploads.attach(pathOf(name, output));
    if (chain) {
      extend(chain, report);
      this.#chains.delete(name);
      this.#pending.push(resultOf(chain));
    } else this.#pending.push(plainResult(report));
  }

  /**
   * Makes up a result for the test itself, as part of what was reported. Returns
   * it if the output of the test is to be attached to it.
   */
  #fallBack(outcome: Outcome): Chain | undefined {
    const chain = this.#chains.ensure("");
    const { values } = chain;
    if ("error" in outcome) {
      values.status = "infra";
      values.note = errorNote(outcome.error);
    } else if (typeof values.status !== "string") {
      values.status = outcome.exitCode === 0 ? "pass" : "fail";
    }
    return chain.files?.has("output.txt") ? undefined : chain;
  }

  /** Attaches the output under the first of these names that is free. */
  #attachFirst(
    name: string,
    files: readonly (string | undefined)[],
  ): string | undefined {
    for (const file of files) {
      if (!file) continue;
      try {
        this.#uploads.attach(pathOf(name, file));
        return file;
      } catch (error) {
        if (!(error instanceof BadReportJSONError)) throw error;
      }
    }
    return undefined;
  }

  /** Writes the complete results, by one write; what cannot be written may be tried again. */
  #flush(): void {
    if (this.#pending.length === 0) return;
    this.#store(this.#pending);
    this.#pending.length = 0;
  }

  #store(results: readonly Result[]): void {
    storeResults(this.#writer, results, "results of the test");
    for (const { name, status } of results) {
      if (!name) this.#hasOwnResult = true;
      if (STANDARD.has(status!)) this.#statuses.add(status!);
    }
  }
}

/** Larger files are written in the background where the disk is slow. */
const LARGE = 1024 * 1024;

/** The statuses that {@linkcode Reporter.hasStatus} knows of. */
const STANDARD: ReadonlySet<string> = new Set([
  "pass",
  "fail",
  "info",
  "warn",
  "skip",
  "error",
  "infra",
]);

/** Where a file of a result lies, below `files`. */
function pathOf(name: string, file: string): string {
  const place = placeOf({ name });
  return place === "" ? file : `${place}/${file}`;
}

function limit(value: number, most: number | undefined, what: string): void {
  if (most !== undefined && value > most) {
    throw new BadReportJSONError(
      `Cannot take more of the test: it reported more than ${most} ${what}`,
    );
  }
}
