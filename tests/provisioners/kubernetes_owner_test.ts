import assert from "node:assert/strict";
import { Kubectl } from "../../provisioners/_kubernetes_cli.ts";
import {
  createOwner,
  keepRenewing,
  type PodOwner,
} from "../../provisioners/_kubernetes_owner.ts";
import { holdRun } from "../../provisioners/_run.ts";
import { until } from "../_wait.ts";

/** A cluster that answers once there is such a file, and counts in another. */
const SCRIPT = `
echo x >>"$0/calls"
[ -e "$0/up" ] || { echo "error: nobody is there" >&2; exit 1; }
`;

/** A kubectl that does what a script says, and its calls so far. */
async function fakeKubectl(script: string, timeout: number) {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  await Deno.writeTextFile(`${directory}/calls`, "");
  const logged = `echo "$1 $2" >>"$0/calls"\n${script}`;
  return {
    directory,
    kubectl: new Kubectl(["sh", "-c", logged, directory], timeout),
    calls: () => Deno.readTextFileSync(`${directory}/calls`).match(/^\w+/gm),
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

Deno.test("createOwner() removes nothing if the cluster refused the owner", async () => {
  await using run = await holdRun("test");
  for (
    const [said, creates] of [
      ['Error from server (Forbidden): leases "x" is forbidden', 2],
      ['Error from server (NotFound): namespaces "x" not found', 1],
      ['The Lease "x" is invalid: metadata.name: Invalid value', 1],
      ["error: You must be logged in to the server (Unauthorized)", 1],
    ] as const
  ) {
    await using it = await fakeKubectl(`echo '${said}' >&2; exit 1`, 60_000);
    const { signal } = new AbortController();
    await assert.rejects(createOwner(it.kubectl, "x", run, signal), {
      name: "ProvisionError",
      fatal: true,
      message: /^Cannot make an owner for pods: /,
    });
    assert.deepEqual(it.calls(), Array(creates).fill("create"));
  }
});

Deno.test("createOwner() that is aborted removes what there may be, though not for long", async () => {
  await using run = await holdRun("test");
  await using it = await fakeKubectl(
    `case $1 in create) until [ -e "$0/go" ]; do sleep 0.01; done; exit 1;; esac
     exec sleep 60`,
    60_000,
  );
  const abort = new AbortController();
  const creating = createOwner(it.kubectl, "x", run, abort.signal);
  await until(() => it.calls()?.length === 1);
  abort.abort();
  await Deno.writeTextFile(`${it.directory}/go`, "");
  const begin = performance.now();
  await assert.rejects(creating);
  assert.ok(performance.now() - begin < 20_000);
  assert.deepEqual(it.calls(), ["create", "delete", "delete"]);
});

Deno.test("keepRenewing() warns once in a while when it fails for long, and goes on", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const kubectl = new Kubectl(["sh", "-c", SCRIPT, directory], 10_000);
  const owner: PodOwner = { kind: "Lease", name: "l", reference: {} };
  const abort = new AbortController();
  const troubles: { message: string; at: number }[] = [];
  const begin = performance.now();
  const renewing = keepRenewing(kubectl, owner, {
    interval: 1,
    patience: 200,
    onTrouble: ({ message }) =>
      troubles.push({ message, at: performance.now() - begin }),
    replace: () => assert.fail("it is there"),
  }, abort.signal);
  const hold = setInterval(() => {}, 1000); // renewing itself ends with the script
  await until(() => troubles.length === 2);
  assert.ok(troubles[0].at >= 200, `${troubles[0].at}`);
  assert.ok(troubles[1].at >= 400, `${troubles[1].at}`);
  assert.equal(
    troubles[0].message,
    'Cannot renew the Lease "l": nobody is there',
  );
  await Deno.writeTextFile(`${directory}/up`, "");
  const calls = () => Deno.readTextFileSync(`${directory}/calls`).length / 2;
  const before = calls();
  await until(() => calls() > before + 2); // the first may have begun before
  const told = troubles.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(troubles.length, told);
  clearInterval(hold);
  abort.abort();
  await renewing;
  await Deno.remove(directory, { recursive: true });
});

Deno.test("keepRenewing() tells at once that there is no owner, and renews the one that takes its place", async () => {
  const said = 'Error from server (NotFound): leases "l" not found';
  await using it = await fakeKubectl(
    `echo "$2" >>"$0/kinds"; [ "$2" != Lease ] || { echo '${said}' >&2; exit 1; }`,
    10_000,
  );
  const abort = new AbortController();
  const troubles: string[] = [];
  let attempts = 0;
  const renewing = keepRenewing(
    it.kubectl,
    { kind: "Lease", name: "l", reference: {} },
    {
      interval: 1,
      patience: Infinity,
      onTrouble: ({ message }) => troubles.push(message),
      replace: () => {
        attempts++;
        return attempts === 1
          ? Promise.reject(new Error("not now"))
          : Promise.resolve({ kind: "ConfigMap", name: "l", reference: {} });
      },
    },
    abort.signal,
  );
  const hold = setInterval(() => {}, 1000); // renewing itself ends with the script
  const kinds = () => Deno.readTextFileSync(`${it.directory}/kinds`);
  await until(() => troubles.length === 2 && kinds().includes("ConfigMap"));
  clearInterval(hold);
  abort.abort();
  await renewing;
  assert.deepEqual(troubles, [
    "not now",
    'The Lease "l" was deleted, and its pods are deleted with it: another takes its place',
  ]);
});
