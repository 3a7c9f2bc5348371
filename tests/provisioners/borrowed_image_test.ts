/** borrowImage(): who removes the image. */
import assert from "node:assert/strict";
import { delay } from "@std/async/delay";
import { borrowImage } from "../../provisioners/_borrowed_image.ts";
import { buildSystemdOnce } from "../../provisioners/_build_image.ts";
import { lockImage } from "../../provisioners/_image_lock.ts";
import { PodmanCli } from "../../provisioners/_podman_cli.ts";
import {
  holdRun,
  kindsIn,
  openRunDirectory,
  type Run,
} from "../../provisioners/_run.ts";
import { ProvisionError } from "../../provisioners/provisioner.ts";
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
async function otherScript(me: Run, kinds = "") {
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

/** The last loan that has not ended. */
async function loanOf({ file }: Run): Promise<string | undefined> {
  return kindsIn(await Deno.readTextFile(file))
    .findLast((kind) => kind.startsWith("image "));
}

function setRuntime(directory: string | undefined): void {
  if (directory === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
  else Deno.env.set("XDG_RUNTIME_DIR", directory);
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
  const loan = await loanOf(me);
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
  const looks = () => podman.calls.filter((call) => call === look).length;
  const look = `image exists ${first.name}`;
  await using me = await holdRun("test");
  const disposed = first[Symbol.asyncDispose]();
  await until(() => exists(`${podman.directory}/removing`));
  const before = looks();
  const borrowing = borrow();
  await until(async () => await loanOf(me) !== undefined);
  await delay(200);
  assert.equal(looks(), before);
  await Deno.writeTextFile(`${podman.directory}/go`, "");
  await disposed;
  await using second = await borrowing;
  assert.equal(looks(), before + 1);
  assert.ok(podman.images.includes(second.name));
});

Deno.test("borrowImage() by several at the same time builds the image once", async () => {
  const { podman, borrow } = await setUp();
  await using _ = podman;
  for (const image of await Promise.all([borrow(), borrow(), borrow()])) {
    await image[Symbol.asyncDispose]();
  }
  const builds = podman.calls.filter((call) => call.includes(" commit "));
  assert.equal(builds.length, 1);
  assert.deepEqual(podman.images, ["image"]);
});

Deno.test("borrowImage() waits for another script that has the image locked: at its end not for long, nor if that has borrowed it", async () => {
  const { podman, options, borrow } = await setUp();
  await using _ = podman;
  await using me = await holdRun("test");
  const troubles: Error[] = [];
  const onTrouble = (error: Error) => troubles.push(error);
  const borrowed = () =>
    borrowImage("image", { ...options, onTrouble, patience: 200 });
  const [first, last] = [await borrowed(), await borrowed()];
  const lock = await lockImage(new PodmanCli(options.podman, 1), last.name);
  await first[Symbol.asyncDispose]();
  assert.deepEqual(troubles, []);
  await last[Symbol.asyncDispose]();
  assert.deepEqual(troubles, [
    new ProvisionError(
      `Cannot lock the image "${last.name}": another script has had it locked for 0.2 s`,
    ),
  ]);
  assert.equal(await loanOf(me), undefined);
  const borrowing = borrow();
  await until(async () => await loanOf(me) !== undefined);
  lock[Symbol.dispose]();
  await (await borrowing)[Symbol.asyncDispose]();
  assert.deepEqual(podman.images, ["image"]);
});

Deno.test("the lock of an image keeps out scripts whose run files are elsewhere", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const XDG_RUNTIME_DIR = Deno.env.get("XDG_RUNTIME_DIR");
  const cli = new PodmanCli(["podman"], 1);
  const image = `localhost/atex-test-${crypto.randomUUID()}`;
  const places = [directory, undefined]; // as in a session, and as in a job of cron
  try {
    setRuntime(undefined);
    await openRunDirectory();
    for (const [here, there] of [places, places.toReversed()]) {
      setRuntime(here);
      using _lock = await lockImage(cli, image);
      setRuntime(there);
      await assert.rejects(lockImage(cli, image, { timeout: 100 }), {
        message: /another script has had it locked/,
      });
    }
    const files = [...Deno.readDirSync(`${directory}/atex`)];
    assert.deepEqual(files.map(({ name }) => name), ["runs"]);
  } finally {
    setRuntime(XDG_RUNTIME_DIR);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the lock of an image is one script's at a time, though its file comes and goes", async () => {
  const cli = new PodmanCli(["podman"], 1);
  const image = `localhost/atex-test-${crypto.randomUUID()}`;
  let holders = 0;
  const worker = async () => {
    for (let i = 0; i < 20; i++) {
      using _lock = await lockImage(cli, image);
      assert.equal(++holders, 1);
      await delay(Math.random() * 3);
      holders--;
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
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

Deno.test("buildSystemdImage() of an image that is borrowed keeps it, without another build", async () => {
  const { podman, options, borrow } = await setUp();
  await using _ = podman;
  const borrowed = await borrow();
  const installs = () =>
    podman.calls.filter((call) => call.includes("@systemd")).length;
  const before = installs();
  assert.equal(await buildSystemdOnce("image", options), borrowed.name);
  assert.equal(installs(), before);
  await borrowed[Symbol.asyncDispose]();
  assert.deepEqual(podman.images.sort(), ["image", borrowed.name].sort());
});
