/** A released port is left alone until so many others were given out: a late client may still want who had it. */
const REST = 200;
const LAST = 65_535;

/** Ports for one clone each, counted up from the first. */
export class Ports {
  #next: number;
  /** Given out so far. */
  #count = 0;
  /** Released, the longest ago first, with the count at that time. */
  readonly #released: { port: number; count: number }[] = [];

  constructor(first: number) {
    this.#next = first;
  }

  /**
   * A port that nobody has from here.
   *
   * @throws {RangeError} if there is none left
   */
  take(): number {
    const [oldest] = this.#released;
    const isRested = oldest && this.#count - oldest.count >= REST;
    this.#count++;
    if (!isRested && this.#next <= LAST) return this.#next++;
    if (!oldest) throw new RangeError(`all ports up to ${LAST} are in use`);
    return this.#released.shift()!.port;
  }

  giveBack(port: number): void {
    this.#released.push({ port, count: this.#count });
  }
}

/**
 * Whether somebody on this machine listens at the port.
 *
 * @throws {Deno.errors.NotCapable} without the permission to try
 */
export function isTaken(hostname: string, port: number): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return true;
  }
}
