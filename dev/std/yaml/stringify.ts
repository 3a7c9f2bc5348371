import { jsYaml } from "./_js_yaml.ts";
import { getSchema, type SchemaType, type StyleVariant } from "./_schema.ts";

export type { SchemaType, StyleVariant };

export type StringifyOptions = {
  indent?: number;
  arrayIndent?: boolean;
  skipInvalid?: boolean;
  flowLevel?: number;
  styles?: Record<string, StyleVariant>;
  schema?: SchemaType;
  sortKeys?: boolean | ((a: string, b: string, depth: number) => number);
  lineWidth?: number;
  useAnchors?: boolean;
  compatMode?: boolean;
  condenseFlow?: boolean;
};

export function stringify(
  data: unknown,
  options: StringifyOptions = {},
): string {
  const { arrayIndent = true, useAnchors = true, compatMode = true, ...rest } =
    options;
  try {
    return jsYaml.dump(data, {
      ...rest,
      schema: getSchema(options.schema),
      noArrayIndent: !arrayIndent,
      noRefs: !useAnchors,
      noCompatMode: !compatMode,
    });
  } catch (error) {
    if (error instanceof jsYaml.YAMLException) {
      throw new TypeError((error as Error).message);
    }
    throw error;
  }
}
