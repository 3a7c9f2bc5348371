/** A server that does what is documented of ReportPortal's API for reporting, on loopback. */

/** A part of a form. */
export interface Part {
  name: string;
  contentType: string;
  filename?: string;
  content: Uint8Array;
}

/** A request as it came. */
export interface Received {
  method: string;
  path: string;
  query: URLSearchParams;
  json?: Record<string, unknown>;
  parts?: Part[];
  authorization: string | null;
}

interface StoredItem {
  uuid: string;
  id: number;
  launch: string;
  parent?: string | undefined;
  name: string;
  type: string;
  hasStats: boolean;
  retry: boolean;
  startTime: string;
  endTime?: string;
  status?: string;
  description?: string;
  logs: { message: string; level: string; file?: string }[];
}

interface StoredLaunch {
  uuid: string;
  id: number;
  name: string;
  startTime: string;
  endTime?: string;
  rerun: boolean;
  attributes?: unknown;
  description?: unknown;
}

/** What a server does wrong. */
export interface Faults {
  /** Gives an answer instead of doing what is asked for. */
  before?: (request: Received, number: number) => Response | undefined;
  /** The same when it has been done. */
  after?: (request: Received, number: number) => Response | undefined;
  /** Ids by the number of the request, instead of those that the client chose. */
  numberedIds?: boolean;
  delay?: (request: Received) => Promise<void>;
}

/** An answer that breaks off. */
export function brokenOff(): Response {
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"id":'));
        controller.error(new Error("gone"));
      },
    }),
    { headers: { "content-type": "application/json" } },
  );
}

export const TOKEN = "atex-test_SECRET-token+/=";

/** The server. */
export class FakeReportPortal implements AsyncDisposable {
  readonly requests: Received[] = [];
  readonly launches = new Map<string, StoredLaunch>();
  readonly items = new Map<string, StoredItem>();
  /** How many requests were served at once at most. */
  mostAtOnce = 0;
  faults: Faults;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #atOnce = 0;
  #ids = 0;

  constructor(
    faults: Faults = {},
    options: Partial<Deno.ServeTcpOptions> = {},
  ) {
    this.faults = faults;
    this.#server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen() {},
        ...options,
        onError: () => new Response(null, { status: 500 }),
      },
      (request) => this.#serve(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Children of an item or launch, by name. */
  children(parent: string): StoredItem[] {
    return [...this.items.values()].filter((item) =>
      item.parent === parent || (item.launch === parent && !item.parent)
    );
  }

  /** What there is of a test, the last try first. */
  item(name: string): StoredItem | undefined {
    return [...this.items.values()].findLast((item) => item.name === name);
  }

  async #serve(request: Request): Promise<Response> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    try {
      const { pathname, searchParams } = new URL(request.url);
      const type = request.headers.get("content-type") ?? "";
      const body = new Uint8Array(await request.arrayBuffer());
      const received: Received = {
        method: request.method,
        path: decodeURI(pathname),
        query: searchParams,
        authorization: request.headers.get("authorization"),
        ...(type === "application/json" && {
          json: JSON.parse(
            new TextDecoder("utf-8", { fatal: true }).decode(body),
          ),
        }),
        ...(type.startsWith("multipart/form-data") && {
          parts: partsOf(body, /boundary=(\S+)/.exec(type)![1]!),
        }),
      };
      const number = this.requests.push(received);
      await this.faults.delay?.(received);
      const fault = this.faults.before?.(received, number);
      if (fault) return fault;
      const answer = this.#answer(received, number);
      return this.faults.after?.(received, number) ?? answer;
    } finally {
      this.#atOnce--;
    }
  }

  #answer(request: Received, number: number): Response {
    const { method, path } = request;
    if (request.authorization !== `Bearer ${TOKEN}`) {
      return Response.json({ error: "unauthorized" }, { status: 401 });
    }
    const found = /^\/api\/(v[12])\/proj\/([^]*)$/.exec(path);
    if (!found) return problem(404, `no ${path}`);
    const [first, second, third] = found[2]!.split("/");
    const call = `${method} ${found[1]} ${first}`;
    const newId = (uuid: unknown) =>
      this.faults.numberedIds
        ? `uuid-${number}`
        : (uuid as string | undefined) ?? crypto.randomUUID();
    switch (call) {
      case "POST v2 launch":
        return this.#startLaunch(request.json!, newId);
      case "PUT v2 launch":
        return this.#finishLaunch(second!, request.json!);
      case "POST v2 item":
        return this.#startItem(second, request.json!, newId);
      case "PUT v2 item":
        return this.#finishItem(second!, request.json!);
      case "POST v2 log":
        return this.#log(request.parts!);
      case "GET v1 launch":
        return second === "uuid"
          ? found1(this.launches.get(third!))
          : paged([...this.launches.values()].reverse(), request.query);
      case "GET v1 item":
        return second === "uuid"
          ? found1(this.items.get(third!))
          : paged(this.#filtered(request.query), request.query);
    }
    return problem(404, call);
  }

  #startLaunch(
    body: Record<string, unknown>,
    newId: (uuid: unknown) => string,
  ): Response {
    const { name, startTime, rerun = false, rerunOf, uuid } = body;
    if (!isTime(startTime) || typeof name !== "string" || name === "") {
      return problem(400, "a launch without name or time");
    }
    if (uuid !== undefined && this.launches.has(uuid as string)) {
      return problem(409, `launch ${uuid} exists already`);
    }
    const id = newId(rerun ? rerunOf : uuid);
    this.launches.set(id, {
      uuid: id,
      id: ++this.#ids,
      name,
      startTime,
      rerun: rerun as boolean,
      attributes: body.attributes,
      description: body.description,
    });
    return Response.json({ id, number: 1 }, { status: 201 });
  }

  #finishLaunch(uuid: string, { endTime }: Record<string, unknown>): Response {
    const launch = this.launches.get(uuid);
    if (!launch) return problem(404, "no such launch");
    if (launch.endTime) return problem(406, "it is finished");
    if (!isTime(endTime) || endTime < launch.startTime) {
      return problem(400, "time");
    }
    launch.endTime = endTime;
    for (const item of this.items.values()) {
      if (item.launch === uuid) item.status ??= "interrupted";
    }
    return Response.json({ id: uuid });
  }

  #startItem(
    parent: string | undefined,
    body: Record<string, unknown>,
    newId: (uuid: unknown) => string,
  ): Response {
    const {
      launchUuid,
      type,
      name,
      startTime,
      retry = false,
      hasStats = true,
      uuid,
    } = body;
    const launch = this.launches.get(launchUuid as string);
    const above = parent === undefined ? undefined : this.items.get(parent);
    if (!launch || (parent !== undefined && !above)) {
      return problem(404, "no parent");
    }
    if (launch.endTime || above?.endTime) return problem(406, "it is finished");
    if (!isTime(startTime) || startTime < (above ?? launch).startTime) {
      return problem(400, "an item begins before its parent");
    }
    if (
      typeof name !== "string" || name === "" ||
      !["test", "step"].includes(type as string)
    ) {
      return problem(400, "name or type");
    }
    if (uuid !== undefined && this.items.has(uuid as string)) {
      return problem(409, `item ${uuid} exists already`);
    }
    const id = newId(uuid);
    this.items.set(id, {
      uuid: id,
      id: ++this.#ids,
      launch: launch.uuid,
      parent,
      name,
      type: type as string,
      hasStats: hasStats as boolean,
      retry: retry as boolean,
      startTime,
      logs: [],
    });
    return Response.json({ id }, { status: 201 });
  }

  #finishItem(uuid: string, body: Record<string, unknown>): Response {
    const item = this.items.get(uuid);
    if (!item) return problem(404, "no such item");
    if (item.endTime) return problem(406, "it is finished");
    if (!isTime(body.endTime) || body.endTime < item.startTime) {
      return problem(400, "time");
    }
    if (this.children(uuid).some(({ endTime }) => !endTime)) {
      return problem(406, "there are items in it that are not finished");
    }
    item.endTime = body.endTime;
    item.status = body.status as string;
    if (body.description) item.description = body.description as string;
    return Response.json({ message: "finished" });
  }

  #log(parts: Part[]): Response {
    const json = parts.find(({ name }) => name === "json_request_part");
    if (json?.contentType !== "application/json") {
      return problem(400, "no entry");
    }
    const entries = JSON.parse(new TextDecoder().decode(json.content));
    for (const { itemUuid, level, message, file } of entries) {
      const item = this.items.get(itemUuid);
      if (!item) return problem(404, "no such item");
      const attached = file &&
        parts.find(({ filename }) => filename === file.name);
      if (file && !attached) return problem(400, "no file");
      item.logs.push({
        level,
        message,
        ...(attached && { file: new TextDecoder().decode(attached.content) }),
      });
    }
    return Response.json({ responses: [{ id: "1" }] }, { status: 201 });
  }

  #filtered(query: URLSearchParams): StoredItem[] {
    const byId = (id: string | null) =>
      [...this.launches.values(), ...this.items.values()].find((it) =>
        `${it.id}` === id
      )?.uuid;
    const [launch, parent] = ["launchId", "parentId"].map((key) =>
      byId(query.get(`filter.eq.${key}`))
    );
    const is = (key: "type" | "name", item: StoredItem) =>
      !query.has(`filter.eq.${key}`) ||
      item[key] === query.get(`filter.eq.${key}`);
    const statuses = query.get("filter.in.status")?.toLowerCase().split(",");
    return [...this.items.values()].filter((item) =>
      item.launch === launch &&
      (parent === undefined || item.parent === parent) &&
      is("type", item) && is("name", item) &&
      (!statuses || statuses.includes(item.status ?? "in_progress"))
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function problem(status: number, message: string): Response {
  return Response.json({ errorCode: 40000 + status, message }, { status });
}

function found1(it: StoredItem | StoredLaunch | undefined): Response {
  return it ? Response.json(it) : problem(404, "there is none");
}

function paged(all: unknown[], query: URLSearchParams): Response {
  const size = Number(query.get("page.size"));
  const number = Number(query.get("page.page"));
  return Response.json({
    content: all.slice((number - 1) * size, number * size),
    page: {
      number,
      size,
      totalElements: all.length,
      totalPages: Math.ceil(all.length / size),
    },
  });
}

function isTime(text: unknown): text is string {
  return typeof text === "string" &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text);
}

function partsOf(body: Uint8Array, boundary: string): Part[] {
  // one character for each byte, so that places are those of bytes
  const text = new TextDecoder("latin1").decode(body);
  if (!text.endsWith(`\r\n--${boundary}--\r\n`)) {
    throw new Error("no end of the form");
  }
  const parts = text.split(`--${boundary}`).slice(1, -1);
  let at = 0;
  return parts.map((part) => {
    const start = text.indexOf(`--${boundary}`, at) + boundary.length + 2;
    at = start;
    const split = part.indexOf("\r\n\r\n");
    const head = new TextDecoder().decode(body.subarray(start, start + split));
    const name = /[; ]name="([^"]*)"/.exec(head)![1]!;
    const filename = /filename="([^"]*)"/.exec(head)?.[1];
    return {
      name,
      contentType: /^Content-Type: (.*)$/m.exec(head)![1]!.trim(),
      ...(filename !== undefined && { filename }),
      content: body.slice(start + split + 4, start + part.length - 2),
    };
  });
}
