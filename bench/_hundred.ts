/** The tree of 100 tests that do nothing. */
export function writeHundred(root: string, test = "true", count = 100): void {
  Deno.mkdirSync(`${root}/.fmf`, { recursive: true });
  Deno.writeTextFileSync(`${root}/.fmf/version`, "1\n");
  let text = `test: '${test}'\nduration: 5m\n`;
  for (let i = 0; i < count; i++) {
    text += `/t${String(i).padStart(3, "0")}:\n    summary: nr ${i}\n`;
  }
  Deno.writeTextFileSync(`${root}/main.fmf`, text);
}
