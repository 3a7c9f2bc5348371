/**
 * Several aggregators as one: each gets every test.
 *
 * @example Results for machines, for people and for a CI service, and a count
 * ```ts
 * import { JsonLinesAggregator } from "jsr:@atex/atex/aggregators/jsonl";
 * import { JUnitAggregator } from "jsr:@atex/atex/aggregators/junit";
 * import { MultiAggregator } from "jsr:@atex/atex/aggregators/multi";
 * import { Tally } from "jsr:@atex/atex/aggregators/tally";
 *
 * const tally = new Tally();
 * {
 *   await using aggregator = await new MultiAggregator([
 *     new JsonLinesAggregator({ results: "out/results.jsonl", files: "out/files" }),
 *     new JUnitAggregator({ target: "out/junit.xml" }),
 *     tally,
 *   ]).start();
 *   await aggregator.ingest("fedora-42@x86_64", "/smoke", "artifacts/smoke");
 * }
 * Deno.exitCode = tally.failed > 0 ? 1 : 0;
 * ```
 *
 * @module
 */
import { dirname } from "@std/path/posix/dirname";
import { Semaphore } from "@std/async/unstable-semaphore";
import { checkKind, pathOf } from "../options.ts";
import type { Aggregator, IngestInfo, Stored } from "./aggregator.ts";
import { copyTree, lookAt } from "./_move.ts";
import { removeNote, Taken } from "./_taken.ts";
import { notStarted, UnderWay } from "./_under_way.ts";
import { undoStart, undoStartBy } from "./_undo_start.ts";

/** One of several aggregators did not take a test. */
export interface ChildFailure {
  /** The aggregator. */
  child: Aggregator;
  /** Its place in the list, counted from 0. */
  index: number;
  /** What it rejected with. */
  error: Error;
}

/** Some of several aggregators did not take a test; the others have it. */
export class ChildFailedError extends AggregateError {
  /** The platform. */
  readonly platform: string;
  /** The test. */
  readonly test: string;
  /** The directory of artifacts that was to be ingested. */
  readonly artifacts: string;
  /** What is known of the run of the test. */
  readonly info: IngestInfo | undefined;
  /** Which failed, and how. */
  readonly failures: readonly ChildFailure[];

  /** Creates the error. */
  constructor(
    { platform, test, artifacts, info }:
      & Pick<ChildFailedError, "platform" | "test" | "artifacts">
      & Partial<Pick<ChildFailedError, "info">>,
    failures: readonly ChildFailure[],
  ) {
    const list = failures.map(({ child, index, error }) =>
      `${index + 1} (${child.constructor?.name}): ${error.message}`
    );
    super(
      failures.map(({ error }) => error),
      `Cannot ingest test "${test}" of platform "${platform}" into aggregator ${
        list.join("; ")
      }`,
    );
    this.name = "ChildFailedError";
    this.platform = platform;
    this.test = test;
    this.artifacts = artifacts;
    this.info = info;
    this.failures = failures;
  }
}

/** What is to be ingested. */
interface Ingest {
  platform: string;
  test: string;
  artifacts: string;
  info?: IngestInfo | undefined;
}

/** Tests that are copied and ingested at once. */
const AT_ONCE = 16;

/** Whether an aggregator tells of each test if it has it. */
const tells = ({ count, countsAll }: Aggregator): boolean =>
  count !== undefined && countsAll !== false;

/** Whether nobody but a note tells if it has a test. */
const isToBeNoted = (child: Aggregator): boolean =>
  !tells(child) && !child.replaces;

/**
 * Gives every test to several aggregators. Those that only read get the artifacts,
 * all others but the last a copy; at the end the last one takes the artifacts. If
 * somebody else did not take them and `info.keep` says so, as in every run, it gets a
 * copy, too: then they stay for whoever lacks them.
 *
 * A process that goes on after this one was killed can give artifacts again. Those that
 * have them by their `count()` are left out then, and of those without one those
 * that are noted in the directory of the artifacts. One without `count()` gets a test
 * twice only if the process was killed while that one took it, or if it says that it
 * `replaces` what it has.
 *
 * Needs `--allow-read` and `--allow-write` for the directory in which the
 * directories of artifacts are: copies are made there.
 */
export class MultiAggregator implements Aggregator {
  readonly #children: readonly Aggregator[];
  /** How often a test is stored: the least that one of them tells. There if one can tell. */
  readonly count?: (platform: string, test: string) => number;
  /** Whether it notes who has artifacts; one that only reads leaves them as they are. */
  readonly #takesNotes: boolean;
  /** Tests that were ingested since the start. */
  readonly #seen = new Set<string>();
  readonly #slots = new Semaphore(AT_ONCE);
  readonly #underWay = new UnderWay();
  #started = false;
  #stopped: Promise<void> | undefined;
  /** Whether they were given anything. */
  #used = false;

  /**
   * Stores the aggregators. They must not have been started.
   *
   * @throws {TypeError} if there is none, or something else among them
   */
  constructor(children: readonly Aggregator[]) {
    checkKind("MultiAggregator", "children", children, "a list");
    for (const [index, child] of [...children].entries()) {
      const name = `children[${index}]`;
      checkKind("MultiAggregator", name, child, "an aggregator");
    }
    if (children.length === 0) {
      throw new TypeError("Cannot aggregate into nothing: give an aggregator");
    }
    this.#children = [...children];
    this.#takesNotes = !this.readsOnly && children.some(isToBeNoted);
    undoStartBy(this, () => this.#undoStart());
    const counting = children.filter(({ count }) => count);
    if (counting.length > 0) {
      this.count = (platform, test) =>
        Math.min(...counting.map((child) => child.count!(platform, test)));
    }
  }

  /** Whether all of them only read. */
  get readsOnly(): boolean {
    return this.#children.every(({ readsOnly }) => readsOnly);
  }

  /** Whether another process can go on with what all of them have; undefined if one does not tell. */
  get continues(): boolean | undefined {
    const all = this.#children.map(({ continues }) => continues);
    if (all.includes(false)) return false;
    return all.includes(undefined) ? undefined : true;
  }

  /** Whether all can tell what they have. */
  get countsAll(): boolean {
    return this.#children.every(tells);
  }

  /** Whether all that can tell what they have take a test that is stored once more. */
  get allowDuplicate(): boolean {
    return this.#children.every((child) =>
      !child.count || child.allowDuplicate === true
    );
  }

  /** Whether it takes tests. */
  get started(): boolean {
    return this.#started;
  }

  /**
   * Starts all in order. If one fails, those before it are stopped again; of those in
   * this package, what they made is gone then.
   */
  async start(): Promise<this> {
    if (this.#started) {
      throw new Error("Cannot start several aggregators twice");
    }
    this.#started = true;
    this.#seen.clear();
    this.#stopped = undefined;
    const started: Aggregator[] = [];
    try {
      for (const child of this.#children) {
        await child.start();
        started.push(child);
      }
    } catch (error) {
      this.#started = false;
      await undoAll(started);
      throw error;
    }
    return this;
  }

  async #undoStart(): Promise<void> {
    await this.#underWay.ended();
    if (!this.#started) return this.stop();
    this.#started = false;
    await undoAll(this.#children);
  }

  /**
   * Gives a test to all. Whatever one does, all others get it, too. Those are left out
   * that an earlier process gave it to, before it was killed or others failed; without
   * `info.storedBefore` these are, the first time after the start, those that have it
   * by their `count()` while others have not.
   *
   * @throws {ChildFailedError} if some did not take it; with `info.keep`, or if the last
   * one that does not only read is among them, the artifacts are as they were, but for
   * a note who has them
   * @throws {Deno.errors.NotFound} if there is no results file
   */
  ingest(
    platform: string,
    test: string,
    artifacts: string | URL,
    info?: IngestInfo,
  ): Promise<Stored | void> {
    this.#used = true;
    const ingest = { platform, test, artifacts: pathOf(artifacts), info };
    return this.#begin(ingest, this.#lacking(ingest));
  }

  /** All that do not tell that they have a test from an earlier process. */
  #lacking({ platform, test, info }: Ingest): readonly Aggregator[] {
    const key = JSON.stringify([platform, test]);
    if (!this.#started || !this.count) return this.#children;
    let known = info?.storedBefore;
    if (known === undefined && !this.#seen.has(key)) {
      known = this.count(platform, test);
    }
    this.#seen.add(key);
    if (known === undefined) return this.#children;
    return this.#children.filter((child) =>
      !tells(child) || child.count!(platform, test) <= known
    );
  }

  /**
   * Gives a test once more to those that did not take it. Then the artifacts are taken.
   *
   * @throws {ChildFailedError} if some did not take it again
   * @throws {Deno.errors.NotFound} if the artifacts are gone
   */
  retry(error: ChildFailedError): Promise<Stored | void> {
    return this.#begin(error, error.failures.map(({ child }) => child));
  }

  #begin(
    ingest: Ingest,
    children: readonly Aggregator[],
  ): Promise<Stored | void> {
    const { platform, test } = ingest;
    if (!this.#started) return Promise.reject(notStarted(platform, test));
    return this.#underWay.add(this.#ingest(ingest, children));
  }

  async #ingest(
    ingest: Ingest,
    given: readonly Aggregator[],
  ): Promise<Stored | void> {
    const { artifacts, info } = ingest;
    using _slot = await this.#slots.acquire();
    if (!lookAt(`${artifacts}/results`)) {
      throw new Deno.errors.NotFound(
        `Cannot read results from "${artifacts}/results": there is no such file`,
      );
    }
    const taken = this.#takesNotes
      ? new Taken(artifacts, this.#children)
      : undefined;
    const handover = new Handover(ingest, this.#children, taken);
    const children = given.filter((child) => !handover.isNoted(child));
    const last = children.findLast(({ readsOnly }) => !readsOnly);
    await Promise.all(
      children.filter((child) => child !== last)
        .map((child) => handover.lend(child)),
    );
    if (last && info?.keep && handover.failed) await handover.lend(last);
    else if (last) await handover.give(last);
    if (handover.failed) throw handover.error();
    if (!last && !this.readsOnly) await removeTaken(artifacts);
    taken?.clear();
    return children.map((child) => handover.placeBy(child))
      .find((place) => place?.directory !== undefined);
  }

  /**
   * Waits for ingests under way, then stops all in reverse order, even if some fail.
   *
   * @throws {AggregateError} if several fail; if one does, its error
   */
  stop(): Promise<void> {
    if (this.#started) {
      this.#started = false;
      this.#stopped = this.#underWay.ended().then(() =>
        endAll(this.#children, (child) => child.stop())
      );
    }
    return this.#stopped ?? Promise.resolve();
  }

  /** Stops all; of those that were given nothing, what their start made is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#used || !this.#started) return await this.stop();
    this.#started = false;
    // one may have been given something by others, such as events
    await endAll(this.#children, (child) => child[Symbol.asyncDispose]());
  }
}

/** A test on its way to several aggregators. */
class Handover {
  readonly #ingest: Ingest;
  readonly #all: readonly Aggregator[];
  readonly #taken: Taken | undefined;
  readonly #failures: ChildFailure[] = [];
  readonly #places = new Map<Aggregator, Stored>();

  constructor(
    ingest: Ingest,
    all: readonly Aggregator[],
    taken: Taken | undefined,
  ) {
    this.#ingest = ingest;
    this.#all = all;
    this.#taken = taken;
  }

  /** Whether an earlier process noted that one has the artifacts. */
  isNoted(child: Aggregator): boolean {
    return isToBeNoted(child) &&
      this.#taken?.has(this.#all.indexOf(child)) === true;
  }

  /** Lets one have the artifacts to read, or a copy of them, and notes it. */
  async lend(child: Aggregator): Promise<void> {
    const { artifacts } = this.#ingest;
    const has = await this.#attempt(
      child,
      (ingest) =>
        child.readsOnly ? ingest(artifacts) : withCopy(artifacts, ingest),
    );
    if (has && isToBeNoted(child)) this.#taken?.add(this.#all.indexOf(child));
  }

  /** Gives one the artifacts themselves. */
  async give(child: Aggregator): Promise<void> {
    await this.#attempt(child, (ingest) => ingest(this.#ingest.artifacts));
  }

  /** Where one has stored the test. */
  placeBy(child: Aggregator): Stored | undefined {
    return this.#places.get(child);
  }

  /** Whether one did not take it. */
  get failed(): boolean {
    return this.#failures.length > 0;
  }

  /** The error that tells who did not. */
  error(): ChildFailedError {
    const inOrder = this.#failures.toSorted((a, b) => a.index - b.index);
    return new ChildFailedError(this.#ingest, inOrder);
  }

  /** Whether it went well; why it did not is remembered. */
  async #attempt(
    child: Aggregator,
    call: (ingest: (artifacts: string) => Promise<void>) => Promise<void>,
  ): Promise<boolean> {
    const { platform, test, info } = this.#ingest;
    try {
      await call(async (artifacts) => {
        const place = await child.ingest(platform, test, artifacts, info);
        if (place) this.#places.set(child, place);
      });
      return true;
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(`${thrown}`);
      const index = this.#all.indexOf(child);
      this.#failures.push({ child, index, error });
      return false;
    }
  }
}

/** Stops all in reverse order. */
async function undoAll(aggregators: readonly Aggregator[]): Promise<void> {
  for (const child of aggregators.toReversed()) {
    await undoStart(child).catch(() => {}); // the error of the start matters
  }
}

async function endAll(
  aggregators: readonly Aggregator[],
  end: (aggregator: Aggregator) => PromiseLike<void>,
): Promise<void> {
  const errors: unknown[] = [];
  for (const aggregator of aggregators.toReversed()) {
    await Promise.try(() => end(aggregator))
      .catch((error) => errors.push(error));
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) {
    throw new AggregateError(
      errors,
      `Cannot stop ${errors.length} aggregators: ${errors.join("; ")}`,
    );
  }
}

/** Removes what all have who are to have it. */
async function removeTaken(artifacts: string): Promise<void> {
  await Deno.remove(`${artifacts}/results`);
  // everything is stored: what is left over must not change that
  await Deno.remove(`${artifacts}/files`, { recursive: true }).catch(() => {});
}

/** Lets `use` have a copy, which is gone at the end. */
async function withCopy(
  artifacts: string,
  use: (copy: string) => Promise<void>,
): Promise<void> {
  const original = await Deno.realPath(artifacts);
  // beside it: there relative links lead to the same
  const copy = `${dirname(original)}/atex-multi-${crypto.randomUUID()}`;
  try {
    await copyTree(original, copy);
    removeNote(copy);
    await use(copy);
  } finally {
    await Deno.remove(copy, { recursive: true }).catch(() => {});
  }
}
