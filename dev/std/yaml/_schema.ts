// deno-lint-ignore-file no-explicit-any
import { jsYaml } from "./_js_yaml.ts";

export type SchemaType = "failsafe" | "json" | "core" | "default" | "extended";
export type KindType = "sequence" | "scalar" | "mapping";
export type StyleVariant =
  | "lowercase"
  | "uppercase"
  | "camelcase"
  | "decimal"
  | "binary"
  | "octal"
  | "hexadecimal";
export type RepresentFn<D> = (data: D, style?: StyleVariant) => string;

export interface Type<K extends KindType, D = any> {
  tag: string;
  kind: K;
  predicate?: (data: unknown) => data is D;
  represent?: RepresentFn<D> | Record<string, RepresentFn<D>>;
  defaultStyle?: StyleVariant;
  resolve: (data: any) => boolean;
  construct: (data: any) => D;
}

export type ImplicitType = Type<"scalar">;

/** What the real package reads differently from js-yaml 3: no base 60, no sign before a leading dot. */
function adapt(type: any): any {
  const short = type.tag.replace("tag:yaml.org,2002:", "");
  const resolve = (data: any) =>
    type.resolve(data) &&
    !(short === "int" && (data.includes(":") || /^[-+]?[1-9]/.test(data))) &&
    !(short === "float" && (data.includes(":") || /^[-+]\.\d/.test(data)));
  return short === "int" || short === "float"
    ? Object.assign(Object.create(type), { resolve })
    : type;
}

const standard = (schema: any, extra: { explicit?: any[] } = {}) =>
  new jsYaml.Schema({
    implicit: schema.compiledImplicit.map(adapt),
    explicit: [...schema.compiledExplicit, ...(extra.explicit ?? [])],
  });

const core = standard(jsYaml.CORE_SCHEMA);

const schemas: Record<SchemaType, any> = {
  failsafe: standard(jsYaml.FAILSAFE_SCHEMA),
  json: core,
  core,
  default: standard(jsYaml.DEFAULT_SAFE_SCHEMA),
  extended: standard(jsYaml.DEFAULT_SAFE_SCHEMA, {
    explicit: jsYaml.DEFAULT_FULL_SCHEMA.compiledExplicit.filter((type: any) =>
      /:js\/(regexp|undefined)$/.test(type.tag)
    ),
  }),
};

/** Those with types before their own: to make one takes longer than to parse a small document. */
const extended: Partial<Record<SchemaType, WeakMap<ImplicitType[], any>>> = {};

/** The schema of that name; `extraTypes` go before its own. */
export function getSchema(
  name: SchemaType = "default",
  extraTypes?: ImplicitType[],
): any {
  const schema = schemas[name];
  if (!extraTypes) return schema;
  const made = extended[name] ??= new WeakMap();
  if (!made.has(extraTypes)) {
    made.set(
      extraTypes,
      new jsYaml.Schema({
        implicit: [
          ...extraTypes.map(({ tag, ...type }) => new jsYaml.Type(tag, type)),
          ...schema.compiledImplicit,
        ],
        explicit: schema.compiledExplicit,
      }),
    );
  }
  return made.get(extraTypes);
}
