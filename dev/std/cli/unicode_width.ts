import stringWidth from "npm:string-width@^7";

export function unicodeWidth(str: string): number {
  // One character at a time: the real function does not join emoji sequences either.
  return [...str].reduce((width, character) => width + stringWidth(character), 0);
}
