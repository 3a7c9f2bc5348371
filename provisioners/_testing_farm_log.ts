import {
  exchange,
  HttpError,
  retry,
  retryAfterOf,
  type Retrying,
} from "./_testing_farm_http.ts";

/** Characters after which a line ends in any case. */
const LONGEST_LINE = 64 * 1024;
/** Characters in which a system is named: what is sought needs the square of them in steps. */
const LONGEST_TOLD = 1024;

/** Bytes in pieces, lines out. */
export class LineDecoder {
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** The lines that end in this piece. */
  feed(bytes: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true }))
      .split("\n");
    this.#rest = lines.pop()!;
    if (this.#rest.length > LONGEST_LINE) {
      lines.push(this.#rest);
      this.#rest = "";
    }
    return lines.map((line) => line.replace(/\r$/, ""));
  }
}

/** A system that the log names. */
export interface Guest {
  readonly user: string;
  /** Name or address, with a port if it has one. */
  readonly host: string;
}

// deno-lint-ignore no-control-regex -- colours of a terminal
const COLOURS = /\x1b\[[0-9;]*[A-Za-z]/g;
const GUEST =
  /\] Guest is ready: ArtemisGuest\([^,]+, ([^\s@,]+)@([^,]+), arch=/;
const ANY_GUEST = /Guest is ready.*?([\w.-]+)@([\w.:-]+)/;
const TESTS = /\] starting tests execution|execute task #1\b/;

/** Finds in the lines of a log which system is ready, and whether the key is on it. */
export class GuestFinder {
  #guest?: Guest;
  #ready = false;

  /** Gives the guest as soon as both are known. */
  feed(line: string): Guest | undefined {
    const text = line.slice(0, LONGEST_TOLD).replace(COLOURS, "");
    const [, user, host] = GUEST.exec(text) ?? ANY_GUEST.exec(text) ?? [];
    // What ssh would take for an option is no system.
    if (host !== undefined && /^\w/.test(user) && /^\w[\w.:-]*$/.test(host)) {
      this.#guest = { user, host: bracketed(host.replace(/[.:]+$/, "")) };
    } else if (this.#guest && TESTS.test(text)) this.#ready = true;
    return this.#ready ? this.#guest : undefined;
  }
}

/** An address of version 6 as it is written before a port. */
function bracketed(host: string): string {
  return host.split(":").length > 2 ? `[${host}]` : host;
}

/** How the log is read. */
export interface LogReading extends Retrying {
  /** Milliseconds that one attempt may take. */
  timeout: number;
}

/** The log of a request, which grows. It is public: no token is sent. */
export class PipelineLog {
  readonly #url: URL;
  readonly #decoder = new LineDecoder();
  /** Bytes that were read. */
  #offset = 0;

  constructor(artifacts: string) {
    this.#url = new URL(`${artifacts.replace(/\/+$/, "")}/pipeline.log`);
    if (!/^https?:$/.test(this.#url.protocol)) { // fetch() reads files, too
      throw new TypeError(
        `Cannot read a log at "${this.#url}": it is no address of the web`,
      );
    }
  }

  /**
   * False as long as there is none: it is announced before it exists, and some
   * servers forbid what is not there.
   */
  async exists({ timeout, ...retrying }: LogReading): Promise<boolean> {
    const what = "HEAD pipeline.log";
    const { signal } = retrying;
    return await retry(retrying, () =>
      exchange(this.#url, {
        method: "HEAD",
        what,
        timeout,
        signal,
      }, (response) => {
        const { status } = response;
        if (status === 200) return Promise.resolve(true);
        if (status === 403 || status === 404) return Promise.resolve(false);
        throw unexpected(what, response);
      }));
  }

  /** What was added since the last time, line by line. */
  async read({ timeout, ...retrying }: LogReading): Promise<string[]> {
    const what = "GET pipeline.log";
    const { signal } = retrying;
    const lines: string[] = [];
    await retry(retrying, () =>
      exchange(this.#url, {
        headers: {
          range: `bytes=${this.#offset}-`,
          "accept-encoding": "identity", // bytes are counted
        },
        what,
        timeout,
        signal,
      }, async (response) => {
        if (response.status === 416) return; // nothing new
        let position = startOf(response, this.#offset);
        if (position === undefined) throw unexpected(what, response);
        if (position > this.#offset) {
          throw new HttpError(`${what}: the answer begins too late`, 206, {
            unusable: true,
          });
        }
        if (!response.body) return;
        // What came before the connection broke is not asked for again.
        for await (const bytes of response.body) {
          const fresh = bytes.subarray(Math.max(0, this.#offset - position));
          position += bytes.length;
          if (fresh.length === 0) continue;
          this.#offset += fresh.length;
          lines.push(...this.#decoder.feed(fresh));
        }
      }));
    return lines;
  }
}

/** Where in the log an answer begins; `undefined` if it is no part of the log. */
function startOf(
  { status, headers }: Response,
  asked: number,
): number | undefined {
  if (status === 200) return 0; // ranges are ignored
  if (status !== 206) return undefined;
  const range = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "");
  return range ? Number(range[1]) : asked;
}

function unexpected(what: string, response: Response): HttpError {
  const retryAfter = retryAfterOf(response);
  return new HttpError(`${what}: status ${response.status}`, response.status, {
    ...(retryAfter !== undefined && { retryAfter }),
  });
}
