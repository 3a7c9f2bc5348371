/** The place on the system where an executor works. */
import {
  type Connection,
  ConnectionError,
  type SignalOptions,
} from "../../connections/connection.ts";
import { thisOwnerIfAllowed } from "../../connections/ownership.ts";
import { upload } from "../../connections/copy.ts";
import { CommandError, run } from "../../connections/process.ts";
import { SetupError } from "../executor.ts";
import { linkFailure, within } from "./_link.ts";
import { lastLines } from "./_setup_output.ts";
import {
  readStart,
  removeCommand,
  startCommand,
  WorkDirectory,
} from "./scripts.ts";

/**
 * How long, after an abort, the command that makes the directory may take, in milliseconds:
 * where the end of its client does not end it, it would go on while all is removed.
 */
const MAKE_GRACE = 3000;

/** How long a step may take, in milliseconds, and what ends it. */
export interface StepOptions extends SignalOptions {
  readonly timeout: number;
}

/** A directory of ours on a system. */
export class Workplace {
  readonly #connection: Connection;
  readonly #name = `atex-${randomName()}`;
  #directory: WorkDirectory | undefined;
  #boot = "";

  /** Only stores the connection. */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The directory; absent unless it was made. */
  get directory(): WorkDirectory | undefined {
    return this.#directory;
  }

  /** Whether the system runs on the kernel that this program runs on: the link to it cannot die without a word. */
  get sharesKernel(): boolean {
    const path = "/proc/sys/kernel/random/boot_id";
    // not worth a question to the user
    const { state } = Deno.permissions.querySync({ name: "read", path });
    if (state !== "granted" || this.#boot === "") return false;
    try {
      return Deno.readTextFileSync(path).trim() === this.#boot;
    } catch {
      return false;
    }
  }

  /**
   * Looks whether the system has what tests need, and makes the directory.
   *
   * @throws {SetupError} if it cannot be used
   * @throws {ConnectionError} if the link broke
   */
  async make({ timeout, signal }: StepOptions): Promise<WorkDirectory> {
    const { canReboot = true } = this.#connection;
    const owner = await thisOwnerIfAllowed();
    const { argv, stdin } = startCommand(this.#name, canReboot, owner);
    signal?.throwIfAborted();
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const endSoon = () => {
      timer = setTimeout(() => end.abort(signal!.reason), MAKE_GRACE);
    };
    signal?.addEventListener("abort", endSoon);
    let text: string;
    try {
      text = await this.attempt(
        "Cannot make a directory on the system",
        () =>
          within(
            timeout,
            end.signal,
            (signal) => run(this.#connection, argv, { stdin, signal }),
          ),
        signal,
      );
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", endSoon);
    }
    signal?.throwIfAborted();
    const { missing, work, boot } = readStart(this.#name, text);
    if (missing.length > 0) {
      throw new SetupError(
        `Cannot run tests on the system: it lacks ${missing.join(", ")}`,
      );
    }
    if (work === undefined) {
      throw new SetupError(
        "Cannot run tests on the system: it does not answer as expected",
        { output: text },
      );
    }
    this.#boot = boot;
    return this.#directory = new WorkDirectory(work);
  }

  /**
   * Uploads the tests.
   *
   * @throws {SetupError} if that is not possible
   * @throws {ConnectionError} if the link broke
   */
  async upload(
    root: string | URL,
    { timeout, signal }: StepOptions,
  ): Promise<void> {
    const exclude = [".git"];
    await this.attempt(
      "Cannot upload the tests",
      () =>
        within(
          timeout,
          signal,
          (signal) =>
            upload(this.#connection, root, this.#directory!.tests, {
              exclude,
              signal,
            }),
        ),
      signal,
    );
  }

  /**
   * Removes the directory, wherever it may be.
   *
   * @throws {SetupError} if that is not possible
   * @throws {ConnectionError} if the link broke
   */
  async remove(timeout: number): Promise<void> {
    const command = removeCommand(this.#name, this.#directory?.path);
    await this.attempt(
      "Cannot remove the tests from the system",
      () =>
        within(
          timeout,
          undefined,
          (signal) => run(this.#connection, command, { signal }),
        ),
    );
  }

  /** Does something, and finds out whether it was the link if it fails. */
  async attempt<T>(
    what: string,
    step: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    try {
      return await step();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof ConnectionError || error instanceof SetupError) {
        throw error;
      }
      const { cause = error, message } = error as Error;
      if (!(cause instanceof CommandError)) {
        throw new SetupError(`${what}: ${message}`, { cause: error });
      }
      const { status: { code }, output } = cause;
      // the command itself is a script of ours
      const reason = cause === error
        ? lastLines(output) || `its command ended with ${code}`
        : message;
      throw await linkFailure(this.#connection, code, output) ??
        new SetupError(`${what}: ${reason}`, { cause: error, output });
    }
  }
}

function randomName(): string {
  const letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const numbers = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(numbers, (number) => letters[number % letters.length])
    .join("");
}
