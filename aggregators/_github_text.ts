/** Text of tests where GitHub would act on it: in Markdown, and in lines on standard output. */

const SEQUENCES =
  // deno-lint-ignore no-control-regex -- these are what it looks for
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
const UNSEEN =
  // deno-lint-ignore no-control-regex -- these are what it looks for
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu;

/** Without what controls a terminal or the direction of text; newlines stay. */
function clean(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(SEQUENCES, "")
    .replaceAll(UNSEEN, "");
}

/** The first characters of a text; a cut shows as an ellipsis. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  // not within a character
  return `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…`;
}

/**
 * Text as it is, in a cell of a table: as code, since there nobody is mentioned and
 * nothing becomes a link or a formula by itself, and with every sign that Markdown knows
 * as a reference to a character, since there they mean nothing.
 */
export function code(text: string, most = 300): string {
  const escaped = cut(clean(text), most)
    .replaceAll(
      /[\\`*_{}[\]()#!|~<>&$:@."'^=]/g,
      (sign) => `&#${sign.charCodeAt(0)};`,
    )
    .replaceAll("\n", "<br>");
  return escaped.trim() === "" ? "" : `<code>${escaped}</code>`;
}

/** Text as a heading: as it is where no sign in it can mean anything, else as code. */
export function heading(text: string): string {
  return /^[\p{Letter}\p{Number} ,()-]{1,300}$/u.test(text) ? text : code(text);
}

/** A link in a cell; the parts of the path can be anything. */
export function link(
  text: string,
  base: string,
  path: readonly string[],
): string {
  const url = path.map((part) =>
    encodeURIComponent(part.toWellFormed()).replaceAll(
      /[!'()*~]/g,
      (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
    )
  ).join("/");
  return `[${code(text, 100)}](${base.replace(/\/*$/, "/")}${url})`;
}

/** Where a test is defined, for annotations in the code. */
export interface TestLocation {
  /** Path below the checkout. */
  file: string;
  /** The line, counted from 1. */
  line?: number | undefined;
}

/** What an annotation says. */
export interface Annotation {
  level: "error" | "warning" | "notice";
  title: string;
  message: string;
  location?: TestLocation | undefined;
}

const MAX_TITLE = 200;
const MAX_MESSAGE = 4000;

/** An annotation as the line by which GitHub is told of it. */
export function commandLine(
  { level, title, message, location }: Annotation,
): string {
  const properties = {
    ...(location && { file: clean(location.file).replaceAll("\n", "") }),
    ...(location?.line !== undefined && { line: `${location.line}` }),
    title: cut(clean(title), MAX_TITLE),
  };
  const list = Object.entries(properties).map(([key, value]) =>
    `${key}=${inCommand(value).replaceAll(":", "%3A").replaceAll(",", "%2C")}`
  );
  return `::${level} ${list.join(",")}::${
    inCommand(cut(clean(message), MAX_MESSAGE))
  }\n`;
}

function inCommand(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D")
    .replaceAll("\n", "%0A");
}
