/** The page of an HTML report around its data. */
import type { Failure } from "./_html_model.ts";
import { SCRIPT } from "./_html_script.ts";
import { STYLE } from "./_html_style.ts";

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text between tags or in quotes, without what would control instead of being seen. */
function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!)
    .replaceAll(
      // deno-lint-ignore no-control-regex -- these are what it looks for
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
      "\ufffd",
    );
}

/** What a browser lets through: our style and script, and files beside the page. */
async function policy(): Promise<string> {
  const hash = async (text: string) => {
    const bytes = new TextEncoder().encode(text);
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return `'sha256-${new Uint8Array(digest).toBase64()}'`;
  };
  return [
    "default-src 'none'",
    `script-src ${await hash(SCRIPT)}`,
    `style-src ${await hash(STYLE)}`,
    "connect-src 'self'",
    "img-src blob:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

/** What is around the data: nothing in it runs that is not ours, whatever the data is. */
export async function frame(
  title: string,
  failures: { failures: readonly Failure[]; failed: number; tests: number },
): Promise<{ before: string; after: string }> {
  return {
    before: `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${await policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<noscript>
${withoutScript(title, failures)}</noscript>
<script type="application/json" id="data">`,
    after: `</script>
<script>${SCRIPT}</script>
</body>
</html>
`,
  };
}

/** What readers get where scripts are not allowed. */
function withoutScript(
  title: string,
  { failures, failed, tests }: {
    failures: readonly Failure[];
    failed: number;
    tests: number;
  },
): string {
  const rows = failures.map(({ platform, test, status, note }) =>
    `<tr>${
      [status, test, platform, note].map((text) =>
        `<td>${escapeHtml(text)}</td>`
      ).join("")
    }</tr>\n`
  ).join("");
  const more = failed > failures.length
    ? `<p>… and ${failed - failures.length} more.</p>\n`
    : "";
  return `<h1>${escapeHtml(title)}</h1>
<p>${failed} of ${tests} tests failed. With JavaScript, this page shows all of them.</p>
${
    failed === 0
      ? ""
      : `<table><tr><th>Status</th><th>Test</th><th>Platform</th><th>Note</th></tr>\n${rows}</table>\n`
  }${more}`;
}
