/** Faults of the network, made in a container's own network namespace, and a server between that delays. */
import { podman } from "../_podman.ts";

/** Runs a command in the network namespace of a container. */
export async function inNetworkOf(
  container: string,
  ...argv: string[]
): Promise<void> {
  const pid = await podman(
    "inspect",
    "--format={{.State.Pid}}",
    container,
  );
  const { success, stderr } = await new Deno.Command("nsenter", {
    args: ["-t", pid, "-n", ...argv],
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Nothing comes through to sshd any more. */
export const dropPort = (container: string): Promise<void> =>
  inNetworkOf(
    container,
    ...["iptables", "-I", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"],
  );

/** Some packets get lost. */
export const losePackets = (
  container: string,
  probability: number,
): Promise<void> =>
  inNetworkOf(
    container,
    ...["iptables", "-I", "INPUT", "-m", "statistic", "--mode", "random"],
    ...["--probability", `${probability}`, "-j", "DROP"],
  );

/** Hands on what it gets to a port on this machine, each piece so much later. */
export class SlowPort implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;

  constructor(port: number, ms: number) {
    this.#serving = this.#serve(port, ms);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(port: number, ms: number): Promise<void> {
    const ends: Promise<void>[] = [];
    for await (const near of this.#listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port });
      for (const end of [near, far]) this.#open.add(end);
      ends.push(this.#pipe(near, far, ms), this.#pipe(far, near, ms));
    }
    await Promise.all(ends);
  }

  async #pipe(from: Deno.Conn, to: Deno.Conn, ms: number): Promise<void> {
    let writing = Promise.resolve();
    try {
      for await (const bytes of from.readable) {
        const due = new Promise((resolve) => setTimeout(resolve, ms));
        writing = writing.then(async () => {
          await due;
          for (let at = 0; at < bytes.length;) {
            at += await to.write(bytes.subarray(at));
          }
        });
        writing.catch(() => {});
      }
    } catch {
      // one of them was closed
    }
    await writing.catch(() => {});
    for (const end of [from, to]) this.#close(end);
  }

  #close(end: Deno.Conn): void {
    if (!this.#open.delete(end)) return;
    try {
      end.close();
    } catch {
      // its stream closed it
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const end of [...this.#open]) this.#close(end);
    await this.#serving;
  }
}
