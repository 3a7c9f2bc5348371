/** Blocks of code in pages and in doc comments. */

/** A block between two lines of three backticks. */
export interface CodeBlock {
  /** The file, and the line of the first backticks: `docs/ssh.md:12`. */
  readonly place: string;
  /** `ts`, `sh` … */
  readonly language: string;
  /** What follows it: `no-run` for a block that is only checked. */
  readonly attributes: readonly string[];
  readonly text: string;
}

/** Those of a page in Markdown, or of all doc comments of a module. */
export function codeBlocks(path: string, text: string): CodeBlock[] {
  const prefix = path.endsWith(".md") ? /^/ : /^ *\* ?/;
  const blocks: CodeBlock[] = [];
  let open: { line: number; info: string[]; lines: string[] } | undefined;
  for (const [index, full] of text.split("\n").entries()) {
    if (!prefix.test(full)) continue;
    const line = full.replace(prefix, "");
    if (open === undefined) {
      const info = /^```(\w.*)$/.exec(line)?.[1];
      if (info) open = { line: index + 1, info: info.split(" "), lines: [] };
    } else if (line === "```") {
      const { info: [language, ...attributes], lines } = open;
      const place = `${path}:${open.line}`;
      const text = lines.join("\n") + "\n";
      blocks.push({ place, language, attributes, text });
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  if (open) throw new SyntaxError(`${path}:${open.line}: the block has no end`);
  return blocks;
}
