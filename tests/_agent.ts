/** An ssh agent that knows a key: how a script gets in without an option for it. */
import { ok } from "node:assert/strict";

/** A running agent. Disposing of it ends it. */
export class Agent implements AsyncDisposable {
  private constructor(
    /** What a process needs to find it. */
    readonly env: { SSH_AUTH_SOCK: string },
    readonly child: Deno.ChildProcess,
    readonly directory: string,
  ) {}

  /** Starts one that knows the private key in a file. */
  static async start(key: string): Promise<Agent> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    const socket = `${directory}/agent`;
    const child = new Deno.Command("ssh-agent", {
      args: ["-D", "-a", socket],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const agent = new Agent({ SSH_AUTH_SOCK: socket }, child, directory);
    for (let attempt = 0;; attempt++) {
      const added = await new Deno.Command("ssh-add", {
        args: ["-q", key],
        env: agent.env,
        stdin: "null",
      }).output();
      if (added.success) return agent;
      ok(attempt < 100, new TextDecoder().decode(added.stderr));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill();
    await this.child.status;
    await Deno.remove(this.directory, { recursive: true });
  }
}
