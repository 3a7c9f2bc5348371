/** A test that reports into artifacts on a small disk, for the scripts that fill it. */
import { Reporter } from "../../../executors/fmf/reporter.ts";

/** The directory of the artifacts, their reporter, and the channel that it reads. */
export function reportTo(directory: string) {
  const artifacts = `${directory}/artifacts`;
  Deno.mkdirSync(artifacts);
  const reporter = Reporter.open(artifacts);
  const nothing = () => {};
  const channel = reporter.channel({
    duration: {
      set: nothing,
      increment: nothing,
      decrement: nothing,
      save: nothing,
      restore: nothing,
    },
  });
  return { artifacts, reporter, channel };
}
