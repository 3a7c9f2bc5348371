/** Leases among the scripts of this machine, whose directory others can write to. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { LocalLease } from "../../provisioners/_local_lease.ts";

const { signal } = new AbortController();

const holder = (lease: string) => ({
  run: "r",
  lease,
  user: "jane",
  host: "far",
  pid: 7,
  since: "2026",
});

/** Leases of one host, and a file that none of them may touch. */
async function place() {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const leases = `${directory}/leases`;
  const victim = `${directory}/victim`;
  await Deno.writeTextFile(victim, "secret", { mode: 0o600 });
  return {
    leases,
    victim,
    lease: (id: string) => new LocalLease(leases, "host", holder(id)),
    /** The file of the lease, once there is one. */
    file() {
      const [{ name }] = Deno.readDirSync(leases);
      return `${leases}/${name}`;
    },
    isUntouched: () =>
      Deno.readTextFileSync(victim) === "secret" &&
      (Deno.statSync(victim).mode! & 0o777) === 0o600,
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

Deno.test("LocalLease gives a host to one, and tells others who has it", async () => {
  await using at = await place();
  const first = at.lease("a");
  await using second = at.lease("b");
  assert.equal(await second.look(signal), undefined);
  assert.equal(await first.take(signal), true);
  assert.equal(Deno.statSync(at.file()).mode! & 0o777, 0o666);
  assert.equal(Deno.statSync(at.leases).mode! & 0o7777, 0o1777);
  for (const found of [await second.take(signal), await second.look(signal)]) {
    assert.deepEqual(JSON.parse(String(found)), holder("a"));
  }
  await first[Symbol.asyncDispose]();
  assert.equal(Deno.readTextFileSync(at.file()), "");
  assert.equal(await second.look(signal), undefined);
  assert.equal(await second.take(signal), true);
  assert.deepEqual(JSON.parse(Deno.readTextFileSync(at.file())), holder("b"));
});

Deno.test("LocalLease writes through no link that takes the place of its file", async () => {
  await using at = await place();
  const lease = at.lease("a");
  await lease.take(signal);
  const file = at.file();
  await Deno.remove(file);
  await Deno.symlink(at.victim, file);
  await lease[Symbol.asyncDispose]();
  assert.ok(at.isUntouched());
});

Deno.test("LocalLease refuses what is no file of its own", async (t) => {
  await using at = await place();
  await using lease = at.lease("a");
  await lease.take(signal);
  await lease[Symbol.asyncDispose]();
  const file = at.file();
  const kinds = {
    link: () => Deno.symlink(at.victim, file),
    "hard link": () => Deno.link(at.victim, file),
    directory: () => Deno.mkdir(file),
    pipe: async () =>
      void await new Deno.Command("mkfifo", { args: [file] }).output(),
  };
  for (const [name, make] of Object.entries(kinds)) {
    await t.step(name, async () => {
      await Deno.remove(file);
      await make();
      const refused = {
        name: "ProvisionError",
        message:
          `Cannot open the lease "${file}": it is a link, or no file; remove it, or set the option "leaseDirectory" to another directory`,
      };
      await assert.rejects(lease.take(signal), refused);
      await assert.rejects(lease.look(signal), refused);
      assert.ok(at.isUntouched());
    });
  }
});

Deno.test("LocalLease puts nothing behind a link in place of its directory", async () => {
  await using at = await place();
  const elsewhere = `${at.leases}-elsewhere`;
  await Deno.mkdir(elsewhere);
  await Deno.symlink(elsewhere, at.leases);
  await assert.rejects(at.lease("a").take(signal), {
    fatal: true,
    message:
      /^Cannot make the directory for leases ".*leases": there is a link/,
  });
  assert.deepEqual([...Deno.readDirSync(elsewhere)], []);
});

Deno.test("LocalLease says that its directory cannot be written to", async () => {
  // Where nobody can make a file, root included.
  await using lease = new LocalLease("/sys", "host", holder("a"));
  await assert.rejects(lease.take(signal), {
    name: "ProvisionError",
    fatal: true,
    message:
      /^Cannot make the lease "\/sys\/.*\.lock": its directory cannot be written to; set the option "leaseDirectory" to another directory$/,
  });
});

Deno.test("scripts that make the directory of leases at the same time all get it", async () => {
  await using at = await place();
  const leases = Array.from(
    { length: 20 },
    (_, number) => new LocalLease(at.leases, `host ${number}`, holder("a")),
  );
  const taken = await Promise.all(leases.map((lease) => lease.take(signal)));
  assert.ok(taken.every((answer) => answer === true));
  assert.equal([...Deno.readDirSync(at.leases)].length, 20);
  assert.equal(Deno.statSync(at.leases).mode! & 0o7777, 0o1777);
  const names = [...Deno.readDirSync(dirname(at.leases))]
    .map(({ name }) => name);
  assert.deepEqual(names.sort(), ["leases", "victim"]);
  for (const lease of leases) await lease[Symbol.asyncDispose]();
});
