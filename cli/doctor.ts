/** `atex doctor`: what a machine can do. */
import { outputLocal } from "../connections/process.ts";
import { printable } from "../orchestrators/progress.ts";
import { type Command, UsageError } from "./_command.ts";

interface Program {
  /** What shows its version. */
  readonly version: readonly string[];
  readonly neededFor: string;
  /** Further commands that have to work. */
  readonly works?: readonly (readonly string[])[];
}

const PROGRAMS: Record<string, Program> = {
  bash: {
    version: ["bash", "--version"],
    neededFor: "fmf tests on this machine",
  },
  setsid: {
    version: ["setsid", "--version"],
    neededFor: "fmf tests on this machine",
  },
  ssh: { version: ["ssh", "-V"], neededFor: "systems reached over ssh" },
  rsync: {
    version: ["rsync", "--version"],
    neededFor: "faster copies; tar does without",
  },
  tar: {
    version: ["tar", "--version"],
    neededFor: "copies to systems without rsync",
  },
  git: {
    version: ["git", "--version"],
    neededFor: "tests and libraries from repositories",
  },
  podman: {
    version: ["podman", "--version"],
    neededFor: "containers",
    works: [["podman", "info", "--format={{.Host.OCIRuntime.Name}}"]],
  },
  xz: { version: ["xz", "--version"], neededFor: "results compressed with xz" },
  virsh: {
    version: ["virsh", "--version"],
    neededFor: "virtual machines of libvirt",
  },
  kubectl: {
    version: ["kubectl", "version", "--client"],
    neededFor: "pods of Kubernetes",
  },
  flock: { version: ["flock", "--version"], neededFor: "leases of hosts" },
};

/** What was found out about a program. */
interface Finding {
  readonly program: string;
  readonly status: "works" | "missing" | "broken";
  /** Its version, or why it does not work. */
  readonly about: string;
  readonly neededFor: string;
}

/** Looks at the programs that blocks use. */
export const doctor: Command = {
  name: "doctor",
  purpose:
    "Sees which programs are there, in which version, and whether they work.",
  operands: "[PROGRAM…]",
  arity: [0, Object.keys(PROGRAMS).length],
  options: [{ name: "json", about: "a JSON object a line" }],
  permissions: "--allow-run",
  example: "atex doctor podman ssh",
  async run(call) {
    const unknown = call.operands.find((name) =>
      !Object.hasOwn(PROGRAMS, name)
    );
    if (unknown !== undefined) {
      throw new UsageError(
        `Cannot look at "${unknown}": it is none of ${
          Object.keys(PROGRAMS).join(", ")
        }`,
      );
    }
    const names = call.operands.length > 0
      ? call.operands
      : Object.keys(PROGRAMS);
    const findings = await Promise.all(
      names.map((name) => look(name, call.signal)),
    );
    for (const finding of findings) {
      console.log(call.has("json") ? JSON.stringify(finding) : line(finding));
    }
    const required = call.operands.length > 0;
    return required && findings.some(({ status }) => status !== "works")
      ? 2
      : 0;
  },
};

async function look(name: string, signal: AbortSignal): Promise<Finding> {
  const { version, neededFor, works = [] } = PROGRAMS[name]!;
  let about = "";
  try {
    for (const argv of [version, ...works]) {
      const { success, stdout, stderr } = await outputLocal({ argv }, {
        signal,
      });
      const text = new TextDecoder().decode(stdout.length > 0 ? stdout : stderr)
        .trim();
      if (!success) {
        return {
          program: name,
          status: "broken",
          about: lastLine(text),
          neededFor,
        };
      }
      about ||= text.split("\n")[0]!;
    }
    return { program: name, status: "works", about, neededFor };
  } catch (error) {
    signal.throwIfAborted();
    const missing = error instanceof Deno.errors.NotFound;
    return {
      program: name,
      status: missing ? "missing" : "broken",
      about: missing ? "not installed" : (error as Error).message,
      neededFor,
    };
  }
}

function lastLine(text: string): string {
  return text.split("\n").at(-1) || "it ended with an error";
}

function line({ program, status, about, neededFor }: Finding): string {
  return printable(
    `${program.padEnd(8)}  ${status.padEnd(7)}  ${about}  (for ${neededFor})`,
  );
}
