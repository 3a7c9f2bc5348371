/** What a test says of itself, not of a part of it. */
import type { Result } from "../executors/results.ts";

/** All results of a test without a name, as one: the last status and note count, files add up. */
export class OwnResult {
  /** Whether there was one at all. */
  found = false;
  status: string | undefined;
  note: string | undefined;
  readonly files: string[] = [];

  /** Takes over a result if it is about the test itself; tells whether it is. */
  take({ name, status, note, files }: Result): boolean {
    if (name) return false;
    this.found = true;
    this.status = status ?? this.status;
    this.note = note ?? this.note;
    // there may be more than a call can take
    for (const file of files ?? []) this.files.push(file);
    return true;
  }
}
