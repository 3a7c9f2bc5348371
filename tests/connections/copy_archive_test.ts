/** pipeArchive() waits for no longer than somebody reads, and tells what both sides said. */
import {
  deepStrictEqual,
  match,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { pipeArchive } from "../../connections/_copy_archive.ts";
import { exists, until } from "../_wait.ts";

Deno.test("pipeArchive() ends with its signal, though something holds the pipes of what packs", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const file = `${directory}/pid`;
  const script =
    'setsid sleep 60 & echo $! >"$0.new"; mv "$0.new" "$0"; exec sleep 60';
  const aborting = new AbortController();
  const piped = pipeArchive(
    { argv: ["sh", "-c", script, file] },
    { argv: ["cat"] },
    { signal: aborting.signal },
  );
  try {
    await Promise.race([piped, until(() => exists(file))]);
    aborting.abort(new Error("enough"));
    await rejects(piped, /^Error: enough$/);
    // it is still there
    Deno.kill(Number(Deno.readTextFileSync(file)), "SIGTERM");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("pipeArchive() tells how both ended, and what they said", async () => {
  const { packed, unpacked, refused } = await pipeArchive(
    { argv: ["sh", "-c", "printf '\\natex-copy\\n'; echo broken >&2; exit 3"] },
    { argv: ["sh", "-c", "cat; echo empty >&2; exit 4"] },
    {},
  );
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  deepStrictEqual(
    [packed, unpacked].map(({ code, stderr }) => [code, text(stderr)]),
    [[3, "broken\n"], [4, "empty\n"]],
  );
  strictEqual(refused, undefined);
});

Deno.test("pipeArchive() tells why it does not pass on an archive, though more of it comes", async () => {
  const { refused } = await pipeArchive(
    { argv: ["sh", "-c", "printf '\\natex-copy\\n'; exec yes"] },
    { argv: ["cat"] },
    {},
  );
  match(refused!.message, /^Cannot unpack an archive: /);
});

Deno.test("pipeArchive() keeps the last of what is said", async () => {
  const { packed } = await pipeArchive(
    { argv: ["sh", "-c", "yes x | head -c 3000000 >&2; echo end >&2; exit 3"] },
    { argv: ["cat"] },
    {},
  );
  strictEqual(packed.stderr.length, 1024 * 1024);
  match(new TextDecoder().decode(packed.stderr), /x\nend\n$/);
});
