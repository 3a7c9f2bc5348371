import assert from "node:assert/strict";
import fc from "fast-check";
import { isTaken, Ports } from "../../provisioners/_ports.ts";

Deno.test("Ports: counts up, and leaves a released port alone until 200 others were given out", () => {
  const ports = new Ports(5100);
  assert.equal(ports.take(), 5100);
  assert.equal(ports.take(), 5101);
  ports.giveBack(5101);
  ports.giveBack(5100);
  for (let n = 0; n < 200; n++) assert.equal(ports.take(), 5102 + n);
  // The one that was released longest ago comes first.
  assert.equal(ports.take(), 5101);
  assert.equal(ports.take(), 5100);
  assert.equal(ports.take(), 5302);
});

Deno.test("Ports: near the end of all ports those are used again that are free", () => {
  const ports = new Ports(65_534);
  assert.equal(ports.take(), 65_534);
  assert.equal(ports.take(), 65_535);
  assert.throws(() => ports.take(), RangeError);
  ports.giveBack(65_535);
  assert.equal(ports.take(), 65_535);
});

Deno.test("Ports: nobody gets a port that another one has", () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.nat({ max: 300 })), { maxLength: 1000 }),
      fc.integer({ min: 64_000, max: 65_300 }),
      (steps, first) => {
        const ports = new Ports(first);
        const held: number[] = [];
        for (const step of steps) {
          if (step === null || held.length === 0) {
            const port = ports.take();
            assert.ok(!held.includes(port), `${port} twice`);
            assert.ok(port >= first && port < 65_536);
            held.push(port);
          } else {
            ports.giveBack(held.splice(step % held.length, 1)[0]);
          }
          if (held.length > 200) return;
        }
      },
    ),
  );
});

Deno.test("isTaken() tells whether somebody listens", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  assert.equal(isTaken("127.0.0.1", port), true);
  assert.equal(isTaken("0.0.0.0", port), true);
  listener.close();
  assert.equal(isTaken("127.0.0.1", port), false);
});

Deno.test("isTaken() fails where it may not try", {
  permissions: { net: false },
}, () => {
  assert.throws(() => isTaken("127.0.0.1", 50_000), Deno.errors.NotCapable);
});
