/** Takes a run file on a disk that is full, and again when there is space. Prints what came of it. */
import { holdRun } from "../../provisioners/_run.ts";

const [directory] = Deno.args;
Deno.env.set("XDG_RUNTIME_DIR", directory);
const names = () => {
  try {
    return [...Deno.readDirSync(`${directory}/atex/runs`)].map(({ name }) =>
      name
    );
  } catch {
    return [];
  }
};

await (await holdRun("test"))[Symbol.asyncDispose](); // makes the directories
const filler = `${directory}/filler`;
const file = Deno.openSync(filler, { create: true, write: true });
try {
  for (;;) file.writeSync(new Uint8Array(4096));
} catch {
  file.close(); // full
}
const error = await holdRun("test").catch((error) => error);
const { name, message, fatal } = error as Error & { fatal?: boolean };
const left = names();
Deno.removeSync(filler);
const run = await holdRun("test");
const held = names();
await run[Symbol.asyncDispose]();
console.log(
  JSON.stringify({
    failure: { name, message, fatal },
    left,
    held: held.length,
    end: names(),
  }),
);
