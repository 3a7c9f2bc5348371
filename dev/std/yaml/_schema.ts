// deno-lint-ignore-file no-explicit-any
import { jsYaml } from "./_js_yaml.ts";

export type SchemaType = "failsafe" | "json" | "core" | "default" | "extended";
export type StyleVariant =
  | "lowercase"
  | "uppercase"
  | "camelcase"
  | "decimal"
  | "binary"
  | "octal"
  | "hexadecimal";
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

/** The schema of that name. */
export function getSchema(name: SchemaType = "default"): any {
  return schemas[name];
}
