/** At most so many characters of a text, for a message. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  // half a character would be none
  return `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
