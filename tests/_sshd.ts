/**
 * A real sshd on loopback, of the user who runs the tests, in a directory of
 * its own.
 *
 * ```ts
 * const ignore = cannotRun("connections/ssh", sshdMissing());
 * Deno.test({ name: "…", ignore, fn: async () => {
 *   await using sshd = await Sshd.start();
 *   await using connection = await SshConnection.open(sshd.options);
 * } });
 * ```
 */
import { missingPrograms, which } from "./_parts.ts";

export { cannotRun } from "./_parts.ts";

/** Why there can be no sshd here, if so. */
export function sshdMissing(): string | undefined {
  return missingPrograms("ssh", "sshd", "ssh-keygen");
}

export interface SshdOptions {
  /** More lines for `sshd_config`; they come first and so win. */
  config?: readonly string[];
  /** Port to listen on, to start again where another one was. */
  port?: number;
}

/** A running sshd. Disposing of it ends it and every session of it. */
export class Sshd implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #log: { text: string; done: Promise<void> };

  private constructor(
    child: Deno.ChildProcess,
    log: { text: string; done: Promise<void> },
    /** Port on 127.0.0.1. */
    readonly port: number,
    /** Directory with `key`, `key.pub`, `host_key`, `sshd_config`, and `home`, which is $HOME. */
    readonly directory: string,
    /** Whom one can log in as: nobody but the user of the test. */
    readonly user: string,
  ) {
    this.#child = child;
    this.#log = log;
  }

  /** Starts one; it accepts connections when this resolves. */
  static async start(options: SshdOptions = {}): Promise<Sshd> {
    const missing = sshdMissing();
    if (missing) throw new Error(`Cannot start sshd: ${missing}`);
    const directory = await Deno.makeTempDir({ prefix: "atex-test-sshd-" });
    try {
      for (const name of ["key", "host_key"]) {
        await command(
          "ssh-keygen",
          "-q",
          "-t",
          "ed25519",
          "-N",
          "",
          "-f",
          `${directory}/${name}`,
        );
      }
      await Deno.mkdir(`${directory}/home`);
      const user = await command("id", "-un");
      if (user === "root") await Deno.mkdir("/run/sshd", { recursive: true });
      for (let attempt = 1;; attempt++) {
        const port = options.port ?? freePort();
        const config = `${directory}/sshd_config`;
        await Deno.writeTextFile(
          config,
          [
            ...options.config ?? [],
            `ListenAddress 127.0.0.1:${port}`,
            `HostKey ${directory}/host_key`,
            `AuthorizedKeysFile ${directory}/key.pub`,
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "UseDNS no",
            "AcceptEnv LANG LC_*",
            `SetEnv HOME=${directory}/home`, // nobody's .bashrc
            "",
          ].join("\n"),
        );
        const child = new Deno.Command(which("sshd")!, {
          args: ["-D", "-e", "-f", config],
          stdin: "null",
          stdout: "null",
          stderr: "piped",
          detached: true,
        }).spawn();
        const log = { text: "", done: Promise.resolve() };
        const listening = Promise.withResolvers<boolean>();
        log.done = (async () => {
          for await (
            const part of child.stderr.pipeThrough(new TextDecoderStream())
          ) {
            log.text += part;
            if (/^Server listening on/m.test(log.text)) listening.resolve(true);
          }
          listening.resolve(false);
        })();
        if (await listening.promise) {
          return new Sshd(child, log, port, directory, user);
        }
        await child.status;
        if (attempt === 5) throw new Error(`Cannot start sshd: ${log.text}`);
      }
    } catch (error) {
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  /** What `SshConnection` needs to get in. */
  get options(): {
    host: string;
    identityFile: string;
    options: Record<string, string>;
  } {
    return {
      host: `${this.user}@127.0.0.1:${this.port}`,
      identityFile: `${this.directory}/key`,
      options: { IdentitiesOnly: "yes" },
    };
  }

  /** What the server said so far. */
  get log(): string {
    return this.#log.text;
  }

  /** Process id of the listening server. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Ends every session, as when the cable is cut near the server; the server goes on. */
  async cutSessions(): Promise<void> {
    await signalTree(this.pid, "SIGKILL", false);
  }

  /** Makes every session silent, as when the network or the system hangs. */
  async freezeSessions(): Promise<void> {
    await signalTree(this.pid, "SIGSTOP", false);
  }

  /** Ends the server, its sessions, and what outlived a session that was cut. */
  async [Symbol.asyncDispose](): Promise<void> {
    await signalTree(this.pid, "SIGKILL", true);
    await killSessionsOf(this.port);
    await this.#child.status;
    await this.#log.done;
    await Deno.remove(this.directory, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

/** A port on 127.0.0.1 that nobody listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Kills what was started in a session of the server on a port, and is nobody's child any more. */
async function killSessionsOf(port: number): Promise<void> {
  const connection = new RegExp(`(^|\\0)SSH_CONNECTION=[^\\0]* ${port}\\0`);
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const environment = await Deno.readTextFile(`/proc/${name}/environ`)
      .catch(() => "");
    if (!connection.test(environment)) continue;
    try {
      Deno.kill(Number(name), "SIGKILL");
    } catch {
      // Ended already.
    }
  }
}

/** Signals all that descends from a process, and if wanted the process itself. */
async function signalTree(
  pid: number,
  signal: Deno.Signal,
  itself: boolean,
): Promise<void> {
  const children = new Map<number, number[]>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    const parent = Number(/\) \S (\d+)/.exec(stat)?.[1]);
    if (parent) {
      children.set(parent, [...children.get(parent) ?? [], Number(name)]);
    }
  }
  const kill = (pid: number) => {
    try {
      Deno.kill(pid, signal);
    } catch {
      // Ended already.
    }
  };
  const descend = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      kill(child);
      descend(child);
    }
  };
  if (itself) kill(pid); // before its sessions: it makes new ones
  descend(pid);
}

async function command(file: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(file, {
    args,
    stdin: "null",
  }).output();
  if (!success) throw new Error(`${file}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}
