/** What `ssh` says when the other side, or a proxy, ended the connection, for whatever reason. */
const ENDED =
  /^((kex|ssh)_exchange_identification: (Connection closed|read: |write: )|Connection (closed|reset) by |banner exchange: Connection to UNKNOWN port )/;

/** What does not tell why something failed. */
const CHATTER = /^(debug\d: |Warning: Permanently added |\*\* )/;

/** What tells why something failed. The rest may be a greeting. */
const FAILURE =
  /^mux_client_|could ?n.t |could not |can.?not |can't |unable to |not (known|found|permitted|allowed|supported|installed)|no (such|route|matching) |permission denied|refused|fail(ed|ure)\b|timed out|unreachable|prohibited: |verification|too many authentication|invalid |bad |error\b/i;

/**
 * Whether `ssh` says that the server dropped its connection before anything else, as one
 * does that has too many new ones (its `MaxStartups`). A proxy that failed looks like
 * that, too, but says why before.
 */
export function isDropped(output: string): boolean {
  const lines = linesOf(output);
  return lines.some((line) =>
    /^\w+_exchange_/.test(line) && ENDED.test(line)
  ) &&
    !reasons(lines).some((line) => FAILURE.test(line));
}

/** The last that `ssh` said, without what follows from what it said before; empty if nothing. */
export function lastReason(output: string): string {
  const lines = linesOf(output);
  const told = reasons(lines);
  const last = told.length > 0 ? told : lines;
  return last.slice(-3).join("; ").replace(/\.$/, "");
}

/** How often a server may drop a connection that is wanted, before that is a failure. */
export const DROP_ATTEMPTS = 8;

/** Milliseconds to wait after so many drops: those who were dropped together do not come back together. */
export function pauseAfterDrop(attempt: number): number {
  return Math.min(100 * 2 ** attempt, 2000) * (0.5 + Math.random());
}

function linesOf(output: string): string[] {
  return output.split("\n").map((line) => line.trim()).filter(Boolean);
}

function reasons(lines: readonly string[]): string[] {
  return lines.filter((line) => !ENDED.test(line) && !CHATTER.test(line));
}
