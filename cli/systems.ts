/** `atex systems`: who has what. */
import { parseOwner } from "../connections/owner.ts";
import { formatDuration } from "../orchestrators/progress.ts";
import { type Call, type Command, print, UsageError } from "./_command.ts";

/** Tells who has which system. */
export const systems: Command = {
  name: "systems",
  purpose:
    "Tells who has what: which host is free, which containers, requests and pods scripts have.",
  operands: "SYSTEM",
  arity: [1, 1],
  options: [
    {
      name: "composes",
      about: "of tf: what the service can install, instead of who has what",
    },
    { name: "json", about: "a JSON object a line" },
  ],
  details:
    `SYSTEM is as for "atex shell"; what comes behind the colon of podman:,
systemd: and tf: does not matter and may be left out.`,
  permissions: "-A",
  example: "atex systems hosts:lab.yaml",
  async run(call) {
    const [text] = call.operands;
    const [, kind, rest = ""] = /^(\w+)(?::(.*))?$/s.exec(text!) ?? [];
    const [name, query] = split(rest);
    if (call.has("composes")) {
      if (kind === "tf") return await composes(call);
      throw new UsageError(
        `Cannot tell composes of "${text}": "tf:" would be right`,
      );
    }
    switch (kind) {
      case "hosts":
      case "ssh":
        if (rest === "") break;
        return await hosts(call, kind === "hosts" ? rest : rest.split(","));
      case "shared":
        if (name === "") break;
        return await reservations(call, name);
      case "podman":
      case "systemd":
        return await leftovers(call, { kinds: ["container"] });
      case "libvirt":
        return await leftovers(call, {
          kinds: ["domain"],
          ...(query.has("uri") && { libvirt: { uri: query.get("uri")! } }),
        });
      case "tf":
        return await leftovers(call, { kinds: ["request"] });
      case "k8s": {
        const namespace = query.get("namespace");
        return await leftovers(call, {
          kinds: ["lease"],
          ...(namespace && { kubernetes: { namespace } }),
        });
      }
    }
    throw new UsageError(
      `Cannot tell who has "${text}": "hosts:FILE", "ssh:HOST,HOST", "shared:HOST", "podman:", "systemd:", "libvirt:", "tf:" or "k8s:" would be right`,
    );
  },
};

function split(rest: string): [string, URLSearchParams] {
  const mark = rest.indexOf("?");
  if (mark === -1) return [rest, new URLSearchParams()];
  const encoded = rest.slice(mark + 1).replaceAll("+", "%2B"); // "qemu+ssh:"
  return [rest.slice(0, mark), new URLSearchParams(encoded)];
}

async function hosts(
  call: Call,
  hosts: string | readonly string[],
): Promise<number> {
  const { readLeases } = await import("../provisioners/leases.ts");
  const { signal } = call;
  for (
    const { error, ...lease } of await readLeases({
      hosts: typeof hosts === "string"
        ? hosts
        : hosts.map((host) => host.trim()),
      signal,
    })
  ) {
    const { host, labels, state, holder } = lease;
    const parts = [state.padEnd(11), host];
    for (const [key, value] of Object.entries(labels)) {
      parts.push(`${key}=${value}`);
    }
    if (holder) {
      const { user, host, pid, since, purpose } = holder;
      parts.push(`${user}@${host}, process ${pid}, since ${since}`);
      if (purpose !== undefined) parts.push(`for ${purpose}`);
    }
    if (error) parts.push(error.message);
    print(
      call,
      { ...lease, ...(error && { error: error.message }) },
      parts.join("  "),
    );
  }
  return 0;
}

async function reservations(call: Call, host: string): Promise<number> {
  const { listReservations } = await import(
    "../provisioners/shared_libvirt.ts"
  );
  const { signal } = call;
  for (const reservation of await listReservations({ host, signal })) {
    const { domain, state, holder } = reservation;
    const parts = [state.padEnd(11), domain, ...(holder ? [holder] : [])];
    print(call, reservation, parts.join("  "));
  }
  return 0;
}

async function composes(call: Call): Promise<number> {
  const { listComposes } = await import("../provisioners/testing_farm.ts");
  for (const compose of await listComposes({ signal: call.signal })) {
    const { name, type } = compose;
    print(call, compose, type === undefined ? name : `${name}  ${type}`);
  }
  return 0;
}

async function leftovers(
  call: Call,
  options: Parameters<typeof import("../provisioners/reap.ts").reap>[0],
): Promise<number> {
  const { reap } = await import("../provisioners/reap.ts");
  const found = await reap({ ...options, dryRun: true, signal: call.signal });
  for (const { removed: _, ...system } of found) {
    const { name, age, verdict, mine, run, owner = "" } = system;
    const { hostname, pid } = parseOwner(owner) ?? {};
    const parts = [
      (mine ? "ours" : verdict).padEnd(11),
      name,
      `${formatDuration(age)} old`,
      ...(run === undefined ? [] : [`run ${run}`]),
      ...(hostname === undefined ? [] : [`${hostname}, process ${pid}`]),
    ];
    print(call, system, parts.join("  "));
  }
  if (found.length === 0) call.note("nobody has any");
  return 0;
}
