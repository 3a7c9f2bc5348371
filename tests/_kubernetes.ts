/**
 * The calls of a Kubernetes API server that `kubectl` makes for us, on loopback.
 * What runs "in" a pod runs here, in a directory of its own.
 */
import { missingPrograms, which } from "./_parts.ts";

export { cannotRun } from "./_parts.ts";

/** Why the real `kubectl` cannot be used here, if so. */
export function kubectlMissing(): string | undefined {
  const missing = missingPrograms("kubectl");
  if (missing) return missing;
  const { stdout } = new Deno.Command("kubectl", {
    args: ["version", "--client", "--output=json"],
  }).outputSync();
  const text = new TextDecoder().decode(stdout);
  const [, major, minor] = /"gitVersion": "v(\d+)\.(\d+)/.exec(text) ?? [];
  // Older ones speak SPDY to run commands, which the server here does not.
  if (Number(major) > 1 || Number(minor) >= 31) return undefined;
  return `kubectl is of version ${major}.${minor}, 1.31 is needed`;
}

// deno-lint-ignore no-explicit-any -- whatever it was sent
export type Json = any;

export interface Pod {
  metadata: Json;
  spec: Json;
  status: Json;
}

/** Does something else than what is right; `undefined`: what is right. */
export type Fault = (
  request: Request,
) => Response | Promise<Response> | undefined;

/** An error as an API server gives it. */
export const refuse =
  (code: number, reason: string, message: string): Fault => () =>
    failure(code, reason, message);

function failure(code: number, reason: string, message: string): Response {
  return Response.json({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    code,
  }, { status: code });
}

const VERBS = ["create", "delete", "get", "list", "patch", "watch"];
const resource = (name: string, kind: string, verbs = VERBS) => ({
  name,
  singularName: kind.toLowerCase(),
  namespaced: true,
  kind,
  verbs,
});

const DISCOVERY: Record<string, unknown> = {
  "/version": { major: "1", minor: "32", gitVersion: "v1.32.0" },
  "/api": { kind: "APIVersions", versions: ["v1"] },
  "/apis": {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: [{
      name: "coordination.k8s.io",
      versions: [{ groupVersion: "coordination.k8s.io/v1", version: "v1" }],
      preferredVersion: {
        groupVersion: "coordination.k8s.io/v1",
        version: "v1",
      },
    }],
  },
  "/api/v1": {
    kind: "APIResourceList",
    groupVersion: "v1",
    resources: [
      resource("pods", "Pod"),
      resource("pods/exec", "PodExecOptions", ["create", "get"]),
      resource("configmaps", "ConfigMap"),
    ],
  },
  "/apis/coordination.k8s.io/v1": {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: "coordination.k8s.io/v1",
    resources: [resource("leases", "Lease")],
  },
};

/** Says that the server itself checks the fields of what it is sent. */
const openApi = (path: string, group: string, kinds: string[]) => ({
  openapi: "3.0.0",
  info: { title: "Kubernetes", version: "v1.32.0" },
  paths: Object.fromEntries(kinds.map((kind) => [
    `/${path}/namespaces/{namespace}/${kind.toLowerCase()}s/{name}`,
    {
      patch: {
        parameters: [{
          name: "fieldValidation",
          in: "query",
          schema: { type: "string" },
        }],
        responses: {},
        "x-kubernetes-group-version-kind": { group, version: "v1", kind },
      },
    },
  ])),
});

const COORDINATION = "apis/coordination.k8s.io/v1";
Object.assign(DISCOVERY, {
  "/openapi/v3": {
    paths: Object.fromEntries(
      ["api/v1", COORDINATION].map((path) => [
        path,
        { serverRelativeURL: `/openapi/v3/${path}?hash=1` },
      ]),
    ),
  },
  "/openapi/v3/api/v1": openApi("api/v1", "", ["Pod", "ConfigMap"]),
  [`/openapi/v3/${COORDINATION}`]: openApi(
    COORDINATION,
    "coordination.k8s.io",
    ["Lease"],
  ),
});

const KINDS: Record<string, { kind: string; apiVersion: string }> = {
  pods: { kind: "Pod", apiVersion: "v1" },
  configmaps: { kind: "ConfigMap", apiVersion: "v1" },
  leases: { kind: "Lease", apiVersion: "coordination.k8s.io/v1" },
};

interface Watcher {
  readonly plural: string;
  readonly matches: (object: Json) => boolean;
  send(event: Json): void;
  close(): void;
}

export class KubernetesServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #abort = new AbortController();
  readonly #watchers = new Set<Watcher>();
  /** Whoever listed what there was, and begins to watch after that, is told of those, too. */
  readonly #deleted: { plural: string; object: Json }[] = [];
  /** What runs, and in which pod. */
  readonly #commands = new Map<Deno.ChildProcess, Pod>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #objects: Record<string, Map<string, Json>> = {
    pods: new Map(),
    configmaps: new Map(),
    leases: new Map(),
  };
  #version = 100;
  /** Method and path of each call. */
  readonly calls: string[] = [];
  /** Faults by method and a part of the path; each is used once. */
  readonly faults: { method: string; part: string; fault: Fault }[] = [];
  /** Most pods at one moment. */
  most = 0;
  /** What becomes of a new pod; by default it is ready soon. */
  onCreate: (pod: Pod) => void = (pod) => this.later(5, () => this.ready(pod));
  /** Milliseconds that a pod takes to vanish. */
  deletion = 5;
  /** Milliseconds by which its clock is ahead. */
  ahead = 0;

  private constructor(readonly directory: string) {
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      signal: this.#abort.signal,
      onError: (error) => failure(500, "InternalError", String(error)),
    }, (request) => this.#handle(request));
  }

  static async start(): Promise<KubernetesServer> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-k8s-" });
    const server = new KubernetesServer(directory);
    await Deno.writeTextFile(
      server.kubeconfig,
      JSON.stringify({
        kind: "Config",
        apiVersion: "v1",
        clusters: [{
          name: "test",
          cluster: { server: `http://127.0.0.1:${server.#server.addr.port}` },
        }],
        users: [{ name: "me", user: {} }],
        contexts: [{
          name: "test",
          context: { cluster: "test", user: "me", namespace: "testing" },
        }],
        "current-context": "test",
      }),
    );
    return server;
  }

  get kubeconfig(): string {
    return `${this.directory}/config`;
  }

  /** How to reach it. */
  get options(): { kubeconfig: string; kubectl: string[] } {
    return {
      kubeconfig: this.kubeconfig,
      kubectl: [which("kubectl")!, `--cache-dir=${this.directory}/cache`],
    };
  }

  /** Objects by name. */
  get pods(): ReadonlyMap<string, Pod> {
    return this.#objects.pods;
  }

  get leases(): ReadonlyMap<string, Json> {
    return this.#objects.leases;
  }

  get configMaps(): ReadonlyMap<string, Json> {
    return this.#objects.configmaps;
  }

  fail(method: string, part: string, ...faults: Fault[]): void {
    for (const fault of faults) this.faults.push({ method, part, fault });
  }

  later(ms: number, callback: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, ms);
    this.#timers.add(timer);
  }

  /** The pod runs. */
  ready(pod: Pod): void {
    this.update(pod, {
      phase: "Running",
      conditions: [
        { type: "PodScheduled", status: "True" },
        { type: "Ready", status: "True" },
      ],
    });
  }

  /** The pod has another status. */
  update(pod: Pod, status: Json): void {
    if (this.pods.get(pod.metadata.name) !== pod) return;
    pod.status = status;
    this.#tell("pods", "MODIFIED", pod);
  }

  /** So many milliseconds ago by its clock, to the second. */
  time(ago = 0): string {
    const time = Date.now() + this.ahead - ago;
    return new Date(time).toISOString().replace(/\.\d+/, "");
  }

  /** An object with what it writes into each. */
  #complete(plural: string, object: Json): Json {
    const { name, generateName } = object.metadata;
    Object.assign(object, KINDS[plural]);
    Object.assign(object.metadata, {
      name: name ?? `${generateName}${crypto.randomUUID().slice(0, 5)}`,
      namespace: "testing",
      uid: crypto.randomUUID(),
      creationTimestamp: this.time(),
      managedFields: [{ operation: "Update", time: this.time() }],
    });
    return object;
  }

  /** Makes an object. */
  add(plural: string, object: Json): Json {
    this.#complete(plural, object);
    if (plural === "pods") object.status = { phase: "Pending" };
    this.#objects[plural].set(object.metadata.name, object);
    this.most = Math.max(this.most, this.pods.size);
    this.#tell(plural, "ADDED", object);
    if (plural === "pods") {
      this.onCreate(object);
      this.#collect(object);
    }
    return object;
  }

  /** Removes a pod whose owner was deleted before it was made. */
  #collect({ metadata: { name, ownerReferences = [] } }: Pod): void {
    const owners = [this.leases, this.configMaps].flatMap((objects) =>
      [...objects.values()].map(({ metadata }) => metadata.uid)
    );
    const isOrphan = ownerReferences.length > 0 &&
      !ownerReferences.some(({ uid }: Json) => owners.includes(uid));
    if (isOrphan) this.later(100, () => this.remove("pods", name));
  }

  /** Removes an object, and what it owns. */
  remove(plural: string, name: string): void {
    const object = this.#objects[plural].get(name);
    if (!object) return;
    this.#objects[plural].delete(name);
    this.#tell(plural, "DELETED", object);
    for (const [child, pod] of this.#commands) {
      if (pod === object) kill(child);
    }
    const { uid } = object.metadata;
    for (const pod of [...this.pods.values()]) {
      const { ownerReferences = [], name } = pod.metadata;
      if (ownerReferences.some((owner: Json) => owner.uid === uid)) {
        this.remove("pods", name);
      }
    }
  }

  /** Ends all watches, as servers do from time to time. */
  endWatches(): void {
    for (const watcher of [...this.#watchers]) watcher.close();
  }

  get watches(): number {
    return this.#watchers.size;
  }

  #tell(plural: string, type: string, object: Json): void {
    object.metadata.resourceVersion = String(++this.#version);
    if (type === "DELETED") this.#deleted.push({ plural, object });
    for (const watcher of this.#watchers) {
      if (watcher.plural === plural && watcher.matches(object)) {
        watcher.send({ type, object });
      }
    }
  }

  async #handle(request: Request): Promise<Response> {
    const { pathname, searchParams: query } = new URL(request.url);
    this.calls.push(`${request.method} ${pathname}`);
    const index = this.faults.findIndex(({ method, part }) =>
      method === request.method && (pathname + "?" + query).includes(part)
    );
    if (index !== -1) {
      const [{ fault }] = this.faults.splice(index, 1);
      const response = await fault(request);
      if (response) return response;
    }
    if (pathname === "/api/v1/namespaces/testing") {
      return Response.json({
        kind: "Namespace",
        apiVersion: "v1",
        metadata: { name: "testing" },
      });
    }
    if (pathname in DISCOVERY) return Response.json(DISCOVERY[pathname]);
    const [, , namespace, plural, name, part] =
      /^\/(api\/v1|apis\/coordination\.k8s\.io\/v1)\/namespaces\/([^/]+)\/(\w+)(?:\/([^/]+))?(?:\/(exec))?$/
        .exec(pathname) ?? [];
    const objects = this.#objects[plural];
    if (namespace !== "testing" || !objects) {
      return failure(404, "NotFound", "the server could not find that");
    }
    if (part) return this.#exec(request, name, query);
    if (name === undefined) {
      return request.method === "POST"
        ? await this.#create(plural, request, query.get("dryRun") === "All")
        : this.#list(plural, query);
    }
    const object = objects.get(name);
    if (!object) {
      return failure(404, "NotFound", `${plural} "${name}" not found`);
    }
    if (request.method === "PATCH") {
      merge(object, await request.json());
      object.metadata.managedFields[0].time = this.time();
      this.#tell(plural, "MODIFIED", object);
    }
    if (request.method === "DELETE") {
      await request.text();
      if (plural === "pods") {
        object.metadata.deletionTimestamp = new Date().toISOString();
        this.#tell(plural, "MODIFIED", object);
        if (this.deletion < Infinity) {
          this.later(this.deletion, () => this.remove(plural, name));
        }
      } else this.remove(plural, name);
    }
    return Response.json(object);
  }

  async #create(
    plural: string,
    request: Request,
    isDryRun: boolean,
  ): Promise<Response> {
    const object = await request.json();
    if (this.#objects[plural].has(object.metadata.name)) {
      return failure(
        409,
        "AlreadyExists",
        `${plural} "${object.metadata.name}" already exists`,
      );
    }
    const made = isDryRun
      ? this.#complete(plural, object)
      : this.add(plural, object);
    return Response.json(made, { status: 201 });
  }

  #list(plural: string, query: URLSearchParams): Response {
    const selector = query.get("labelSelector")?.split(",") ?? [];
    const field = /^metadata\.name=(.*)$/.exec(
      query.get("fieldSelector") ?? "",
    );
    const matches = ({ metadata: { labels = {}, name } }: Json) =>
      (!field || field[1] === name) &&
      selector.every((term) => {
        const [key, value] = term.split("=");
        return labels[key] === value;
      });
    const items = [...this.#objects[plural].values()].filter(matches);
    if (query.get("watch") === null) {
      const { kind, apiVersion } = KINDS[plural];
      return Response.json({
        kind: `${kind}List`,
        apiVersion,
        metadata: { resourceVersion: String(this.#version) },
        items,
      });
    }
    const since = Number(query.get("resourceVersion") ?? 0);
    const encoder = new TextEncoder();
    let watcher: Watcher;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => {
        watcher = {
          plural,
          matches,
          send: (event) =>
            controller.enqueue(encoder.encode(JSON.stringify(event) + "\n")),
          close: () => {
            this.#watchers.delete(watcher);
            controller.close();
          },
        };
        this.#watchers.add(watcher);
        for (const object of items) {
          if (Number(object.metadata.resourceVersion) > since) {
            watcher.send({ type: "ADDED", object });
          }
        }
        for (const { plural: of, object } of this.#deleted) {
          const { resourceVersion } = object.metadata;
          if (of !== plural || !matches(object)) continue;
          if (since === 0 || Number(resourceVersion) <= since) continue;
          watcher.send({ type: "DELETED", object });
        }
      },
      cancel: () => {
        this.#watchers.delete(watcher);
      },
    });
    return new Response(body, {
      headers: { "content-type": "application/json" },
    });
  }

  /** A command in a pod, by the websocket protocol of version 5. */
  #exec(request: Request, name: string, query: URLSearchParams): Response {
    const pod = this.pods.get(name);
    if (!pod) return failure(404, "NotFound", `pods "${name}" not found`);
    if (pod.status.phase !== "Running") {
      return failure(400, "BadRequest", `pod ${name} does not run`);
    }
    if (request.headers.get("upgrade") !== "websocket") {
      return failure(400, "BadRequest", "websocket only");
    }
    const { socket, response } = Deno.upgradeWebSocket(request, {
      protocol: "v5.channel.k8s.io",
      idleTimeout: 0,
    });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => void this.#run(socket, pod, query.getAll("command"));
    return response;
  }

  async #run(socket: WebSocket, pod: Pod, argv: string[]): Promise<void> {
    const child = new Deno.Command(argv[0], {
      args: argv.slice(1),
      cwd: this.directory,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.#commands.set(child, pod);
    const writer = child.stdin.getWriter();
    let writing: Promise<unknown> = Promise.resolve();
    const write = (action: () => Promise<void>) =>
      writing = writing.then(action).catch(() => {});
    socket.onmessage = ({ data }) => {
      const bytes = new Uint8Array(data);
      if (bytes[0] === 0) write(() => writer.write(bytes.slice(1)));
      if (bytes[0] === 255 && bytes[1] === 0) write(() => writer.close());
    };
    socket.onclose = () => write(() => writer.close());
    const send = (channel: number, data: Uint8Array) => {
      const frame = new Uint8Array(data.length + 1);
      frame[0] = channel;
      frame.set(data, 1);
      if (socket.readyState === WebSocket.OPEN) socket.send(frame);
    };
    const pump = async (
      channel: number,
      stream: ReadableStream<Uint8Array>,
    ) => {
      for await (const data of stream) send(channel, data);
    };
    const [status] = await Promise.all([
      child.status,
      pump(1, child.stdout),
      pump(2, child.stderr),
    ]);
    this.#commands.delete(child);
    await write(() => writer.close());
    send(
      3,
      new TextEncoder().encode(JSON.stringify(
        status.success ? { metadata: {}, status: "Success" } : {
          metadata: {},
          status: "Failure",
          reason: "NonZeroExitCode",
          message: `command terminated with non-zero exit code`,
          details: {
            causes: [{ reason: "ExitCode", message: String(status.code) }],
          },
        },
      )),
    );
    socket.close(1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.endWatches();
    for (const child of this.#commands.keys()) {
      kill(child);
      await child.status;
    }
    this.#abort.abort();
    await this.#server.finished.catch(() => {});
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Ends a command and all that it started. */
function kill({ pid }: Deno.ChildProcess): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // ended
  }
}

function merge(target: Json, patch: Json): void {
  for (const [key, value] of Object.entries(patch)) {
    if (typeof value === "object" && value !== null) {
      merge(target[key] ??= {}, value);
    } else target[key] = value;
  }
}
