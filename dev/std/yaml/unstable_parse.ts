import { load } from "./_load.ts";
import {
  getSchema,
  type ImplicitType,
  type KindType,
  type RepresentFn,
  type SchemaType,
  type Type,
} from "./_schema.ts";
import type { ParseOptions as StableParseOptions } from "./parse.ts";

export type { ImplicitType, KindType, RepresentFn, SchemaType, Type };

export type ParseOptions = StableParseOptions & {
  /** Types of plain scalars, tried before those of the schema. */
  extraTypes?: ImplicitType[];
};

const schemaOf = (options: ParseOptions) =>
  getSchema(options.schema, options.extraTypes);

export const parse = (content: string, options: ParseOptions = {}): unknown =>
  load(content, schemaOf(options), options, true)[0];

export const parseAll = (
  content: string,
  options: ParseOptions = {},
): unknown[] => load(content, schemaOf(options), options, false);
