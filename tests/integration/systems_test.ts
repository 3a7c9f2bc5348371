/** Who has what: readLeases() and `atex systems`, with real hosts, containers and pods. */
import assert from "node:assert/strict";
import { HostsProvisioner } from "../../provisioners/hosts.ts";
import { type HostLease, readLeases } from "../../provisioners/leases.ts";
import { KubernetesProvisioner } from "../../provisioners/kubernetes.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import { getRunId } from "../../provisioners/_run.ts";
import { kubectlMissing, KubernetesServer } from "../_kubernetes.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { imageName, podmanMissing } from "../_podman.ts";
import { printed } from "../_printed.ts";
import { freePort, Sshd, sshdMissing } from "../_sshd.ts";

const ignore = cannotRun(
  "integration/systems",
  sshdMissing(),
  missingPrograms("flock"),
);

const statesOf = (leases: readonly HostLease[]) =>
  leases.map(({ host, state, holder }) => [
    host,
    state,
    holder && `${holder.user}@${holder.host}, ${holder.pid}`,
  ]);

Deno.test({
  name: "who has which host is told, and nobody is disturbed by that",
  ignore,
  fn: async () => {
    // One server stands for several hosts: each has a lock of its own.
    await using sshd = await Sshd.start({ config: ["MaxStartups 100"] });
    const { directory, options, user, port } = sshd;
    const host = (name: string) => ({
      ...options,
      host: `${user}@${name}:${port}`,
      leaseFile: `${directory}/${name}`,
      labels: { name },
    });
    const [ours, free, crashed, other] = [
      "127.0.0.1",
      "127.0.0.2",
      "127.0.0.3",
      "127.0.0.4",
    ].map(host);
    const hosts = [
      ours,
      free,
      crashed,
      other,
      { ...options, host: `127.0.0.1:${freePort()}` },
    ];
    const proxied = hosts.map((entry) => ({
      ...entry,
      options: { ...entry.options, HostName: "127.0.0.1" },
    }));
    const until = Math.floor(Date.now() / 1000) + 100;
    await Deno.writeTextFile(
      crashed!.leaseFile,
      `{"keepUntil":${until},"run":"r","lease":"l","user":"jane","host":"far","pid":7,"since":"2026","purpose":"x"}\n`,
    );
    await Deno.writeTextFile(other!.leaseFile, "");
    const locker = new Deno.Command("flock", {
      args: [other!.leaseFile, "sh", "-c", "echo locked; exec sleep 600"],
      stdout: "piped",
      detached: true,
    }).spawn();
    const reader = locker.stdout.getReader();
    await reader.read();
    await using pool = await new HostsProvisioner({
      hosts: proxied.slice(0, 1),
      purpose: "nightly",
    }).start();
    pool.provision();
    await using _remote = await pool.getRemote();
    try {
      const expected = [
        [
          ours!.host,
          "ours",
          `${
            Deno.env.get("USER") || Deno.env.get("LOGNAME") ||
            `uid ${Deno.uid()}`
          }@${Deno.hostname()}, ${Deno.pid}`,
        ],
        [free!.host, "free", undefined],
        [crashed!.host, "taken", "jane@far, 7"],
        [other!.host, "taken", undefined],
        [hosts[4]!.host, "unreachable", undefined],
      ];
      const looks = await Promise.all(
        Array.from({ length: 3 }, () => readLeases({ hosts: proxied })),
      );
      for (const look of looks) assert.deepEqual(statesOf(look), expected);
      const [{ holder, labels }, , , , { error }] = looks[0]!;
      assert.deepEqual(
        [holder!.purpose, holder!.run, labels],
        ["nightly", getRunId(), { name: "127.0.0.1" }],
      );
      assert.match(error!.message, /^Cannot connect to /);
      assert.ok(!("lease" in holder!)); // whoever knows it could get the host

      const file = `${directory}/hosts.json`;
      await Deno.writeTextFile(file, JSON.stringify(proxied));
      const { status, out } = await printed("systems", `hosts:${file}`);
      assert.equal(status, 0);
      assert.deepEqual(out.map((line) => line.split(/ +/)[0]), [
        "ours",
        "free",
        "taken",
        "taken",
        "unreachable",
      ]);
      assert.match(
        out[2]!,
        /^taken +\S+@127\.0\.0\.3:\d+ {2}name=127\.0\.0\.3 {2}jane@far, process 7, since 2026 {2}for x$/,
      );
      const json = await printed("systems", `hosts:${file}`, "--json");
      const parsed = json.out.map((line) => JSON.parse(line));
      assert.deepEqual(
        parsed.map(({ state }) => state),
        expected.map(([, state]) => state),
      );
      assert.equal(typeof parsed[4].error, "string");
      assert.equal(parsed[2].holder.user, "jane");
    } finally {
      Deno.kill(-locker.pid, "SIGKILL");
      await locker.status;
      await reader.cancel();
    }
  },
});

Deno.test({
  name: "who has which host is told where the locks are here",
  ignore,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      await using sshd = await Sshd.start();
      const options = {
        hosts: [sshd.options],
        lease: "local",
        leaseDirectory: `${directory}/leases`,
      } as const;
      const state = async () => (await readLeases(options))[0]!.state;
      assert.equal(await state(), "free");
      {
        await using pool = await new HostsProvisioner({
          ...options,
          leaseDirectory: new URL(`file://${options.leaseDirectory}`),
        }).start();
        pool.provision();
        await using _remote = await pool.getRemote();
        assert.equal(await state(), "ours");
      }
      assert.equal(await state(), "free");
      await assert.rejects(
        readLeases({ hosts: [] }),
        /the list of hosts is empty/,
      );
      const reason = new Error("enough");
      await assert.rejects(
        readLeases({ ...options, signal: AbortSignal.abort(reason) }),
        reason,
      );
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test({
  name: "atex systems podman: tells the containers of scripts",
  ignore: cannotRun("integration/systems/podman", podmanMissing()),
  fn: async () => {
    await using pool = await new PodmanProvisioner({
      image: imageName("tiny"),
      runOptions: ["--network=none"],
    }).start();
    pool.provision();
    await using remote = await pool.getRemote();
    const { out } = await printed("systems", "podman:", "--json");
    const found = out.map((line) => JSON.parse(line))
      .find(({ name }) => name === remote.attributes.container);
    const { kind, run, verdict, mine } = found;
    assert.deepEqual(
      [kind, run, verdict, mine],
      ["container", getRunId(), "alive", false],
    );
    const people = await printed("systems", "systemd:x");
    assert.match(
      people.out.find((line) => line.includes(remote.attributes.container!))!,
      new RegExp(
        `^alive +atex-.* old {2}run ${getRunId()} {2}\\S+, process ${Deno.pid}$`,
      ),
    );
  },
});

Deno.test({
  name: "atex systems k8s: and clean --kubernetes see pods of scripts",
  ignore: cannotRun("integration/systems/kubernetes", kubectlMissing()),
  fn: async () => {
    await using server = await KubernetesServer.start();
    const before = Deno.env.get("KUBECONFIG");
    Deno.env.set("KUBECONFIG", server.kubeconfig);
    try {
      await using pool = await new KubernetesProvisioner({
        image: "fedora:42",
        ...server.options,
      }).start();
      const { out } = await printed("systems", "k8s:", "--json");
      const [lease] = out.map((line) => JSON.parse(line));
      assert.deepEqual(
        [out.length, lease.kind, lease.run, lease.verdict],
        [1, "lease", getRunId(), "alive"],
      );
      const cleaned = await printed(
        ...["clean", "--kubernetes", "--run", getRunId(), "--force"],
      );
      assert.equal(cleaned.status, 0);
      assert.equal(server.leases.size, 1);
      await pool.stop();
      assert.deepEqual(await printed("systems", "k8s:x?namespace=testing"), {
        status: 0,
        out: [],
        err: ["nobody has any"],
      });
    } finally {
      if (before === undefined) Deno.env.delete("KUBECONFIG");
      else Deno.env.set("KUBECONFIG", before);
    }
  },
});

Deno.test("atex systems libvirt: asks the libvirt that the URI names", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const path = Deno.env.get("PATH")!;
  Deno.env.set("PATH", `${directory}:${path}`);
  try {
    const script = '#!/bin/sh\necho "asked: $*" >&2\nexit 1\n';
    await Deno.writeTextFile(`${directory}/virsh`, script, { mode: 0o755 });
    await assert.rejects(
      printed("systems", "libvirt:?uri=qemu+ssh://h/system"),
      /asked: .*-c qemu\+ssh:\/\/h\/system /,
    );
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("atex systems says what would be right", async () => {
  for (const text of ["local", "hosts:", "ssh:", "x:y", "", "podman-"]) {
    await assert.rejects(printed("systems", text), {
      name: "UsageError",
      message: new RegExp(
        `^Cannot tell who has "${text}": "hosts:FILE", .* would be right$`,
      ),
    });
  }
});
