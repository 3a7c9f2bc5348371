/** borrowImage(): who removes the image. */
import assert from "node:assert/strict";
import { delay } from "@std/async/delay";
import { borrowImage } from "../../provisioners/_borrowed_image.ts";
import { buildSystemdOnce } from "../../provisioners/_build_image.ts";
import { holdRun, type Run } from "../../provisioners/_run.ts";
import { exists, until } from "../_wait.ts";
import { childrenEnded, FakePodman } from "./_fake_podman.ts";

/** A podman with the image "image", in whose containers nothing is run. */
async function setUp() {
  const podman = await FakePodman.make();
  await podman.fault("exec", "exit 0");
  const options = {
    podman: [podman.program],
    onTrouble: (error: Error) => {
      throw error;
    },
  };
  return { podman, options, borrow: () => borrowImage("image", options) };
}

/** As another script that lives, whose run file says so. */
async function otherScript(me: Run, kinds: string) {
  const path = `${me.directory}/${crypto.randomUUID().slice(0, 8)}00`;
  const file = await Deno.open(path, { createNew: true, write: true });
  assert.ok(await file.tryLock(true));
  await file.write(new TextEncoder().encode(`{}\n${kinds}\n`));
  return {
    [Symbol.asyncDispose]: async () => {
      await Deno.remove(path);
      file.close();
    },
  };
}

Deno.test("borrowImage() twice in a script: whoever is the last removes the image", async () => {
  const { podman, borrow } = await setUp();
  await using _ = podman;
  for (const order of [[0, 1], [1, 0]]) {
    const borrowed = [await borrow(), await borrow()];
    const [{ name }] = borrowed;
    await borrowed[order[0]][Symbol.asyncDispose]();
    await borrowed[order[0]][Symbol.asyncDispose]();
    assert.ok(podman.images.includes(name));
    await borrowed[order[1]][Symbol.asyncDispose]();
    assert.deepEqual(podman.images, ["image"]);
  }
});

Deno.test("borrowImage() by several scripts: whoever is the last removes the image, also if another has built it", async () => {
  const { podman, borrow } = await setUp();
  await using _ = podman;
  await using me = await holdRun("test");
  const first = await borrow();
  const loan = (await Deno.readTextFile(me.file)).split("\n")
    .find((line) => line.startsWith("image "))!;
  {
    await using _ = await otherScript(me, loan);
    await first[Symbol.asyncDispose]();
    assert.ok(podman.images.includes(first.name));
  }
  const last = await borrow();
  await using _other = await otherScript(me, `${loan}\n-${loan}`);
  await last[Symbol.asyncDispose]();
  assert.deepEqual(podman.images, ["image"]);
});

Deno.test("borrowImage() says that it wants the image before it looks whether it is there", async () => {
  const { podman, borrow } = await setUp();
  await using _ = podman;
  await using me = await holdRun("test");
  await podman.fault(
    "exists",
    `case $1 in */*) grep -q "^image $1 in " '${me.file}' || exit 125; esac`,
  );
  await using _image = await borrow();
});

Deno.test("borrowImage() does not find an image that the last borrower is about to remove", async () => {
  const { podman, borrow } = await setUp();
  await using _ = podman;
  const first = await borrow();
  await podman.fault(
    "rm",
    `case $1 in */*) : >"$here/removing"; until [ -e "$here/go" ]; do sleep 0.01; done; esac`,
  );
  const disposed = first[Symbol.asyncDispose]();
  await until(() => exists(`${podman.directory}/removing`));
  const borrowing = borrow();
  await delay(100);
  await Deno.writeTextFile(`${podman.directory}/go`, "");
  await disposed;
  await using second = await borrowing;
  assert.ok(podman.images.includes(second.name));
});

Deno.test("borrowImage() that is aborted leaves no image that was built nevertheless", async () => {
  const { podman, options } = await setUp();
  await using _ = podman;
  await podman.fault(
    "commit",
    `image=$(last_of "$@")
     echo "{\\"atex.borrowed\\":\\"$image\\"}" >"$here/$(image_of "$image")"; exec sleep 60`,
  );
  const abort = new AbortController();
  const { signal } = abort;
  const borrowing = borrowImage("image", { ...options, signal });
  await until(() => podman.images.length === 2);
  const reason = new Error("enough");
  abort.abort(reason);
  await assert.rejects(borrowing, reason);
  await childrenEnded();
  assert.deepEqual(podman.images, ["image"]);
});

Deno.test("borrowImage() leaves an image that was not built for a borrower, though perhaps on one that was", async () => {
  const { podman, options, borrow } = await setUp();
  await using _ = podman;
  const kept = await buildSystemdOnce("image", options);
  await (await borrow())[Symbol.asyncDispose]();
  assert.ok(podman.images.includes(kept));
  await podman.label(kept, { "atex.borrowed": "localhost/other" });
  await (await borrow())[Symbol.asyncDispose]();
  assert.ok(podman.images.includes(kept));
});
