import { eastAsianWidth } from "npm:get-east-asian-width@1";

const ZERO_WIDTH = /^[\p{Cc}\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff]$/u;

function widthOf(character: string): number {
  if (character !== "\u00ad" && ZERO_WIDTH.test(character)) return 0;
  return eastAsianWidth(character.codePointAt(0)!);
}

/** Columns that `str` takes on a terminal; escape sequences are not special. */
export function unicodeWidth(str: string): number {
  let width = 0;
  for (const character of str) width += widthOf(character);
  return width;
}
