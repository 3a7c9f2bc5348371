/** Calls of ReportPortal's API: repeated while there is hope, and without the token in what they say. */
import { delay } from "@std/async/delay";
import { Semaphore } from "@std/async/unstable-semaphore";

/** Statuses after which the same call may succeed. */
const TEMPORARY = new Set([408, 429, 500, 502, 503, 504]);
/** What Deno says of one that it does not trust, or that is of another host. */
const BAD_CERTIFICATE = "invalid peer certificate";
const AT_ONCE = 10;
/** Characters of an answer in an error. */
const MAX_DETAIL = 500;

/** A call of ReportPortal's API failed for good. */
export class ReportPortalError extends Error {
  /** Method and path of the call. */
  readonly call: string;
  /** Status of the answer; absent if there was none. */
  readonly status: number | undefined;

  /** Creates the error. */
  constructor(
    call: string,
    what: string,
    options: ErrorOptions & { status?: number | undefined } = {},
  ) {
    super(`Cannot ${call} at ReportPortal: ${what}`, options);
    this.name = "ReportPortalError";
    this.call = call;
    this.status = options.status;
  }
}

/** How a client calls. Times are in milliseconds. */
export interface HttpOptions {
  url: string;
  token: string;
  caCerts: readonly string[] | undefined;
  retryDelays: readonly number[];
  retryFor: number;
  callTimeout: number;
  signal: AbortSignal | undefined;
  onWarning: ((message: string) => void) | undefined;
}

/** A call. */
export interface Call {
  method: "GET" | "POST" | "PUT";
  /** Below the URL of the service. */
  path: string;
  /** Made anew for each attempt. */
  body?: () => { content: BodyInit; type: string };
  /** Whether it is not repeated. */
  once?: boolean;
  /** Status by which a repeated call tells that it was carried out before, although the answer got lost. */
  done?: number;
}

/** What is to be done after an attempt. */
interface Failure {
  error: ReportPortalError;
  /** Whether another attempt may succeed, and when it should be made. */
  again: boolean;
  after?: number | undefined;
}

/** Makes calls, so many at once. */
export class HttpClient implements Disposable {
  readonly #options: HttpOptions;
  readonly #slots = new Semaphore(AT_ONCE);
  readonly #client: Deno.HttpClient | undefined;
  /** Whether somebody knows that calls fail. */
  #warned = false;

  constructor(options: HttpOptions) {
    this.#options = options;
    const { caCerts } = options;
    if (caCerts) {
      this.#client = Deno.createHttpClient({ caCerts: [...caCerts] });
    }
  }

  /**
   * Makes a call; gives the JSON of the answer, which is undefined if only the repeated
   * call told that it was carried out.
   *
   * @throws {ReportPortalError} if it fails, and repeating it did not help
   */
  async call(call: Call): Promise<unknown> {
    const { retryDelays, retryFor, signal } = this.#options;
    const end = performance.now() + retryFor;
    for (let attempt = 0;; attempt++) {
      signal?.throwIfAborted();
      const outcome = await this.#attempt(call);
      if ("answer" in outcome) {
        this.#warned = false;
        return outcome.answer;
      }
      signal?.throwIfAborted();
      const { error, again, after = 0 } = outcome;
      if (
        attempt > 0 && call.done !== undefined && error.status === call.done
      ) return undefined;
      const usual = retryDelays[Math.min(attempt, retryDelays.length - 1)] ?? 0;
      const wait = Math.max(usual, after);
      if (!again || call.once || performance.now() + wait > end) throw error;
      this.#warn(error);
      await delay(wait, signal && { signal });
    }
  }

  /** Tells once of each time of trouble. */
  #warn(error: ReportPortalError): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#options.onWarning?.(`${error.message}; it is tried again`);
  }

  async #attempt(call: Call): Promise<{ answer: unknown } | Failure> {
    const { method, path, body } = call;
    const { url, token, callTimeout, signal } = this.#options;
    const name = `${method} ${path.replace(/\?.*/, "")}`;
    using _slot = await this.#slots.acquire();
    const timeout = AbortSignal.timeout(callTimeout);
    const made = body?.();
    try {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json",
          ...(made && { "content-type": made.type }),
        },
        // elsewhere nobody may have the token
        redirect: "manual",
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        ...(made && { body: made.content }),
        ...(this.#client && { client: this.#client }),
      });
      return this.#judge(name, response, await response.text());
    } catch (thrown) {
      const what = timeout.aborted
        ? `there is no answer within ${callTimeout / 1000} s`
        : reasonOf(thrown);
      const isFinal = thrown instanceof Deno.errors.NotCapable ||
        what.includes(BAD_CERTIFICATE);
      return {
        error: new ReportPortalError(name, this.#redact(what)),
        again: !isFinal,
      };
    }
  }

  #judge(
    name: string,
    { status, headers }: Response,
    text: string,
  ): { answer: unknown } | Failure {
    const type = headers.get("content-type") ?? "";
    const isJson = /^application\/json\b/i.test(type);
    if ((status === 200 || status === 201) && isJson) {
      try {
        return { answer: JSON.parse(text) };
      } catch {
        // cut off on its way
        const error = new ReportPortalError(name, "the answer is no JSON", {
          status,
        });
        return { error, again: true };
      }
    }
    const to = headers.get("location");
    const detail = status >= 300 && status < 400 && to
      ? `it leads to ${to}: give that as the URL`
      : isJson || status >= 400
      ? messageOf(text)
      : "the answer is no JSON: is the URL that of ReportPortal?";
    const what = `status ${status}${detail && `, ${detail}`}`;
    return {
      error: new ReportPortalError(name, this.#redact(what), { status }),
      again: TEMPORARY.has(status),
      after: retryAfterOf(headers),
    };
  }

  /** Without the token, which a server may send back. */
  #redact(text: string): string {
    const { token } = this.#options;
    const short = text.replaceAll(token, "[…]")
      .replaceAll(encodeURIComponent(token), "[…]");
    return short.length > MAX_DETAIL ? `${short.slice(0, MAX_DETAIL)}…` : short;
  }

  /** Closes connections. */
  [Symbol.dispose](): void {
    this.#client?.close();
  }
}

/** What is behind "error sending request". */
function reasonOf(thrown: unknown): string {
  const { message, cause } = thrown as Error;
  return cause instanceof Error ? cause.message : message;
}

/** What an answer that is an error says. */
function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text);
    if (typeof message === "string") return message;
  } catch {
    // it is something else
  }
  return text.replaceAll(/<[^>]*>|\s+/g, " ").trim();
}

/** When the server wants to be asked again. */
function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (!text) return undefined;
  const ms = /^\d+$/.test(text)
    ? Number(text) * 1000
    : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
