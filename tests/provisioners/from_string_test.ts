import assert from "node:assert/strict";
import fc from "fast-check";
import {
  PROVISIONER_FORMS,
  provisionerFromString,
} from "../../provisioners/from_string.ts";

Deno.test("provisionerFromString() makes what the text names", async () => {
  const facts = async (...args: Parameters<typeof provisionerFromString>) => {
    const { constructor, name, maxRemotes } = await provisionerFromString(
      ...args,
    );
    return [constructor.name, name, maxRemotes];
  };
  assert.deepEqual(await facts("local"), ["LocalProvisioner", "local", 1]);
  assert.deepEqual(await facts("local", { maxRemotes: 4 }), [
    "LocalProvisioner",
    "local",
    4,
  ]);
  assert.deepEqual(await facts("local", { local: { maxRemotes: 2 } }), [
    "LocalProvisioner",
    "local",
    2,
  ]);
  assert.deepEqual(
    await facts("podman:localhost:5000/x/fedora:42", { maxRemotes: undefined }),
    ["PodmanProvisioner", "podman:localhost:5000/x/fedora:42", 10],
  );
  assert.deepEqual(
    await facts("podman:x", { maxRemotes: 3, podman: { pull: "missing" } }),
    ["PodmanProvisioner", "podman:x", 3],
  );
  assert.deepEqual(
    await facts("systemd:x:1", { maxRemotes: 3, systemd: { pull: "missing" } }),
    ["SystemdProvisioner", "systemd:x:1", 3],
  );
  assert.deepEqual(await facts("hosts:lab.yaml"), [
    "HostsProvisioner",
    "hosts",
    Infinity,
  ]);
  assert.deepEqual(await facts("ssh:root@a:2222, b,[::1]:22"), [
    "HostsProvisioner",
    "hosts",
    3,
  ]);
  assert.deepEqual(await facts("k8s:localhost:5000/f:42?namespace=ci"), [
    "KubernetesProvisioner",
    "kubernetes:localhost:5000/f:42",
    20,
  ]);
  assert.deepEqual(
    await facts("tf:Fedora-42", { testingFarm: { arch: "ppc64le" } }),
    ["TestingFarmProvisioner", "testing-farm:Fedora-42@ppc64le", 3],
  );
  assert.deepEqual(
    await facts("tf:Fedora-42?arch=aarch64&timeout=2h", { maxRemotes: 2 }),
    ["TestingFarmProvisioner", "testing-farm:Fedora-42@aarch64", 2],
  );
  assert.deepEqual(
    await facts("libvirt:fedora 42?key=~/.ssh/id_rsa", { maxRemotes: 2 }),
    ["LibvirtProvisioner", "libvirt:fedora 42", 2],
  );
  assert.deepEqual(
    await facts(
      "libvirt:x?key=k&user=u&uri=qemu%2Bssh://h/system?a=1%26b=2&host=h",
    ),
    ["LibvirtProvisioner", "libvirt:x", 3],
  );
  assert.deepEqual(
    await facts("libvirt:x", { libvirt: { sshKey: "k", maxRemotes: 1 } }),
    ["LibvirtProvisioner", "libvirt:x", 1],
  );
  assert.deepEqual(
    await facts(
      "shared:root@h:22?image=fedora 42&key=~/.ssh/id_rsa&user=u&pool=p&filter=web-.+",
      { maxRemotes: 2 },
    ),
    ["SharedLibvirtProvisioner", "shared-libvirt:root@h:22", 2],
  );
  assert.deepEqual(
    await facts("shared:h", { sharedLibvirt: { image: "i", maxRemotes: 1 } }),
    ["SharedLibvirtProvisioner", "shared-libvirt:h", 1],
  );
  assert.deepEqual(
    await facts("ssh:a,b", { maxRemotes: 1, hosts: { retryAfter: 1 } }),
    ["HostsProvisioner", "hosts", 1],
  );
});

Deno.test("provisionerFromString() says what would be right", async () => {
  const near = {
    locals: '"local"',
    lcoal: '"local"',
    LOCAL: '"local"',
    "local:": '"local"',
    "local:4": '"local"',
    "local?x=1": '"local"',
    "podman fedora": '"podman:IMAGE"',
    "podmn:x": '"podman:IMAGE"',
    "host:lab.yaml": '"hosts:FILE"',
    podman: 'the image is missing, "podman:IMAGE"',
    "podman:": 'the image is missing, "podman:IMAGE"',
    "systemd:": 'the image is missing, "systemd:IMAGE"',
    ssh: 'the host is missing, "ssh:HOST,HOST"',
    "ssh:": 'the host is missing, "ssh:HOST,HOST"',
    "hosts:": 'the file is missing, "hosts:FILE"',
    "tf:": 'the compose is missing, "tf:COMPOSE?arch=…&timeout=…"',
    k8s: 'the image is missing, "k8s:IMAGE?namespace=…"',
    "libvirt:": 'the domain is missing, "libvirt:DOMAIN?key=FILE"',
    shared: 'the host is missing, "shared:HOST?image=…"',
  };
  for (const [text, right] of Object.entries(near)) {
    await assert.rejects(provisionerFromString(text), {
      name: "TypeError",
      message:
        `Cannot make a provisioner of "${text}": ${right} would be right`,
    });
  }
  for (const text of ["", "docker:x", " local", "10.0.0.7"]) {
    await assert.rejects(provisionerFromString(text), {
      name: "TypeError",
      message: new RegExp(
        `^Cannot make a provisioner of "${text}": "local", "podman:IMAGE", .* or "[^"]+" would be right$`,
      ),
    });
  }
  await assert.rejects(provisionerFromString("ssh:a,"), TypeError);
  await assert.rejects(provisionerFromString("ssh:a,a"), /listed twice/);
  await assert.rejects(provisionerFromString("podman:-v"), TypeError);
  for (const query of ["", "x=1", "arch", "arch=", "arch=a&y=2"]) {
    await assert.rejects(provisionerFromString(`tf:F?${query}`), {
      name: "TypeError",
      message:
        `Cannot make a provisioner of "tf:F?${query}": behind the question mark, "arch=…" or "timeout=…" would be right`,
    });
  }
  await assert.rejects(
    provisionerFromString("k8s:x?arch=y"),
    /behind the question mark, "namespace=…" would be right/,
  );
  await assert.rejects(
    provisionerFromString("libvirt:x?keys=y"),
    /behind the question mark, "key=…" or "user=…" or "uri=…" or "host=…" would/,
  );
  await assert.rejects(
    provisionerFromString("libvirt:x"),
    /"libvirt:x": "\?key=FILE" must name a private key/,
  );
  await assert.rejects(
    provisionerFromString("shared:x?pool=y"),
    /"shared:x\?pool=y": "\?image=…" must name a volume/,
  );
  await assert.rejects(
    provisionerFromString("shared:x?disk=y"),
    /behind the question mark, "image=…" or "key=…" or "user=…" or "pool=…"/,
  );
  await assert.rejects(
    provisionerFromString("libvirt:x?key=k&uri=qemu://h/system"),
    /"domainHost" must tell their address/,
  );
  for (const plus of ["+", "%2B"]) {
    await assert.rejects(
      provisionerFromString(`libvirt:x?key=k&uri=qemu${plus}ssh://h/system`),
      /^TypeError: Cannot reach domains of "qemu\+ssh:\/\/h\/system": /,
    );
  }
  for (const timeout of ["2", "h", "-1h", "2d", "0m"]) {
    await assert.rejects(
      provisionerFromString(`tf:F?timeout=${timeout}`),
      timeout === "0m" ? RangeError : /a timeout like "90m" or "2h" would be/,
    );
  }
});

Deno.test("provisionerFromString() makes something of each form that it names, also in its documentation", async () => {
  const source = await Deno.readTextFile(
    new URL("../../provisioners/from_string.ts", import.meta.url),
  );
  for (const form of PROVISIONER_FORMS) {
    const text = form.replaceAll("timeout=…", "timeout=1h")
      .replaceAll("HOST,HOST", "a,b").replaceAll("…", "x").toLowerCase();
    const { name } = await provisionerFromString(text);
    assert.ok(name.length > 0);
    assert.ok(source.includes(`\`${form.split("?")[0]}`), form);
  }
});

Deno.test("provisionerFromString() of any text is a provisioner or an error that quotes it", async () => {
  const parts = fc.constantFrom(
    ..."local podman systemd hosts ssh tf k8s libvirt shared : , ? = & @ [ ] / - x 22 arch timeout namespace 2h %zz \0 \n é"
      .split(" "),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.array(parts, { maxLength: 8 }).map((list) => list.join("")),
        fc.string({ unit: "binary" }),
      ),
      async (text) => {
        try {
          const { name, maxRemotes } = await provisionerFromString(text);
          assert.ok(name.length > 0 && maxRemotes > 0);
        } catch (error) {
          assert.ok(
            error instanceof TypeError || error instanceof RangeError,
            `${text}: ${error}`,
          );
          assert.match(error.message, /^Cannot .*/s);
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("provisionerFromString() loads nothing but what is named", async () => {
  const module = new URL("../../provisioners/from_string.ts", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", module.href],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  const own = modules.find(({ specifier }: { specifier: string }) =>
    specifier === module.href
  );
  const loaded = own.dependencies.filter((
    { code, isDynamic }: { code?: unknown; isDynamic?: boolean },
  ) => code && !isDynamic);
  assert.deepEqual(
    loaded.map(({ specifier }: { specifier: string }) => specifier),
    ["../options.ts"], // which loads nothing
  );
});
