/**
 * Addresses and refs of repositories: what they may be, and how they are shown.
 */

/** A name of a file must fit into 255 bytes, with something behind it. */
const MAX_NAME = 180;

/**
 * An address as messages show it: without password and, for HTTP, without the
 * user, which may be a token.
 */
export function shownUrl(url: string): string {
  return url
    .replace(/^(https?:\/\/)[^/]*@/i, "$1***@")
    .replace(/^([\w+.-]+:\/\/[^/@:]*):[^/]*@/, "$1:***@");
}

/** What was said about an address, with it and what is left of it as messages show them. */
export function shownText(text: string, url: string): string {
  return text.replaceAll(url, shownUrl(url))
    .replace(/\w[\w+.-]*:\/\/\S*/g, (found) => shownUrl(found));
}

/** Why an address cannot be given to git, if it cannot. */
export function whyNotUrl(url: string): string | undefined {
  if (url === "") return "the address is empty";
  if (url.startsWith("-")) return "an address must not begin with a dash";
  // deno-lint-ignore no-control-regex -- they are what is refused
  if (/[\0-\x1f\x7f]/.test(url)) {
    return "an address must not hold control characters";
  }
  if (/^(ext|fd)::/i.test(url)) {
    return "addresses that run programs are not allowed";
  }
}

/** Why a ref cannot be looked for, if it cannot. */
export function whyNotRef(ref: string): string | undefined {
  if (ref.startsWith("@")) {
    return 'dynamic refs, "@" and the name of a file, are not supported';
  }
  // What git itself takes for no name, or reads as more than a name.
  if (
    !/^[^\0-\x20\x7f~^:?*[\\]+$/.test(ref) ||
    /^[-/]|\.\.|@\{|\/\/|[/.]$/.test(ref)
  ) return "a ref must be a branch, a tag or a commit";
}

/** Whether git takes an address as a path: it has no host, as in `git@host:path`. */
export function isLocalPath(url: string): boolean {
  return !url.includes("://") && !/^[^/]+:/.test(url);
}

/**
 * Names for the clone of an address, of which the first that is not that of
 * another one is to be used: the address with underscores for slashes, then
 * one that no other address has. What messages do not show is in none of them.
 */
export async function cloneNames(url: string): Promise<string[]> {
  const encoder = new TextEncoder();
  const plain = shownUrl(url).replaceAll("/", "_");
  const bytes = encoder.encode(plain);
  const short = bytes.length <= MAX_NAME
    ? plain
    : new TextDecoder().decode(bytes.slice(0, MAX_NAME))
      .replace(/\ufffd$/, "");
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(url));
  const unique = `${short}.${new Uint8Array(digest, 0, 8).toHex()}`;
  const isFaithful = short === url.replaceAll("/", "_");
  return isFaithful ? [short, unique] : [unique];
}
