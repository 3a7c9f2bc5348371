import assert from "node:assert/strict";
import { type EndSource, EndWatch } from "../../provisioners/_end_watch.ts";

Deno.test("EndWatch looks again at what ends once more while it is started again", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const file = `${directory}/ends`;
  const end = () => Deno.writeTextFile(file, "t-1\n", { append: true });
  await Deno.writeTextFile(file, "");
  const toldAgain = Promise.withResolvers<void>();
  let told = 0;
  let revivals = 0;
  const source: EndSource = {
    what: "thing",
    told: "tail",
    prefix: "t-",
    command: () => ["tail", "-n", "+1", "-f", file],
    parse: (name) => {
      if (++told === 2) toldAgain.resolve();
      return { name, how: "ended by itself" };
    },
    alive: () => Promise.resolve(new Set(["t-1"])),
    revive: async () => {
      if (++revivals === 2) return "it is broken";
      await end();
      await toldAgain.promise;
    },
  };
  try {
    await using watch = new EndWatch(source, ({ type }) => assert.fail(type));
    watch.prepare("t-1");
    const lost = watch.watch("t-1");
    watch.expect("t-1");
    await end();
    assert.equal(
      (await lost).message,
      'The thing "t-1" ended: it is broken',
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
