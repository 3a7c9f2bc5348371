/** The file of an HTML report: there is always a whole page in it. */
import { dirname } from "@std/path/posix/dirname";
import { frame } from "./_html_page.ts";
import type { ReportModel } from "./_html_model.ts";
import type { Timeline } from "./_html_timeline.ts";
import { lookAt } from "./_move.ts";
import { cannotWrite, occupied, unmake } from "./_paths.ts";

const BLOCK = 256 * 1024;

/** Writes pages, each in place of the one before. */
export class ReportFile {
  readonly #path: string;
  readonly #title: string;
  /** The new file, and before it the directories that are new, outermost first. */
  #made: string[] = [];

  constructor(path: string, title: string) {
    this.#path = path;
    this.#title = title;
  }

  /**
   * Checks that there is no such file.
   *
   * @throws {Deno.errors.AlreadyExists} if there is one
   */
  checkVacant(): void {
    if (lookAt(this.#path)) throw occupied("the report", this.#path);
  }

  /**
   * Makes the file.
   *
   * @throws {Deno.errors.AlreadyExists} if there is one
   */
  async create(
    model: ReportModel,
    timelines: readonly Timeline[] = [],
    final = false,
  ): Promise<void> {
    const directory = dirname(this.#path);
    this.#made = missing(directory);
    try {
      await Deno.mkdir(directory, { recursive: true });
    } catch (error) {
      throw cannotWrite("the report", this.#path, error);
    }
    try {
      (await Deno.open(this.#path, { write: true, createNew: true })).close();
    } catch (error) {
      this.unmake();
      throw error instanceof Deno.errors.AlreadyExists
        ? occupied("the report", this.#path)
        : cannotWrite("the report", this.#path, error);
    }
    this.#made.push(this.#path);
    try {
      await this.replace(model, timelines, final); // what keeps a later page from being written is told now
    } catch (error) {
      this.unmake();
      throw error;
    }
  }

  /** Removes what was made. */
  unmake(): void {
    unmake(this.#made);
    this.#made = [];
  }

  /** Puts a new page in place of the old one, or leaves that. */
  async replace(
    model: ReportModel,
    timelines: readonly Timeline[],
    final: boolean,
  ): Promise<void> {
    // a killed script may leave this one; the next page overwrites it
    const next = `${this.#path}.new`;
    await Deno.mkdir(dirname(this.#path), { recursive: true });
    try {
      using file = await Deno.open(next, {
        write: true,
        create: true,
        truncate: true,
      });
      await this.#write(file, model, timelines, final);
      if (final) await file.sync();
      await Deno.rename(next, this.#path);
    } catch (error) {
      await Deno.remove(next).catch(() => {});
      throw error;
    }
  }

  async #write(
    file: Deno.FsFile,
    model: ReportModel,
    timelines: readonly Timeline[],
    final: boolean,
  ): Promise<void> {
    const encoder = new TextEncoder();
    let text = "";
    const flush = async () => {
      let bytes = encoder.encode(text);
      text = "";
      while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
    };
    const { failures, failed, size: tests } = model;
    const { before, after } = await frame(this.#title, {
      failures,
      failed,
      tests,
    });
    text = before;
    for (const piece of model.page(timelines, final)) {
      text += piece;
      if (text.length > BLOCK) await flush();
    }
    text += after;
    await flush();
  }
}

/** Directories on the way to one that are not there, outermost first. */
function missing(directory: string): string[] {
  try {
    if (lookAt(directory)) return [];
  } catch {
    return []; // what is around it may be nobody's business
  }
  return [...missing(dirname(directory)), directory];
}
