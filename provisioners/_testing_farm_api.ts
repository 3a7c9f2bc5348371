import { z } from "zod";
import { shorten } from "../options.ts";
import {
  exchange,
  HttpError,
  retry,
  retryAfterOf,
  type Retrying,
} from "./_testing_farm_http.ts";

/** States in which a request is alive. */
export const ALIVE: readonly string[] = ["new", "queued", "running"];

const text = z.string().min(1);
const optionalText = z.string().nullish();

const whoami = z.object({
  token: z.object({ id: text, ranch: text }),
});

const tags = z.record(z.string(), z.unknown()).nullish();

const farmRequest = z.object({
  id: text,
  state: text,
  created: optionalText.catch(null),
  run: z.object({ artifacts: optionalText }).nullish(),
  result: z.object({ summary: optionalText }).nullish().catch(null),
  environments_requested: z.array(
    z.object({
      settings: z.object({
        provisioning: z.object({ tags }).nullish(),
      }).nullish(),
    }).nullish(),
  ).nullish(),
});

const submitted = z.object({ id: text });
const farmRequests = z.array(farmRequest).nullable();

const composes = z.object({
  composes: z.array(z.object({ name: text, type: optionalText })),
});

/** Whose token it is. */
export interface Identity {
  readonly ranch: string;
  readonly tokenId: string;
}

/** What can be installed. */
export interface Compose {
  readonly name: string;
  /** What kind of an image it is, if the service says so. */
  readonly type?: string;
}

/** What is known of a request. */
export interface FarmRequest {
  readonly id: string;
  readonly state: string;
  /** Milliseconds since 1970 at which it was made, if the service says so. */
  readonly created?: number;
  /** Address of the directory with the logs, as soon as there is one. */
  readonly artifacts?: string;
  /** What the service says about how it ended. */
  readonly summary?: string;
  readonly tags: Readonly<Record<string, string>>;
}

function toRequest(data: z.infer<typeof farmRequest>): FarmRequest {
  const all = (data.environments_requested ?? []).map((environment) =>
    environment?.settings?.provisioning?.tags ?? {}
  );
  // Times are in UTC, and do not say so.
  const created = Date.parse(
    (data.created ?? "").replace(/(\d)$/, "$1Z"),
  );
  return {
    id: data.id,
    state: data.state,
    ...(!Number.isNaN(created) && { created }),
    ...(data.run?.artifacts && { artifacts: data.run.artifacts }),
    ...(data.result?.summary && { summary: data.result.summary }),
    tags: Object.fromEntries(
      all.flatMap((tags) => Object.entries(tags))
        .map(([name, value]) => [name, String(value)]),
    ),
  };
}

export interface ApiOptions {
  /** Of the service, without a version. */
  url: string;
  token: string;
  /** Texts that no error may hold. */
  secrets?: readonly string[];
  /** Milliseconds before each repetition; the last for all further ones. */
  retryDelays: readonly number[];
  /** Milliseconds after which a call is given up. */
  retryFor: number;
  /** Milliseconds that one attempt may take. */
  callTimeout: number;
  /** Told when the service is in trouble. */
  onTrouble?: (error: Error) => void;
}

/** Options of a call. */
export interface CallOptions {
  signal?: AbortSignal;
  /** Milliseconds after which it is given up. */
  giveUp?: number;
}

/** Most redirects that are followed, all to the same origin. */
export const REDIRECTS = 5;
/** Most characters of an answer in an error. */
const LONGEST_DETAIL = 500;

/** An answer of the service itself that is of no use. */
export class ApiError extends HttpError {}

/** The service's API. The token is in no error and goes nowhere else. */
export class TestingFarmApi {
  readonly #options: ApiOptions;
  readonly #base: URL;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#base = new URL(`${options.url.replace(/\/+$/, "")}/`);
  }

  /** Whose token it is. */
  async whoami(options: CallOptions = {}): Promise<Identity> {
    const { token } = await this.#call("GET", "v0.1/whoami", whoami, options);
    return { ranch: token.ranch, tokenId: token.id };
  }

  /** What the service says about itself. */
  about(options: CallOptions = {}): Promise<Record<string, unknown>> {
    return this.#call(
      "GET",
      "v0.1/about",
      z.record(z.string(), z.unknown()),
      options,
    );
  }

  /** What can be installed in a ranch. */
  async composes(
    ranch: string,
    options: CallOptions = {},
  ): Promise<Compose[]> {
    const path = `v0.2/composes/${encodeURIComponent(ranch)}`;
    const found = await this.#call("GET", path, composes, options);
    return found.composes.map(({ name, type }) => ({
      name,
      ...(type && { type }),
    }));
  }

  /**
   * Submits a request and gives its id. Before an attempt that follows one
   * without a clear outcome, `find` is asked for what that one may have made.
   */
  async submit(
    body: unknown,
    find: () => Promise<string | undefined>,
    { signal, onUnclear }: Pick<CallOptions, "signal"> & {
      /** Called when more may have come into being than we know of. */
      onUnclear?: () => void;
    } = {},
  ): Promise<string> {
    let unclear = false;
    return await retry(
      this.#retrying({ signal }),
      async () => {
        if (unclear) {
          const id = await find();
          if (id !== undefined) return id;
        }
        try {
          const answer = await this.#once("POST", "v0.1/requests", submitted, {
            signal,
            body: JSON.stringify(body),
            patient: true,
          });
          return answer.id;
        } catch (error) {
          if (!(error instanceof HttpError) || error.unclear) {
            unclear = true;
            onUnclear?.();
          }
          throw error;
        }
      },
    );
  }

  /** What has become of a request. */
  async get(id: string, options: CallOptions = {}): Promise<FarmRequest> {
    const path = `v0.1/requests/${encodeURIComponent(id)}`;
    return toRequest(await this.#call("GET", path, farmRequest, options));
  }

  /** All requests of a token in a state. */
  async list(
    state: string,
    tokenId: string,
    options: CallOptions = {},
  ): Promise<FarmRequest[]> {
    const query = new URLSearchParams({ state, token_id: tokenId });
    const found = await this.#call(
      "GET",
      `v0.1/requests?${query}`,
      farmRequests,
      options,
    );
    return (found ?? []).map(toRequest);
  }

  /** All requests of a token that are alive. */
  async listAlive(
    tokenId: string,
    options: CallOptions = {},
  ): Promise<FarmRequest[]> {
    const found = new Map<string, FarmRequest>();
    // In the order in which a request passes through them: none slips by.
    for (const state of ALIVE) {
      for (const request of await this.list(state, tokenId, options)) {
        if (ALIVE.includes(request.state)) found.set(request.id, request);
      }
    }
    return [...found.values()];
  }

  /** Ends a request. It is no error if it has ended already. */
  async cancel(id: string, options: CallOptions = {}): Promise<void> {
    const path = `v0.1/requests/${encodeURIComponent(id)}`;
    try {
      await this.#call("DELETE", path, z.unknown(), options);
    } catch (error) {
      if (!(error instanceof HttpError) || error.status === undefined) {
        throw error;
      }
      if (error.status === 404) return;
      if (error.temporary || [401, 403].includes(error.status)) throw error;
      // It may be refused because there is nothing left to end.
      const { state } = await this.get(id, options).catch((failure) => {
        if (failure instanceof HttpError && failure.status === 404) {
          return { state: "gone" };
        }
        throw error;
      });
      if (ALIVE.includes(state)) throw error;
    }
  }

  #retrying({ signal, giveUp }: CallOptions): Retrying {
    const { retryDelays, retryFor, onTrouble } = this.#options;
    return {
      signal,
      delays: retryDelays,
      giveUp: giveUp ?? retryFor,
      ...(onTrouble && { onTrouble }),
    };
  }

  async #call<T>(
    method: string,
    path: string,
    schema: z.ZodType<T>,
    options: CallOptions,
  ): Promise<T> {
    const { signal } = options;
    return await retry(
      this.#retrying(options),
      () => this.#once(method, path, schema, { signal }),
    );
  }

  async #once<T>(
    method: string,
    path: string,
    schema: z.ZodType<T>,
    options: { signal?: AbortSignal; body?: string; patient?: boolean },
  ): Promise<T> {
    const { token, callTimeout } = this.#options;
    const what = `${method} /${path.replace(/\?.*/, "")}`;
    let url = new URL(path, this.#base);
    for (let redirects = 0;; redirects++) {
      const answer = await exchange(url, {
        ...options,
        method,
        what,
        timeout: callTimeout,
        // Followed by us: neither token nor body must get to another place.
        redirect: "manual",
        headers: {
          authorization: `Bearer ${token}`,
          accept: "application/json",
          ...(options.body !== undefined &&
            { "content-type": "application/json" }),
        },
      }, async (response) => {
        const location = response.headers.get("location");
        if (response.status >= 300 && response.status < 400 && location) {
          return new URL(location, url);
        }
        return { value: await this.#read(what, response, schema) };
      });
      if (!(answer instanceof URL)) return answer.value;
      if (answer.origin !== this.#base.origin || redirects === REDIRECTS) {
        throw new ApiError(
          `${what}: it was redirected to ${answer.origin}, where the token does not go`,
          300,
        );
      }
      url = answer;
    }
  }

  async #read<T>(
    what: string,
    response: Response,
    schema: z.ZodType<T>,
  ): Promise<T> {
    const { status } = response;
    const content = await response.text();
    if (status === 204) return schema.parse(undefined);
    const type = response.headers.get("content-type") ?? "no type";
    const isJson = /^application\/json/i.test(type);
    const data = isJson ? parse(content) : undefined;
    if (status !== 200) {
      const retryAfter = retryAfterOf(response);
      const detail = this.#detail(isJson ? data : undefined);
      throw new ApiError(`${what}: status ${status}${detail}`, status, {
        ...(retryAfter !== undefined && { retryAfter }),
      });
    }
    const result = schema.safeParse(data);
    if (data !== undefined && result.success) return result.data;
    const fault = data === undefined
      ? `the answer is not JSON but ${type}`
      : `the answer is not as expected: ${describe(result.error!)}`;
    throw new ApiError(`${what}: ${fault}`, status, { unusable: true });
  }

  /** What the service says, without what nobody must see. */
  #detail(data: unknown): string {
    if (data === undefined || data === null) return "";
    const { message } = data as { message?: unknown };
    const said = typeof message === "string" && Object.keys(data).length < 3
      ? message
      : JSON.stringify(redact(data));
    return `: ${shorten(this.hide(said), LONGEST_DETAIL)}`;
  }

  /** The text without the token and the secrets. */
  hide(text: string): string {
    const { token, secrets = [] } = this.#options;
    // Also without the line end that what is read from a file has; a whole one before its parts.
    const hidden = [token, ...secrets].flatMap((text) => [text, text.trim()])
      .sort((a, b) => b.length - a.length);
    return hidden.reduce(
      // A short one would hide half of the text, and be guessed from what is left.
      (rest, secret) =>
        secret.length < 4 ? rest : rest.replaceAll(secret, "[hidden]"),
      text,
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describe({ issues }: z.ZodError): string {
  const [{ path, message }] = issues;
  return path.length > 0 ? `${path.join(".")}: ${message}` : message;
}

/** Keys whose values the service echoes although they are secret. */
const SECRET_KEYS = new Set(["secrets", "api_key", "token"]);

/** The same without what is secret. */
export function redact(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(redact);
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      SECRET_KEYS.has(key) ? "[hidden]" : redact(value),
    ]),
  );
}
