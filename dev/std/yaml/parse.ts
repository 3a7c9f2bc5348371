import { load } from "./_load.ts";
import { getSchema, type SchemaType } from "./_schema.ts";
import type { YamlSyntaxError } from "./types.ts";

export type { SchemaType };

export interface ParseOptions {
  /** "default" by default. */
  schema?: SchemaType;
  /** Whether the last of two equal keys wins; an error by default. */
  allowDuplicateKeys?: boolean;
  onWarning?(error: YamlSyntaxError): void;
}

export const parse = (content: string, options: ParseOptions = {}): unknown =>
  load(content, getSchema(options.schema), options);
