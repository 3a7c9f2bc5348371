/**
 * The contract of aggregators: how the artifacts of ended tests are collected.
 *
 * An object of your own that fits {@linkcode Aggregator} is as good as the ones
 * of this package.
 *
 * @example One of your own, which remembers what failed
 * ```ts
 * import type { Aggregator } from "jsr:@atex/atex/aggregators/aggregator";
 * import { isFailing } from "jsr:@atex/atex/aggregators/reader";
 * import { readArtifacts } from "jsr:@atex/atex/executors/results";
 *
 * class Names implements Aggregator {
 *   readonly readsOnly = true; // for use beside one that keeps the files
 *   readonly continues = false; // the names are gone with this process
 *   readonly failed: string[] = [];
 *   start = () => Promise.resolve(this);
 *   stop = () => Promise.resolve();
 *   [Symbol.asyncDispose] = this.stop;
 *
 *   async ingest(platform: string, test: string, artifacts: string | URL) {
 *     for await (const { name, status } of readArtifacts(artifacts)) {
 *       if (!isFailing(status)) continue;
 *       this.failed.push([platform, test, name].filter(Boolean).join(" "));
 *     }
 *   }
 * }
 *
 * const names = await new Names().start();
 * await names.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * console.log(names.failed);
 * ```
 *
 * @module
 */

/** An attempt of a test before the one that is ingested. */
export interface EarlierAttempt {
  /** `fail` if the test ended by itself, `infra` if it could not be carried out. */
  status: "fail" | "infra";
  /** Exit code or error message. */
  note?: string | undefined;
}

/** What is known of a run of a test beside its artifacts. */
export interface IngestInfo {
  /** Which attempt it was, counted from 1. */
  attempt?: number | undefined;
  /** The attempts before it, oldest first. */
  earlier?: readonly EarlierAttempt[] | undefined;
  /** Id of the system that it ran on. */
  remote?: string | undefined;
  /** Attributes of that system. */
  attributes?: Readonly<Record<string, string>> | undefined;
  /** When the test was started, in milliseconds since 1970. */
  startedAt?: number | undefined;
  /** When it ended, in milliseconds since 1970. */
  finishedAt?: number | undefined;
  /**
   * How long it ran, in milliseconds, if that is known, but not when. A run tells both
   * times instead: take `finishedAt - startedAt` there.
   */
  durationMs?: number | undefined;
  /** Its exit code; absent if it could not be carried out, or if that is not known. */
  exitCode?: number | undefined;
  /**
   * How often the test was stored before this run, if an earlier process may have given
   * these results to the same aggregator before it was killed. Of several aggregators
   * in one, those that `count()` more have them.
   */
  storedBefore?: number | undefined;
  /**
   * Whether the caller keeps the artifacts if they cannot be stored, to give them again.
   * Then several aggregators in one leave them whole until all have them.
   *
   * @default {false}
   */
  keep?: boolean | undefined;
}

/** Where an aggregator put the files of a test. */
export interface Stored {
  /** Directory that holds the files of the test. */
  directory?: string | undefined;
  /** The first file of the test's own result: what it printed. */
  output?: string | undefined;
}

/** A collector of results and files. */
export interface Aggregator extends AsyncDisposable {
  /**
   * Whether `ingest()` only reads the artifacts: they stay with the caller, also
   * after success.
   *
   * @default {false}
   */
  readonly readsOnly?: boolean | undefined;

  /**
   * Whether another process can go on with what is stored. A run that is to survive
   * its process refuses an aggregator that says `false`.
   *
   * @default unknown
   */
  readonly continues?: boolean | undefined;

  /**
   * Whether a test that an earlier process ingested is taken again, in place of
   * what there is of it: among several aggregators in one, such a one is given it again
   * rather than not at all.
   *
   * @default {false}
   */
  readonly replaces?: boolean | undefined;

  /**
   * Whether a test that `count()` counts is stored wherever it is to be. Several
   * aggregators in one of which some cannot count say `false`.
   *
   * @default {true}
   */
  readonly countsAll?: boolean | undefined;

  /**
   * Whether a test of a platform that is stored is taken once more.
   *
   * @default {false}
   */
  readonly allowDuplicate?: boolean | undefined;

  /**
   * Whether it takes tests: `start()` has resolved, and `stop()` was not called after it.
   * A run refuses an aggregator that says `false`, before it takes a system.
   *
   * @default unknown
   */
  readonly started?: boolean | undefined;

  /**
   * Opens what is needed. A failure leaves nothing behind.
   *
   * @throws {Deno.errors.AlreadyExists} if the target is there already
   */
  start(): Promise<this>;

  /**
   * Takes over the artifacts of one test: on success files are moved and the
   * results file is removed (unless `readsOnly`); the directory, then empty, belongs
   * to the caller. After a
   * rejection nothing visible has changed, and the same test can be ingested
   * again. May be called any number of times at once, between `start()` and
   * `stop()`. May resolve with the place of the files, for messages to people.
   *
   * @throws {DuplicateResultError} if this test of this platform was ingested before
   * @throws {BadResultsError} if the results file cannot be understood (from `executors/results`)
   * @throws {Deno.errors.AlreadyExists} if a file would land on another one
   */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info?: IngestInfo,
  ): Promise<Stored | void>;

  /**
   * How often a test of a platform is stored, also by processes before this one;
   * to be called between `start()` and `stop()`. For aggregators that can go on with
   * what there is: a run that goes on after it was killed asks them, so that
   * nothing is ingested twice and nothing is lost, and every run asks before it begins,
   * so that it does not run what they would not take.
   */
  count?(platform: string, test: string): number;

  /**
   * Waits for ingests under way and finishes the target. May be called repeatedly.
   * Disposing does the same, but those of this package that were given nothing leave
   * nothing: a mistake that ends a script early is not in the way of the next try.
   */
  stop(): Promise<void>;
}

/** A test of a platform was ingested before. */
export class DuplicateResultError extends Error {
  /** The platform. */
  readonly platform: string;
  /** The test. */
  readonly test: string;

  /** Creates the error. */
  constructor(platform: string, test: string) {
    super(
      `Cannot ingest test "${test}" of platform "${platform}": it was ingested before`,
    );
    this.name = "DuplicateResultError";
    this.platform = platform;
    this.test = test;
  }
}
