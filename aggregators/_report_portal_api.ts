/** The part of ReportPortal's API that reporting takes. */
import { checkOptions, type Known } from "../options.ts";
import { z } from "zod";
import {
  type Call,
  HttpClient,
  ReportPortalError,
} from "./_report_portal_http.ts";

/** Options of {@linkcode ReportPortalApi}. */
export interface ReportPortalApiOptions {
  /**
   * Where ReportPortal is, without a path: `https://reportportal.example.com`.
   *
   * @default the environment variable `ATEX_REPORTPORTAL_URL`, or `TMT_PLUGIN_REPORT_REPORTPORTAL_URL`
   */
  url?: string | undefined;
  /**
   * The project.
   *
   * @default the environment variable `ATEX_REPORTPORTAL_PROJECT`, or `TMT_PLUGIN_REPORT_REPORTPORTAL_PROJECT`
   */
  project?: string | undefined;
  /**
   * The token. It is sent to the service only, and is in no error.
   *
   * @default the environment variable `ATEX_REPORTPORTAL_TOKEN`, or `TMT_PLUGIN_REPORT_REPORTPORTAL_TOKEN`
   */
  token?: string | undefined;
  /** Certificates, in PEM, of authorities that are trusted beside the usual ones. */
  caCerts?: readonly string[] | undefined;
  /**
   * Milliseconds before the first, second … repetition of a call that failed; the
   * last counts for all further ones. A time that the service asks for is kept, too.
   *
   * @default {[0, 4_000, 8_000, 16_000, 32_000, 64_000, 120_000]}
   */
  retryDelays?: readonly number[] | undefined;
  /**
   * Milliseconds after which a call is given up.
   *
   * @default {1_800_000}
   */
  retryFor?: number | undefined;
  /**
   * Milliseconds that one attempt of a call may take.
   *
   * @default {120_000}
   */
  callTimeout?: number | undefined;
  /** Ends all calls. */
  signal?: AbortSignal | undefined;
  /** Told when calls begin to fail and are repeated; once until one succeeds. */
  onWarning?: ((message: string) => void) | undefined;
}

const OPTIONS: Known<ReportPortalApiOptions> = {
  url: "a string, if given",
  project: "a string, if given",
  token: "a string, if given",
  caCerts: "a list, if given",
  retryDelays: "a list, if given",
  retryFor: "optional",
  callTimeout: "optional",
  signal: "optional",
  onWarning: "a function, if given",
};

/** A launch, as ReportPortal tells of it. */
export interface Launch {
  /** Its number, which lists of items are asked for with. */
  id: number;
  /** Its id when reporting. */
  uuid: string;
  /** Its name. */
  name: string;
}

/** An item of a launch, as ReportPortal tells of it. */
export interface Item {
  /** Its number. */
  id: number;
  /** Its id when reporting. */
  uuid: string;
  /** Its name. */
  name: string;
}

/** Which items to list. */
export interface ItemFilter {
  /** Number of the launch. */
  launchId: number;
  /** Number of the item that they are below. */
  parentId?: number | undefined;
  /** Kind: `test` for platforms, `step` for tests. */
  type?: string | undefined;
  /** Name. */
  name?: string | undefined;
  /** One of these statuses: `failed`, `passed` … */
  statuses?: readonly string[] | undefined;
  /** One of these kinds of issues: `pb`, `ab`, `ti` … */
  issueTypes?: readonly string[] | undefined;
}

/** A log of an item. */
export interface LogEntry {
  /** Id of the launch. */
  launchUuid: string;
  /** Id of the item. */
  itemUuid: string;
  /** When, in milliseconds since 1970. */
  time: number;
  /** `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`. */
  level: string;
  /** The text. */
  message: string;
}

/** A file that is attached to a log. */
export interface Attachment {
  /** Its name. */
  name: string;
  /** What it is: `text/plain`, for example. */
  type: string;
  /** What is in it. */
  content: Uint8Array<ArrayBuffer>;
}

const created = z.object({ id: z.string().min(1) });
const found = z.object({
  id: z.number(),
  uuid: z.string().min(1),
  name: z.string(),
});
const page = z.object({
  content: z.array(found),
  page: z.object({ totalPages: z.number() }),
});

const RETRY_DELAYS = [0, 4_000, 8_000, 16_000, 32_000, 64_000, 120_000];
const RETRY_FOR = 30 * 60_000;
const CALL_TIMEOUT = 120_000;
const PAGE_SIZE = 50;
/** Status when something of that id was started before, … */
const EXISTS = 409;
/** … and when it is finished already. */
const IS_FINISHED = 406;

/**
 * A client of ReportPortal's API, for {@linkcode ReportPortalAggregator} and for scripts
 * that look at launches. At most 10 calls are made at once. Calls that fail for a reason
 * that may pass are repeated.
 *
 * Needs `--allow-net` for the service, and `--allow-env` for the variables of options that
 * are not given.
 */
export class ReportPortalApi implements Disposable {
  readonly #options: ReportPortalApiOptions;
  #http: HttpClient | undefined;

  /**
   * Stores the options.
   *
   * @throws {TypeError} if one is misspelt or of the wrong kind
   */
  constructor(options: ReportPortalApiOptions = {}) {
    checkOptions("ReportPortalApi", options, OPTIONS);
    this.#options = options;
  }

  /** Reads the options that are not given from the environment, once. */
  #connect(): HttpClient {
    if (this.#http) return this.#http;
    const {
      caCerts,
      retryDelays = RETRY_DELAYS,
      retryFor = RETRY_FOR,
      callTimeout = CALL_TIMEOUT,
      signal,
      onWarning,
    } = this.#options;
    const url = this.#setting("url").replace(/\/+$/, "");
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      throw new TypeError(
        `Cannot use ${
          JSON.stringify(url)
        } as the URL of ReportPortal: it must begin with https:// or http://`,
      );
    }
    const token = this.#setting("token");
    this.#setting("project");
    this.#http = new HttpClient({
      url,
      token,
      caCerts,
      retryDelays,
      retryFor,
      callTimeout,
      signal,
      onWarning,
    });
    return this.#http;
  }

  #setting(name: "url" | "project" | "token"): string {
    const variable = `ATEX_REPORTPORTAL_${name.toUpperCase()}`;
    const value = this.#options[name] || Deno.env.get(variable) ||
      Deno.env.get(`TMT_PLUGIN_REPORT_REPORTPORTAL_${name.toUpperCase()}`);
    if (value) return value;
    throw new TypeError(
      `Cannot report to ReportPortal: there is no ${name}; give the option, or set ${variable}`,
    );
  }

  async #call<T>(
    version: "v1" | "v2",
    { path, ...call }: Call,
    schema: z.ZodType<T>,
  ): Promise<T> {
    const http = this.#connect();
    const project = encodeURIComponent(this.#setting("project"));
    const full = `/api/${version}/${project}${path}`;
    const answer = await http.call({ ...call, path: full });
    const { success, data, error } = schema.safeParse(answer);
    if (success) return data;
    const [{ path: where, message }] = error.issues;
    throw new ReportPortalError(
      `${call.method} ${full.replace(/\?.*/, "")}`,
      `the answer is not what it should be: ${where.join(".")}: ${message}`,
    );
  }

  /** Starts something, under an id that is known before: however often it is tried, it is there once. */
  async #start(
    path: string,
    { uuid, ...body }: { uuid?: string; [key: string]: unknown },
  ): Promise<string> {
    const answer = await this.#call("v2", {
      method: "POST",
      path,
      body: json({ ...body, uuid }),
      ...(uuid !== undefined && { done: EXISTS }),
    }, created.optional());
    return answer?.id ?? uuid!;
  }

  /** Finishes something. */
  async #finish(call: Pick<Call, "path" | "body" | "once">): Promise<void> {
    const done = { method: "PUT", done: IS_FINISHED } as const;
    await this.#call("v2", { ...call, ...done }, z.unknown());
  }

  /**
   * Starts a launch, or a rerun of one.
   *
   * @param launch its name, or the id of the launch that is run again
   * @returns the id for what is reported
   * @throws {ReportPortalError} if that fails
   */
  startLaunch(
    launch: { name: string } | { rerunOf: string },
    { startTime = Date.now(), attributes, description }: {
      startTime?: number;
      attributes?: Readonly<Record<string, string>>;
      description?: string;
    } = {},
  ): Promise<string> {
    return this.#start("/launch", {
      ...("rerunOf" in launch
        // the name does not matter then
        ? { name: launch.rerunOf, rerun: true, rerunOf: launch.rerunOf }
        : { name: launch.name, uuid: crypto.randomUUID() }),
      startTime: timeOf(startTime),
      ...(description !== undefined && { description }),
      ...(attributes && {
        attributes: Object.entries(attributes)
          .map(([key, value]) => ({ key, value })),
      }),
    });
  }

  /**
   * Finishes a launch; what is open in it is closed by the server.
   *
   * @throws {ReportPortalError} if that fails
   */
  async finishLaunch(launchUuid: string, endTime?: number): Promise<void> {
    const path = `/launch/${encodeURIComponent(launchUuid)}/finish`;
    const body = json({ endTime: timeOf(endTime ?? Date.now()) });
    await this.#finish({ path, body });
  }

  /**
   * Starts an item: a platform, a test, or a step of a test.
   *
   * @returns its id
   * @throws {ReportPortalError} if that fails
   */
  startItem(
    { launchUuid, parent, startTime, ...item }: {
      launchUuid: string;
      parent?: string | undefined;
      type: "test" | "step";
      name: string;
      startTime: number;
      /** Whether it was finished before. */
      retry?: boolean;
      /** False for a step of a test that does not count as a test. */
      hasStats?: boolean;
    },
  ): Promise<string> {
    const path = parent === undefined
      ? "/item"
      : `/item/${encodeURIComponent(parent)}`;
    return this.#start(path, {
      launchUuid,
      ...item,
      uuid: crypto.randomUUID(),
      startTime: timeOf(startTime),
    });
  }

  /**
   * Finishes an item.
   *
   * @throws {ReportPortalError} if that fails
   */
  async finishItem(
    itemUuid: string,
    { launchUuid, status, description, endTime }: {
      launchUuid: string;
      status: string;
      description?: string | undefined;
      endTime: number;
    },
    { once = false }: { once?: boolean } = {},
  ): Promise<void> {
    const path = `/item/${encodeURIComponent(itemUuid)}`;
    const body = json({
      launchUuid,
      status,
      ...(description !== undefined && { description }),
      endTime: timeOf(endTime),
    });
    await this.#finish({ path, body, once });
  }

  /**
   * Adds a log to an item, with a file or without.
   *
   * @throws {ReportPortalError} if that fails
   */
  async log(entry: LogEntry, attachment?: Attachment): Promise<void> {
    const body = () => multipart(entry, attachment);
    await this.#call("v2", { method: "POST", path: "/log", body }, z.unknown());
  }

  /**
   * Reads what is known of a launch.
   *
   * @throws {ReportPortalError} if that fails, or there is none
   */
  readLaunch(launchUuid: string): Promise<Launch> {
    const path = `/launch/uuid/${encodeURIComponent(launchUuid)}`;
    return this.#call("v1", { method: "GET", path }, found);
  }

  /**
   * Lists launches, the latest first.
   *
   * @throws {ReportPortalError} if that fails
   */
  launches(): AsyncGenerator<Launch> {
    return this.#list("/launch", { "page.sort": "startTime,desc" });
  }

  /**
   * Reads what is known of an item.
   *
   * @throws {ReportPortalError} if that fails, or there is none
   */
  readItem(itemUuid: string): Promise<Item> {
    const path = `/item/uuid/${encodeURIComponent(itemUuid)}`;
    return this.#call("v1", { method: "GET", path }, found);
  }

  /**
   * Lists items.
   *
   * @throws {ReportPortalError} if that fails
   */
  items(
    { launchId, parentId, type, name, statuses, issueTypes }: ItemFilter,
  ): AsyncGenerator<Item> {
    return this.#list("/item", {
      "filter.eq.launchId": `${launchId}`,
      ...(parentId !== undefined && { "filter.eq.parentId": `${parentId}` }),
      ...(type !== undefined && { "filter.eq.type": type }),
      ...(name !== undefined && { "filter.eq.name": name }),
      ...(statuses && { "filter.in.status": statuses.join() }),
      ...(issueTypes && { "filter.in.issueType": issueTypes.join() }),
    });
  }

  async *#list(
    path: string,
    filter: Record<string, string>,
  ): AsyncGenerator<z.infer<typeof found>> {
    for (let number = 1;; number++) {
      const query = new URLSearchParams({
        ...filter,
        "page.size": `${PAGE_SIZE}`,
        "page.page": `${number}`,
      });
      const call = { method: "GET", path: `${path}?${query}` } as const;
      const { content, page: { totalPages } } = await this.#call(
        "v1",
        call,
        page,
      );
      yield* content;
      if (number >= totalPages || content.length === 0) return;
    }
  }

  /** Closes connections. */
  [Symbol.dispose](): void {
    this.#http?.[Symbol.dispose]();
    this.#http = undefined;
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function json(value: unknown): NonNullable<Call["body"]> {
  const content = JSON.stringify(value);
  return () => ({ content, type: "application/json" });
}

/** What would end a name in a form. */
const UNSAFE = /["\\\r\n]/g;

/** A form of a log and its file; the boundary is in none of them but by a chance that never comes. */
function multipart(
  entry: LogEntry,
  given: Attachment | undefined,
): { content: Blob; type: string } {
  // the log names the file as the form does
  const attachment = given &&
    { ...given, name: given.name.replaceAll(UNSAFE, "_") };
  const boundary = `atex-${crypto.randomUUID()}`;
  const parts: BlobPart[] = [];
  const add = (disposition: string, type: string, content: BlobPart) => {
    const head =
      `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\nContent-Type: ${type}\r\n\r\n`;
    parts.push(head, content, "\r\n");
  };
  if (attachment) {
    const { name, type, content } = attachment;
    add(`name="${name}"; filename="${name}"`, type, content);
  }
  const file = attachment && { file: { name: attachment.name } };
  const time = timeOf(entry.time);
  const list = JSON.stringify([{ ...entry, time, ...file }]);
  add('name="json_request_part"', "application/json", list);
  parts.push(`--${boundary}--\r\n`);
  return {
    content: new Blob(parts),
    type: `multipart/form-data; boundary=${boundary}`,
  };
}
