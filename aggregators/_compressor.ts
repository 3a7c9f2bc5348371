/** What compresses files, whatever the format. */
import { Semaphore } from "@std/async/unstable-semaphore";

/** A file to compress. */
export interface Job {
  /** The file. */
  from: string;
  /** What is known of it: mode and times are kept. */
  info: Deno.FileInfo;
  /** Where to: nothing is there. */
  to: string;
}

/** Compresses files. */
export interface Compressor {
  /**
   * Compresses all files; after a failure some may be there. `scratch` is a path at
   * which nothing is, on the file system of the new files; nothing is left there.
   */
  compress(jobs: readonly Job[], scratch: string): Promise<void>;
}

/** How many files are compressed at once by all aggregators of the process. */
export const slots: Semaphore = new Semaphore(2);
