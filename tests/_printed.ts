/** What a command of the command line prints, run in this process. */
import { main } from "../cli/mod.ts";

/** Its exit status, and the lines on standard output and error. */
export async function printed(...args: string[]): Promise<
  { status: number; out: string[]; err: string[] }
> {
  const [out, err]: string[][] = [[], []];
  const { log, error } = console;
  console.log = (line: string) => out!.push(line);
  console.error = (line: string) => err!.push(line);
  try {
    const status = await main(args);
    return { status, out: out!, err: err! };
  } finally {
    Object.assign(console, { log, error });
  }
}
