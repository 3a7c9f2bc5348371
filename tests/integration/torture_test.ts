/**
 * Tests that do what no test should do, by every transport, with the tools of GNU and with those of busybox.
 *
 * All of them run on the local system. Of those that leave a system as it is, one half runs by podman and the other
 * over ssh; with `ATEX_TORTURE=all`, all do.
 */
import assert from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { SshConnection } from "../../connections/ssh.ts";
import {
  cannotRun,
  Container,
  type Image,
  podman,
  podmanMissing,
} from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import {
  type Purpose,
  torture,
  type TortureKind,
  type TortureSystem,
} from "./_torture.ts";

/** The first process of a system that can be restarted from within. */
const RESTARTABLE = [
  "bash",
  "-c",
  "trap exit TERM; while :; do sleep 1 & wait; done",
];

/** A container for a purpose. */
async function openContainer(
  image: Image,
  ssh: boolean,
  purpose: Purpose,
): Promise<TortureSystem> {
  const container = await Container.start({
    image,
    ssh,
    args: [
      ...(purpose === "restarts" ? ["--restart=always"] : []),
      ...(purpose === "noexec"
        ? ["--tmpfs=/var:rw,noexec,size=9m,mode=755,notmpcopyup"]
        : []),
      ...(purpose === "small"
        ? ["--tmpfs=/var:rw,exec,size=2m,mode=755,notmpcopyup"]
        : []),
      // who is left without a parent finds one that looks after it, as sshd does
      ...(purpose === "shared" && !ssh ? ["--init"] : []),
    ],
    ...(purpose === "restarts" && !ssh && { command: RESTARTABLE }),
  });
  const first = Number(
    await podman("inspect", "--format={{.State.Pid}}", container.name),
  );
  return {
    connect: () =>
      ssh
        ? SshConnection.open({
          ...container.ssh(),
          ...(purpose === "restarts" && {
            options: {
              ConnectTimeout: 2,
              ServerAliveInterval: 1,
              ServerAliveCountMax: 5,
            },
          }),
        })
        : PodmanConnection.open({ container: container.name }),
    strangers: () => processesOf(first),
    [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
  };
}

/** Command lines of the processes that share the process ids of another, but for it and its children. */
function processesOf(first: number): string[] {
  const namespace = Deno.readLinkSync(`/proc/${first}/ns/pid`);
  const found = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === first) continue;
    try {
      if (Deno.readLinkSync(`/proc/${name}/ns/pid`) !== namespace) continue;
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const parent = /.*\) \S (\d+)/s.exec(stat)![1];
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`)
        .replaceAll("\0", " ");
      if (line === "") continue; // it has ended, and nobody has asked for its status yet
      if (Number(parent) === first && /sshd|sleep infinity/.test(line)) {
        continue;
      }
      found.push(line);
    } catch {
      // it has ended
    }
  }
  return found;
}

/** Command lines of the children of a process. */
function childrenOf(parent: number): string[] {
  const found = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [, state, of] = /.*\) (\S) (\d+)/s.exec(stat)!;
      if (Number(of) !== parent || state === "Z") continue;
      const line = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      found.push(line.replaceAll("\0", " "));
    } catch {
      // it has ended
    }
  }
  return found;
}

/** A half of the tests, unless all are asked for. */
const half = (half: 0 | 1): { half?: 0 | 1 } =>
  Deno.env.get("ATEX_TORTURE") === "all" ? {} : { half };

const ignorePodman = cannotRun(
  "torture: podman",
  podmanMissing(["tiny", "debian", "tiny-ssh"]),
);

const KINDS: { name: string; ignore: boolean; kind: TortureKind }[] = [
  {
    name: "on the local system",
    ignore: false,
    kind: {
      context: { transport: "local", userland: "gnu", restarts: "no" },
      open: () =>
        Promise.resolve({
          connect: () => LocalConnection.open(),
          [Symbol.asyncDispose]: () => Promise.resolve(),
        }),
    },
  },
  {
    name: "in a container with bash and busybox only",
    ignore: ignorePodman,
    kind: {
      context: { transport: "podman", userland: "busybox", restarts: "yes" },
      ...half(0),
      open: (purpose) => openContainer("tiny", false, purpose),
    },
  },
  {
    name: "over ssh",
    ignore: ignorePodman || cannotRun("torture: ssh", sshdMissing()),
    kind: {
      context: { transport: "ssh", userland: "gnu", restarts: "yes" },
      ...half(1),
      open: (purpose) => openContainer("debian", true, purpose),
    },
  },
];

for (const { name, ignore, kind } of KINDS) {
  Deno.test({
    name: `torture ${name}`,
    ignore,
    async fn(t) {
      const faults = await torture(kind);
      faults.set("nothing is left here", childrenOf(Deno.pid));
      for (const [test, list] of faults) {
        await t.step(test, () => assert.deepEqual(list, []));
      }
    },
  });
}
