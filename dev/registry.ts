/**
 * A small package registry on loopback that speaks JSR's protocol. It serves
 * this package from the working tree exactly as a publish would upload it, and
 * `@std` from where it can be had, so that everything here runs on a machine
 * that reaches an npm registry only.
 *
 *     deno run -A dev/registry.ts [--std DIR]     # prints JSR_URL=…, serves until it is stopped
 *
 * `@std` comes from the first that applies:
 * 1. `--std DIR` (or `ATEX_STD=DIR`): a checkout of denoland/std;
 * 2. `ATEX_JSR=standin`: the stand-ins in `dev/std/`; `ATEX_JSR=URL`: the registry at that address;
 * 3. the real registry (`JSR_URL`, or jsr.io) if it answers within two seconds;
 * 4. the stand-ins.
 *
 * This file and those it imports need no JSR themselves.
 */
import { fromFileUrl, isDirectory, toFileUrl, walk } from "./_files.ts";

/** Where `@std` comes from: a checkout, another registry, or the stand-ins; by default whatever is reachable. */
export interface RegistryOptions {
  std?: string;
  jsr?: string;
}

interface Package {
  version: string;
  exports: Record<string, string>;
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

const root = new URL("../", import.meta.url);
const standIns = new URL("./std/", import.meta.url);
const REAL_REGISTRY = "https://jsr.io";
const PROBE_MS = 2000;

const readJson = async (url: URL) => JSON.parse(await Deno.readTextFile(url));

/** Bare specifiers become what a publish makes of them: `zod` -> `npm:zod@^4`, `@std/path/posix/join` -> `jsr:@std/path@^1/posix/join`. */
export function rewriteImports(
  source: string,
  imports: Record<string, string>,
): string {
  return source.replace(
    /(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'\n]+)\2/g,
    (whole, before, quote, specifier) => {
      const name = Object.keys(imports).find((name) =>
        specifier === name || specifier.startsWith(name + "/")
      );
      return name === undefined
        ? whole
        : before + quote + imports[name] + specifier.slice(name.length) + quote;
    },
  );
}

/** Reads the publishable files below `dir`, rewritten. */
async function readFiles(
  dir: URL,
  imports: Record<string, string>,
  excluded: string[] = [],
): Promise<Package["files"]> {
  const files: Package["files"] = new Map();
  for await (const path of walk(dir, excluded)) {
    const bytes = await Deno.readFile(new URL(path, dir));
    files.set(
      "/" + path,
      /\.[jt]sx?$/.test(path)
        ? new TextEncoder().encode(
          rewriteImports(new TextDecoder().decode(bytes), imports),
        )
        : bytes,
    );
  }
  return files;
}

/** This package as a publish of the working tree would upload it. */
async function readOwnPackage(): Promise<Package & { name: string }> {
  const { name, version, exports, imports, publish } = await readJson(
    new URL("deno.json", root),
  );
  return {
    name,
    version,
    exports,
    files: await readFiles(root, imports, publish?.exclude),
  };
}

/** A stand-in does what the oldest version does that we allow, and says that it is that one. */
async function readStandIn(name: string): Promise<Package> {
  const { imports } = await readJson(new URL("deno.json", root));
  const range: string = imports[`@std/${name}`] ?? "none";
  const [, version] = /^jsr:[^@]*@[^@]+@[~^](\d+\.\d+\.\d+)$/.exec(range) ?? [];
  if (version === undefined) {
    throw new Error(
      `Cannot stand in for "@std/${name}": its range in deno.json is "${range}", one such as "jsr:@std/path@^1.1.0" would be right`,
    );
  }
  const dir = new URL(`${name}/`, standIns);
  const files = await readFiles(dir, {});
  const exports = Object.fromEntries(
    [...files.keys()].filter((path) => !path.includes("/_")).map((path) => [
      "." + path.replace(/\.ts$/, "").replaceAll("_", "-"),
      "." + path,
    ]),
  );
  return { version, exports, files };
}

async function readCheckout(std: string, name: string): Promise<Package> {
  const dir = (name: string) =>
    new URL(
      name.replaceAll("-", "_") + "/",
      toFileUrl(Deno.realPathSync(std) + "/"),
    );
  const imports: Record<string, string> = {};
  for await (const { name } of Deno.readDir(std)) {
    const config = await readJson(new URL("deno.json", dir(name)))
      .catch(() => undefined);
    if (config?.version) {
      imports[config.name] = `jsr:${config.name}@${config.version}`;
    }
  }
  const { version, exports } = await readJson(new URL("deno.json", dir(name)));
  return {
    version,
    exports: typeof exports === "string" ? { ".": exports } : exports,
    files: await readFiles(dir(name), imports, ["testdata", "_tools"]),
  };
}

async function answers(registry: string): Promise<boolean> {
  try {
    const response = await fetch(new URL("/@std/path/meta.json", registry), {
      signal: AbortSignal.timeout(PROBE_MS),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function passThrough(url: URL): Promise<Response> {
  try {
    const { status, headers, body } = await fetch(url);
    const type = headers.get("content-type") ?? "text/plain";
    return new Response(body, { status, headers: { "content-type": type } });
  } catch (error) {
    return new Response(`${url}: ${error}`, { status: 502 });
  }
}

/** Answers a path of the protocol from `pack`; undefined when there is nothing under it. */
async function lookUp(
  pack: Package,
  path: string,
): Promise<BodyInit | undefined> {
  if (path === "meta.json") {
    return JSON.stringify({
      latest: pack.version,
      versions: { [pack.version]: {} },
    });
  }
  if (path === `${pack.version}_meta.json`) {
    const manifest: Record<string, unknown> = {};
    for (const [path, bytes] of pack.files) {
      const hash = await crypto.subtle.digest("SHA-256", bytes);
      manifest[path] = {
        size: bytes.length,
        checksum: "sha256-" + new Uint8Array(hash).toHex(),
      };
    }
    return JSON.stringify({ exports: pack.exports, manifest });
  }
  return path.startsWith(pack.version + "/")
    ? pack.files.get(path.slice(pack.version.length))
    : undefined;
}

/** A port that stays the same for this checkout, so that a checkout fills one corner of Deno's cache; the next ones when it is taken. */
async function listen(
  handler: (request: Request) => Promise<Response>,
): Promise<Deno.HttpServer<Deno.NetAddr>> {
  const hash = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(root.href)),
  );
  const first = 20000 + (hash[0] * 256 + hash[1]) % 1200 * 8;
  const ports = [...Array(8).keys()].map((n) => first + n);
  for (const port of [...ports, 0]) {
    try {
      return Deno.serve(
        { hostname: "127.0.0.1", port, onListen() {} },
        handler,
      );
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("unreachable: port 0 is always free");
}

/** Deno never asks again for what it has cached, so what it keeps from an earlier run under this address has to go. */
async function forgetCached(port: number): Promise<void> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-config"],
  }).output();
  const { modulesCache } = JSON.parse(new TextDecoder().decode(stdout));
  await Deno.remove(`${modulesCache}/http/127.0.0.1_PORT${port}`, {
    recursive: true,
  }).catch(() => {});
}

/** Starts the registry; `url` is the value for `JSR_URL`, `std` says where `@std` comes from. */
export async function startRegistry(options: RegistryOptions = {}) {
  const own = await readOwnPackage();
  const forced = options.jsr;
  const real = forced ?? Deno.env.get("JSR_URL") ?? REAL_REGISTRY;
  const source: Promise<"checkout" | "registry" | "stand-ins"> = options.std
    ? Promise.resolve("checkout")
    : forced === "standin"
    ? Promise.resolve("stand-ins")
    : forced
    ? Promise.resolve("registry")
    : answers(real).then((yes) => yes ? "registry" : "stand-ins");
  const packages = new Map<string, Promise<Package>>([
    [own.name, Promise.resolve(own)],
  ]);

  async function handle(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const [, name, path] = /^\/(@[\w-]+\/[\w-]+)\/(.+)$/.exec(pathname) ?? [];
    if (name === undefined) return new Response("not found", { status: 404 });
    if (name !== own.name && await source === "registry") {
      return await passThrough(new URL(pathname, real));
    }
    if (!packages.has(name) && name.startsWith("@std/")) {
      const short = name.slice("@std/".length);
      packages.set(
        name,
        options.std ? readCheckout(options.std, short) : readStandIn(short),
      );
    }
    const pack = await packages.get(name)?.catch(() => undefined);
    const body = pack && await lookUp(pack, path);
    if (body === undefined) return new Response("not found", { status: 404 });
    const type = path.endsWith(".json")
      ? "application/json"
      : path.endsWith(".ts")
      ? "text/typescript"
      : "text/plain";
    return new Response(body, { headers: { "content-type": type } });
  }

  const server = await listen(handle);
  await forgetCached(server.addr.port);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    std: source,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** What the environment and `--std DIR` at the head of `args` choose, and the rest of `args`. */
export function registryOptions(args: string[]): [RegistryOptions, string[]] {
  const jsr = Deno.env.get("ATEX_JSR");
  if (args[0] !== "--std") {
    return [{ std: Deno.env.get("ATEX_STD"), jsr }, args];
  }
  if (!isDirectory(args[1])) {
    console.error(`--std ${args[1] ?? ""}: want a checkout of denoland/std`);
    Deno.exit(2);
  }
  return [{ std: args[1], jsr }, args.slice(2)];
}

if (import.meta.main) {
  const [options] = registryOptions(Deno.args);
  const registry = await startRegistry(options);
  console.log(`JSR_URL=${registry.url}`);
  console.error(
    `serving ${fromFileUrl(root)} and @std from the ${await registry
      .std}; Ctrl-C stops it`,
  );
}
