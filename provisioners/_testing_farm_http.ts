import { delay } from "@std/async/delay";
import { Semaphore } from "@std/async/unstable-semaphore";
import { after, LONGEST_TIMER } from "../connections/time_limit.ts";
import { acquire } from "./_permit.ts";

/** Most connections to one host, whoever in this process makes them. */
const CONNECTIONS = 10;

/** A caller who stops waiting for something that may not be cut off waits this long, in milliseconds. */
const PATIENCE = 5000;

/** Statuses after which the same request may succeed. */
const TEMPORARY = new Set([408, 429, 500, 502, 503, 504]);

/** Statuses that may come with the time of the next attempt. */
const MAY_SAY_WHEN = new Set([413, 429, 503]);

/** A request over HTTP did not lead to a usable answer. */
export class HttpError extends Error {
  constructor(
    message: string,
    /** Absent if there was no answer at all. */
    readonly status?: number,
    readonly hints: {
      /** Milliseconds after which the server wants to be asked again. */
      readonly retryAfter?: number;
      /** The answer was not what the service itself gives. */
      readonly unusable?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: hints.cause });
    this.name = "HttpError";
  }

  /** True if the same request may succeed later. */
  get temporary(): boolean {
    const { status, hints: { retryAfter, unusable } } = this;
    return status === undefined || unusable === true ||
      TEMPORARY.has(status) || retryAfter !== undefined;
  }

  /** True if the server may have done what was asked for. */
  get unclear(): boolean {
    const { status, hints: { unusable } } = this;
    return status === undefined || unusable === true || status === 408 ||
      status >= 500;
  }
}

/** The time that an answer asks to wait, in milliseconds. */
export function retryAfterOf(
  { status, headers }: Response,
  now: number = Date.now(),
): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (!text || !MAY_SAY_WHEN.has(status)) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

const hosts = new Map<string, Semaphore>();

function placesAt(host: string): Semaphore {
  let places = hosts.get(host);
  if (!places) hosts.set(host, places = new Semaphore(CONNECTIONS));
  return places;
}

/** What {@linkcode exchange} needs to know. */
export interface Exchange extends RequestInit {
  /** Ends it; also ends what is being read of the answer. */
  signal?: AbortSignal;
  /** Milliseconds that it may take. */
  timeout: number;
  /** What is done, for errors: method and path. */
  what: string;
  /** What is sent shall not be cut off by the signal before the server had some time to answer. */
  patient?: boolean;
}

/**
 * One request and what is made of its answer, within its time and with a place
 * among the connections to that host.
 *
 * @throws {HttpError} if there is no answer, or it ends early
 */
export async function exchange<T>(
  url: URL,
  { signal, timeout, what, patient = false, ...init }: Exchange,
  read: (response: Response) => Promise<T>,
): Promise<T> {
  using _place = await acquire(placesAt(url.host), signal);
  const stop = new AbortController();
  const late = new HttpError(`${what}: no answer within ${timeout / 1000} s`);
  const timers = [after(timeout, () => stop.abort(late))];
  const abort = () => {
    const end = () => stop.abort(signal!.reason);
    if (patient) timers.push(setTimeout(end, PATIENCE));
    else end();
  };
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort(); // while it waited for its place
  let response: Response | undefined;
  try {
    response = await fetch(url, { ...init, signal: stop.signal });
    return await read(response);
  } catch (error) {
    if (stop.signal.aborted) throw stop.signal.reason;
    if (error instanceof HttpError) throw error;
    if (error instanceof Deno.errors.NotCapable) throw error; // it stays so
    throw new HttpError(`${what}: ${reasonOf(error)}`, undefined, {
      cause: error,
    });
  } finally {
    signal?.removeEventListener("abort", abort);
    for (const timer of timers) clearTimeout(timer);
    if (response && !response.bodyUsed) await response.body?.cancel();
  }
}

/** What is behind "error sending request". */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message : message;
}

/** How long and how often something is tried. */
export interface Retrying {
  signal?: AbortSignal;
  /** Milliseconds before the first, second … repetition; the last counts for all further ones. */
  delays: readonly number[];
  /** Milliseconds after which there is no further attempt. */
  giveUp: number;
  /** Told once if it takes more than a few attempts. */
  onTrouble?: (error: HttpError) => void;
}

/** Which attempt is told as trouble. */
const TROUBLE = 3;
/** How many answers in a row may come from something else than the service. */
const MOST_UNUSABLE = 4;

/** Repeats what fails for a while. */
export async function retry<T>(
  { signal, delays, giveUp, onTrouble }: Retrying,
  attempt: (number: number) => Promise<T>,
): Promise<T> {
  const end = performance.now() + giveUp;
  let unusable = 0;
  for (let number = 1;; number++) {
    signal?.throwIfAborted();
    try {
      return await attempt(number);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof HttpError) || !error.temporary) throw error;
      unusable = error.hints.unusable ? unusable + 1 : 0;
      const usual = delays[Math.min(number, delays.length) - 1] ?? 0;
      const wait = Math.max(usual, error.hints.retryAfter ?? 0);
      if (unusable >= MOST_UNUSABLE || performance.now() + wait > end) {
        throw error;
      }
      if (number === TROUBLE) onTrouble?.(error);
      await pause(wait, signal);
    }
  }
}

/** Waits some milliseconds. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(Math.min(ms, LONGEST_TIMER), { signal });
}
