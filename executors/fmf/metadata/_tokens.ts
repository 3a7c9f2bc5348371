/**
 * Places of a source replaced by tokens, for what the YAML parser does not
 * tell: a token at the start of a plain scalar, or one read as a tag, shows
 * that the place was structure; one inside a text was part of that text and is
 * put back.
 */

/** A source in which some places are replaced by tokens. */
export class TokenSource {
  /** The source with tokens. */
  readonly text: string;
  /** What was replaced, in order; an empty match is a token put in. */
  readonly places: readonly RegExpExecArray[];
  readonly #char: string;
  readonly #code: string;
  readonly #token: RegExp;
  readonly #ends: number[] = [];

  /** Replaces what `pattern` (global) matches by what `token` gives, made by `mark` or `tag`. */
  constructor(
    readonly source: string,
    pattern: RegExp,
    token: (tokens: TokenSource, place: number) => string,
  ) {
    this.places = Array.from(source.matchAll(pattern));
    [this.#char, this.#code] = unusedCharacter(source);
    this.#token = new RegExp(
      `${this.#char}(\\d+)${this.#char}|!${this.#code}-(\\d+)(?:~ )?`,
      "g",
    );
    let text = "";
    let end = 0;
    this.places.forEach((match, place) => {
      text += source.slice(end, match.index) + token(this, place);
      this.#ends.push(text.length);
      end = match.index + match[0].length;
    });
    this.text = text + source.slice(end);
  }

  /** A token that reads as plain text. */
  mark(place: number): string {
    return `${this.#char}${place}${this.#char}`;
  }

  /** A token that reads as a tag. */
  tag(place: number): string {
    const { index, 0: { length } } = this.places[place];
    const beforeFlow = ",[]{}".includes(this.source.charAt(index + length));
    return `!${this.#code}-${place}${beforeFlow ? "~ " : ""}`;
  }

  /** The place of the first mark in a text. */
  placeIn(text: string): number | undefined {
    const index = text.indexOf(this.#char);
    return index < 0 ? undefined : parseInt(text.slice(index + 1), 10);
  }

  /** Puts back what tokens inside a text stand for. */
  restore(text: string): string {
    if (!text.includes(this.#char) && !text.includes(this.#code)) return text;
    return text.replace(
      this.#token,
      (_, mark, tag) => this.places[mark ?? tag][0],
    );
  }

  /** The offset in the source of an offset in the text with tokens. */
  originalOffset(offset: number): number {
    const place = this.#ends.findLastIndex((end) => end <= offset);
    const next = this.places[place + 1]?.index ?? this.source.length;
    if (place < 0) return Math.min(offset, next);
    const { index, 0: { length } } = this.places[place];
    return Math.min(index + length + offset - this.#ends[place], next);
  }
}

/** A character that the source does not hold, neither itself nor its code, and that code. */
export function unusedCharacter(source: string): [char: string, code: string] {
  for (let point = 0xe000;; point++) {
    const char = String.fromCharCode(point);
    const code = point.toString(16);
    if (!source.includes(char) && !new RegExp(code, "i").test(source)) {
      return [char, code];
    }
  }
}
