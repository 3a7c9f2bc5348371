/** Patterns as trees, and as source in JavaScript's `u` dialect. */

/** A part of a pattern. */
export type Node = NodeKind & {
  /** Whether it can match the empty text. */
  readonly nullable: boolean;
  /** Numbers of the groups in it. */
  readonly groups: readonly number[];
};

type NodeKind =
  /** One character of a set, which is given in JavaScript's dialect. */
  | { readonly type: "char"; readonly js: string }
  /** A place, such as `^`. */
  | { readonly type: "anchor"; readonly js: string }
  | {
    readonly type: "look";
    readonly sign: "=" | "!" | "<=" | "<!";
    readonly body: Node;
  }
  | { readonly type: "group"; readonly group: number; readonly body: Node }
  | { readonly type: "sequence"; readonly parts: readonly Node[] }
  | { readonly type: "choice"; readonly branches: readonly Node[] }
  | {
    readonly type: "repeat";
    readonly body: Node;
    readonly min: number;
    readonly max: number;
    readonly lazy: boolean;
  }
  /** What gives nothing back once it has matched. */
  | { readonly type: "atomic"; readonly body: Node }
  /** The text of a group once more. */
  | { readonly type: "reference"; readonly js: string };

/** One character of a set. */
export function char(js: string): Node {
  return { type: "char", js, nullable: false, groups: [] };
}

/** A place between characters. */
export function anchor(js: string): Node {
  return { type: "anchor", js, nullable: true, groups: [] };
}

/** A look to either side. */
export function look(sign: "=" | "!" | "<=" | "<!", body: Node): Node {
  return { type: "look", sign, body, nullable: true, groups: body.groups };
}

/** A group that is remembered. */
export function group(group: number, body: Node): Node {
  const { nullable, groups } = body;
  return { type: "group", group, body, nullable, groups: [group, ...groups] };
}

/** One after the other. */
export function sequence(parts: readonly Node[]): Node {
  return {
    type: "sequence",
    parts,
    nullable: parts.every(({ nullable }) => nullable),
    groups: parts.flatMap(({ groups }) => groups),
  };
}

/** The first that fits. */
export function choice(branches: readonly Node[]): Node {
  return {
    type: "choice",
    branches,
    nullable: branches.some(({ nullable }) => nullable),
    groups: branches.flatMap(({ groups }) => groups),
  };
}

/** The same several times. */
export function repeat(
  body: Node,
  min: number,
  max: number,
  lazy = false,
): Node {
  const nullable = body.nullable || min === 0;
  return {
    type: "repeat",
    body,
    min,
    max,
    lazy,
    nullable,
    groups: body.groups,
  };
}

/** What gives nothing back once it has matched. */
export function atomic(body: Node): Node {
  const { nullable, groups } = body;
  return { type: "atomic", body, nullable, groups };
}

/** The text of a group once more. */
export function reference(js: string): Node {
  return { type: "reference", js, nullable: true, groups: [] };
}

/** The source in JavaScript's dialect; group n is called `gn`. */
export function toSource(node: Node): string {
  let hidden = 0;
  const source = (node: Node): string => {
    switch (node.type) {
      case "char":
      case "anchor":
      case "reference":
        return node.js;
      case "look":
        return `(?${node.sign}${source(node.body)})`;
      case "group":
        return `(?<g${node.group}>${source(node.body)})`;
      case "sequence":
        return node.parts.map(source).join("");
      case "choice": {
        const branches = node.branches.map(source);
        return isPlace(node) && node.groups.length === 0
          ? oneOf(branches)
          : `(?:${branches.join("|")})`;
      }
      case "repeat": {
        const { body, min, max, lazy } = node;
        const often = `{${min},${max === Infinity ? "" : max}}`;
        const isAtom = !["look", "sequence", "repeat"].includes(body.type);
        const atom = isAtom ? source(body) : `(?:${source(body)})`;
        return atom + often + (lazy ? "?" : "");
      }
      case "atomic": {
        // a look-ahead gives nothing back; then the same once more
        const name = `h${++hidden}`;
        return `(?:(?=(?<${name}>${source(node.body)}))\\k<${name}>)`;
      }
    }
  };
  return source(node);
}

/**
 * A choice of sources that take no character. What follows a plain one is
 * compiled by V8 for each of them: a few such choices in a row would take for ever.
 */
export function oneOf(sources: readonly string[]): string {
  return `(?:(?=${sources.join("|")}))`;
}

/** Whether a pattern takes no character, whatever the text. */
function isPlace(node: Node): boolean {
  switch (node.type) {
    case "anchor":
    case "look":
      return true;
    case "char":
    case "reference":
      return false;
    case "sequence":
      return node.parts.every(isPlace);
    case "choice":
      return node.branches.every(isPlace);
    default:
      return isPlace(node.body);
  }
}

/** What makes an engine that backtracks slow. */
export interface Weight {
  /** The number of choices, as a power of two; infinite for repetitions within repetitions. */
  choices: number;
  /** The number of repetitions without bound. */
  unbounded: number;
}

const BIG = 8;

/** Weighs a pattern. */
export function weigh(node: Node): Weight {
  switch (node.type) {
    case "char":
    case "anchor":
    case "reference":
      return { choices: 0, unbounded: 0 };
    case "look":
    case "group":
    case "atomic":
      return weigh(node.body);
    case "sequence":
      return addWeights(node.parts);
    case "choice": {
      const { choices, unbounded } = addWeights(node.branches);
      const ways = Math.log2(node.branches.length);
      // see `oneOf()`, which does not help with groups
      const costly = isPlace(node) && node.groups.length > 0 ? 3 : 1;
      return { choices: choices + ways * costly, unbounded };
    }
    case "repeat": {
      const { body, min, max } = node;
      const { choices, unbounded } = weigh(body);
      if (max === 0) return { choices: 0, unbounded: 0 };
      if (max === 1 && min === 1) return { choices, unbounded };
      if (choices + unbounded > 0 && max > BIG) {
        return { choices: Infinity, unbounded };
      }
      if (max === Infinity) return { choices, unbounded: unbounded + 1 };
      return {
        choices: choices * max + Math.log2(max - min + 1),
        unbounded: unbounded * max,
      };
    }
  }
}

function addWeights(nodes: readonly Node[]): Weight {
  return nodes.map(weigh).reduce(
    (a, b) => ({
      choices: a.choices + b.choices,
      unbounded: a.unbounded + b.unbounded,
    }),
    { choices: 0, unbounded: 0 },
  );
}

/** Whether a pattern refers to a group. */
export function refers(node: Node): boolean {
  switch (node.type) {
    case "reference":
      return true;
    case "char":
    case "anchor":
      return false;
    case "sequence":
      return node.parts.some(refers);
    case "choice":
      return node.branches.some(refers);
    default:
      return refers(node.body);
  }
}
