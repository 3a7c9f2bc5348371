/** The steps of a plan before and after all tests, as it says them. */
import { listOf } from "./packages.ts";

/** The parts of a plan that are carried out. */
export type Phase = "prepare" | "finish";

/** One step of a phase. */
export type Step =
  | {
    readonly how: "install";
    readonly required: readonly string[];
    readonly recommended?: readonly string[];
  }
  | { readonly how: "shell"; readonly script: string };

type Plan = Readonly<Record<string, unknown>>;

/**
 * The steps of a phase, in order.
 *
 * @throws {TypeError} if the plan cannot be understood
 */
export function stepsOf(plan: Plan, phase: Phase): Step[] {
  return listOf(plan[phase]).flatMap((item): Step[] => {
    if (!isMapping(item)) {
      throw new TypeError(
        `Cannot use "${phase}" of the plan: a mapping or a list of mappings would be right`,
      );
    }
    const { how } = item;
    if (how === "install" && phase === "prepare") {
      return [{
        how,
        required: texts(item.package, `"package" of "${phase}"`),
      }];
    }
    if (how === "shell") {
      return texts(item.script, `"script" of "${phase}"`)
        .map((script) => ({ how, script }));
    }
    return [];
  });
}

/** What the plan says of its steps that has no effect, as warnings. */
export function* ignoredSteps(plan: Plan): Generator<string> {
  for (const phase of ["prepare", "finish"] as const) {
    for (const item of listOf(plan[phase]).filter(isMapping)) {
      const { how } = item;
      const isCarriedOut = how === "shell" ||
        how === "install" && phase === "prepare";
      if (!isCarriedOut) {
        const which = how == null ? 'without "how"' : `with "how: ${how}"`;
        yield `${phase} of the plan: a step ${which} is left out`;
        continue;
      }
      const ignored = ["when", "where", "order"].filter((key) => key in item);
      if (ignored.length > 0) {
        const keys = ignored.map((key) => `"${key}"`).join(", ");
        yield `${phase} of the plan: ${keys} has no effect, the step is carried out`;
      }
    }
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function texts(value: unknown, what: string): string[] {
  return listOf(value).map((item) => {
    if (typeof item === "string") return item;
    throw new TypeError(
      `Cannot use ${what} of the plan: text or a list of text would be right`,
    );
  });
}
