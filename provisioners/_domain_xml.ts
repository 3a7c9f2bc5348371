import {
  type Document,
  DOMParser,
  type Element,
  type Node,
  XMLSerializer,
} from "@xmldom/xmldom";
import { shorten } from "../options.ts";

/** The namespace of what we say about a domain. */
export const NAMESPACE = "https://atex.example/run";

/** A volume of a storage pool that a domain has for a disk. */
export interface VolumeName {
  readonly pool: string;
  readonly volume: string;
}

/** What distinguishes one clone from the others. */
export interface CloneOptions {
  readonly name: string;
  readonly uuid: string;
  /** The port of the host that leads to sshd in the clone, and the address that it listens at. */
  readonly port: number;
  readonly address: string;
  /** Attributes of an element in our namespace. */
  readonly record: Readonly<Record<string, string>>;
}

/** Parts of the host that a device has for itself: the second clone would not get them. */
const EXCLUSIVE: Readonly<Record<string, string>> = {
  hostdev: "a device of the host",
  shmem: "memory that it shares with others",
};

/** What is kept of a disk that becomes transient. */
const KEPT_OF_DISK = ["target", "boot", "serial", "wwn", "blockio", "iotune"];

/** Host ends of serial lines that can be had any number of times. */
const PLAIN_LINES = ["pty", "null", "vc", "stdio", "spicevmc", "spiceport"];

/**
 * The volumes whose paths {@linkcode makeTemplate} needs.
 *
 * @throws {Error} if the text is no XML of a domain, or that domain cannot be cloned
 */
export function volumesOf(xml: string): VolumeName[] {
  return writableDisks(parseDomain(xml)).flatMap((disk) =>
    disk.getAttribute("type") === "volume" ? [volumeOf(disk)] : []
  );
}

/**
 * What all clones of a domain have in common: made from its XML, with disks that
 * forget what is written to them, and nothing that only one domain can have.
 *
 * @throws {Error} if the text is no XML of a domain, or that domain cannot be cloned
 */
export function makeTemplate(
  xml: string,
  pathOf: (volume: VolumeName) => string,
): string {
  const domain = parseDomain(xml);
  const devices = child(domain, "devices")!;
  for (const [name, what] of Object.entries(EXCLUSIVE)) {
    const [found] = children(devices, name);
    if (found) throw new Error(`it has ${what}: ${brief(found)}`);
  }
  for (const filesystem of children(devices, "filesystem")) {
    if (child(filesystem, "readonly")) continue;
    throw new Error(
      `it has a directory of the host that it can write to: ${
        brief(filesystem)
      }`,
    );
  }
  for (const disk of writableDisks(domain)) {
    const path = disk.getAttribute("type") === "volume"
      ? pathOf(volumeOf(disk))
      : child(disk, "source")!.getAttribute("file")!;
    disk.parentNode!.replaceChild(transientDisk(disk, path), disk);
  }
  for (const disk of children(devices, "disk")) {
    const isMedium = ["cdrom", "floppy"].includes(deviceOf(disk));
    if (isMedium && child(disk, "source") && !child(disk, "readonly")) {
      disk.appendChild(element(disk, "readonly"));
    }
  }
  separateVariables(domain);
  for (const label of children(domain, "seclabel")) remove(label);
  domain.appendChild(element(domain, "seclabel", { type: "none" }));
  for (const tpm of children(devices, "tpm")) remove(tpm);
  for (const network of children(devices, "interface")) remove(network);
  devices.appendChild(userNetwork(devices));
  separateLines(devices);
  separateDisplays(devices);
  for (const vsock of children(devices, "vsock")) {
    const cid = child(vsock, "cid");
    cid?.setAttribute("auto", "yes");
    cid?.removeAttribute("address");
  }
  return new XMLSerializer().serializeToString(domain);
}

/** The XML of a clone. */
export function makeClone(template: string, options: CloneOptions): string {
  const { name, uuid, port, address, record } = options;
  const domain = parseDomain(template);
  setText(domain, "name", name);
  setText(domain, "uuid", uuid);
  for (const sysinfo of children(domain, "sysinfo")) {
    for (const part of children(sysinfo)) {
      for (const entry of children(part, "entry")) {
        if (entry.getAttribute("name") === "uuid") entry.textContent = uuid;
      }
    }
  }
  const network = child(child(domain, "devices")!, "interface")!;
  network.appendChild(
    element(network, "portForward", { proto: "tcp", address }, [
      element(network, "range", { start: String(port), to: "22" }),
    ]),
  );
  let metadata = child(domain, "metadata");
  if (!metadata) {
    metadata = element(domain, "metadata");
    domain.appendChild(metadata);
  }
  for (const old of children(metadata)) {
    if (old.namespaceURI === NAMESPACE) remove(old);
  }
  const ours = domain.ownerDocument!.createElementNS(NAMESPACE, "atex:run");
  for (const [key, value] of Object.entries(record)) {
    ours.setAttribute(key, value);
  }
  metadata.appendChild(ours);
  return new XMLSerializer().serializeToString(domain);
}

/** The attributes of our element in what `virsh metadata` or `dumpxml` printed; `undefined` if it is another one. */
export function recordIn(xml: string): Record<string, string> | undefined {
  let root: Element | null;
  try {
    root = parse(xml);
  } catch {
    return undefined;
  }
  return root?.localName === "run" || root?.localName === "atex:run"
    ? Object.fromEntries(
      Array.from(root.attributes, ({ name, value }) => [name, value]),
    )
    : undefined;
}

/**
 * The path of a volume, from the XML of its pool and its own.
 *
 * @throws {Error} if the pool is not a directory, or the volume has no path
 */
export function pathOfVolume(pool: string, volume: string): string {
  const type = parse(pool)?.getAttribute("type");
  if (type !== "dir") {
    throw new Error(
      `its storage pool is of the type "${type}", "dir" is needed`,
    );
  }
  const root = parse(volume);
  const target = root && child(root, "target");
  const path = target && child(target, "path")?.textContent;
  if (!path) throw new Error("its volume has no path");
  return path;
}

/** The disks that a domain writes to, at least one; the first is the primary one. */
function writableDisks(domain: Element): Element[] {
  const disks = children(child(domain, "devices")!, "disk").filter((disk) =>
    ["disk", "lun"].includes(deviceOf(disk)) &&
    !child(disk, "readonly") && !child(disk, "shareable")
  );
  for (const disk of disks) {
    const why = unfitness(disk);
    if (why) throw new Error(`its disk ${nameOf(disk)} ${why}`);
  }
  if (disks.length === 0) throw new Error("it has no disk that is written to");
  return disks;
}

/** Why no overlay can be laid over a disk. */
function unfitness(disk: Element): string | undefined {
  const type = disk.getAttribute("type");
  if (!["file", "volume"].includes(type ?? "")) {
    return `is of the type "${type}", "file" or "volume" is needed`;
  }
  const source = child(disk, "source");
  const attributes = type === "file" ? ["file"] : ["pool", "volume"];
  if (!attributes.every((name) => source?.getAttribute(name))) {
    return "has no source";
  }
  if (!child(disk, "driver")?.getAttribute("type")) {
    return "does not tell its format (driver type)";
  }
  if (disk.getElementsByTagName("encryption").length > 0) return "is encrypted";
}

function volumeOf(disk: Element): VolumeName {
  const source = child(disk, "source")!;
  return {
    pool: source.getAttribute("pool")!,
    volume: source.getAttribute("volume")!,
  };
}

const deviceOf = (disk: Element) => disk.getAttribute("device") || "disk";

function nameOf(disk: Element): string {
  return `"${child(disk, "target")?.getAttribute("dev") ?? "?"}"`;
}

/** Several domains at once write to overlays of the file, which end with them. */
function transientDisk(disk: Element, path: string): Element {
  const type = child(disk, "driver")!.getAttribute("type")!;
  return element(disk, "disk", { type: "file", device: "disk" }, [
    element(disk, "driver", { name: "qemu", type, cache: "unsafe" }),
    element(disk, "source", { file: path }),
    element(disk, "transient", { shareBacking: "yes" }),
    ...KEPT_OF_DISK.flatMap((name) => children(disk, name)),
  ]);
}

/** Each clone gets variables of its firmware from the same template. */
function separateVariables(domain: Element): void {
  const os = child(domain, "os");
  const nvram = os && child(os, "nvram");
  if (!nvram) return;
  nvram.textContent = "";
  for (const { name } of Array.from(nvram.attributes)) {
    if (!["template", "templateFormat", "format"].includes(name)) {
      nvram.removeAttribute(name);
    }
  }
}

/** Works for every user of the host; the address is one that no name server there knows. */
function userNetwork(devices: Element): Element {
  return element(devices, "interface", { type: "user" }, [
    element(devices, "backend", { type: "passt" }),
    element(devices, "model", { type: "virtio" }),
    element(devices, "ip", {
      address: "100.80.60.1",
      family: "ipv4",
      prefix: "24",
    }),
  ]);
}

/** Serial lines, consoles and channels end at nothing that others have, too. */
function separateLines(devices: Element): void {
  const endless = (line: Element, type: string) => {
    line.setAttribute("type", type);
    for (const name of ["source", "protocol"]) {
      for (const part of children(line, name)) remove(part);
    }
  };
  for (const name of ["serial", "console", "parallel"]) {
    for (const line of children(devices, name)) {
      for (const log of children(line, "log")) remove(log);
      const type = line.getAttribute("type") ?? "pty";
      if (!PLAIN_LINES.includes(type)) endless(line, "pty");
    }
  }
  for (const channel of children(devices, "channel")) {
    for (const log of children(channel, "log")) remove(log);
    const type = channel.getAttribute("type") ?? "pty";
    if (!PLAIN_LINES.includes(type) && type !== "qemu-vdagent") {
      endless(channel, "unix"); // libvirt makes a path
    }
  }
}

function separateDisplays(devices: Element): void {
  for (const display of children(devices, "graphics")) {
    const isFixed = ["port", "tlsPort", "websocket"].some((name) =>
      Number(display.getAttribute(name) ?? -1) >= 0
    );
    if (isFixed && display.getAttribute("autoport") !== "yes") {
      display.setAttribute("port", "-1");
      display.setAttribute("autoport", "yes");
      display.removeAttribute("tlsPort");
    }
    if (Number(display.getAttribute("websocket") ?? -1) >= 0) {
      display.setAttribute("websocket", "-1");
    }
    display.removeAttribute("socket");
    for (const listen of children(display, "listen")) {
      listen.removeAttribute("socket");
    }
  }
}

function parseDomain(xml: string): Element {
  const domain = parse(xml);
  if (domain?.tagName !== "domain" || !child(domain, "devices")) {
    throw new Error("its description is none of a domain");
  }
  return domain;
}

function parse(xml: string): Element | null {
  const document: Document = new DOMParser({
    onError: (level, message) => {
      if (level !== "warning") throw new Error(`no XML: ${message}`);
    },
  }).parseFromString(xml, "text/xml");
  return document.documentElement;
}

function children(parent: Element, name?: string): Element[] {
  return Array.from(parent.childNodes).filter((node: Node): node is Element =>
    node.nodeType === 1 && (!name || (node as Element).tagName === name)
  );
}

function child(parent: Element, name: string): Element | undefined {
  return children(parent, name)[0];
}

function remove(node: Node): void {
  node.parentNode?.removeChild(node);
}

/** A new element of the same document. */
function element(
  { ownerDocument }: Element,
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  content: readonly Element[] = [],
): Element {
  const made = ownerDocument!.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  for (const part of content) made.appendChild(part);
  return made;
}

function setText(parent: Element, name: string, text: string): void {
  let target = child(parent, name);
  if (!target) {
    target = element(parent, name);
    parent.appendChild(target);
  }
  target.textContent = text;
}

/** For messages. */
function brief(node: Element): string {
  const text = new XMLSerializer().serializeToString(node)
    .replaceAll(/\s+/g, " ");
  return shorten(text, 120);
}
