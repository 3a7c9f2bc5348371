/** `atex doctor`: what a machine can do. */
import { outputLocal } from "../connections/process.ts";
import { reap } from "../provisioners/reap.ts";
import { type Call, type Command, print, UsageError } from "./_command.ts";
import { nearest } from "../options.ts";

/** What was found out. */
interface Finding {
  readonly program: string;
  readonly status: "works" | "missing" | "broken";
  /** Its version, or why it does not work. */
  readonly about: string;
  readonly neededFor: string;
}

/** Something to look at: finds out what there is to say, or throws. */
interface Subject {
  readonly neededFor: string;
  look(call: Call): Promise<string>;
}

/** A program, or what else is needed, is not there. */
class MissingError extends Error {
  constructor(message = "not installed") {
    super(message);
  }
}

const program = (neededFor: string, ...version: string[]): Subject => ({
  neededFor,
  look: ({ signal }) => versionOf(version, signal),
});

const SUBJECTS: Record<string, Subject> = {
  bash: program("fmf tests on this machine", "bash", "--version"),
  setsid: program("fmf tests on this machine", "setsid", "--version"),
  ssh: program("systems reached over ssh", "ssh", "-V"),
  rsync: program("faster copies; tar does without", "rsync", "--version"),
  tar: program("copies to systems without rsync", "tar", "--version"),
  git: program("tests and libraries from repositories", "git", "--version"),
  podman: { neededFor: "containers", look: lookAtPodman },
  xz: program("results compressed with xz", "xz", "--version"),
  virsh: program("virtual machines of libvirt", "virsh", "--version"),
  "qemu-img": program("disks of virtual machines", "qemu-img", "--version"),
  kubectl: program("pods of Kubernetes", "kubectl", "version", "--client"),
  flock: program("leases, on the hosts", "flock", "--version"),
  "testing-farm": {
    neededFor: "systems of Testing Farm",
    look: lookAtTestingFarm,
  },
  "run-files": {
    neededFor: "knowing what killed scripts left behind",
    look: lookAtRunFiles,
  },
  clock: {
    neededFor: "leases of hosts and pods, times in results",
    look: lookAtClock,
  },
};

/** Looks at the programs that blocks use. */
export const doctor: Command = {
  name: "doctor",
  purpose:
    "Sees which programs are there, in which version, and whether this machine and your token work.",
  operands: "[NAME…]",
  arity: [0, Object.keys(SUBJECTS).length],
  options: [
    {
      name: "image",
      value: "IMAGE",
      about: "run a container of this image; default: one that is here",
    },
    { name: "json", about: "a JSON object a line" },
  ],
  details: `NAME is ${
    Object.keys(SUBJECTS).join(", ")
  }; what is named has to work, or the exit status is 2.`,
  permissions:
    "--allow-run --allow-read --allow-write --allow-env --allow-sys=uid,hostname --allow-net=api.testing-farm.io",
  example: "atex doctor podman ssh",
  async run(call) {
    const names = call.operands.length > 0
      ? call.operands
      : Object.keys(SUBJECTS);
    for (const name of names) check(name);
    const findings = await Promise.all(names.map((name) => look(name, call)));
    for (const finding of findings) {
      const tone = finding.status === "broken" ? "bad" : undefined;
      print(call, finding, line(finding), tone);
    }
    const isNamed = call.operands.length > 0;
    return isNamed && findings.some(({ status }) => status !== "works") ? 2 : 0;
  },
};

function check(name: string): void {
  const names = Object.keys(SUBJECTS);
  if (names.includes(name)) return;
  const meant = nearest(name, names);
  throw new UsageError(
    `Cannot look at "${name}": ${
      meant ? `did you mean "${meant}"?` : `it is none of ${names.join(", ")}`
    }`,
  );
}

async function look(name: string, call: Call): Promise<Finding> {
  const { neededFor, look } = SUBJECTS[name]!;
  const finding = (status: Finding["status"], about: string) => (
    { program: name, status, about, neededFor }
  );
  try {
    return finding("works", await look(call));
  } catch (error) {
    call.signal.throwIfAborted();
    return error instanceof MissingError
      ? finding("missing", error.message)
      : finding("broken", (error as Error).message);
  }
}

function line({ program, status, about, neededFor }: Finding): string {
  return `${program.padEnd(12)}  ${
    status.padEnd(7)
  }  ${about}  (for ${neededFor})`;
}

/** Runs a program to its end; what it printed, and whether it succeeded. */
async function ask(
  argv: readonly string[],
  signal: AbortSignal,
): Promise<{ code: number; text: string }> {
  try {
    const { code, stdout, stderr } = await outputLocal({ argv }, { signal });
    const bytes = stdout.length > 0 ? stdout : stderr;
    return { code, text: new TextDecoder().decode(bytes).trim() };
  } catch (error) {
    throw error instanceof Deno.errors.NotFound ? new MissingError() : error;
  }
}

/** The same for what has to succeed. */
async function insist(
  argv: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const { code, text } = await ask(argv, signal);
  if (code === 0) return text;
  throw new Error(text.split("\n").at(-1) || `it ended with exit code ${code}`);
}

async function versionOf(
  argv: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const { code, text } = await ask(argv, signal);
  // Small ones have no version; from 126 on it could not even be run.
  if (code >= 126) throw new Error(text.split("\n").at(-1));
  return code === 0 ? text.split("\n")[0]! : "tells no version";
}

/** Whether it can run a container: that is where it fails for ordinary users. */
async function lookAtPodman(call: Call): Promise<string> {
  const { signal } = call;
  const version = await versionOf(["podman", "--version"], signal);
  const format = "{{.Host.Security.Rootless}}";
  const rootless = await insist(
    ["podman", "info", `--format=${format}`],
    signal,
  );
  const how = rootless === "true" ? "rootless" : "as root";
  const given = call.get("image");
  const here = given === undefined
    ? await insist(["podman", "image", "ls", "--quiet"], signal)
    : given;
  const [image] = here.split("\n");
  if (!image) return `${version}, ${how}; no image is here to try it with`;
  await insist([
    ...["podman", "run", "--rm", "--network=none", "--pull=never"],
    ...["--entrypoint=", image, "true"],
  ], signal);
  return `${version}, ${how}; it runs containers`;
}

/** Whether the token works; without one, nobody is asked. */
async function lookAtTestingFarm({ signal }: Call): Promise<string> {
  const name = "TESTING_FARM_API_TOKEN";
  if (!Deno.env.get(name)) throw new MissingError(`there is no ${name}`);
  const { describeTestingFarm } = await import(
    "../provisioners/testing_farm.ts"
  );
  const { ranch, about } = await describeTestingFarm({ signal });
  const said = Object.entries(about)
    .filter(([, value]) => typeof value !== "object")
    .map(([key, value]) => `, ${key} ${value}`);
  return `the token is for the ranch "${ranch}"${said.join("")}`;
}

async function lookAtRunFiles({ signal }: Call): Promise<string> {
  await reap({ kinds: [], dryRun: true, signal }); // holds one meanwhile
  return "can be locked";
}

/** Seconds that the clock of a file system may differ from ours. */
const SKEW = 5;

/** Older than this program no clock can be. */
const BIRTH = Date.UTC(2025, 0, 1);

async function lookAtClock({ signal }: Call): Promise<string> {
  const file = await Deno.makeTempFile({ prefix: "atex-" });
  try {
    const now = Date.now();
    const { mtime } = await Deno.stat(file);
    const skew = Math.abs(now - mtime!.getTime()) / 1000;
    if (now < BIRTH) throw new Error("it is not set");
    if (skew > SKEW) {
      throw new Error(
        `that of temporary files differs by ${Math.round(skew)} s`,
      );
    }
  } finally {
    await Deno.remove(file);
  }
  const property = "--property=NTPSynchronized";
  const kept = await ask(["timedatectl", "show", property, "--value"], signal)
    .catch(() => ({ text: "" }));
  const who = kept.text === "yes"
    ? "kept right by a time service"
    : "whether a time service keeps it right is not known";
  return `${new Date().toISOString()}, ${who}`;
}
