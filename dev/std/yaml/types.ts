/** Line and column count from 1, the offset from 0. */
export interface YamlPosition {
  readonly line: number;
  readonly column: number;
  readonly offset: number;
}

export class YamlSyntaxError extends SyntaxError {
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  readonly snippet?: string;

  constructor(message: string, position: YamlPosition, snippet?: string) {
    super(
      `${message} at line ${position.line}, column ${position.column}` +
        (snippet ? `:\n${snippet}` : ""),
    );
    this.name = "YamlSyntaxError";
    this.line = position.line;
    this.column = position.column;
    this.offset = position.offset;
    if (snippet !== undefined) this.snippet = snippet;
  }
}
