import assert from "node:assert/strict";
import { Kubectl } from "../../provisioners/_kubernetes_cli.ts";
import {
  keepRenewing,
  type PodOwner,
} from "../../provisioners/_kubernetes_owner.ts";
import { until } from "../_wait.ts";

/** A cluster that answers once there is such a file, and counts in another. */
const SCRIPT = `
echo x >>"$0/calls"
[ -e "$0/up" ] || { echo "error: nobody is there" >&2; exit 1; }
`;

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
