/** Ending a process at any change that it makes to the file system. */

let left = Infinity;

/**
 * From now on so many changes are made; at the next one the process kills itself, if that
 * is a write, in the middle of it.
 */
export function dieAfter(changes: number): void {
  left = changes;
}

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
const { writeFileSync, writeTextFileSync } = Deno;
Deno.writeFileSync = (path, data, options) => {
  if (!isLast()) return writeFileSync(path, data, options);
  writeFileSync(
    path,
    (data as Uint8Array).subarray(0, data.length / 2),
    options,
  );
  die();
};
Deno.writeTextFileSync = (path, text, options) => {
  if (!isLast()) return writeTextFileSync(path, text, options);
  writeTextFileSync(path, text.slice(0, text.length / 2), options);
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
