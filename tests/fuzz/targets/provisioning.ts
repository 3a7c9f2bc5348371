/** Where systems come from: lists of hosts, short texts, logs, records of owners. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { formatOwner, parseOwner } from "../../../connections/ownership.ts";
import { readInventory } from "../../../provisioners/_inventory.ts";
import {
  GuestFinder,
  LineDecoder,
} from "../../../provisioners/_testing_farm_log.ts";
import { provisionerFromString } from "../../../provisioners/from_string.ts";
import { mutated, texts } from "../mutation.ts";
import { bytesOf, cut, cuts, outcomeOf, target, utf8 } from "../target.ts";

const LISTS = [
  "root@10.0.0.7:2222 arch=x86_64 ssh.ProxyJump=gate\n# rest\n[fe80::1]:22 a=b\n",
  '[{"host": "a", "port": 22, "labels": {"n": 1}, "options": {"X": ["y"]}}, "b"]',
  "- host: a\n  user: u\n  labels: {arch: x, n: 1, on: true}\n  options:\n    A: [b, c]\n- b\n",
  'Host one two* "three"\n  HostName=x\nhost = four !five\nMatch all\n',
];

export const hosts = target({
  name: "hosts",
  oracle:
    "a list of hosts is read, or a TypeError names the file; each host is text with labels that are text",
  inputs: fc.record({
    extension: fc.constantFrom("", ".json", ".yaml", ".yml", "ssh_config"),
    content: texts(LISTS, [
      "host",
      "labels",
      "options",
      "port",
      ": ",
      "- ",
      "\n",
      "=",
      "ssh.",
      "@",
      "&a ",
      "*a",
      "!!js/function 'x'",
      "!!binary ",
      "<<: ",
      '{"__proto__": {"host": "x"}}',
      '"host": "x"',
      "65536",
    ]).map(utf8),
  }),
  cost: 3,
  async check({ extension, content }, directory) {
    const path = `${directory}/hosts${extension}`;
    Deno.writeFileSync(path, bytesOf(content));
    const source = extension === "ssh_config"
      ? { sshConfig: path, hosts: ["one", "t*", "?our"] }
      : path;
    const { value, error } = await outcomeOf(
      () => readInventory(source),
      (error) => error instanceof TypeError,
    ) as { value?: Awaited<ReturnType<typeof readInventory>>; error?: Error };
    if (error) {
      ok(
        error.message.startsWith(`Cannot use the hosts file "${path}": `),
        `${error}`,
      );
      return;
    }
    for (const { host, origin } of value!) {
      strictEqual(typeof host.host, "string");
      ok(origin.includes(path));
      for (const label of Object.values(host.labels ?? {})) {
        strictEqual(typeof label, "string");
      }
    }
  },
});

export const fromString = target({
  name: "from-string",
  oracle: "a text names a provisioner, or a TypeError shows the text",
  inputs: texts(
    [
      "local",
      "podman:fedora:42",
      "systemd:x",
      "hosts:f",
      "ssh:root@a:22,b,[::1]:22",
      "tf:Fedora?arch=x&timeout=2h",
      "k8s:image?namespace=n",
    ],
    ["local", "podman", "ssh", "tf", "k8s", "hosts", ":", ",", "?", "=", "&"],
  ),
  async check(text) {
    const { value, error } = await outcomeOf(
      () => provisionerFromString(text),
      (error) => error instanceof TypeError || error instanceof RangeError,
    ) as { value?: { getRemote: unknown }; error?: Error };
    if (value) strictEqual(typeof value.getRemote, "function");
    else ok(error!.message.startsWith("Cannot "), `${error}`);
  },
});

const LOG = [
  "[12:00:01] [INFO] Guest is ready: ArtemisGuest(0c1, root@10.0.0.7, arch=x86_64)\n",
  "[12:00:01] [INFO] \x1b[32m[0c1] Guest is ready root@fe80::1.\x1b[0m\r\n",
  "[12:00:02] [INFO] starting tests execution\n",
  "execute task #1\n",
];

export const farmLog = target({
  name: "testing-farm-log",
  oracle:
    "the same lines are seen however a log is cut; a system that is found is no option of ssh and has no blanks",
  inputs: fc.record({
    log: texts([LOG.join(""), LOG.slice(1).join("")], [
      ...LOG,
      "Guest is ready: ArtemisGuest(a, ",
      "-oProxyCommand=x@y",
      "@-x, arch=",
      "x".repeat(70_000),
      "\r",
      "\n",
    ]).map(utf8),
    cuts,
  }),
  check({ log, cuts }) {
    const bytes = bytesOf(log);
    const read = (pieces: Uint8Array[]) => {
      const decoder = new LineDecoder();
      return pieces.flatMap((piece) => decoder.feed(piece));
    };
    const lines = read([bytes]);
    if (lines.every((line) => line.length < 60_000)) {
      const pieces = cut(
        bytes,
        cuts,
        (bytes, start, end) => bytes.subarray(start, end),
      );
      deepStrictEqual(read(pieces), lines);
    }
    const finder = new GuestFinder();
    for (const line of lines) {
      const guest = finder.feed(line);
      if (!guest) continue;
      ok(/^\w\S*$/.test(guest.user), guest.user);
      ok(/^[\w[][^\s@]*$/.test(guest.host), guest.host);
    }
  },
});

export const owners = target({
  name: "owners",
  oracle:
    "the record of an owner is seven fields that are written as they were read, or none",
  inputs: fc.oneof(
    mutated(["host/b00t/12/345/6/7/machine"], ["/", "-", "//"]),
    fc.array(fc.string({ minLength: 1, maxLength: 4 }), {
      minLength: 6,
      maxLength: 8,
    }).map((fields) => fields.join("/")),
  ),
  check(text) {
    const owner = parseOwner(text);
    if (owner) strictEqual(formatOwner(owner), text);
    else ok(text.split("/").length !== 7 || text.split("/").includes(""));
  },
});
