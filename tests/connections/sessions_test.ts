import { deepEqual, equal } from "node:assert/strict";
import { Sessions } from "../../connections/_sessions.ts";
import { rejected } from "../_thrown.ts";

/** Lets everything happen that can happen without a timer. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** Enters `count` times, and notes who was let in. */
function crowd(sessions: Sessions, count: number) {
  const inside = new Map<number, Disposable>();
  const entering = Array.from({ length: count }, async (_, index) => {
    inside.set(index, await sessions.enter());
  });
  const leave = (index: number) => inside.get(index)![Symbol.dispose]();
  return { inside, entering: Promise.all(entering), leave };
}

Deno.test("Sessions.enter() lets so many in, the others in the order of their calls", async () => {
  const sessions = new Sessions(2);
  const { inside, entering, leave } = crowd(sessions, 4);
  await settle();
  deepEqual([...inside.keys()], [0, 1]);
  leave(1);
  leave(1); // giving back twice gives back once
  await settle();
  deepEqual([...inside.keys()], [0, 1, 2]);
  leave(0);
  leave(2);
  await entering;
  deepEqual([...inside.keys()], [0, 1, 2, 3]);
});

Deno.test("Sessions.join() never waits, and takes places from those who do", async () => {
  const sessions = new Sessions(3);
  const joined = [sessions.join(), sessions.join()];
  const { inside, entering, leave } = crowd(sessions, 3);
  await settle();
  equal(inside.size, 1);
  joined[0][Symbol.dispose]();
  await settle();
  equal(inside.size, 2);
  leave(0);
  await entering;
  joined[1][Symbol.dispose]();
});

Deno.test("Sessions.join() leaves one place, however many join", async () => {
  const sessions = new Sessions(2);
  for (let i = 0; i < 10; i++) sessions.join();
  const { inside, entering, leave } = crowd(sessions, 2);
  await settle();
  equal(inside.size, 1);
  leave(0);
  await entering;
});

Deno.test("Sessions.enter() can be given up, and then takes no place", async () => {
  const sessions = new Sessions(1);
  const first = await sessions.enter();
  const controller = new AbortController();
  const second = sessions.enter(controller.signal);
  const third = sessions.enter();
  controller.abort(new Error("my reason"));
  await rejected(second, Error, "my reason");
  first[Symbol.dispose]();
  const place = await third;
  const aborted = AbortSignal.abort(new Error("at once"));
  await rejected(sessions.enter(aborted), Error, "at once");
  place[Symbol.dispose]();
  (await sessions.enter(new AbortController().signal))[Symbol.dispose]();
});
