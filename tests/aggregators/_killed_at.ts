/**
 * Ingests the test `a`, then `b`, in a form, and prints the name of each when it is
 * done, then `stopped`. After `a`, it kills itself before it changes the file system for
 * the STEP-th time; if that is a write, in the middle of it.
 */
import { aggregatorOf, type Form } from "./_forms.ts";

const [root, form, step] = Deno.args as [string, Form, string];
let left = Infinity;

function die(): never {
  Deno.kill(Deno.pid, "SIGKILL");
  for (;;);
}

/** Whether this change is to be the last. */
const isLast = () => --left < 0;

for (
  const name of [
    "mkdirSync",
    "renameSync",
    "removeSync",
    "remove",
    "symlinkSync",
    "linkSync",
    "copyFile",
    "chmodSync",
  ] as const
) {
  const change = Deno[name] as (...args: unknown[]) => unknown;
  Object.assign(Deno, {
    [name]: (...args: unknown[]) => isLast() ? die() : change(...args),
  });
}
for (const name of ["openSync", "open"] as const) {
  const open = Deno[name] as (
    path: string,
    options?: Deno.OpenOptions,
  ) => unknown;
  Object.assign(Deno, {
    [name]: (path: string, options?: Deno.OpenOptions) =>
      options?.createNew && isLast() ? die() : open(path, options),
  });
}
const writeFileSync = Deno.writeFileSync;
Deno.writeFileSync = (path, data, options) => {
  if (!isLast()) return writeFileSync(path, data, options);
  writeFileSync(
    path,
    (data as Uint8Array).subarray(0, data.length / 2),
    options,
  );
  die();
};
const { writeSync, write } = Deno.FsFile.prototype;
Deno.FsFile.prototype.writeSync = function (data) {
  if (!isLast()) return writeSync.call(this, data);
  writeSync.call(this, data.subarray(0, data.length / 2));
  die();
};
Deno.FsFile.prototype.write = function (data) {
  if (!isLast()) return write.call(this, data);
  writeSync.call(this, data.subarray(0, data.length / 2));
  die();
};

const aggregator = await aggregatorOf(form, root).start();
const print = (text: string) => console.log(text);
await aggregator.ingest("p", "a", `${root}/artifacts/a`);
print("a");
left = Number(step);
await aggregator.ingest("p", "b", `${root}/artifacts/b`);
print("b");
await aggregator.stop();
print("stopped");
