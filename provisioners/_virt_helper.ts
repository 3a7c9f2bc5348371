import { abortable } from "@std/async/abortable";
import { z } from "zod";
import {
  type Connection,
  ConnectionLostError,
  type SignalOptions,
} from "../connections/connection.ts";
import {
  checkKind,
  checkMilliseconds,
  checkOptions,
  checkWord,
  type Known,
} from "../options.ts";
import { type Process, start } from "../connections/process.ts";
import { within } from "../connections/time_limit.ts";
import {
  ConfusedError,
  LONGEST_LINE,
  ReplyParser,
  type VirtHelperReply,
} from "./_virt_helper_replies.ts";

/** What a helper of the version that is spoken here answers. */
const PONG = "atex-virt-helper v1 pong";

/** Milliseconds in which most commands have to be answered. */
const COMMAND_TIMEOUT = 120_000;

/** Milliseconds that the helper has to end by itself, and then those after SIGTERM. */
const GRACE = 5000;
/** Milliseconds that pipes may stay open when the process has ended. */
const PIPE_GRACE = 500;
/** How much of what it complains about is kept, in characters. */
const OUTPUT_KEPT = 64 * 1024;

const domain = z.object({ domain: z.string().min(1) });
const domains = z.object({ domains: z.record(z.string(), z.string()) });

/** The virt helper refused a command. */
export class VirtHelperError extends Error {
  /** The command. */
  readonly cmd: string;
  /** The reason that the helper gave: of `virsh`, all of its output. */
  readonly reply: string;

  /** Creates the error. */
  constructor(cmd: string, reply: string, options?: ErrorOptions) {
    const lines = reply.split("\n").map((line) => line.trim()).filter(Boolean);
    const said = lines.slice(-3).join("; ").slice(0, 500);
    super(
      `Cannot run "${cmd}" by the virt helper: ${said || "it gave no reason"}`,
      options,
    );
    this.name = "VirtHelperError";
    this.cmd = cmd;
    this.reply = reply;
  }
}

/** Options of {@linkcode VirtHelper.open}. */
export interface VirtHelperOptions {
  /**
   * The program and its arguments.
   *
   * @default {["atex-virt-helper"]}
   */
  helper?: readonly string[] | undefined;
  /**
   * The name by which other users know who reserved a domain; 15 bytes of it are
   * shown.
   *
   * @default the name of the process: `python3` or so
   */
  reserveName?: string | undefined;
  /**
   * Milliseconds in which a command has to be answered that is neither
   * `copy-volume`, `create-volume`, `upload` nor `virt-install`.
   *
   * @default {120_000}
   */
  commandTimeout?: number | undefined;
  /**
   * Called with what the helper prints beside its replies: the output of
   * `virt-install`, and complaints.
   *
   * @default nothing is called
   */
  onOutput?: ((text: string) => void) | undefined;
}

const OPTIONS: Known<VirtHelperOptions & SignalOptions> = {
  helper: "optional",
  reserveName: "optional",
  commandTimeout: "optional",
  onOutput: "optional",
  signal: "optional",
};

/** Arguments of {@linkcode VirtHelper.copyVolume}. */
export interface CopyVolumeOptions extends SignalOptions {
  /** The storage pool; of type `dir`. */
  pool: string;
  /** The volume to copy. */
  from: string;
  /** Name of the copy; this or `toDomain`. */
  to?: string | undefined;
  /** The domain whose first disk in this pool becomes the copy. */
  toDomain?: string | undefined;
  /**
   * Whether the volume gets the other name, instead of a copy.
   *
   * @default {false}
   */
  move?: boolean | undefined;
}

const COPY_OPTIONS: Known<CopyVolumeOptions> = {
  pool: "a string",
  from: "a string",
  to: "a string, if given",
  toDomain: "a string, if given",
  move: "true or false, if given",
  signal: "optional",
};

/** Arguments of {@linkcode VirtHelper.createVolume}. */
export interface CreateVolumeOptions extends SignalOptions {
  /** The storage pool; of type `dir`. */
  pool: string;
  /** Name of the volume. */
  name: string;
  /** Its size in bytes. */
  size: number;
  /** What kind of file it is. */
  format: "raw" | "qcow2";
  /**
   * Whether it may replace one of that name.
   *
   * @default {false}
   */
  removeExisting?: boolean | undefined;
}

const CREATE_OPTIONS: Known<CreateVolumeOptions> = {
  pool: "a string",
  name: "a string",
  size: "a number",
  format: "a string",
  removeExisting: "true or false, if given",
  signal: "optional",
};

/** Arguments of {@linkcode VirtHelper.virtInstall}. */
export interface VirtInstallOptions extends SignalOptions {
  /**
   * Whether the domain that is named among the arguments is destroyed if
   * something goes wrong, also if this script ends.
   *
   * @default {false}
   */
  destroyOnError?: boolean | undefined;
}

const INSTALL_OPTIONS: Known<VirtInstallOptions> = {
  destroyOnError: "true or false, if given",
  signal: "optional",
};

/**
 * A virt helper that runs on a libvirt host, by the version 1 of its protocol.
 * What it reserved is reserved as long as it runs: no longer than this script.
 *
 * Requests are answered one after the other; further ones wait. A command that
 * fails is a {@linkcode VirtHelperError}. If the helper ends, or does not keep to
 * the protocol, all requests reject with a {@linkcode ConnectionLostError}.
 */
export class VirtHelper implements AsyncDisposable {
  readonly #process: Process;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #options: VirtHelperOptions;
  readonly #parser = new ReplyParser();
  /** Resolves when the request before was answered. */
  #turn: Promise<unknown> = Promise.resolve();
  #waiting?: PromiseWithResolvers<VirtHelperReply>;
  readonly #ended = Promise.withResolvers<ConnectionLostError>();
  readonly #gone: Promise<void>;
  #lost?: ConnectionLostError;
  #confusion?: string;
  #closing?: Promise<void>;
  #keepsRunning = true;

  private constructor(connection: Connection, options: VirtHelperOptions) {
    const { helper = ["atex-virt-helper"] } = options;
    this.#options = options;
    this.#process = start(connection, helper, {
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      grace: GRACE,
    });
    this.#writer = this.#process.stdin.getWriter();
    this.#writer.closed.catch(() => {}); // `ended` tells
    this.#gone = this.#follow();
  }

  /**
   * Starts the helper at the end of a connection, and finds out whether it is
   * one.
   *
   * @throws {VirtHelperError} if it is another program or of another version
   * @throws {RangeError} if `commandTimeout` is not above 0
   * @throws {ConnectionLostError} if it ends: it is not installed, or cannot be reached
   * @throws {Deno.errors.NotFound} if the program of the connection is not installed here
   */
  static async open(
    connection: Connection,
    options: VirtHelperOptions & SignalOptions = {},
  ): Promise<VirtHelper> {
    checkKind("VirtHelper.open()", "connection", connection, "a connection");
    checkOptions("VirtHelper.open()", options, OPTIONS);
    const { reserveName, commandTimeout = COMMAND_TIMEOUT, signal } = options;
    checkMilliseconds({ commandTimeout });
    signal?.throwIfAborted();
    const opened = new this(connection, options);
    try {
      await opened.#ping({ signal });
      if (reserveName !== undefined) {
        await opened.request("setname", { name: reserveName }, options);
      }
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /** Resolves with the reason when the helper ends, unless by {@linkcode close}. */
  get ended(): Promise<ConnectionLostError> {
    return this.#ended.promise;
  }

  /**
   * Reserves one of the persistent domains of the host that nobody else has.
   *
   * @param filter a regular expression, of Python, for all of the name
   * @returns the name of the domain
   */
  async reserve(
    filter?: string,
    options: SignalOptions = {},
  ): Promise<string> {
    const args = filter === undefined ? {} : { filter };
    const reply = await this.request("reserve", args, options);
    return this.#check("reserve", domain, reply).domain;
  }

  /** Lets others have a domain. */
  async release(domain: string, options: SignalOptions = {}): Promise<void> {
    await this.request("release", { domain }, options);
  }

  /**
   * Who has which domain: `(free)`, `(reserved for us)`, or the name of the
   * process that has it.
   */
  async reservations(
    options: SignalOptions = {},
  ): Promise<Record<string, string>> {
    const reply = await this.request("reservations", {}, options);
    return this.#check("reservations", domains, reply).domains;
  }

  /** Runs `virsh` on the host and gives what it printed. */
  async virsh(
    args: readonly string[],
    options: SignalOptions = {},
  ): Promise<string> {
    const { reply } = await this.request("virsh", { args }, options);
    return reply ?? "";
  }

  /**
   * Copies a volume, also over the disk of a domain that is shut off.
   *
   * @throws {TypeError} if an option is missing, misspelt or of the wrong kind
   */
  async copyVolume(options: CopyVolumeOptions): Promise<void> {
    checkOptions("copyVolume()", options, COPY_OPTIONS);
    const { pool, from, to, toDomain, move } = options;
    await this.#ask("copy-volume", {
      pool,
      from,
      ...(to !== undefined && { to }),
      ...(toDomain !== undefined && { to_domain: toDomain }),
      ...(move !== undefined && { move }),
    }, options);
  }

  /**
   * Makes an empty volume.
   *
   * @throws {TypeError} if an option is missing, misspelt or of the wrong kind
   * @throws {RangeError} if `size` is not a whole number of bytes
   */
  async createVolume(options: CreateVolumeOptions): Promise<void> {
    checkOptions("createVolume()", options, CREATE_OPTIONS);
    const { pool, name, size, format, removeExisting } = options;
    checkWord("createVolume()", "format", format, ["raw", "qcow2"]);
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new RangeError(
        `Cannot use ${size} as "size" of createVolume(): a whole number of bytes would be right`,
      );
    }
    await this.#ask("create-volume", {
      pool,
      name,
      size,
      format,
      ...(removeExisting !== undefined && { remove_existing: removeExisting }),
    }, options);
  }

  /**
   * Stores a file in the directory in which the helper works, and which goes
   * away with it: for the arguments of other commands. Aborting it ends the
   * helper, which cannot know what the next bytes are.
   *
   * @throws {TypeError} if the name is not that of a file
   */
  async upload(
    name: string,
    data: string | Uint8Array,
    options: SignalOptions = {},
  ): Promise<void> {
    // Some helpers would take the bytes of a file that they refuse for requests.
    if (/^\.{0,2}$|[/\0]/.test(name)) {
      throw new TypeError(
        `Cannot upload ${JSON.stringify(name)}: it is not the name of a file`,
      );
    }
    const bytes = typeof data === "string"
      ? new TextEncoder().encode(data)
      : data;
    const args = { name, length: bytes.length };
    try {
      await this.#ask("upload", args, options, bytes);
    } catch (error) {
      if (options.signal?.aborted) await this.close();
      throw error;
    }
  }

  /** Runs `virt-install` on the host; `onOutput` gets what it prints. */
  async virtInstall(
    args: readonly string[],
    options: VirtInstallOptions = {},
  ): Promise<void> {
    checkOptions("virtInstall()", options, INSTALL_OPTIONS);
    const { destroyOnError } = options;
    await this.#ask("virt-install", {
      args,
      ...(destroyOnError !== undefined && { destroy_on_error: destroyOnError }),
    }, options);
  }

  /**
   * Any command, with the time limit of short ones. A command that is aborted, or
   * late, may be carried out nevertheless; those after it wait for that.
   *
   * @throws {VirtHelperError} if it fails
   * @throws {ConnectionLostError} if the helper ended
   */
  async request(
    cmd: string,
    args: Readonly<Record<string, unknown>>,
    options: SignalOptions = {},
  ): Promise<VirtHelperReply> {
    const { commandTimeout = COMMAND_TIMEOUT } = this.#options;
    const late = () =>
      new DOMException(
        `Cannot run "${cmd}" by the virt helper: no answer within ${
          commandTimeout / 1000
        } s`,
        "TimeoutError",
      );
    return await within(
      { ms: commandTimeout, late, signal: options.signal },
      (signal) => this.#ask(cmd, args, { signal }),
    );
  }

  /** Does not keep this program from ending, except during a request. */
  unref(): void {
    this.#keepsRunning = false;
    if (!this.#waiting) this.#process.unref();
  }

  /** Keeps this program from ending. */
  ref(): void {
    this.#keepsRunning = true;
    this.#process.ref();
  }

  /**
   * Ends the helper, which frees what it reserved. Amid a request, which it
   * does not end for, it is ended at once.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** The same. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #ping(options: SignalOptions): Promise<void> {
    let said: string | undefined;
    try {
      const { reply } = await this.request("ping", {}, options);
      if (reply === PONG) return;
      said = `it answered "${reply}"`;
    } catch (error) {
      if (this.#confusion === undefined) throw error;
      said = `it printed ${this.#confusion}`;
    }
    throw new VirtHelperError(
      "ping",
      `${said}, "${PONG}" would be right: it is another program, or of another version`,
    );
  }

  async #ask(
    cmd: string,
    args: Readonly<Record<string, unknown>>,
    { signal }: SignalOptions,
    data?: Uint8Array,
  ): Promise<VirtHelperReply> {
    signal?.throwIfAborted();
    const line = new TextEncoder().encode(JSON.stringify({ cmd, ...args }));
    if (line.length >= LONGEST_LINE) {
      throw new RangeError(
        `Cannot run "${cmd}" by the virt helper: the request has ${line.length} bytes, fewer than ${LONGEST_LINE} are possible`,
      );
    }
    const answer = this.#turn.then(() => {
      signal?.throwIfAborted();
      return this.#exchange([line, NEWLINE, ...data ? [data] : []]);
    });
    this.#turn = answer.catch(() => {});
    const reply = await (signal ? abortable(answer, signal) : answer);
    if (reply.cmd !== cmd && (reply.success || reply.cmd !== undefined)) {
      throw this.#confuse(`an answer to "${reply.cmd}"`);
    }
    if (!reply.success) throw new VirtHelperError(cmd, reply.reply ?? "");
    return reply;
  }

  /** One request and what is said to it. */
  async #exchange(parts: readonly Uint8Array[]): Promise<VirtHelperReply> {
    if (this.#lost) throw this.#lost;
    const waiting = this.#waiting = Promise.withResolvers();
    this.#process.ref();
    try {
      // What cannot be written any more has a reason that is better.
      for (const part of parts) this.#writer.write(part).catch(() => {});
      return await waiting.promise;
    } finally {
      this.#waiting = undefined;
      if (!this.#keepsRunning) this.#process.unref();
    }
  }

  #check<T>(cmd: string, schema: z.ZodType<T>, reply: VirtHelperReply): T {
    const result = schema.safeParse(reply);
    if (result.success) return result.data;
    throw this.#confuse(`an answer to "${cmd}" without what belongs to it`);
  }

  /** Nothing that it says can be relied upon any more. */
  #confuse(what: string): ConnectionLostError {
    this.#confusion ??= what;
    this.#process.kill("SIGKILL");
    return this.#lost ??= new ConnectionLostError(
      `Lost the virt helper: it does not keep to its protocol: it printed ${what}`,
    );
  }

  async #follow(): Promise<void> {
    const stdout = this.#process.stdout.getReader();
    const stderr = this.#process.stderr.getReader();
    let output = "";
    const read = Promise.all([
      pump(stdout, (bytes) => this.#take(bytes)),
      pump(stderr, (bytes, decoder) => {
        const text = decoder.decode(bytes, { stream: true });
        output = (output + text).slice(-OUTPUT_KEPT);
        this.#show(text);
      }),
    ]);
    const { code } = await this.#process.status;
    // What it leaves running may hold its pipes open.
    const timer = setTimeout(() => {
      stdout.cancel();
      stderr.cancel();
    }, PIPE_GRACE);
    await read;
    clearTimeout(timer);
    await this.#writer.close().catch(() => {});
    this.#lost ??= this.#lostError(code, output);
    this.#waiting?.reject(this.#lost);
    if (!this.#closing) this.#ended.resolve(this.#lost);
  }

  #show(text: string): void {
    try {
      this.#options.onOutput?.(text);
    } catch (error) {
      reportError(error);
    }
  }

  #take(bytes: Uint8Array): void {
    if (this.#lost) return;
    try {
      for (const reply of this.#parser.push(bytes)) {
        if (!this.#waiting) throw new ConfusedError("an answer to nothing");
        this.#waiting.resolve(reply);
      }
    } catch (error) {
      if (!(error instanceof ConfusedError)) throw error;
      const lost = this.#confuse(error.message);
      this.#waiting?.reject(lost);
    }
  }

  #lostError(code: number, output: string): ConnectionLostError {
    const { helper = ["atex-virt-helper"] } = this.#options;
    const said = output.trimEnd().split("\n").at(-1)!.trim();
    const how = this.#closing ? "it was closed" : said || (
      code === 127
        ? `there is no program "${helper[0]}"`
        : `it ended with exit code ${code}`
    );
    return new ConnectionLostError(`Lost the virt helper: ${how}`, {
      code,
      output,
    });
  }

  async #close(): Promise<void> {
    this.ref();
    this.#writer.close().catch(() => {});
    const terminate = () => void this.#process.terminate();
    const timer = setTimeout(terminate, this.#waiting ? 0 : GRACE);
    await this.#gone;
    clearTimeout(timer);
  }
}

const NEWLINE = new Uint8Array(["\n".charCodeAt(0)]);

/** Passes on what comes, to the end of the stream or until it is cancelled. */
async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  take: (bytes: Uint8Array, decoder: TextDecoder) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    take(value, decoder);
  }
}
