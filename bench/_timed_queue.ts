/** What happens at which time; what is first comes out first, and in the order in which it went in if that is the same. */
export class TimedQueue<T> {
  /** A binary heap. */
  readonly #entries: { time: number; order: number; value: T }[] = [];
  #pushed = 0;

  push(time: number, value: T): void {
    const entries = this.#entries;
    const entry = { time, order: this.#pushed++, value };
    let at = entries.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, entries[parent])) break;
      entries[at] = entries[parent];
      at = parent;
    }
    entries[at] = entry;
  }

  /** Takes out the first one; there must be one. */
  shift(): [time: number, value: T] {
    const entries = this.#entries;
    const [{ time, value }] = entries;
    const last = entries.pop()!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= entries.length) break;
      const right = child + 1;
      if (right < entries.length && isBefore(entries[right], entries[child])) {
        child = right;
      }
      if (!isBefore(entries[child], last)) break;
      entries[at] = entries[child];
      at = child;
    }
    if (entries.length > 0) entries[at] = last;
    return [time, value];
  }
}

type Entry = { readonly time: number; readonly order: number };

function isBefore(a: Entry, b: Entry): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
