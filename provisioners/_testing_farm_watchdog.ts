import { ALIVE } from "./_testing_farm_api.ts";
import { TAG } from "./_testing_farm_reaper.ts";
import { ProvisionError } from "./provisioner.ts";

/** What a watchdog has to know. The token is in its environment. */
export interface Duty {
  /** Of the service, without a version. */
  readonly url: string;
  readonly tokenId: string;
  /** Whose requests it ends. */
  readonly run: string;
  /** Milliseconds between two looks: a request may be taken after the death of its script. */
  readonly interval: number;
}

/** What tells a watchdog that nothing is left for it to do. */
const HOME = "home";
/** How often in a row a look has to find nothing. */
const QUIET = 3;
/** Looks after which a service in trouble is given up. */
const ROUNDS = 100;

/** What {@linkcode endRequests} is called with. */
type Orders = Duty & {
  readonly home: string;
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
 * Ends all requests of a run when the input ends. It is run by another Deno from
 * its text, which is there wherever this package comes from: it can use nothing
 * but what it is called with.
 */
async function endRequests(orders: Orders): Promise<void> {
  const word = await new Response(Deno.stdin.readable).text();
  if (word === orders.home) return;
  const authorization = `Bearer ${Deno.env.get("TESTING_FARM_API_TOKEN")}`;
  const call = (method: string, path: string) =>
    fetch(`${orders.url}/v0.1/requests${path}`, {
      method,
      headers: { authorization },
      redirect: "error", // the token goes nowhere else
      signal: AbortSignal.timeout(60_000),
    });
  const list = async (state: string): Promise<Listed[]> => {
    const query = `?state=${state}&token_id=${orders.tokenId}`;
    const response = await call("GET", query);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await response.json() ?? [];
  };
  const isOurs = ({ environments_requested }: Listed) =>
    environments_requested?.some((environment) =>
      environment?.settings?.provisioning?.tags?.[orders.tag] === orders.run
    );
  /** True if there was nothing to end. */
  const look = async () => {
    let isQuiet = true;
    for (const state of orders.states) {
      for (const { id } of (await list(state)).filter(isOurs)) {
        isQuiet = false;
        const response = await call("DELETE", `/${encodeURIComponent(id)}`);
        await response.body?.cancel();
      }
    }
    return isQuiet;
  };
  let quiet = 0;
  for (let round = 0; round < orders.rounds; round++) {
    quiet = await look().catch(() => false) ? quiet + 1 : 0;
    if (quiet === orders.quiet) return;
    await new Promise((resolve) => setTimeout(resolve, orders.interval));
  }
}

/** A process that ends the requests of our run when we are gone. */
export class RequestWatchdog {
  readonly #child: Deno.ChildProcess;
  readonly #status: Promise<Deno.CommandStatus>;

  /**
   * Starts it. It does not keep this process from ending.
   *
   * @throws {ProvisionError} if there is no Deno to run it
   */
  constructor(duty: Duty, token: string) {
    if (Deno.build.standalone) {
      throw new ProvisionError(
        'Cannot use "watchdog" in a compiled script: it takes Deno itself',
        { fatal: true },
      );
    }
    const url = duty.url.replace(/\/+$/, "");
    const orders: Orders = {
      ...duty,
      url,
      home: HOME,
      quiet: QUIET,
      rounds: ROUNDS,
      states: ALIVE,
      tag: TAG.run,
    };
    const program = `(${endRequests})(${JSON.stringify(orders)});`;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-config", "--no-lock", "--no-prompt"],
        `--allow-net=${new URL(url).host}`,
        "--allow-env=TESTING_FARM_API_TOKEN",
        `data:text/javascript,${encodeURIComponent(program)}`,
      ],
      env: { TESTING_FARM_API_TOKEN: token },
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#child.unref();
    this.#status = this.#child.status;
  }

  /** Sends it home: nothing is left for it to do. */
  async dismiss(): Promise<void> {
    this.#child.ref();
    const writer = this.#child.stdin.getWriter();
    try {
      await writer.write(new TextEncoder().encode(HOME));
      await writer.close();
    } catch {
      // Somebody ended it.
    }
    await this.#status;
  }
}
