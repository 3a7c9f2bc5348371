/** Of what a part is, which its name does not tell. */
import { readPart } from "./_own_file.ts";

/** What the first line of a part of JUnit XML says of itself. */
export const JUNIT_FORMAT = "atex-junit";

const BEGINS = {
  finishJUnit: [`{"format":"${JUNIT_FORMAT}"`],
  // lines, and documents; with a blank, others may go on with them
  finishResults: ["[", " [", "---"],
};

/** The function that finishes a part, as far as its first bytes tell. */
export function finisherOf(file: Deno.FsFile): keyof typeof BEGINS | undefined {
  const names = Object.keys(BEGINS) as (keyof typeof BEGINS)[];
  return names.find((name) =>
    BEGINS[name].some((begin) =>
      new TextDecoder().decode(readPart(file, 0, begin.length)) === begin
    )
  );
}
