import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import { parseTemporaryName } from "../../connections/ownership.ts";
import { runLocal, startLocal } from "../../connections/process.ts";
import { openSshKey } from "../../provisioners/_ssh_key.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { exists, until } from "../_wait.ts";

async function withHome(
  files: Record<string, string>,
  test: (home: string) => Promise<void>,
): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "atex-test-" });
  const before = Deno.env.get("HOME");
  Deno.env.set("HOME", home);
  try {
    await Deno.mkdir(`${home}/.ssh`);
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${home}/.ssh/${name}`, text);
    }
    await test(home);
  } finally {
    if (before === undefined) Deno.env.delete("HOME");
    else Deno.env.set("HOME", before);
    await Deno.remove(home, { recursive: true });
  }
}

const pub = (name: string) => `ssh-test ${name} user@host\n`;

Deno.test("openSshKey() takes the best of the user's keys, without its comment", async () => {
  const files = {
    id_aaa: "",
    "id_aaa.pub": pub("aaa"),
    id_rsa: "",
    "id_rsa.pub": pub("rsa"),
    id_ed25519: "", // without a public half
    "id_ecdsa.pub": pub("ecdsa"), // without a private half
    known_hosts: "",
  };
  await withHome(files, async (home) => {
    await using key = await openSshKey(undefined);
    assert.deepEqual([key.file, key.publicKey], [
      `${home}/.ssh/id_rsa`,
      "ssh-test rsa",
    ]);
    await using named = await openSshKey("~/.ssh/id_aaa");
    assert.equal(named.publicKey, "ssh-test aaa");
    await Deno.remove(`${home}/.ssh/id_rsa.pub`);
    await using other = await openSshKey(undefined);
    assert.equal(other.publicKey, "ssh-test aaa");
  });
});

Deno.test({
  name: "openSshKey() refuses a key with a passphrase, unless an agent has it",
  ignore: cannotRun(
    "provisioners/ssh_key",
    missingPrograms("ssh-keygen", "ssh-agent", "ssh-add"),
  ),
  fn: async () => {
    const before = Deno.env.get("SSH_AUTH_SOCK");
    await withHome({}, async (home) => {
      const file = `${home}/.ssh/id_ed25519`;
      const socket = `${home}/agent`;
      const make = ["ssh-keygen", "-q", "-t", "ed25519", "-f", file];
      await runLocal({ argv: [...make, "-N", ""] });
      await using agent = startLocal(
        { argv: ["ssh-agent", "-D", "-a", socket] },
      );
      await until(() => exists(socket));
      Deno.env.set("SSH_AUTH_SOCK", socket);
      const lock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a secret"];
      try {
        const unlocked = await openSshKey(undefined);
        await unlocked[Symbol.asyncDispose]();
        await runLocal({ argv: ["ssh-add", "-q", file] });
        await runLocal({ argv: [...lock, "-f", file] });
        await using key = await openSshKey(undefined);
        assert.equal(key.file, file);
        await agent.terminate();
        for (const given of [undefined, file]) {
          await assert.rejects(openSshKey(given), {
            name: "ProvisionError",
            fatal: true,
            message:
              `Cannot use the ssh key "${file}": it needs a passphrase, and no agent has it; \`ssh-add ${file}\` gives it to one`,
          });
        }
      } finally {
        if (before === undefined) Deno.env.delete("SSH_AUTH_SOCK");
        else Deno.env.set("SSH_AUTH_SOCK", before);
      }
    });
  },
});

Deno.test({
  name: "openSshKey() makes a key where there is none, and removes it",
  ignore: cannotRun("provisioners/ssh_key", missingPrograms("ssh-keygen")),
  fn: async () => {
    await withHome({}, async () => {
      const key = await openSshKey(undefined);
      assert.match(key.publicKey, /^ssh-ed25519 \S+$/);
      assert.equal((await Deno.stat(key.file)).mode! & 0o777, 0o600);
      // Others see by its name whether this process lives.
      const { pid } = parseTemporaryName(basename(dirname(key.file)))!;
      assert.equal(pid, String(Deno.pid));
      await key[Symbol.asyncDispose]();
      assert.equal(await exists(key.file.replace(/\/key$/, "")), false);
    });
  },
});

Deno.test("openSshKey() says what is wrong with a key", async () => {
  await withHome({ a: "", b: "", "b.pub": "nonsense" }, async (home) => {
    for (
      const [name, why] of [
        [
          "missing",
          /there has to be this file, and ".*missing\.pub" beside it$/,
        ],
        ["a", /there has to be this file, and ".*a\.pub" beside it$/],
        ["b", /"[^"]*b\.pub" holds no public key$/],
      ] as const
    ) {
      await assert.rejects(openSshKey(`${home}/.ssh/${name}`), {
        name: "ProvisionError",
        message: why,
        fatal: true,
      });
    }
  });
});
