import { ConnectionError, type SignalOptions } from "./connection.ts";
import {
  checkMilliseconds,
  checkOptions,
  checkWord,
  type Known,
} from "../options.ts";
import { within } from "./time_limit.ts";
import { CommandError } from "./process.ts";

/** What is to be forwarded where. */
export interface ForwardOptions extends SignalOptions {
  /**
   * Who listens: `local` makes something near the system reachable from here,
   * `remote` makes something near here reachable from the system.
   */
  kind: "local" | "remote";
  /**
   * Where to listen: `PORT` (on loopback), `ADDRESS:PORT`, or the absolute path
   * of a socket. Port 0 means one that is free, see {@linkcode Forward.port}.
   */
  listen: string | number;
  /** Where connections go: `HOST:PORT`, or the absolute path of a socket. */
  to: string;
  /**
   * Longest time in which the forward is set up, and in which it is ended, in
   * milliseconds.
   *
   * @default {30_000}
   */
  timeout?: number | undefined;
}

/**
 * A forward in force. Disposing of it ends it (on the side of the server a moment
 * later); connections through it go on.
 */
export interface Forward extends AsyncDisposable {
  /** The port that is listened on; 0 for a socket. */
  readonly port: number;
}

/** Asks the master: `ssh -O COMMAND FLAG SPEC`. Returns what it prints. */
export type AskMaster = (
  command: "forward" | "cancel",
  flag: "-L" | "-R",
  spec: string,
  options: SignalOptions,
) => Promise<string>;

/** How often a port that was free and then was not is replaced by another one. */
const ATTEMPTS = 5;

const OPTIONS: Known<ForwardOptions> = {
  kind: "a string",
  listen: "anything",
  to: "a string",
  timeout: "optional",
  signal: "optional",
};

/**
 * Checks what a user gave.
 *
 * @throws {TypeError} if something cannot be used
 */
export function checkForward(options: ForwardOptions): void {
  checkOptions("forward()", options, OPTIONS);
  checkWord("forward()", "kind", options.kind, ["local", "remote"]);
}

/** Sets up a forward. */
export async function forward(
  ask: AskMaster,
  { kind, listen, to, timeout = 30_000, signal }: ForwardOptions,
): Promise<Forward> {
  const [, address = "", text] =
    /^(\/.*|(?:[^:]*:|\[.*\]:)?(\d{1,5}))$/.exec(`${listen}`) ?? [];
  if (!address || Number(text ?? 0) > 65535) {
    throw new TypeError(
      `Cannot listen on "${listen}": "PORT", "ADDRESS:PORT" or the absolute path of a socket would be right`,
    );
  }
  if (!/^(\/.*|([^:[\]]+|\[.*\]):\d{1,5})$/.test(to)) {
    throw new TypeError(
      `Cannot forward to "${to}": "HOST:PORT" or the absolute path of a socket would be right`,
    );
  }
  checkMilliseconds({ timeout });
  const limit = {
    ms: timeout,
    late: () =>
      new ConnectionError(
        `Cannot forward ${listen} to ${to}: ssh does not answer within ${
          timeout / 1000
        } s`,
      ),
  };
  const flag = kind === "local" ? "-L" : "-R";
  const choose = kind === "local" && text !== undefined && Number(text) === 0;
  for (let attempt = 1;; attempt++) {
    const port = choose ? freePort() : Number(text ?? 0);
    const at = choose ? `${address.slice(0, -text.length)}${port}` : address;
    try {
      const said = await within(
        { ...limit, signal },
        (signal) => ask("forward", flag, `${at}:${to}`, { signal }),
      );
      const allocated = text !== undefined && port === 0;
      return {
        port: allocated ? Number(said.trim()) : port,
        [Symbol.asyncDispose]: async () => {
          // Without the master there is no forward either.
          await within(
            limit,
            (signal) => ask("cancel", flag, `${at}:${to}`, { signal }),
          ).catch(() => {});
        },
      };
    } catch (error) {
      if (!choose || attempt === ATTEMPTS || !(error instanceof CommandError)) {
        throw error;
      }
    }
  }
}

/** One that is free at this moment. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
