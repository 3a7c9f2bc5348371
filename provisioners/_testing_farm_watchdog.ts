import { abortable } from "@std/async/abortable";
import { ALIVE, REDIRECTS } from "./_testing_farm_api.ts";
import { TAG } from "./_testing_farm_reaper.ts";
import { ProvisionError } from "./provisioner.ts";

/** What a watchdog has to know. The token is in its environment. */
export interface Duty {
  /** Of the service, without a version. */
  readonly url: string;
  readonly tokenId: string;
  /** The tag of the requests that it ends. */
  readonly pool: string;
  /** Milliseconds between two looks: a request may be taken after the death of its script. */
  readonly interval: number;
  /** Milliseconds before each repetition of its first look; the last for all further ones. */
  readonly retryDelays: readonly number[];
}

/** What a watchdog says when it has seen the list of requests. */
const READY = "ready";
/** What tells a watchdog that nothing is left for it to do. */
const HOME = "home";
/** How often it tries to see the list. */
const ATTEMPTS = 5;
/** How often in a row a look has to find nothing. */
const QUIET = 3;
/** Looks after which a service in trouble is given up. */
const ROUNDS = 100;

/** What {@linkcode endRequests} is called with. */
type Orders = Duty & {
  readonly ready: string;
  readonly home: string;
  readonly attempts: number;
  readonly redirects: number;
  readonly quiet: number;
  readonly rounds: number;
  readonly states: readonly string[];
  readonly tag: string;
};

/** What is looked at of a request. */
interface Listed {
  readonly id: string;
  readonly environments_requested?:
    | readonly {
      readonly settings?: {
        readonly provisioning?: {
          readonly tags?: Record<string, unknown> | null;
        } | null;
      } | null;
    }[]
    | null;
}

/**
 * Ends all requests of a pool when the input ends. Says first that it can, or why
 * not. It is run by another Deno from its text, which is there wherever this
 * package comes from: it can use nothing but what it is called with.
 */
async function endRequests(orders: Orders): Promise<void> {
  const authorization = `Bearer ${Deno.env.get("TESTING_FARM_API_TOKEN")}`;
  const pause = (ms: number) =>
    new Promise((resolve) => setTimeout(resolve, ms));
  const call = async (method: string, path: string): Promise<Response> => {
    let url = new URL(`${orders.url}/v0.1/requests${path}`);
    const { origin } = url;
    for (let redirects = 0;; redirects++) {
      const response = await fetch(url, {
        method,
        headers: { authorization },
        redirect: "manual", // the token goes nowhere else
        signal: AbortSignal.timeout(60_000),
      });
      const location = response.headers.get("location");
      const isRedirect = response.status >= 300 && response.status < 400;
      if (!isRedirect || !location) return response;
      await response.body?.cancel();
      url = new URL(location, url);
      if (url.origin !== origin || redirects === orders.redirects) {
        throw new Error(
          `it was redirected to ${url.origin}, where the token does not go`,
        );
      }
    }
  };
  const list = async (state: string): Promise<Listed[]> => {
    const query = `?state=${state}&token_id=${orders.tokenId}`;
    const response = await call("GET", query);
    if (response.ok) return await response.json() ?? [];
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  };
  const isOurs = ({ environments_requested }: Listed) =>
    environments_requested?.some((environment) =>
      environment?.settings?.provisioning?.tags?.[orders.tag] === orders.pool
    );
  /** True if there was nothing to end. */
  const look = async () => {
    let isQuiet = true;
    for (const state of orders.states) {
      for (const { id } of (await list(state)).filter(isOurs)) {
        isQuiet = false;
        await call("DELETE", `/${encodeURIComponent(id)}`)
          .then((response) => response.body?.cancel())
          .catch(() => {}); // the next look tries again, and others can end
      }
    }
    return isQuiet;
  };
  /** Says why it cannot see the list, if it cannot. */
  const prepare = async (): Promise<string | undefined> => {
    for (let attempt = 1;; attempt++) {
      try {
        for (const state of orders.states) await list(state);
        return;
      } catch (error) {
        const { message, cause } = error as Error;
        if (attempt === orders.attempts) {
          return cause instanceof Error ? cause.message : message;
        }
      }
      const { retryDelays } = orders;
      await pause(retryDelays[Math.min(attempt, retryDelays.length) - 1] ?? 0);
    }
  };
  const fault = await prepare();
  console.log(fault ?? orders.ready);
  if (fault !== undefined) return;
  const word = await new Response(Deno.stdin.readable).text();
  if (word === orders.home) return;
  let quiet = 0;
  for (let round = 0; round < orders.rounds; round++) {
    quiet = await look().catch(() => false) ? quiet + 1 : 0;
    if (quiet === orders.quiet) return;
    await pause(orders.interval);
  }
}

/** What {@linkcode RequestWatchdog.start} needs to know. */
export interface RequestWatchdogOptions {
  readonly token: string;
  /** Ends the start. */
  readonly signal: AbortSignal;
  /** Told if it ends although it still has something to do. */
  readonly onEnd: (error: Error) => void;
}

/**
 * A process that ends the requests of a pool when we are gone. It does not keep
 * this process from ending. Disposing of it lets it look now.
 */
export class RequestWatchdog implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #status: Promise<Deno.CommandStatus>;
  #closed?: Promise<void>;

  private constructor(
    child: Deno.ChildProcess,
    onEnd: (error: Error) => void,
  ) {
    this.#child = child;
    child.unref();
    this.#status = child.status;
    this.#status.then((status) => {
      if (this.#closed) return;
      onEnd(
        new ProvisionError(
          `The watchdog ended with ${
            outcome(status)
          }: requests of this script will not be ended when it is killed`,
        ),
      );
    });
  }

  /**
   * Starts it, and waits until it has seen the list of requests.
   *
   * @throws {ProvisionError} if there is no Deno to run it, or it cannot see the list
   */
  static async start(
    duty: Duty,
    { token, signal, onEnd }: RequestWatchdogOptions,
  ): Promise<RequestWatchdog> {
    if (Deno.build.standalone) {
      throw new ProvisionError(
        'Cannot use "watchdog" in a compiled script: it takes Deno itself',
        { fatal: true },
      );
    }
    const child = spawn(duty, token);
    try {
      const said = await abortable(firstLine(child.stdout), signal);
      if (said === READY) return new RequestWatchdog(child, onEnd);
      const why = said || `it ended with ${outcome(await child.status)}`;
      throw new ProvisionError(
        `Cannot use "watchdog": it cannot see requests: ${why}`,
      );
    } catch (error) {
      await kill(child);
      throw error;
    }
  }

  /** Sends it home: nothing is left for it to do. */
  async dismiss(): Promise<void> {
    this.#closed ??= this.#close(HOME);
    this.#child.ref();
    await this.#closed;
    await this.#status;
  }

  /** Lets it look now; it ends by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close("");
    await this.#closed;
  }

  async #close(word: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(word));
      await writer.close();
    } catch {
      // Somebody ended it.
    }
  }
}

function spawn(duty: Duty, token: string): Deno.ChildProcess {
  const url = duty.url.replace(/\/+$/, "");
  const orders: Orders = {
    ...duty,
    url,
    ready: READY,
    home: HOME,
    attempts: ATTEMPTS,
    redirects: REDIRECTS,
    quiet: QUIET,
    rounds: ROUNDS,
    states: ALIVE,
    tag: TAG.pool,
  };
  const program = `(${endRequests})(${JSON.stringify(orders)});`;
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-config", "--no-lock", "--no-prompt"],
      `--allow-net=${new URL(url).host}`,
      "--allow-env=TESTING_FARM_API_TOKEN",
      `data:text/javascript,${encodeURIComponent(program)}`,
    ],
    env: { TESTING_FARM_API_TOKEN: token },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    detached: true,
  }).spawn();
}

/** What a process says first, or nothing. */
async function firstLine(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string> {
  const reader = stdout.getReader();
  const { value } = await reader.read(); // a short line comes in one piece
  await reader.cancel();
  return new TextDecoder().decode(value).trim();
}

async function kill(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // It ended by itself.
  }
  await child.status;
  await child.stdin.close().catch(() => {});
}

function outcome({ signal, code }: Deno.CommandStatus): string {
  return signal ?? `exit code ${code}`;
}
