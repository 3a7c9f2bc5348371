import { delay } from "@std/async/delay";
import { join } from "@std/path/posix/join";
import type { SignalOptions } from "../connections/connection.ts";
import { shortHash } from "../connections/ownership.ts";
import type { PodmanCli } from "./_podman_cli.ts";
import { openLockDirectories } from "./_run.ts";
import { ProvisionError } from "./provisioner.ts";

/** How often it is looked whether a lock became free, in milliseconds. */
const PAUSE = 50;

interface ImageLockOptions extends SignalOptions {
  /** Milliseconds in which it has to become free. */
  readonly timeout?: number;
}

/**
 * While it is held, no other script of this user builds or removes the image,
 * wherever its run files are.
 */
export async function lockImage(
  { runKind }: PodmanCli,
  image: string,
  { timeout = Infinity, signal }: ImageLockOptions = {},
): Promise<Disposable> {
  const name = `image-${await shortHash(`${image} in ${runKind}`)}.lock`;
  const end = performance.now() + timeout;
  using stack = new DisposableStack();
  for (const directory of await openLockDirectories()) {
    const path = join(directory, name);
    let lock: Disposable | undefined;
    while (!(lock = await tryLock(path))) {
      if (performance.now() > end) throw lateError(image, timeout);
      await delay(PAUSE, { signal });
    }
    stack.use(lock);
  }
  return stack.move();
}

/** A lock whose file goes with it. */
async function tryLock(path: string): Promise<Disposable | undefined> {
  using stack = new DisposableStack();
  const file = stack.use(await Deno.open(path, { create: true, write: true }));
  if (!await file.tryLock(true)) return;
  // Perhaps it was removed before it was locked here.
  const there = await Deno.lstat(path).catch(() => undefined);
  if (there?.ino !== (await file.stat()).ino) return;
  stack.defer(() => {
    try {
      Deno.removeSync(path);
    } catch {
      // The directory is gone.
    }
  });
  return stack.move();
}

function lateError(image: string, ms: number): ProvisionError {
  return new ProvisionError(
    `Cannot lock the image "${image}": another script has had it locked for ${
      ms / 1000
    } s`,
  );
}
