/**
 * Changing data by the rules that it carries.
 */
import { Context, type ContextValues } from "./context.ts";
import { FmfError, type FmfErrorPlace, quote } from "./errors.ts";
import { merge } from "./merge.ts";
import { type FmfNode, placeOf } from "./node.ts";
import {
  type FmfKey,
  type FmfMap,
  type FmfValue,
  fromPlain,
  isMap,
  shallowCopy,
  textOf,
  typeName,
} from "./value.ts";

/** Options of {@linkcode Tree.adjust}. */
export interface AdjustOptions {
  /**
   * The data key that holds the rules.
   *
   * @default {"adjust"}
   */
  key?: string | undefined;
  /**
   * What to do with a rule whose condition cannot be decided, because the context
   * says nothing about a dimension.
   *
   * @default {"skip"}
   */
  undecided?: "skip" | "raise" | undefined;
  /**
   * Compare the values of the context case-sensitively. Of no effect if a
   * {@linkcode Context} is given, which has an option of its own.
   *
   * @default {true}
   */
  caseSensitive?: boolean | undefined;
  /**
   * A rule, or a list of rules, to apply after those of each node.
   *
   * @default {[]}
   */
  additionalRules?:
    | FmfValue
    | Readonly<Record<string, unknown>>
    | readonly Readonly<
      Record<string, unknown>
    >[]
    | undefined;
  /**
   * Tells for which nodes the additional rules are meant.
   *
   * @default all
   */
  appliesTo?: ((node: FmfNode) => boolean) | undefined;
  /**
   * Called for each rule that is looked at, before it changes anything: `applied`
   * is undefined if its condition cannot be decided.
   *
   * @default nothing
   */
  onDecision?: (
    node: FmfNode,
    rule: FmfMap,
    applied: boolean | undefined,
  ) => void;
}

/** A rule whose control keys were checked; what it changes is looked at when it applies. */
interface Rule {
  source: FmfMap;
  when: string | boolean;
  /** What the context says about `when`; undefined if that cannot be decided. */
  applies: boolean | undefined;
  continues: boolean;
  /** A key that defines a child node, which no rule may. */
  child: FmfKey | undefined;
}

/** Keys of a rule that are not merged. */
const CONTROL: ReadonlySet<FmfKey> = new Set(["when", "continue", "because"]);

/**
 * Applies the rules of a node and of all below it, in place.
 *
 * @throws {FmfError} of kind `format`, `rule`, `merge`, `usage` or `cannot-decide`
 */
export function adjust(
  top: FmfNode,
  context: Context | ContextValues,
  options: AdjustOptions = {},
): void {
  new Adjuster(
    context instanceof Context ? context : new Context(
      context,
      options.caseSensitive === undefined
        ? {}
        : { caseSensitive: options.caseSensitive },
    ),
    options,
  ).adjustAll(top);
}

class Adjuster {
  readonly #context: Context;
  readonly #options: AdjustOptions;
  readonly #key: string;
  readonly #additional: readonly FmfValue[];
  /** Most nodes have the rules of their parent: each is looked at and decided once. */
  readonly #rules = new Map<FmfMap, Rule>();
  readonly #decisions = new Map<string | boolean, boolean | undefined>();

  constructor(context: Context, options: AdjustOptions) {
    this.#context = context;
    this.#options = options;
    this.#key = options.key ?? "adjust";
    const additional = options.additionalRules === undefined
      ? []
      : fromPlain(options.additionalRules);
    this.#additional = Array.isArray(additional) ? additional : [additional];
  }

  adjustAll(top: FmfNode): void {
    for (const node of top.climb({ whole: true, sort: false })) {
      this.#adjust(node);
    }
  }

  #adjust(node: FmfNode): void {
    const own = node.data.get(this.#key);
    if (own !== undefined) {
      if (!Array.isArray(own) && !isMap(own)) {
        throw new FmfError(
          "format",
          `rules must be a mapping or a list of mappings, not ${typeName(own)}`,
          { ...placeOf(node), key: this.#key },
        );
      }
      this.#apply(node, Array.isArray(own) ? own : [own], "rule");
    }
    if (
      this.#additional.length > 0 && (this.#options.appliesTo?.(node) ?? true)
    ) {
      this.#apply(node, this.#additional, "additional rule");
    }
  }

  #apply(node: FmfNode, rules: readonly FmfValue[], what: string): void {
    let data: FmfMap | undefined;
    for (let index = 0; index < rules.length; index++) {
      const rule = this.#rules.get(rules[index] as FmfMap) ??
        this.#read(rules[index], node, labelOf(what, index));
      const { applies } = rule;
      this.#options.onDecision?.(node, rule.source, applies);
      if (applies === undefined) this.#undecided(rule, node, what, index);
      if (!applies) continue;
      if (rule.child !== undefined) {
        throw new FmfError(
          "format",
          `${labelOf(what, index)}: a rule must not define a child node, ${
            quote(textOf(rule.child))
          }`,
          { ...placeOf(node), key: this.#key },
        );
      }
      data ??= shallowCopy(node.data);
      try {
        merge(data, rule.source, "", CONTROL);
      } catch (error) {
        if (!(error instanceof FmfError)) throw error;
        throw inRule(error, node, labelOf(what, index), {
          key: error.key ?? this.#key,
        });
      }
      if (!rule.continues) break;
    }
    if (data) node.data = data;
  }

  /** Checks a rule that was not seen before, and decides about it. */
  #read(value: FmfValue, node: FmfNode, label: string): Rule {
    const wrong = (reason: string) =>
      new FmfError("format", `${label}: ${reason}`, {
        ...placeOf(node),
        key: this.#key,
      });
    if (!isMap(value)) {
      throw wrong(`a rule must be a mapping, not ${typeName(value)}`);
    }
    const when = value.get("when") ?? (value.has("when") ? null : true);
    if (typeof when !== "boolean" && typeof when !== "string") {
      throw wrong(`"when" must be text or a boolean, not ${typeName(when)}`);
    }
    const continues = value.has("continue") ? value.get("continue") : true;
    if (typeof continues !== "boolean") {
      throw wrong(
        `"continue" must be true or false, not ${
          typeof continues === "string"
            ? `the text ${quote(continues)}`
            : typeName(continues)
        }`,
      );
    }
    const child = value.keys().find((key) =>
      typeof key === "string" && key.startsWith("/")
    );
    const applies = this.#decide(when, node, label);
    const rule = { source: value, when, applies, continues, child };
    this.#rules.set(value, rule);
    return rule;
  }

  #decide(
    when: string | boolean,
    node: FmfNode,
    label: string,
  ): boolean | undefined {
    if (this.#decisions.has(when)) return this.#decisions.get(when);
    try {
      const applies = this.#context.matches(when);
      this.#decisions.set(when, applies);
      return applies;
    } catch (error) {
      if (!(error instanceof FmfError)) throw error;
      throw inRule(error, node, `${label}: "when"`, {
        key: this.#key,
        text: textOf(when),
      });
    }
  }

  #undecided(rule: Rule, node: FmfNode, what: string, index: number): void {
    const { undecided = "skip" } = this.#options;
    if (undecided === "skip") return;
    const place = { ...placeOf(node), key: this.#key, text: textOf(rule.when) };
    if (undecided !== "raise") {
      throw new FmfError(
        "usage",
        `the option "undecided" must be "skip" or "raise", not ${
          quote(String(undecided))
        }`,
      );
    }
    const missing = this.#context.missing(rule.when);
    throw new FmfError(
      "cannot-decide",
      `${labelOf(what, index)}: "when" cannot be decided: ${
        missing.length > 0
          ? `the context does not say ${missing.map(quote).join(", ")}`
          : `the values of the context do not compare with those in ${
            quote(textOf(rule.when))
          }`
      }`,
      place,
    );
  }
}

function labelOf(what: string, index: number): string {
  return `${what} ${index + 1}`;
}

/** The same error, as one of a rule of a node. */
function inRule(
  error: FmfError,
  node: FmfNode,
  label: string,
  place: FmfErrorPlace,
): FmfError {
  return new FmfError(error.kind, `${label}: ${error.reason}`, {
    ...error.place,
    ...placeOf(node),
    ...place,
  });
}
