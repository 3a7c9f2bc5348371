// deno-lint-ignore-file no-explicit-any
import { jsYaml } from "./_schema.ts";
import { YamlSyntaxError } from "./types.ts";

export interface LoadOptions {
  allowDuplicateKeys?: boolean;
  onWarning?(error: YamlSyntaxError): void;
}

/** js-yaml's reasons that the real package words in another way than by the area in front. */
const WORDING: [RegExp, string][] = [
  [
    /^expected a single document.*/,
    "Found more than 1 document in the stream: expected a single document",
  ],
];

function toSyntaxError(error: any, content: string): YamlSyntaxError {
  const mark = error.mark;
  let message: string = error.reason;
  for (const [pattern, words] of WORDING) {
    message = message.replace(pattern, words);
  }
  if (!mark) {
    const second = [...content.matchAll(/^(?:---|\.\.\.)(?=\s|$)/gm)].at(-1);
    const offset = second?.index ?? 0;
    const line = content.slice(0, offset).split("\n").length;
    return new YamlSyntaxError(message, { line, column: 1, offset });
  }
  return new YamlSyntaxError(message, {
    line: mark.line + 1,
    column: mark.column + 1,
    offset: mark.position,
  }, mark.getSnippet(4, 75) ?? undefined);
}

/** All documents of `content`, with the real package's errors. */
export function load(
  content: string,
  schema: any,
  options: LoadOptions,
  single: boolean,
): unknown[] {
  const settings = {
    schema,
    json: options.allowDuplicateKeys,
    onWarning: (warning: any) =>
      options.onWarning?.(toSyntaxError(warning, content)),
  };
  try {
    if (single) return [jsYaml.load(content, settings) ?? null];
    const documents: unknown[] = [];
    jsYaml.loadAll(content, (document: unknown) => {
      documents.push(document);
    }, settings);
    return documents;
  } catch (error) {
    if (error instanceof jsYaml.YAMLException) {
      throw toSyntaxError(error, content);
    }
    throw error;
  }
}
