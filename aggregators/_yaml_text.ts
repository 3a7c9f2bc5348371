/** Text as YAML that readers of version 1.1 and of 1.2 take for the same text. */

/** What begins like a name, a path or a version with an architecture, and goes on without marks. */
const PLAIN =
  /^(?:[A-Za-z/]|\d(?=.*[@/]))(?:[\w ./@+,;()=%!-]*[\w./@+,;()=%!-])?$/;
/** What looks like that, but means something else to some readers. */
const WORD = /^(?:y|n|yes|no|on|off|true|false|null|e[+-]?\d+)$/i;

/** Text for the rest of a line. */
export function inLine(text: string): string {
  return PLAIN.test(text) && !WORD.test(text) ? text : quoted(text);
}

/** The same; several lines may become lines of their own, behind `indent`. */
export function inLines(text: string, indent: string): string {
  if (!text.includes("\n") || !fitsInBlock(text)) return inLine(text);
  const whole = text.endsWith("\n");
  const lines = (whole ? text.slice(0, -1) : text).split("\n")
    .map((line) => line === "" ? "\n" : `\n${indent}${line}`);
  return `${whole ? "|" : "|-"}${lines.join("")}`;
}

/** Whether lines can stand as they are. */
function fitsInBlock(text: string): boolean {
  return /^\S/.test(text) && !text.endsWith("\n\n") &&
    !/[^\S\n](?:\n|$)/.test(text) && // blanks at the end of a line
    !/[^\P{C}\n]|\p{Zl}|\p{Zp}/u.test(text);
}

function quoted(text: string): string {
  // what JSON escapes is escaped in the same way in YAML; the rest cannot be seen
  return JSON.stringify(text.toWellFormed())
    .replaceAll(/\p{C}|\p{Zl}|\p{Zp}/gu, (character) => {
      const code = character.codePointAt(0)!.toString(16);
      return code.length > 4
        ? `\\U${code.padStart(8, "0")}`
        : `\\u${code.padStart(4, "0")}`;
    });
}
