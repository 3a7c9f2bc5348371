/**
 * Matches patterns in time proportional to the text, for patterns that might
 * keep an engine that backtracks busy for ever: all ways through the pattern
 * are followed side by side, in the order in which the engine would try them.
 */
import { group, type Node, refers, toSource, weigh } from "./_pattern.ts";

/** Offsets of the start and end of a match and of its groups; equal where a group took no part. */
export type Offsets = readonly number[];

type Step =
  | { op: "char"; test: (char: string) => boolean }
  | { op: "anchor"; regexp: RegExp }
  | { op: "save"; slot: number }
  /** Goes on at several steps, the most wanted first. */
  | { op: "fork"; to: number[] }
  | { op: "match" };

/** Larger programs come from counted repetitions within each other. */
const MAX_STEPS = 5000;

/** Options of {@linkcode LinearMatcher.exec}. */
export interface ExecOptions {
  /** Only a match that begins at the offset, rather than behind it. */
  sticky?: boolean;
  /** Only a match that does not end at the offset. */
  notEmpty?: boolean;
}

/** Matches a pattern in linear time. */
export class LinearMatcher {
  /** How many steps may still be made. */
  budget = 0;
  readonly #steps: Step[] = [];
  readonly #flags: string;
  readonly #slots: number;

  /** Compiles a pattern; gives nothing for one that cannot be matched so, or is too large. */
  static of(
    pattern: Node,
    ignoreCase: boolean,
    groups: number,
  ): LinearMatcher | undefined {
    try {
      return new LinearMatcher(pattern, ignoreCase, groups);
    } catch (error) {
      if (error === UNSUITABLE) return undefined;
      throw error;
    }
  }

  private constructor(pattern: Node, ignoreCase: boolean, groups: number) {
    this.#flags = ignoreCase ? "iu" : "u";
    this.#slots = 2 * (groups + 1);
    this.#compile(group(0, pattern));
    this.#add({ op: "match" });
  }

  #add(step: Step): number {
    if (this.#steps.length >= MAX_STEPS) throw UNSUITABLE;
    return this.#steps.push(step) - 1;
  }

  #compile(node: Node): void {
    switch (node.type) {
      case "char": {
        const regexp = new RegExp(`^(?:${node.js})$`, this.#flags);
        this.#add({
          op: "char",
          test: remembered((char) => regexp.test(char)),
        });
        return;
      }
      case "look":
        if (node.groups.length > 0 || !isLight(node.body)) throw UNSUITABLE;
        this.#addAnchor(toSource(node));
        return;
      case "anchor":
        this.#addAnchor(node.js);
        return;
      case "group":
        this.#add({ op: "save", slot: 2 * node.group });
        this.#compile(node.body);
        this.#add({ op: "save", slot: 2 * node.group + 1 });
        return;
      case "sequence":
        node.parts.forEach((part) => this.#compile(part));
        return;
      case "choice":
        this.#compileChoice(node.branches);
        return;
      case "repeat":
        this.#compileRepeat(node);
        return;
      case "atomic":
      case "reference":
        throw UNSUITABLE;
    }
  }

  #addAnchor(js: string): void {
    this.#add({ op: "anchor", regexp: new RegExp(js, this.#flags + "y") });
  }

  #fork(): number[] {
    const to: number[] = [];
    this.#add({ op: "fork", to });
    return to;
  }

  #compileChoice(branches: readonly Node[]): void {
    const starts = this.#fork();
    const ends = branches.map((branch) => {
      starts.push(this.#steps.length);
      this.#compile(branch);
      return this.#fork();
    });
    for (const end of ends) end.push(this.#steps.length);
  }

  #compileRepeat(node: Node & { type: "repeat" }): void {
    const { body, min, max, lazy } = node;
    for (let turn = 0; turn < min; turn++) this.#compile(body);
    const exits: number[][] = [];
    const offer = () => {
      const to = this.#fork();
      if (lazy) to.push(-1);
      to.push(this.#steps.length);
      if (!lazy) to.push(-1);
      exits.push(to);
    };
    if (max === Infinity) {
      const start = this.#steps.length;
      offer();
      this.#compile(body);
      this.#fork().push(start);
    } else {
      for (let turn = min; turn < max; turn++) {
        offer();
        this.#compile(body);
      }
    }
    for (const exit of exits) exit[exit.indexOf(-1)] = this.#steps.length;
  }

  /** The first match from an offset on; throws a `RangeError` when the budget is used up. */
  exec(
    text: string,
    at: number,
    { sticky = false, notEmpty = false }: ExecOptions = {},
  ): Offsets | undefined {
    let found: Offsets | undefined;
    let ways = new Ways(this.#steps, text);
    for (let offset = at; offset <= text.length;) {
      if (!found && (!sticky || offset === at)) {
        ways.follow(0, new Array(this.#slots).fill(0), offset);
      }
      if (ways.list.length === 0 && (found || sticky)) break;
      this.budget -= ways.followed + 1;
      if (this.budget < 0) throw new RangeError("the budget is used up");
      const point = text.codePointAt(offset);
      const char = point === undefined ? "" : String.fromCodePoint(point);
      const after = offset + (char.length || 1);
      const next = new Ways(this.#steps, text);
      for (const { index, offsets } of ways.list) {
        const step = this.#steps[index];
        if (step.op === "match") {
          if (notEmpty && offset === at) continue;
          found = offsets;
          break; // the ways behind are less wanted
        }
        if (step.op === "char" && char !== "" && step.test(char)) {
          next.follow(index + 1, offsets, after);
        }
      }
      ways = next;
      offset = after;
    }
    return found;
  }
}

/** The ways that are open at one offset of a text, each before a character or at the end; the most wanted first. */
class Ways {
  readonly list: { readonly index: number; readonly offsets: Offsets }[] = [];
  /** How many steps were made to get there. */
  followed = 0;
  readonly #steps: readonly Step[];
  readonly #text: string;
  readonly #seen: Uint8Array;

  constructor(steps: readonly Step[], text: string) {
    this.#steps = steps;
    this.#text = text;
    this.#seen = new Uint8Array(steps.length);
  }

  /** Adds where a way leads to without a character. */
  follow(index: number, offsets: Offsets, offset: number): void {
    const open: [number, Offsets][] = [[index, offsets]];
    for (let way = open.pop(); way; way = open.pop()) {
      const [index, offsets] = way;
      this.followed++;
      if (this.#seen[index]) continue; // a more wanted way is already there
      this.#seen[index] = 1;
      const step = this.#steps[index];
      switch (step.op) {
        case "fork":
          for (const to of step.to.toReversed()) open.push([to, offsets]);
          break;
        case "save":
          open.push([index + 1, offsets.with(step.slot, offset)]);
          break;
        case "anchor":
          step.regexp.lastIndex = offset;
          if (step.regexp.test(this.#text)) open.push([index + 1, offsets]);
          break;
        default:
          this.list.push({ index, offsets });
      }
    }
  }
}

/** Whether the engine may match a look by itself. */
function isLight(node: Node): boolean {
  const { choices, unbounded } = weigh(node);
  return choices <= 4 && unbounded <= 1 && !refers(node);
}

/** A test that is made once for each character. */
function remembered(
  test: (char: string) => boolean,
): (char: string) => boolean {
  const results = new Map<string, boolean>();
  return (char) => {
    let result = results.get(char);
    if (result === undefined) {
      if (results.size > 1000) results.clear();
      results.set(char, result = test(char));
    }
    return result;
  };
}

/** Thrown to get out of compiling. */
const UNSUITABLE = Symbol("unsuitable");
