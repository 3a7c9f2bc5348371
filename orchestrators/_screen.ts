/** Lines that stay at the end of an output, below what is printed. */

/** Some of them: `index` is its place among `count`, which share the room. */
export type Block = (index: number, count: number) => readonly string[];

/** Between two drawings that nothing caused. */
const REDRAW_MS = 1000;
/** Between two drawings that changes caused: a fast run must not be held up by its picture. */
const FRAME_MS = 50;

/** The outputs that have blocks now, by what writes to them. */
const screens = new Map<(text: string) => void, Screen>();

/** What is shown where this function writes to. */
export function screenOf(write: (text: string) => void): Screen {
  return screens.get(write) ?? new Screen(write);
}

/** Does something that writes to an output in another way, without tearing blocks apart. */
export function besideScreens(work: () => void): void {
  for (const screen of screens.values()) quietly(() => screen.erase());
  work();
  for (const screen of screens.values()) quietly(() => screen.print());
}

/** Draws: whoever writes the next line to the same output is told why that fails. */
function quietly(draw: () => void): void {
  try {
    draw();
  } catch {
    // it was not caused by who would get to know it here
  }
}

/** An output with blocks at its end, one below the other; all are drawn at once. */
class Screen {
  readonly #write: (text: string) => void;
  readonly #blocks = new Set<Block>();
  #height = 0;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #frame: ReturnType<typeof setTimeout> | undefined;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Adds a block; `changed()` draws it. */
  add(block: Block): void {
    screens.set(this.#write, this);
    this.#blocks.add(block);
    this.#ticker ??= setInterval(
      () => quietly(() => this.print()),
      REDRAW_MS,
    );
  }

  /** Removes a block. */
  remove(block: Block): void {
    this.#blocks.delete(block);
    if (this.#blocks.size === 0) {
      screens.delete(this.#write);
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
    this.print();
  }

  /** Says that blocks should be drawn again soon. */
  changed(): void {
    this.#frame ??= setTimeout(() => quietly(() => this.print()), FRAME_MS);
  }

  /** Writes whole lines above the blocks, which are drawn again. */
  print(above = ""): void {
    clearTimeout(this.#frame);
    this.#frame = undefined;
    const { size } = this.#blocks;
    const lines = [...this.#blocks].flatMap((block, index) =>
      block(index, size)
    );
    const blocks = lines.map((line) => `${line}\n`).join("");
    this.#write(this.#erased() + above + blocks);
    this.#height = lines.length;
  }

  /** Removes all blocks until they are drawn again. */
  erase(): void {
    this.#write(this.#erased());
    this.#height = 0;
  }

  /** Moves to where the blocks began and clears from there. */
  #erased(): string {
    return this.#height > 0 ? `\x1b[${this.#height}A\r\x1b[J` : "";
  }
}
