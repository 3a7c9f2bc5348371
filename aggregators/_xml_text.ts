/** Any text as XML: what comes of it can always be parsed. */

const TERMINAL =
  // deno-lint-ignore no-control-regex -- these are what it looks for
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;
/** What XML 1.0 does not allow, lone surrogates included. */
const ILLEGAL = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** Text without sequences that control a terminal, and with a sign for each character that XML does not allow. */
export function clean(text: string): string {
  return text.replaceAll(TERMINAL, "").replaceAll(ILLEGAL, "\ufffd");
}

const REFERENCES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
};

const refer = (character: string) => REFERENCES[character]!;

/** Text between tags. */
export function xmlText(text: string): string {
  return clean(text).replaceAll(/[&<>\r]/g, refer);
}

/** A tag's attributes that are given, each behind a blank. */
export function xmlAttributes(
  attributes: Record<string, string | number | undefined>,
): string {
  let text = "";
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    const quoted = clean(`${value}`).replaceAll(/[&<>"\t\n\r]/g, refer);
    text += ` ${name}="${quoted}"`;
  }
  return text;
}
