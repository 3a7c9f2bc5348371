/** An executor on this machine whose wrapper, links and probes do what a test says. */
import { LocalConnection } from "../../../connections/local.ts";
import type {
  LocalCommand,
  SignalOptions,
} from "../../../connections/connection.ts";
import type { FmfExecutorEvent } from "../../../executors/fmf/_events.ts";
import {
  FmfExecutor,
  type FmfExecutorOptions,
} from "../../../executors/fmf/executor.ts";

/** What every scripted wrapper can call. */
const PRELUDE = `
for argument; do
  case $argument in
    marker=*) nonce=\${argument#*=} ;;
    setup=*) IFS= read -r -N "\${argument#*=}" setup ;;
  esac
done
begin() { echo "noop atex-start $nonce"; }
finish() { printf 'exitcode %s\\nnoop atex-end %s\\n' "$1" "$nonce"; }
report() { echo "result \${#1}"; printf %s "$1"; }
# obeys the lifeline as the wrapper does, and tells what it heard
obey() {
  while IFS= read -r line; do
    echo "$line" >>"$HEARD"
    [[ $line != stop ]] || exit 143
  done
  echo EOF >>"$HEARD"
  exit 143
}
`;

export interface ScriptedOptions {
  /** What the wrapper does in place of running the test, at each start. */
  launches: string[];
  /** What each attempt to connect does. @default it works */
  connects?: (string | Error)[];
  /** What each look at the system finds; a number is an exit code. @default "new dead" */
  probes?: (string | number)[];
  canReboot?: boolean;
  duration?: string;
  signal?: AbortSignal;
  executor?: Partial<FmfExecutorOptions>;
}

/** What there is after the run. */
export interface ScriptedOutcome {
  exitCode?: number;
  error?: unknown;
  results: Record<string, unknown>[];
  files: Record<string, string>;
  /** What the executor did with the connection. */
  calls: string[];
  /** What the wrapper read from its lifeline. */
  heard: string;
  events: FmfExecutorEvent[];
  /** Whether a result or a file but those of the artifacts was left. */
  left: string[];
}

/** The local system, with words put into its mouth. */
export class ScriptedConnection extends LocalConnection {
  readonly calls: string[] = [];
  readonly heard = Deno.makeTempFileSync({ prefix: "atex-test-" });
  readonly #options: ScriptedOptions;
  override readonly canReboot: boolean;
  /** Called at every call. */
  onCall: (call: string) => void = () => {};

  constructor(options: ScriptedOptions) {
    super();
    this.#options = {
      ...options,
      launches: [...options.launches],
      connects: [...options.connects ?? []],
      probes: [...options.probes ?? []],
    };
    this.canReboot = options.canReboot ?? true;
  }

  #call(call: string): void {
    this.calls.push(call);
    this.onCall(call);
  }

  override async connect({ signal }: SignalOptions = {}): Promise<void> {
    const how = this.#options.connects!.shift();
    this.#call("connect");
    if (how instanceof Error) throw how;
    if (how === "deaf") await new Promise(() => {});
    if (how !== "hang") return;
    await new Promise((_, reject) => {
      signal!.addEventListener("abort", () => reject(signal!.reason));
    });
  }

  override disconnect(): Promise<void> {
    this.#call("disconnect");
    return Promise.resolve();
  }

  override local(argv: readonly string[]): LocalCommand {
    if (argv[0] === "bash" && argv[1]?.endsWith("/wrapper")) {
      const script = this.#options.launches.shift() ?? "exit 99";
      this.#call("launch");
      if (script === "throw") throw new Error("no program for that");
      return {
        argv: ["bash", "-c", PRELUDE + script, ...argv.slice(1)],
        env: { HEARD: this.heard },
      };
    }
    if (argv[0] === "bash" && argv[1] === "-c" && argv[3] === "atex") {
      const end = argv[5] === "end";
      this.#call(end ? "end" : "probe");
      if (end) return super.local(["true"]);
      const found = this.#options.probes!.shift() ?? "new dead";
      if (found === "hang") return super.local(["sleep", "60"]);
      return super.local(
        typeof found === "number"
          ? ["bash", "-c", `exit ${found}`]
          : ["echo", found && `atex-probe ${found}`],
      );
    }
    return super.local(argv);
  }
}

/** Runs one test with a scripted wrapper. */
export async function runScripted(
  options: ScriptedOptions,
  act: (connection: ScriptedConnection, abort: AbortController) => void =
    () => {},
): Promise<ScriptedOutcome> {
  const connection = new ScriptedConnection(options);
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const root = `${directory}/root`;
  const artifacts = `${directory}/artifacts`;
  await Deno.mkdir(root);
  await Deno.mkdir(artifacts);
  const events: FmfExecutorEvent[] = [];
  const abort = new AbortController();
  const outcome: ScriptedOutcome = {
    results: [],
    files: {},
    calls: connection.calls,
    heard: "",
    events,
    left: [],
  };
  try {
    const executor = new FmfExecutor(connection, {
      tests: {
        plan: {},
        data: new Map([["/t", {
          test: "true",
          duration: options.duration ?? "1m",
        }]]),
        sources: new Map(),
        root,
      },
      exitGrace: 300,
      onEvent: (event) => events.push(event),
      ...options.executor,
    });
    await executor.start();
    connection.calls.length = 0;
    act(connection, abort);
    try {
      outcome.exitCode = await executor.runTest("/t", artifacts, {
        signal: abort.signal,
      });
    } catch (error) {
      outcome.error = error;
    }
    outcome.calls = [...connection.calls];
    await executor.stop();
    outcome.results = (await Deno.readTextFile(`${artifacts}/results`))
      .split("\n").slice(0, -1).map((line) => JSON.parse(line));
    for await (const { name } of Deno.readDir(`${artifacts}/files`)) {
      outcome.files[name] = await Deno.readTextFile(
        `${artifacts}/files/${name}`,
      );
    }
    for await (const { name } of Deno.readDir(artifacts)) {
      if (name !== "results" && name !== "files") outcome.left.push(name);
    }
    outcome.heard = await Deno.readTextFile(connection.heard);
    return outcome;
  } finally {
    await Deno.remove(directory, { recursive: true });
    await Deno.remove(connection.heard);
  }
}
