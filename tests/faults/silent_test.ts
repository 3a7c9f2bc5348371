/** Servers and programs that say nothing: every wait for them ends, and leaves nothing. */
import {
  deepStrictEqual,
  match,
  ok,
  rejects,
  strictEqual,
} from "node:assert/strict";
import { ConnectError } from "../../connections/connection.ts";
import { KubernetesConnection } from "../../connections/kubernetes.ts";
import { LocalConnection } from "../../connections/local.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { SetupError } from "../../executors/executor.ts";
import { FmfExecutor } from "../../executors/fmf/executor.ts";
import { discover } from "../../executors/fmf/discover.ts";
import { checkOut } from "../../executors/fmf/metadata/fetch.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { processesWith, until } from "../_wait.ts";

/** A server that takes connections and says nothing. */
class Silence implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections: Deno.Conn[] = [];
  readonly #listening = (async () => {
    for await (const connection of this.#listener) {
      this.#connections.push(connection);
    }
  })();

  get port(): number {
    return this.#listener.addr.port;
  }

  get asked(): number {
    return this.#connections.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#listening;
    for (const connection of this.#connections) connection.close();
  }
}

/** Ids of processes whose command line holds all texts. */
function processesAbout(...texts: string[]): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name))
    .filter((pid) => {
      if (!pid || pid === Deno.pid) return false;
      try {
        const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
        return texts.every((text) => line.includes(text));
      } catch {
        return false; // it has ended
      }
    });
}

const LIMIT = 400;

/** Checks that something ends in time with an error. */
async function endsWith(
  work: () => Promise<unknown>,
  message: RegExp,
): Promise<Error> {
  const began = performance.now();
  const error = await work().then(() => undefined, (error) => error);
  ok(error instanceof Error, Deno.inspect(error));
  match(error.message, message);
  const ms = performance.now() - began;
  ok(ms >= LIMIT - 50 && ms < 20_000, `it took ${ms} ms`);
  return error;
}

Deno.test({
  name: "SshConnection gives up a server that says nothing",
  ignore: cannotRun("silent ssh servers", missingPrograms("ssh")),
  async fn(t) {
    for (const stateless of [false, true]) {
      await t.step(stateless ? "stateless" : "shared", async () => {
        await using silence = await Promise.resolve(new Silence());
        const host = `root@127.0.0.1:${silence.port}`;
        const error = await endsWith(
          () => SshConnection.open({ host, stateless, connectTimeout: LIMIT }),
          /^Cannot connect to root@127\.0\.0\.1:\d+: it takes longer than 0\.4 s$/,
        );
        ok(error instanceof ConnectError);
        ok(silence.asked > 0);
        // what watches over a shared connection ends a moment after it
        await until(() =>
          processesAbout("ssh", `Port=${silence.port}`).length === 0
        );
      });
    }
  },
});

Deno.test("connections to containers give up programs that do not end", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const program = `${directory}/silent`;
  const seconds = `31${Deno.pid}`;
  await Deno.writeTextFile(program, `#!/bin/sh\nexec sleep ${seconds}\n`, {
    mode: 0o755,
  });
  for (
    const open of [
      () =>
        PodmanConnection.open({
          container: "c",
          podman: [program],
          connectTimeout: LIMIT,
        }),
      () =>
        KubernetesConnection.open({
          pod: "c",
          kubectl: [program],
          connectTimeout: LIMIT,
        }),
    ]
  ) {
    const error = await endsWith(
      open,
      /^Cannot connect to the (container|pod) "c": it takes longer than 0\.4 s$/,
    );
    ok(error instanceof ConnectError);
    deepStrictEqual(await processesWith(`sleep ${seconds}`), []);
  }
  await Deno.remove(directory, { recursive: true });
});

Deno.test("connections refuse time limits that make no sense", () => {
  for (const connectTimeout of [0, -1, NaN]) {
    for (
      const make of [
        () => new SshConnection({ host: "h", connectTimeout }),
        () => new PodmanConnection({ container: "c", connectTimeout }),
        () => new KubernetesConnection({ pod: "p", connectTimeout }),
      ]
    ) {
      let thrown;
      try {
        make();
      } catch (error) {
        thrown = error;
      }
      ok(thrown instanceof RangeError);
      match(thrown.message, /"connectTimeout": a positive number of milli/);
    }
  }
});

Deno.test({
  name: "git is given up with a server that says nothing",
  ignore: cannotRun("silent git servers", missingPrograms("git")),
  async fn() {
    await using silence = await Promise.resolve(new Silence());
    const cache = await Deno.makeTempDir({ prefix: "atex-test-" });
    const url = `git://127.0.0.1:${silence.port}/x`;
    await endsWith(
      () => checkOut(url, undefined, { cache, commandTimeout: LIMIT }),
      /git clone takes longer than 0\.4 s/,
    );
    ok(silence.asked > 0);
    deepStrictEqual(processesAbout(url), []);
    const files = [...Deno.readDirSync(cache)].map(({ name }) => name);
    ok(files.every((name) => name.endsWith(".lock")), `${files}`);
    await Deno.remove(cache, { recursive: true });
  },
});

Deno.test("a server of libraries that says nothing is given up", async () => {
  await using silence = await Promise.resolve(new Silence());
  const tree = await Deno.makeTempDir({ prefix: "atex-test-" });
  await Deno.mkdir(`${tree}/.fmf`);
  await Deno.writeTextFile(`${tree}/.fmf/version`, "1\n");
  await Deno.writeTextFile(
    `${tree}/t.fmf`,
    "test: 'true'\nrequire: [library(kit/a)]\n",
  );
  const base = `http://127.0.0.1:${silence.port}`;
  await endsWith(
    () => discover(tree, { libraries: { base, existsTimeout: LIMIT } }),
    /cannot find out whether http:\S+ exists: there is no answer within 0\.4 s/,
  );
  strictEqual(silence.asked, 1);
  await Deno.remove(tree, { recursive: true });
});

/** A system where commands that hold a word do not end. */
class Stuck extends LocalConnection {
  constructor(readonly word: string, readonly seconds: string) {
    super();
  }

  override local(argv: readonly string[]) {
    return super.local(
      argv.join(" ").includes(this.word) ? ["sleep", this.seconds] : argv,
    );
  }
}

Deno.test("a system that is stuck is given up while it is set up", async () => {
  const seconds = `32${Deno.pid}`;
  const root = new URL("../../examples/suite", import.meta.url).pathname;
  await using tests = await discover(root);
  for (const [word, what] of [["", "directory"], ["/tests", "upload"]]) {
    const connection = new Stuck(word, seconds);
    const executor = new FmfExecutor(connection, {
      tests,
      setupTimeout: LIMIT,
    });
    await rejects(executor.start(), (error) => {
      ok(error instanceof SetupError, Deno.inspect(error));
      match(error.message, new RegExp(`${what}.*not done within 400 ms`));
      return true;
    });
    deepStrictEqual(await processesWith(`sleep ${seconds}`), []);
  }
});
