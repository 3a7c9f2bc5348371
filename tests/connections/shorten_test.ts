import { strictEqual } from "node:assert/strict";
import { shorten } from "../../connections/shorten.ts";

Deno.test("shorten() leaves what is short enough, and cuts no character in two", () => {
  strictEqual(shorten("", 3), "");
  strictEqual(shorten("abc", 3), "abc");
  strictEqual(shorten("abcd", 3), "ab…");
  strictEqual(shorten("a😀bcd", 3), "a…");
  strictEqual(shorten("a😀bcd", 4), "a😀…");
});
