/** A Testing Farm on loopback that keeps to the documented API, with faults on demand. */

/** A request as the server keeps it. */
export interface FarmRequest {
  readonly id: string;
  // deno-lint-ignore no-explicit-any -- what was sent
  readonly body: any;
  state: string;
  /** States that the next looks find, one after the other. */
  upcoming: string[];
  artifacts: boolean;
  log?: Uint8Array<ArrayBuffer>;
  readonly tokenId: string;
}

export interface Call {
  /** Method and path, without the id of a request: `GET /v0.1/requests/ID`. */
  readonly what: string;
  readonly query: URLSearchParams;
  readonly authorization: string | null;
  readonly range: string | null;
}

/** Does something else than what is right; `undefined`: what is right. */
export type Fault = (
  call: Call,
  proceed: () => Promise<Response>,
) => Response | Promise<Response> | undefined;

const json = (data: unknown, status = 200) => Response.json(data, { status });

export const TOKEN = "secret-token-0123456789";
export const TOKEN_ID = "11111111-token-id";

export class FarmServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #abort = new AbortController();
  readonly #pending = new Set<Promise<Response>>();
  readonly requests = new Map<string, FarmRequest>();
  readonly calls: Call[] = [];
  /** Faults by `what`; each is used once, in order. */
  readonly faults = new Map<string, Fault[]>();
  ranch = "redhat";
  /** The log of a new request. */
  log = "";
  /** States of a new request after `new`, each seen once but the last. */
  states = ["queued", "running"];
  /** Most requests alive at one moment. */
  most = 0;

  constructor() {
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      signal: this.#abort.signal,
      onError: (error) => new Response(String(error), { status: 500 }),
    }, (request) => {
      const response = this.#handle(request);
      this.#pending.add(response);
      return response.finally(() => this.#pending.delete(response));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  get alive(): FarmRequest[] {
    return [...this.requests.values()].filter(({ state }) =>
      ["new", "queued", "running"].includes(state)
    );
  }

  count(what: string): number {
    return this.calls.filter((call) => call.what === what).length;
  }

  fail(what: string, ...faults: Fault[]): void {
    this.faults.set(what, [...this.faults.get(what) ?? [], ...faults]);
  }

  async #handle(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, id] = /^\/(?:v0\.1\/requests|artifacts)\/([^/]+)/.exec(pathname) ??
      [];
    const call: Call = {
      what: `${request.method} ${pathname.replace(id ?? /$^/, "ID")}`,
      query: searchParams,
      authorization: request.headers.get("authorization"),
      range: request.headers.get("range"),
    };
    this.calls.push(call);
    const body = await request.text();
    const proceed = () => this.#answer(call, id, body);
    const fault = this.faults.get(call.what)?.shift();
    return await fault?.(call, () => Promise.resolve(proceed())) ?? proceed();
  }

  #answer(
    call: Call,
    id: string | undefined,
    body: string,
  ): Response {
    if (call.what.endsWith("pipeline.log")) return this.#log(call, id!);
    if (call.authorization !== `Bearer ${TOKEN}`) {
      return json({ message: "Unauthorized" }, 401);
    }
    if (call.what === "GET /v0.1/whoami") {
      return json({
        token: { id: TOKEN_ID, ranch: this.ranch, name: "t" },
        user: { id: "u1" },
      });
    }
    if (call.what === "GET /v0.1/about") {
      return json({ name: "farm", version: "0.1", links: { docs: "x" } });
    }
    if (call.what === `GET /v0.2/composes/${this.ranch}`) {
      return json({
        composes: [{ name: "Fedora-42", type: "aws" }, { name: "Fedora-43" }],
      });
    }
    if (call.what === "POST /v0.1/requests") {
      return json(this.add(JSON.parse(body), TOKEN_ID));
    }
    if (call.what === "GET /v0.1/requests") {
      const state = call.query.get("state");
      if (!state) return json({ message: "state is required" }, 400);
      const found = [...this.requests.values()].filter((request) =>
        request.state === state &&
        request.tokenId === call.query.get("token_id")
      );
      return json(found.length > 0 ? found.map((r) => this.#show(r)) : null);
    }
    const found = this.requests.get(id ?? "");
    if (!found) return json({ message: "no such request" }, 404);
    if (call.what === "GET /v0.1/requests/ID") {
      if (found.upcoming.length > 0) {
        found.state = found.upcoming.shift()!;
        found.artifacts ||= found.state === "running";
      }
      return json(this.#show(found));
    }
    if (call.what === "DELETE /v0.1/requests/ID") {
      if (!this.alive.includes(found)) {
        return json({ message: "request is finished already" }, 409);
      }
      found.state = "canceled";
      found.upcoming = [];
      return json(this.#show(found));
    }
    return json({ message: "not found" }, 404);
  }

  /** Makes a request. */
  add(body: unknown, tokenId: string): FarmRequest {
    const request: FarmRequest = {
      id: crypto.randomUUID(),
      body,
      state: "new",
      upcoming: [...this.states],
      artifacts: false,
      log: new TextEncoder().encode(this.log),
      tokenId,
    };
    this.requests.set(request.id, request);
    this.most = Math.max(this.most, this.alive.length);
    return request;
  }

  #show({ id, state, artifacts, body }: FarmRequest): unknown {
    return {
      id,
      state,
      // an hour ago; in UTC, without saying so
      created: new Date(Date.now() - 3_600_000).toISOString()
        .replace("Z", "000"),
      run: artifacts ? { artifacts: `${this.url}/artifacts/${id}` } : null,
      environments_requested: body.environments,
      api_key: TOKEN, // the service echoes parts of what it got
    };
  }

  #log({ what, range }: Call, id: string): Response {
    const log = this.requests.get(id)?.log;
    if (!log) return new Response("Not found", { status: 404 });
    if (what.startsWith("HEAD")) return new Response(null, { status: 200 });
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? NaN);
    if (Number.isNaN(start)) return new Response(log);
    if (start >= log.length) {
      return new Response("Range Not Satisfiable", { status: 416 });
    }
    return new Response(log.slice(start), {
      status: 206,
      headers: {
        "content-range": `bytes ${start}-${log.length - 1}/${log.length}`,
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#pending); // nobody may wait for them any more
    this.#abort.abort();
    await this.#server.finished.catch(() => {});
  }
}

/** The connection ends without an answer, after what was asked for was done. */
export const dropAfter: Fault = async (_, proceed) => {
  await proceed();
  return dropped();
};

/** The connection ends without an answer. */
export const drop: Fault = () => dropped();

function dropped(): Response {
  return new Response(
    new ReadableStream({
      start: (controller) => controller.error(new Error("dropped")),
    }),
    { headers: { "content-type": "application/json" } },
  );
}

/** Answers with a status. */
export const status =
  (status: number, headers: Record<string, string> = {}): Fault => () =>
    Response.json({ message: `status ${status}` }, { status, headers });

/** A page of something in between. */
export const html: Fault = () =>
  new Response("<html>maintenance</html>", {
    headers: { "content-type": "text/html" },
  });

/** No answer for some time. */
export const slow = (ms: number): Fault => async (_, proceed) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return await proceed();
};

/** What the log says of a system that is ready. */
export function guestLog(user: string, host: string): string {
  return [
    "[10:00:00] [+] pipeline started",
    `[10:00:01] [x] Guest is ready: ArtemisGuest(abc, ${user}@${host}, arch=x86_64, state=ready)`,
    "[10:00:02] [x] starting tests execution",
    "",
  ].join("\n");
}
