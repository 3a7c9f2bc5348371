/**
 * Conditions as text: expressions over the data of a node, such as
 * `level > 1 and 'net' in tag`. A subset of Python's expressions, read and
 * computed here; text is never run as code.
 */
import {
  type Comparison,
  COMPARISONS,
  itemOf,
  MissingKey,
  OperandError,
} from "./_condition_values.ts";
import { FmfError } from "./errors.ts";
import {
  type FmfMap,
  type FmfValue,
  isTrue,
  makeFloat,
  makeInteger,
} from "./value.ts";

/** Whether data meets a condition. */
export type DataCondition = (data: FmfMap) => boolean;

/**
 * Compiles a condition for use on many nodes. It does not hold for data without
 * a key that is needed to decide it.
 *
 * @throws {FmfError} of kind `filter` if it cannot be understood; the result
 * throws it if an operator cannot be applied to what the data holds
 */
export function compileCondition(text: string): DataCondition {
  const evaluate = new Parser(text).parse();
  return (data) => {
    try {
      return isTrue(evaluate(data));
    } catch (error) {
      if (error instanceof MissingKey) return false;
      if (!(error instanceof OperandError)) throw error;
      throw new FmfError(
        "filter",
        `cannot decide the condition: ${error.message}`,
        { text },
      );
    }
  };
}

type Evaluate = (data: FmfMap) => FmfValue;

interface Token {
  readonly kind: "name" | "number" | "text" | "sign" | "end";
  /** As it is written. */
  readonly text: string;
  /** Where it begins. */
  readonly at: number;
}

/** Words of the language, also those that have no place in a condition. */
const KEYWORDS = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield"
    .split(" "),
);

const CONSTANTS: Readonly<Record<string, FmfValue>> = {
  True: true,
  False: false,
  None: null,
};

/** Nobody nests deeper, and the stack has an end. */
const MAX_DEPTH = 100;

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = this.#split();
  }

  parse(): Evaluate {
    const result = this.#or();
    if (this.#peek.kind !== "end") throw this.#unexpected();
    return result;
  }

  #split(): Token[] {
    const tokens: Token[] = [];
    // not made before there is a condition, since such classes take their time
    const pattern =
      /\s*(?:(?<name>[\p{ID_Start}_][\p{ID_Continue}]*)|(?<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\p{ID_Continue}.]))|(?<text>'(?:[^'\\\n]|\\[^])*'|"(?:[^"\\\n]|\\[^])*")|(?<sign>[=!<>]=|[<>()[\],])|(?<end>$))/uy;
    for (;;) {
      const start = pattern.lastIndex;
      const match = pattern.exec(this.#text);
      if (!match) {
        const at = start + /^\s*/.exec(this.#text.slice(start))![0].length;
        throw this.#error(`what is at character ${at + 1} is not understood`);
      }
      const [kind, text] = Object.entries(match.groups!)
        .find(([, text]) => text !== undefined)!;
      const at = pattern.lastIndex - text.length;
      tokens.push({ kind: kind as Token["kind"], text, at });
      if (kind === "end") return tokens;
    }
  }

  get #peek(): Token {
    return this.#tokens[this.#next];
  }

  /** Takes the next token if it is this sign or keyword. */
  #take(text: string): boolean {
    const { kind, text: found } = this.#peek;
    if (found !== text || (kind !== "sign" && kind !== "name")) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected(`"${text}" is missing`);
  }

  /** Parses something that can hold itself. */
  #nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) {
      throw this.#error("it is nested too deeply");
    }
    const result = parse();
    this.#depth--;
    return result;
  }

  #or(): Evaluate {
    return this.#nested(() =>
      this.#chain("or", () => this.#and(), (value) => isTrue(value))
    );
  }

  #and(): Evaluate {
    return this.#chain("and", () => this.#not(), (value) => !isTrue(value));
  }

  /** Operands of which the first that settles the matter is the result, or the last one. */
  #chain(
    word: string,
    operand: () => Evaluate,
    settles: (value: FmfValue) => boolean,
  ): Evaluate {
    const operands = [operand()];
    while (this.#take(word)) operands.push(operand());
    if (operands.length === 1) return operands[0];
    return (data) => {
      let value: FmfValue = null;
      for (const evaluate of operands) {
        value = evaluate(data);
        if (settles(value)) break;
      }
      return value;
    };
  }

  #not(): Evaluate {
    if (!this.#take("not")) return this.#comparison();
    const operand = this.#nested(() => this.#not());
    return (data) => !isTrue(operand(data));
  }

  /** As in `1 < level <= 3`: every two neighbours are compared. */
  #comparison(): Evaluate {
    const first = this.#item();
    const rest: { compare: Comparison; operand: Evaluate }[] = [];
    for (;;) {
      const compare = this.#operator();
      if (!compare) break;
      rest.push({ compare, operand: this.#item() });
    }
    if (rest.length === 0) return first;
    return (data) => {
      let left = first(data);
      for (const { compare, operand } of rest) {
        const right = operand(data);
        if (!compare(left, right)) return false;
        left = right;
      }
      return true;
    };
  }

  #operator(): Comparison | undefined {
    if (this.#take("not")) {
      this.#expect("in");
      return COMPARISONS["not in"];
    }
    const { kind, text } = this.#peek;
    if (kind !== "sign" && kind !== "name") return undefined;
    if (!Object.hasOwn(COMPARISONS, text)) return undefined;
    this.#next++;
    return COMPARISONS[text];
  }

  #item(): Evaluate {
    const container = this.#atom();
    const keys: Evaluate[] = [];
    while (this.#take("[")) {
      keys.push(this.#or());
      this.#expect("]");
    }
    if (keys.length === 0) return container;
    return (data) =>
      keys.reduce((value, key) => itemOf(value, key(data)), container(data));
  }

  #atom(): Evaluate {
    const token = this.#peek;
    const { kind, text } = token;
    if (this.#take("(")) {
      const inner = this.#or();
      this.#expect(")");
      return inner;
    }
    if (this.#take("[")) return this.#list();
    if (kind === "name") return this.#name(text);
    if (kind !== "number" && kind !== "text") throw this.#unexpected();
    const value = kind === "number"
      ? this.#number(text)
      : unescape(text.slice(1, -1));
    this.#next++;
    return () => value;
  }

  #list(): Evaluate {
    const items: Evaluate[] = [];
    while (!this.#take("]")) {
      items.push(this.#or());
      if (this.#take(",")) continue;
      this.#expect("]");
      break;
    }
    return (data) => items.map((evaluate) => evaluate(data));
  }

  #name(name: string): Evaluate {
    if (Object.hasOwn(CONSTANTS, name)) {
      this.#next++;
      return () => CONSTANTS[name];
    }
    if (KEYWORDS.has(name)) throw this.#unexpected();
    this.#next++;
    if (name === "locals" && this.#take("(")) {
      this.#expect(")");
      return (data) => data;
    }
    return (data) => itemOf(data, name);
  }

  #number(text: string): FmfValue {
    if (/[.eE]/.test(text)) return makeFloat(Number(text));
    if (/^-?0\d*[1-9]/.test(text)) throw this.#unexpected();
    return makeInteger(BigInt(text));
  }

  #unexpected(what?: string): FmfError {
    const { kind, text, at } = this.#peek;
    const found = kind === "end"
      ? "it ends too early"
      : `${text} at character ${at + 1} has no place there`;
    return this.#error(what === undefined ? found : `${what}, ${found}`);
  }

  #error(reason: string): FmfError {
    return new FmfError("filter", `cannot parse the condition: ${reason}`, {
      text: this.#text,
    });
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\n": "",
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** A backslash before anything that is not listed stays what it is. */
function unescape(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([^]))/gu,
    (whole, two, four, letter) => {
      const code = two ?? four;
      if (code !== undefined) return String.fromCharCode(parseInt(code, 16));
      return ESCAPES[letter] ?? whole;
    },
  );
}
