/** What {@linkcode FmfError} is about. */
export type FmfErrorKind =
  /** No tree here or above. */
  | "root"
  /** A file or directory cannot be read, or is not YAML. */
  | "file"
  /** Metadata of the wrong shape: wrong type, malformed key or directive. */
  | "format"
  /** A merge operator that does not fit its values, or its pattern is invalid. */
  | "merge"
  /** A malformed context expression. */
  | "rule"
  /** A condition that cannot be decided, where that was asked to be an error. */
  | "cannot-decide"
  /** A wrong option value. */
  | "usage"
  /** A filter or condition that cannot be evaluated. */
  | "filter"
  /** An identifier that leads nowhere. */
  | "reference"
  /** A repository that cannot be fetched. */
  | "fetch"
  /** A plan or test from which nothing can be discovered. */
  | "discover";

/** Where an {@linkcode FmfError} comes from, as far as it is known. */
export interface FmfErrorPlace {
  /** Path of the file, as it was opened. */
  file?: string | undefined;
  /** Line in the file, from 1. */
  line?: number | undefined;
  /** Column in the line, from 1. */
  column?: number | undefined;
  /** Full name of the node. */
  node?: string | undefined;
  /** Data key, with its suffix. */
  key?: string | undefined;
  /** The expression, pattern, filter or value that is wrong. */
  text?: string | undefined;
  /** Files that the node's data comes from. */
  sources?: readonly string[] | undefined;
  /** What failed below. */
  cause?: unknown;
}

/**
 * Metadata that cannot be used, and where it stands. The message holds every
 * field: `rules.fmf:3:9: /node: key "tag+": cannot append a number to a list`.
 */
export class FmfError extends Error {
  /** What kind of trouble it is. */
  readonly kind: FmfErrorKind;
  /** What is wrong, without the place. */
  readonly reason: string;
  /** Where it is wrong. */
  readonly place: Readonly<FmfErrorPlace>;

  /** Creates an error whose message is made of `reason` and `place`. */
  constructor(
    kind: FmfErrorKind,
    reason: string,
    place: Readonly<FmfErrorPlace> = {},
  ) {
    const { cause } = place;
    super(
      describe(reason, place),
      cause === undefined ? undefined : { cause },
    );
    this.name = "FmfError";
    this.kind = kind;
    this.reason = reason;
    this.place = place;
  }

  /** Path of the file. */
  get file(): string | undefined {
    return this.place.file;
  }

  /** Line in the file, from 1. */
  get line(): number | undefined {
    return this.place.line;
  }

  /** Column in the line, from 1. */
  get column(): number | undefined {
    return this.place.column;
  }

  /** Full name of the node. */
  get node(): string | undefined {
    return this.place.node;
  }

  /** Data key, with its suffix. */
  get key(): string | undefined {
    return this.place.key;
  }

  /** The expression, pattern, filter or value that is wrong. */
  get text(): string | undefined {
    return this.place.text;
  }

  /** Files that the node's data comes from. */
  get sources(): readonly string[] | undefined {
    return this.place.sources;
  }

  /**
   * The same error with what a caller knows in addition: its place (what is
   * known already stays) and, where given, the kind that fits the caller.
   */
  at(place: Readonly<FmfErrorPlace>, kind?: FmfErrorKind): FmfError {
    return new FmfError(kind ?? this.kind, this.reason, {
      ...place,
      ...this.place,
    });
  }
}

function describe(reason: string, place: FmfErrorPlace): string {
  const { file, line, column, node, key, text, sources } = place;
  const parts: string[] = [];
  if (file !== undefined) {
    parts.push(
      [file, line, column].filter((part) => part !== undefined).join(":"),
    );
  } else if (line !== undefined) {
    parts.push(
      column === undefined ? `line ${line}` : `line ${line}, column ${column}`,
    );
  }
  if (node !== undefined) parts.push(node);
  if (key !== undefined) parts.push(`key ${quote(key)}`);
  if (text !== undefined && !reason.includes(text)) parts.push(quote(text));
  parts.push(reason);
  const others = sources?.filter((source) => source !== file) ?? [];
  const from = others.length === 0 ? "" : ` (from ${others.join(", ")})`;
  return parts.join(": ") + from;
}

/** Text in double quotes as messages show it, cut when it is very long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 500 ? text.slice(0, 500) + "…" : text);
}

/** Runs `action`; an {@linkcode FmfError} from it gets what the caller knows in addition. */
export function locating<T>(
  place: Readonly<FmfErrorPlace>,
  action: () => T,
  kind?: FmfErrorKind,
): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof FmfError ? error.at(place, kind) : error;
  }
}
