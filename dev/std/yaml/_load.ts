// deno-lint-ignore-file no-explicit-any
import { jsYaml } from "./_js_yaml.ts";
import { YamlSyntaxError } from "./types.ts";

export interface LoadOptions {
  allowDuplicateKeys?: boolean;
  onWarning?(error: YamlSyntaxError): void;
}

const SECOND_DOCUMENT =
  "Found more than 1 document in the stream: expected a single document";

/** The real package's words for js-yaml's reasons; `$&` is the reason itself. */
const WORDS: [RegExp, string][] = [
  [/^(end of the stream or|directives end mark)/, "Cannot read document: $&"],
  [
    /^directive name must not be.*/,
    "Cannot read document: directive name length must be greater than zero",
  ],
  [/^duplication of %YAML/, "Cannot handle YAML directive: $&"],
  [
    /^(unacceptable|unsupported) YAML version.*/,
    "Cannot handle YAML directive: $1 YAML version",
  ],
  [/^YAML directive accepts/, "Cannot handle YAML directive: $&"],
  [
    /^ill-formed argument of the YAML directive/,
    "Cannot handle YAML directive: ill-formed argument",
  ],
  [
    /^TAG directive accepts exactly two arguments/,
    "Cannot handle tag directive: directive accepts exactly two arguments, received",
  ],
  [/^name of an alias node/, "Cannot read alias: alias name"],
  [/^unidentified alias/, "Cannot read alias: $&"],
  [/^alias node should not/, "Cannot compose node: $&"],
  [/^name of an anchor/, "Cannot read anchor property: $&"],
  [
    /^duplication of an anchor/,
    "Cannot read anchor property: duplicate anchor",
  ],
  [/^duplication of a tag/, "Cannot read tag property: $&"],
  [
    /^unexpected end of the stream within a verbatim tag/,
    "Cannot read tag property: unexpected end of stream",
  ],
  [
    /^named tag handle cannot.*/,
    "Cannot read tag property: named tag handle contains invalid characters",
  ],
  [
    /^tag suffix cannot contain exclamation.*/,
    "Cannot read tag property: tag suffix cannot contain an exclamation mark",
  ],
  [/^tag suffix cannot contain flow/, "Cannot read tag property: $&"],
  [
    /^tag name cannot contain such characters: (.*)/s,
    'Cannot read tag property: invalid characters in tag name "$1"',
  ],
  [/^undeclared tag handle/, "Cannot read tag property: $&"],
  [/^unknown tag !/, "Cannot resolve $&"],
  [
    /^unacceptable node kind for (.*>) tag; it should be (".*"|.*), not (.*)/,
    "Unacceptable node kind for $1 tag: it should be $2, not $3",
  ],
  [/^cannot resolve a node/, "Cannot resolve a node"],
  [
    /^missed comma between/,
    "Cannot read flow collection: missing comma between",
  ],
  [
    /^unexpected end of the stream within a flow/,
    "Cannot read flow collection: $&",
  ],
  [/^unexpected end of/, "Unexpected end of"],
  [
    /^(expected hexadecimal character|unknown escape sequence)/,
    "Cannot read double quoted scalar: $1",
  ],
  [/^the stream contains non-printable/, "Stream contains non-printable"],
  [
    /^repeat of a chomping mode identifier/,
    "Cannot read block: chomping mode identifier repeated",
  ],
  [
    /^bad explicit indentation width.*/,
    "Cannot read block: indentation width must be greater than 0",
  ],
  [
    /^repeat of an indentation width identifier/,
    "Cannot read block: indentation width identifier repeated",
  ],
  [
    /^incomplete explicit mapping pair; a key node is missed; or/,
    "Cannot read block as explicit mapping pair is incomplete: a key node is missed or",
  ],
  [/^a whitespace character is expected/, "Cannot read block: $&"],
  [
    /^can not read an implicit mapping pair; a colon is missed/,
    "Cannot read an implicit mapping pair: missing colon",
  ],
  [
    /^can not read a block mapping entry; /,
    "Cannot read a block mapping entry: ",
  ],
  [/^bad indentation of a mapping/, "Cannot read block: $&"],
  [/^bad indentation of a sequence/, "Cannot read block sequence: $&"],
  [/^duplicated mapping key/, "Cannot store mapping pair: duplicated key"],
  [/^nested arrays are not/, "Cannot store mapping pair: $&"],
  [/^cannot merge mappings;/, "Cannot merge mappings:"],
];

/** A place in `buffer`, which is all that was to be parsed; counted from 0. */
interface Mark {
  buffer: string;
  position: number;
  line: number;
  column: number;
}

/** The line of a place, cut around it if it is long, and below it a sign where the place is. */
function snippetAt({ buffer, position }: Mark): string | undefined {
  if (!buffer) return undefined;
  const LINE_END = /[\0\r\n\x85\u2028\u2029]/;
  const before = buffer.slice(0, position).split(LINE_END).at(-1)!;
  const [after] = buffer.slice(position).split(LINE_END, 1);
  const head = before.length < 37 ? before : " ... " + before.slice(-32);
  const tail = after.length < 37 ? after : after.slice(0, 32) + " ... ";
  return `    ${head}${tail}\n${" ".repeat(4 + head.length)}^`;
}

function toSyntaxError(reason: string, mark: Mark): YamlSyntaxError {
  if (reason === "expected valid JSON character") {
    const [character] = /[^\t\n\r -\uffff]/.exec(mark.buffer) ?? ["\0"];
    const code = character.charCodeAt(0);
    reason = `Expected valid JSON character: received "${code}"`;
  }
  const found = WORDS.find(([pattern]) => pattern.test(reason));
  return new YamlSyntaxError(found ? reason.replace(...found) : reason, {
    line: mark.line + 1,
    column: mark.column + 1,
    offset: mark.position,
  }, snippetAt(mark));
}

/** Where the document after the root node that ends at `end` begins. */
function secondDocument(input: string, end: number): Mark {
  const between = /(?:\s|#.*)*(?:(?<=^|\n)\.\.\.(?:\s|#.*)*)?/y;
  between.lastIndex = end;
  between.exec(input);
  const lines = input.slice(0, between.lastIndex).split(/\r\n?|\n/);
  return {
    buffer: input,
    position: between.lastIndex,
    line: lines.length - 1,
    column: lines.at(-1)!.length,
  };
}

/** Refuses a second document as soon as it comes, before its contents are looked at. */
function onlyOne() {
  let depth = 0;
  let first: number | undefined;
  return (event: "open" | "close", state: any) => {
    if (event === "open" && depth++ === 0 && first !== undefined) {
      throw toSyntaxError(SECOND_DOCUMENT, secondDocument(state.input, first));
    }
    if (event === "close" && --depth === 0) first ??= state.position;
  };
}

/** The one document of `content`, with the real package's errors. */
export function load(
  content: string,
  schema: any,
  options: LoadOptions,
): unknown {
  let value: unknown = null;
  try {
    jsYaml.loadAll(String(content), (document: unknown) => {
      value = document ?? null;
    }, {
      schema,
      json: options.allowDuplicateKeys,
      listener: onlyOne(),
      onWarning: ({ reason, mark }: any) =>
        options.onWarning?.(toSyntaxError(reason, mark)),
    });
  } catch (error) {
    if (!(error instanceof jsYaml.YAMLException)) throw error;
    const { reason, mark } = error as any;
    throw toSyntaxError(reason, mark);
  }
  return value;
}
