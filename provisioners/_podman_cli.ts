import { delay } from "@std/async/delay";
import { outputLocal } from "../connections/process.ts";
import { CONMON_FUNCTIONS } from "./_conmon.ts";
import { Program, type ProgramRunOptions } from "./_program.ts";
import { ProvisionError } from "./provisioner.ts";

const LIST_ATTEMPTS = 8;
const LIST_PAUSE = 200;

/** The podman program. */
export class PodmanCli extends Program {
  /** As people would call it. */
  get program(): string {
    return this.argv.join(" ");
  }

  /** The kind of its containers as run files name it. */
  get runKind(): string {
    const program = this.program.replaceAll(/\s+/g, " "); // on one line
    return program === "podman" ? program : `podman by ${program}`;
  }

  protected override complaints(lines: readonly string[]): readonly string[] {
    return lines.filter((line) => !/^See '.* --help'/.test(line))
      .map((line) => line.replace(/^Error: /, ""));
  }

  /**
   * Names of the containers that begin with a prefix, also of those of which only
   * the storage is left.
   *
   * @throws {ProvisionError} if that cannot be done
   */
  async names(prefix: string): Promise<string[]> {
    const names = await this.list([
      `--filter=name=^${prefix}`,
      "--format={{.Names}}",
    ]);
    return names.split("\n").filter((name) => name.startsWith(prefix));
  }

  /**
   * Lists containers, also those of which only the storage is left. A filter does
   * not count for what podman makes or removes at the moment, whosever it is.
   *
   * @throws {ProvisionError} if that cannot be done
   */
  async list(
    args: readonly string[],
    options: ProgramRunOptions = {},
  ): Promise<string> {
    for (let attempt = 1;; attempt++) {
      const { code, stdout, said } = await this.output(
        ["ps", "-a", "--external", ...args],
        options,
      );
      if (code === 0) return stdout;
      // Fails also because a container of anybody's is removed at the moment.
      if (attempt === LIST_ATTEMPTS) {
        throw new ProvisionError(`Cannot list containers: ${said}`);
      }
      await delay(LIST_PAUSE, { signal: options.signal });
    }
  }

  /** Names of the containers of all conmons of this machine, also of those that podman has lost. */
  async conmons(signal: AbortSignal): Promise<string[]> {
    const lines = await runConmonFunction("conmons", [], signal);
    return lines.map((line) => line.split(" ").slice(3).join(" "));
  }

  /** Ends what is left of a container after podman has removed it. */
  async endConmon(name: string, signal: AbortSignal): Promise<void> {
    await runConmonFunction("end_conmons", [name], signal);
  }
}

/** Gives the lines that it prints. */
async function runConmonFunction(
  name: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const script = `${CONMON_FUNCTIONS}\n${name} "$@"`;
  const { stdout } = await outputLocal(
    { argv: ["sh", "-c", script, "sh", ...args] },
    { signal },
  );
  return new TextDecoder().decode(stdout).split("\n").filter(Boolean);
}
