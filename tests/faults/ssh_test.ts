/** What happens to links over ssh in real labs: processes are killed, servers hang, the network loses and delays. */
import { match, ok } from "node:assert/strict";
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { missingPrograms } from "../_parts.ts";
import {
  cannotRun,
  Container,
  freeze,
  podman,
  podmanMissing,
} from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import { until } from "../_wait.ts";
import { dropPort, inNetworkOf, losePackets, SlowPort } from "./_network.ts";
import { firstError, suffer } from "./_suffer.ts";

const ignore = cannotRun(
  "faults of links over ssh",
  podmanMissing(["debian"]) ?? sshdMissing() ??
    missingPrograms("nsenter", "iptables"),
);

/** Ids of processes whose command line fits; of those in containers, too. */
function pidsOf(pattern: RegExp): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name))
    .filter((pid) => {
      if (!pid || pid === Deno.pid) return false;
      try {
        const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
        return pattern.test(line.replaceAll("\0", " "));
      } catch {
        return false; // it has ended
      }
    });
}

function kill(pids: readonly number[]): void {
  ok(pids.length > 0, "there is nothing to kill");
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // it ended with another one
    }
  }
}

/** Whether a process descends from this one. */
function isOurs(pid: number): boolean {
  for (let at = pid; at > 1;) {
    if (at === Deno.pid) return true;
    try {
      const stat = Deno.readTextFileSync(`/proc/${at}/stat`);
      at = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    } catch {
      return false;
    }
  }
  return false;
}

/** Does several things at once, each in systems of its own; tells which went wrong. */
async function together(
  all: readonly (readonly [what: string, work: () => Promise<void>])[],
): Promise<void> {
  const outcomes = await Promise.allSettled(all.map(([, work]) => work()));
  const errors = outcomes.flatMap((outcome, index) =>
    outcome.status === "rejected"
      ? [new Error(`${all[index][0]}: ${Deno.inspect(outcome.reason)}`)]
      : []
  );
  if (errors.length > 0) throw new AggregateError(errors, errors.join("\n"));
}

/** Two systems with a real sshd each. */
class Lab implements AsyncDisposable {
  readonly containers: readonly Container[];
  readonly pool: HostsProvisioner;

  private constructor(
    containers: readonly Container[],
    pool: HostsProvisioner,
  ) {
    this.containers = containers;
    this.pool = pool;
  }

  static async open(
    ports = (containers: readonly Container[]) =>
      containers.map(({ port }) => port),
  ): Promise<Lab> {
    const containers = await Promise.all([1, 2].map(() =>
      Container.start({
        image: "debian",
        ssh: true,
        args: ["--cap-add=NET_ADMIN"],
      })
    ));
    const { identityFile } = containers[0].ssh();
    const pool = await new HostsProvisioner({
      hosts: ports(containers).map((port) => `root@127.0.0.1:${port}`),
      ssh: {
        identityFile,
        options: {
          IdentitiesOnly: true,
          ServerAliveInterval: 2,
          ServerAliveCountMax: 4,
          ConnectTimeout: 15,
        },
      },
      lease: "none",
      retryAfter: 500,
      rebootTimeout: 5000,
      connectTimeout: 60_000,
      probeTimeout: 60_000,
      maxFailures: 100,
    }).start();
    return new Lab(containers, pool);
  }

  /** The container of a system. */
  of(remote: string): Container {
    return this.containers.find(({ port }) => remote.endsWith(`:${port}`))!;
  }

  /** Lets both run, with a network that works. */
  async mend(): Promise<void> {
    for (const { name } of this.containers) {
      await podman("unpause", name).catch(() => {}); // unless it was paused
      await inNetworkOf(name, "iptables", "-F", "INPUT");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.stop();
    await Promise.all(
      this.containers.map((container) => container[Symbol.asyncDispose]()),
    );
    // what held a link ends with it
    await until(() =>
      this.containers.every(({ port }) =>
        pidsOf(new RegExp(`^ssh .*\\b${port}\\b`)).length === 0
      )
    );
  }
}

/** What happens to the link of a test. */
const FAULTS: Record<
  string,
  (lab: Lab, remote: string) => Promise<unknown> | void
> = {
  "the ssh process that holds the link is killed": (lab, remote) =>
    kill(pidsOf(new RegExp(`^ssh .*-N .*\\b${lab.of(remote).port}\\b`))),
  "the server of its link is killed": (lab, remote) =>
    lab.of(remote).exec("pkill", "-KILL", "-f", "sshd: root"),
  "its packets are dropped": (lab, remote) => dropPort(lab.of(remote).name),
  "its system hangs": (lab, remote) => freeze(lab.of(remote).name),
};

Deno.test({
  name: "a test whose link breaks is run again, and nothing is lost",
  ignore,
  fn: () =>
    together(
      Object.entries(FAULTS).map(([what, fault]) => [what, async () => {
        await using lab = await Lab.open();
        const outcome = await suffer({
          provisioners: [lab.pool],
          fault: async (remote) => void await fault(lab, remote),
          mend: () => lab.mend(),
        });
        match(firstError(outcome), /ConnectionLostError: .*(lost|ended)/i);
      }]),
    ),
});

Deno.test({
  name: "rsync and tar that are killed in an upload cost a system, not the run",
  ignore,
  async fn() {
    await using lab = await Lab.open();
    const block = new Uint8Array(65_536);
    const noise = new Uint8Array(48 * 1024 * 1024);
    for (let at = 0; at < noise.length; at += block.length) {
      noise.set(crypto.getRandomValues(block), at);
    }
    // one of the two systems has no rsync, and takes a tar stream
    await lab.containers[1].exec("mv", "/usr/bin/rsync", "/usr/bin/not-rsync");
    const killed = new Set<string>();
    const outcome = await suffer({
      provisioners: [lab.pool],
      files: { noise },
      when: "setup",
      fault: async () => {
        await until(() => {
          for (const [index, { port }] of lab.containers.entries()) {
            const program = index === 0 ? "rsync" : "tar";
            if (killed.has(program)) continue;
            const pids = index === 0
              ? pidsOf(new RegExp(`^rsync .*`))
              : pidsOf(/^tar .*-c|^tar c/);
            const ours = pids.filter((pid) => isOurs(pid));
            if (ours.length === 0) continue;
            kill(ours);
            killed.add(program);
            ok(port > 0);
          }
          return killed.size > 0;
        });
      },
    });
    const failed = outcome.events.filter(({ type }) => type === "setup-failed");
    ok(failed.length > 0, "a setup failed");
    for (const event of failed) {
      if (event.type !== "setup-failed") continue;
      match(event.error.message, /Cannot upload the tests: .*(rsync|tar)/s);
    }
  },
});

Deno.test({
  name: "a network that loses packets, or delays them, only costs time",
  ignore,
  fn: () =>
    together([
      ["a tenth is lost", async () => {
        await using lab = await Lab.open();
        for (const { name } of lab.containers) await losePackets(name, 0.1);
        await suffer({
          provisioners: [lab.pool],
          duration: "3", // of the first attempt, which would not end
          fault: () => {},
          mend: () => lab.mend(),
        });
      }],
      ["150 ms each way", async () => {
        const slow: SlowPort[] = [];
        {
          await using lab = await Lab.open((containers) => {
            slow.push(...containers.map(({ port }) => new SlowPort(port, 150)));
            return slow.map(({ port }) => port);
          });
          await suffer({
            provisioners: [lab.pool],
            duration: "3",
            fault: () => {},
          });
        }
        for (const port of slow) await port[Symbol.asyncDispose]();
      }],
    ]),
});
