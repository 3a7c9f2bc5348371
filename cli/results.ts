/** `atex results`: completes what a killed run left. */
import type { CompressionFormat } from "../aggregators/jsonl.ts";
import { nearest } from "../options.ts";
import { type Call, type Command, UsageError } from "./_command.ts";

/** What can be done with a part. */
const ACTIONS: Readonly<
  Record<string, (part: string, call: Call) => Promise<string>>
> = {
  async finish(part, call) {
    const { finishResults } = await import("../aggregators/jsonl.ts");
    const format = call.get("format");
    return await finishResults(part, {
      ...(format !== undefined && { format: format as CompressionFormat }),
    });
  },
  async junit(part) {
    const { finishJUnit } = await import("../aggregators/junit.ts");
    return await finishJUnit(part);
  },
};

/** Makes results, or XML, of what a killed run left. */
export const results: Command = {
  name: "results",
  purpose:
    "Completes what a run left that was killed: a file whose name ends with .part.",
  operands: "finish|junit PART",
  arity: [2, 2],
  options: [
    {
      name: "format",
      value: "FORMAT",
      about:
        "of finish: gzip, zstd or xz, if the name of the results does not tell it",
    },
  ],
  details:
    `finish compresses results, JSON lines or YAML documents, that the run would have
compressed at its end; junit makes the XML. What the run had not stored completely
is left out, and PART is gone then.
The path of what was made is printed. Results that are not to be compressed have
no part, and are complete.`,
  permissions:
    "--allow-read, --allow-write; for results to be compressed with xz --allow-run=xz",
  example: "atex results junit out/junit.xml.part",
  async run(call) {
    const [action, part] = call.operands;
    if (!Object.hasOwn(ACTIONS, action!)) {
      const names = Object.keys(ACTIONS);
      const meant = nearest(action!, names);
      throw new UsageError(
        `Cannot do "${action}" with results: ${
          meant
            ? `did you mean "${meant}"?`
            : `${names.join(" or ")} would be right`
        }`,
      );
    }
    if (call.get("format") !== undefined && action !== "finish") {
      throw new UsageError(
        `Cannot use "--format" with "${action}": it goes with "finish"`,
      );
    }
    console.log(await ACTIONS[action!]!(part!, call));
    return 0;
  },
};
