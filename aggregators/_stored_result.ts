/** A result as it was stored, whatever the form. */

/** A result of a test. */
export interface StoredResult {
  /** Label of the platform. */
  platform: string;
  /** Name of the test. */
  test: string;
  /** Name of the part of the test; absent for the test itself. */
  subtest?: string | undefined;
  /** How it went. */
  status?: string | undefined;
  /** Names of its files. */
  files: string[];
  /** A short text for people. */
  note?: string | undefined;
  /** Whatever else was stored: the seventh item of a JSON line. */
  fields?: Record<string, unknown> | undefined;
  /**
   * Tells apart what is read from several files one after the other: a test of another
   * source is another one, whatever its name. `readResults()` leaves it out.
   */
  source?: string | undefined;
}

/** Whether something is text. */
export function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** Whether something is a list of texts. */
export function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}
