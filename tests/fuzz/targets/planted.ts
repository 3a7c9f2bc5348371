/** Targets with faults, to see that those are found; they are fed only when asked for. */
import fc from "fast-check";
import { type Target, target } from "../target.ts";

const inputs = fc.string({
  unit: fc.constantFrom(..."abcdefgh"),
  maxLength: 20,
});

const planted = [
  target({
    name: "planted-throw",
    oracle: "there is no b in it",
    inputs,
    check(text) {
      if (text.includes("b")) throw new Error("a fault");
    },
  }),
  target({
    name: "planted-pollution",
    oracle: "there is no b in it",
    inputs,
    check(text) {
      if (text.includes("b")) {
        Object.defineProperty(Object.prototype, "polluted", {
          value: 1,
          configurable: true,
        });
      } else delete (Object.prototype as { polluted?: number }).polluted;
    },
  }),
  target({
    name: "planted-hang",
    oracle: "there is no b in it",
    inputs,
    check(text) {
      while (text.includes("b"));
    },
  }),
];

/** Each by its name. */
export const PLANTED: ReadonlyMap<string, Target> = new Map(
  planted.map((target) => [target.name, target]),
);
