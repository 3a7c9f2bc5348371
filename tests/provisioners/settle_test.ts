/** settle(): several endings of which one may fail. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { settle } from "../../provisioners/_settle.ts";
import { rejected } from "../_thrown.ts";

Deno.test("settle() waits for all, and tells all that failed", async () => {
  await settle([]);
  let ended = false;
  const last = async () => {
    await Promise.resolve();
    ended = true;
  };
  const [one, other] = [new Error("one"), new Error("other")];
  await rejects(settle([Promise.reject(one), last()]), one);
  equal(ended, true);
  const { errors, message } = await rejected(
    settle([Promise.reject(one), last(), Promise.reject(other)]),
    AggregateError,
  );
  deepEqual(errors, [one, other]);
  equal(message, "one; other");
});
