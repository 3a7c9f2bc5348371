/** Lists of hosts in files, and what is said of those that are wrong. */
import assert from "node:assert/strict";
import { readInventory } from "../../provisioners/_inventory.ts";
import { HostsProvisioner } from "../../provisioners/hosts.ts";

async function inFile<T>(
  name: string,
  text: string,
  action: (path: string, directory: string) => Promise<T>,
): Promise<T> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    await Deno.writeTextFile(`${directory}/${name}`, text);
    return await action(`${directory}/${name}`, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const hostsIn = (name: string, text: string) =>
  inFile(
    name,
    text,
    async (path) => (await readInventory(path)).map(({ host }) => host),
  );

Deno.test("readInventory() reads lists in YAML and JSON", async () => {
  const list = [
    "root@a:2222",
    {
      host: "b",
      user: "admin",
      port: 22,
      labels: { arch: "x86_64", cores: 8, big: true },
      options: { ProxyJump: "gate", Compression: true },
      sudo: "root",
      leaseFile: "/var/lib/lease",
    },
    { host: "::1", port: 2222 },
  ];
  const expected = [
    { host: "root@a:2222", labels: {} },
    {
      host: "b",
      user: "admin",
      port: 22,
      labels: { arch: "x86_64", cores: "8", big: "true" },
      options: { ProxyJump: "gate", Compression: true },
      sudo: "root",
      leaseFile: "/var/lib/lease",
    },
    { host: "::1", port: 2222, labels: {} },
  ];
  assert.deepEqual(await hostsIn("x.json", JSON.stringify(list)), expected);
  // JSON is YAML.
  assert.deepEqual(await hostsIn("x.yaml", JSON.stringify(list)), expected);
  assert.deepEqual(
    await hostsIn("x.yml", "- root@a\n- {host: b, labels: {arch: s390x}}\n"),
    [{ host: "root@a", labels: {} }, { host: "b", labels: { arch: "s390x" } }],
  );
});

Deno.test("readInventory() takes paths in a file as relative to it", async () => {
  await inFile(
    "x.yaml",
    "- {host: a, identityFile: keys/lab}",
    async (path, directory) => {
      const [{ host }] = await readInventory(path);
      assert.equal(host.identityFile, `${directory}/keys/lab`);
    },
  );
  const [home] = await hostsIn("x.yaml", "- {host: a, identityFile: ~/lab}");
  assert.equal(home.identityFile, "~/lab");
});

Deno.test("readInventory() reads a host a line", async () => {
  const text = `# the lab
root@a:2222 arch=x86_64 ssh.ProxyJump=gate  # in the cellar

b note=a=b#c\r
`;
  assert.deepEqual(await hostsIn("lab", text), [
    {
      host: "root@a:2222",
      labels: { arch: "x86_64" },
      options: { ProxyJump: "gate" },
    },
    { host: "b", labels: { note: "a=b#c" }, options: {} },
  ]);
});

Deno.test("readInventory() finds names in an ssh_config", async () => {
  const text = `Host lab1 lab2 "lab3" *.example.org
  User root
host=gate
Host lab* !lab9
Match user root
`;
  await inFile("config", text, async (path) => {
    const names = async (hosts?: string[]) =>
      (await readInventory({ sshConfig: path, ...(hosts && { hosts }) }))
        .map(({ host }) => host);
    assert.deepEqual(
      await names(),
      ["lab1", "lab2", "lab3", "gate"].map((host) => (
        { host, configFile: path }
      )),
    );
    assert.deepEqual(
      (await names(["lab?", "lab1", "x.example.org"])).map(({ host }) => host),
      ["lab1", "lab2", "lab3", "x.example.org"],
    );
  });
});

Deno.test("a file of hosts with a fault is refused with its place and key", async (t) => {
  for (
    const [name, text, message] of [
      ["x.yaml", "a: b", ": a list of hosts would be right"],
      ["x.yaml", "- [", /: .+/],
      ["x.json", "[,]", /: .+/],
      ["x.yaml", "- a\n- {hots: b}", /: entry 2, key "host": /],
      [
        "x.yaml",
        "- {host: b, prot: 1}",
        /: entry 1 \("b"\), key "prot": it is not known, host, user, /,
      ],
      ["x.yaml", "- {host: b, port: no}", /: entry 1 \("b"\), key "port": /],
      ["x.yaml", "- {host: b, port: 70000}", /: entry 1 \("b"\), key "port": /],
      [
        "x.yaml",
        "- {host: b, labels: {a: [1]}}",
        /: entry 1 \("b"\), key "labels.a": /,
      ],
      [
        "x.yaml",
        "- {host: u@b, user: v}",
        /, entry 1 \("u@b"\): Cannot use "user" of the host "u@b": there is one in "host"/,
      ],
      [
        "x.yaml",
        "- {host: 'b:1', port: 2}",
        /: Cannot use "port" of the host "b:1": there is one in "host"/,
      ],
      ["x.yaml", "- 17", /: entry 1: /],
      ["lab", "a\nb c", ': line 2: "c" is not of the form key=value'],
      [
        "x.yaml",
        "- a\n- b\n- a",
        /, entry 3 \("a"\): Cannot lend the host "a": it is listed twice/,
      ],
      [
        "x.yaml",
        "- 'a:b'",
        /, entry 1 \("a:b"\): Cannot use "a:b" as a host: /,
      ],
      [
        "lab",
        "a ssh.ControlPath=x",
        /, line 1: Cannot set the ssh option "ControlPath"/,
      ],
    ] as const
  ) {
    await t.step(
      `${name}: ${JSON.stringify(text)}`,
      () =>
        inFile(name, text, async (path) => {
          const error = await new HostsProvisioner({ hosts: path }).start()
            .then(() => assert.fail("it was accepted"), (error) => error);
          assert.equal(error.name, "TypeError");
          const rest = error.message.slice(
            `Cannot use the hosts file "${path}"`.length,
          );
          assert.ok(
            error.message.startsWith(`Cannot use the hosts file "${path}"`),
          );
          if (typeof message === "string") assert.equal(rest, message);
          else assert.match(rest, message);
        }),
    );
  }
});

Deno.test("a file of hosts that is not there is named", async () => {
  await assert.rejects(
    new HostsProvisioner({ hosts: "no/such/file" }).start(),
    {
      name: "ProvisionError",
      fatal: true,
      message:
        /^Cannot read the hosts file ".*no\/such\/file": there is no such file$/,
    },
  );
});

Deno.test("where chooses by labels or by a function", async () => {
  const hosts = [
    { host: "a", labels: { arch: "x86_64", os: "9" } },
    { host: "b", labels: { arch: "s390x", os: "9" } },
    "c",
  ];
  const count = (
    where: ConstructorParameters<typeof HostsProvisioner>[0]["where"],
  ) => new HostsProvisioner({ hosts, where }).maxRemotes;
  assert.equal(count({ os: "9" }), 2);
  assert.equal(count({ os: "9", arch: "s390x" }), 1);
  assert.equal(count((_, host) => host > "a"), 2);
  await assert.rejects(
    new HostsProvisioner({ hosts, where: { x: "" } }).start(),
    {
      name: "ProvisionError",
      fatal: true,
      message: 'Cannot lend hosts: the option "where" fits none',
    },
  );
});

Deno.test("maxRemotes is known when a file was read", async () => {
  await inFile("lab", "a\nb\nc", async (path) => {
    await using pool = new HostsProvisioner({ hosts: path });
    assert.equal(pool.maxRemotes, Infinity);
    await pool.start();
    assert.equal(pool.maxRemotes, 3);
    await using less = new HostsProvisioner({ hosts: path, maxRemotes: 2 });
    assert.equal((await less.start()).maxRemotes, 2);
  });
});
