/** `atex clean`, run as a program, with programs that list what they are told to. */
import { deepEqual, equal, match } from "node:assert/strict";
import { formatOwner } from "../../connections/ownership.ts";
import { holdRun } from "../../provisioners/_run.ts";
import type { Leftover } from "../../provisioners/reap.ts";
import { FakeLibvirt } from "../provisioners/_fake_libvirt.ts";
import { FakePodman } from "../provisioners/_fake_podman.ts";

const CLI = new URL("../../cli/mod.ts", import.meta.url).pathname;

/** Runs it with programs of that directory, and something to read. */
async function clean(directory: string, args: string[], input = "") {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", "--no-check", CLI, "clean", "--json", ...args],
    env: {
      NO_COLOR: "1",
      TMPDIR: directory,
      PATH: `${directory}:${Deno.env.get("PATH")}`,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(input));
  await stdin.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  const found: Leftover[] = decoder.decode(stdout).split("\n").filter(Boolean)
    .map((line) => JSON.parse(line));
  return { code, found, said: decoder.decode(stderr) };
}

Deno.test("atex clean --mine-alive takes what it has listed, not what came later", async () => {
  await using podman = await FakePodman.make();
  await using living = await holdRun("test");
  const [listed, later] = [2, 3].map((number) => ({
    Names: [`atex-${living.id}-1-${number}`],
    Labels: {
      "atex.run": living.id,
      "atex.owner": formatOwner(living.owner),
    },
  }));
  await podman.list([listed]);
  await Deno.writeTextFile(
    `${podman.directory}/later`,
    JSON.stringify([listed, later]),
  );
  await podman.fault("ps", 'trap \'cp "$here/later" "$here/list"\' EXIT');
  const { code, found, said } = await clean(
    podman.directory,
    ["--force", "--mine-alive", "--run", living.id],
    "y\n",
  );
  match(said, /Take 1 from scripts that live/);
  deepEqual(
    found.map(({ name, removed }) => [name, removed]),
    [[listed.Names[0], true]],
  );
  equal(code, 0);
  deepEqual(podman.calls.filter((call) => / rm /.test(call)), [
    `container rm -f -v -t 0 ${listed.Names[0]}`,
  ]);
});

Deno.test("atex clean --libvirt looks for domains of that libvirt", async () => {
  await using libvirt = await FakeLibvirt.make();
  const uri = "qemu+ssh://host.example/system";
  const args = ["--libvirt", uri, "--run", "0123456789"];
  await libvirt.fault(
    "list",
    `case $URI in ${uri}) ;; *) fail "another libvirt: $URI" ;; esac`,
  );
  const { code, found, said } = await clean(libvirt.directory, args);
  deepEqual([code, found], [0, []], said);
  await libvirt.fault("list", 'fail "failed to connect to the hypervisor"');
  const unreachable = await clean(libvirt.directory, args);
  equal(unreachable.code, 2);
  match(unreachable.said, /Cannot list domains: failed to connect/);
});
