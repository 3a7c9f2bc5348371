/** Connections by ssh, with a real sshd on loopback: what is particular to them, and what goes wrong. */
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import {
  ConnectError,
  ConnectionLostError,
  NotConnectedError,
} from "../../connections/connection.ts";
import {
  CommandError,
  output,
  outputLocal,
  run,
  runLocal,
  start,
} from "../../connections/process.ts";
import { SshConnection, type SshOptions } from "../../connections/ssh.ts";
import { Container, podmanMissing } from "../_podman.ts";
import { cannotRun, freePort, Sshd, sshdMissing } from "../_sshd.ts";
import { rejected, thrown } from "../_thrown.ts";
import { exists, until } from "../_wait.ts";

const ignore = cannotRun("connections by ssh", sshdMissing());

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A place for temporary files; a test fails if it leaves anything there, or a process that uses it. */
class Place implements AsyncDisposable {
  readonly #before = Deno.env.get("TMPDIR");

  constructor(readonly path: string) {
    Deno.env.set("TMPDIR", path);
  }

  static async make(name = ""): Promise<Place> {
    const path = await Deno.makeTempDir({ prefix: `atex-test-${name}` });
    return new Place(path);
  }

  /** Names of connections' directories. */
  async directories(): Promise<string[]> {
    return (await Array.fromAsync(Deno.readDir(this.path))).map(({ name }) =>
      name
    );
  }

  /** Processes that have something to do with it, with their command lines. */
  async processes(): Promise<[pid: number, argv: string][]> {
    const found: [number, string][] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name) || +name === Deno.pid) continue;
      const argv = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() =>
        ""
      );
      if (argv.includes(this.path)) {
        found.push([+name, argv.replaceAll("\0", " ")]);
      }
    }
    return found;
  }

  /** Process ids of masters: the shell that guards one, and ssh itself. */
  async master(): Promise<{ guard: number; ssh: number }> {
    const processes = await this.processes();
    const guard = processes.find(([, argv]) => argv.startsWith("/bin/sh -c"));
    const ssh = processes.find(([, argv]) => argv.startsWith("ssh -N"));
    return { guard: guard![0], ssh: ssh![0] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", this.#before);
    // Processes that were killed may be under way.
    await until(async () => (await this.processes()).length === 0);
    await until(async () => (await this.directories()).length === 0);
    await Deno.remove(this.path);
  }
}

/** Variables of this process, for a while. */
class Environment implements Disposable {
  readonly #before: [name: string, value: string | undefined][];

  constructor(values: Record<string, string | undefined>) {
    this.#before = Object.keys(values).map((
      name,
    ) => [name, Deno.env.get(name)]);
    Environment.#set(Object.entries(values));
  }

  static #set(values: [name: string, value: string | undefined][]): void {
    for (const [name, value] of values) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }

  [Symbol.dispose](): void {
    Environment.#set(this.#before);
  }
}

/** A test with an sshd, after which nothing may be left. */
function test(
  name: string,
  fn: (sshd: Sshd, place: Place) => Promise<void>,
  config: readonly string[] = [],
): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      await using sshd = await Sshd.start({ config });
      await using place = await Place.make();
      await fn(sshd, place);
    },
  });
}

/** How often somebody logged in. */
const logins = (sshd: Sshd) =>
  sshd.log.match(/Accepted publickey/g)?.length ?? 0;

/** A server that accepts connections and never says a word. */
function silence(): { port: number } & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  (async () => {
    for await (const connection of listener) accepted.push(connection);
  })();
  return {
    port: listener.addr.port,
    [Symbol.dispose]: () => {
      listener.close();
      for (const connection of accepted) connection.close();
    },
  };
}

/** Runs the script of `_hold_ssh.ts` as a program of its own. */
function script(options: SshOptions & { wait?: number }): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-qA",
      "--no-check",
      new URL("_hold_ssh.ts", import.meta.url).pathname,
      JSON.stringify(options),
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
}

test(
  "SshConnection runs all commands over one connection, and leaves nothing",
  async (sshd, place) => {
    const connection = await SshConnection.open(sshd.options);
    const numbers = Array.from({ length: 20 }, (_, i) => `${i}`);
    const argv = (
      number: string,
    ) => ["sh", "-c", 'sleep 0.05; echo "$0"', number];
    deepEqual(
      await Promise.all(numbers.map((number) => run(connection, argv(number)))),
      numbers.map((number) => `${number}\n`),
    );
    equal(logins(sshd), 1);
    equal((await place.directories()).length, 1);
    await connection[Symbol.asyncDispose]();
    await connection[Symbol.asyncDispose]();
    deepEqual(await place.processes(), []);
    deepEqual(await place.directories(), []);
    thrown(
      () => connection.local(["true"]),
      NotConnectedError,
      "not connected",
    );
  },
);

test("SshConnection.connect() connects once, however often it is called", async (sshd) => {
  await using connection = new SshConnection(sshd.options);
  await Promise.all([connection.connect(), connection.connect()]);
  await connection.connect();
  equal(logins(sshd), 1);
});

test(
  "SshConnection with stateless connects for every command, and has no directory",
  async (sshd, place) => {
    await using connection = await SshConnection.open({
      ...sshd.options,
      stateless: true,
    });
    equal(logins(sshd), 1);
    await run(connection, ["true"]);
    equal(logins(sshd), 2);
    deepEqual(await place.directories(), []);
    const forward = { kind: "local", listen: 1, to: "h:1" } as const;
    await rejected(connection.forward(forward), TypeError, "stateless");
  },
);

test("a script that is killed leaves no connection", async (sshd, place) => {
  await using child = script({ ...sshd.options, wait: 600 });
  const reader = child.stdout.getReader();
  match(text((await reader.read()).value!), /^connected/);
  equal((await place.directories()).length, 1);
  ok((await place.processes()).some(([, argv]) => argv.startsWith("ssh -N")));
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await until(async () => (await place.processes()).length === 0);
});

test(
  "a script that is killed while it connects leaves nothing",
  async (_sshd, place) => {
    using server = silence();
    await using child = script({ host: `127.0.0.1:${server.port}` });
    await until(async () =>
      (await place.processes()).some(([, argv]) => argv.startsWith("ssh -N"))
    );
    child.kill("SIGKILL");
    await child.status;
    await child.stdout.cancel();
  },
);

test("a script that forgets to disconnect ends nevertheless", async (sshd) => {
  await using child = script(sshd.options);
  equal(await child.stdout.text(), "connected\n\n");
  equal((await child.status).code, 0);
});

for (const victim of ["ssh", "guard"] as const) {
  test(
    `SshConnection notices that its master was killed: ${victim}`,
    async (sshd, place) => {
      await using connection = await SshConnection.open(sshd.options);
      const { closed } = connection;
      const running = output(connection, ["sleep", "600"]);
      await until(async () =>
        (await place.processes()).some(([, argv]) =>
          argv.includes("exec sleep 600")
        )
      );
      Deno.kill((await place.master())[victim], "SIGKILL");
      equal((await running).code, 255);
      const error = await closed;
      ok(error instanceof ConnectionLostError);
      match(
        error.message,
        /^Lost the connection to root@127\.0\.0\.1:\d+: ssh ended with exit code 137$/,
      );
      equal(error.code, 137);
      const lost = thrown(
        () => connection.local(["true"]),
        ConnectionLostError,
        'Cannot run "true" on',
      );
      equal(lost.cause, error);
      await rejected(run(connection, ["true"]), ConnectionLostError);
      thrown(() => connection.rsync([]), ConnectionLostError);
      deepEqual(await place.directories(), []);

      await connection.connect();
      equal(await run(connection, ["echo", "again"]), "again\n");
      notEqual(connection.closed, closed);
    },
  );
}

test("SshConnection notices that the server ended the connection", async (sshd) => {
  await using connection = await SshConnection.open(sshd.options);
  await sshd.cutSessions();
  const error = await connection.closed;
  ok(error instanceof ConnectionLostError);
  match(error.message, /Connection to 127\.0\.0\.1 closed by remote host/);
  equal(error.code, 255);
  match(error.output, /closed by remote host/);
  await connection.disconnect();
  thrown(() => connection.local(["true"]), NotConnectedError);
});

test("SshConnection notices that a system does not answer any more", async (sshd) => {
  await using connection = await SshConnection.open({
    ...sshd.options,
    options: {
      ...sshd.options.options,
      ServerAliveInterval: 1,
      ServerAliveCountMax: 1,
    },
  });
  const running = output(connection, ["sleep", "600"]);
  await sshd.freezeSessions();
  const { message } = await connection.closed;
  match(message, /the system does not answer any more$/);
  equal((await running).code, 255);
});

test("paths of files are relative to the directory of the script", async (sshd) => {
  const before = Deno.cwd();
  Deno.chdir(sshd.directory);
  try {
    for (const stateless of [false, true]) {
      await using connection = await SshConnection.open({
        ...sshd.options,
        identityFile: "key",
        stateless,
      });
      equal(await run(connection, ["echo", "x"]), "x\n");
    }
  } finally {
    Deno.chdir(before);
  }
});

test("SshConnection.closed stays pending when it is disconnected on purpose", async (sshd) => {
  const connection = await SshConnection.open(sshd.options);
  await connection.disconnect();
  const later = new Promise((resolve) => setTimeout(resolve, 50, "pending"));
  equal(await Promise.race([connection.closed, later]), "pending");
});

Deno.test("a connection that ends as soon as a command has shown that it works is lost", async () => {
  await using place = await Place.make();
  // The command ends the master, and waits until it is gone.
  const ssh = `${place.path}/ssh`;
  const script = `#!/bin/sh
case $1 in
  -N) echo "$PPID $$" >${place.path}/pids; echo atex-connected; exec sleep 600;;
esac
read -r guard master <${place.path}/pids
kill "$master"
while kill -0 "$guard" 2>/dev/null; do sleep 0.01; done
`;
  await runLocal({
    argv: ["sh", "-c", 'cat >"$0"; chmod 700 "$0"', ssh],
  }, { stdin: script });
  const connection = await SshConnection.open({ host: "nowhere", ssh });
  match((await connection.closed).message, /^Lost the connection to nowhere/);
  thrown(() => connection.local(["true"]), ConnectionLostError, "was lost");
  await connection.disconnect();
  await Deno.remove(ssh);
  await Deno.remove(`${place.path}/pids`);
});

Deno.test({
  name: "SshConnection.connect() succeeds after a system is back",
  ignore,
  fn: async () => {
    await using place = await Place.make();
    const sshd = await Sshd.start();
    await using connection = await SshConnection.open({
      ...sshd.options,
      options: { ...sshd.options.options, ConnectionAttempts: 1 },
    });
    // The keys have to stay.
    const keys = `${place.path}/keys`;
    await Deno.mkdir(keys);
    for (const name of ["key", "key.pub"]) {
      await Deno.copyFile(`${sshd.directory}/${name}`, `${keys}/${name}`);
    }
    await sshd[Symbol.asyncDispose]();
    await connection.closed;
    await rejected(connection.connect(), ConnectError, "Connection refused");
    await Deno.mkdir(sshd.directory);
    await Deno.copyFile(`${keys}/key`, `${sshd.directory}/key`);
    await Deno.chmod(`${sshd.directory}/key`, 0o600);
    await using _again = await Sshd.start({
      port: sshd.port,
      config: [`AuthorizedKeysFile ${keys}/key.pub`],
    });
    await connection.connect();
    equal(await run(connection, ["echo", "back"]), "back\n");
    await Deno.remove(sshd.directory, { recursive: true });
    await Deno.remove(keys, { recursive: true });
  },
});

test("killing one command leaves the connection and the others alone", async (sshd) => {
  await using connection = await SshConnection.open(sshd.options);
  await using first = start(connection, ["sleep", "600"]);
  await using second = start(connection, ["cat"], {
    stdin: "piped",
    stdout: "piped",
  });
  first.kill("SIGKILL");
  equal((await first.status).code, 137);
  await second.stdin.close();
  equal((await second.status).code, 0);
  equal(await run(connection, ["echo", "there"]), "there\n");
});

test("a command does not connect by itself when the connection is gone", async (sshd) => {
  const connection = await SshConnection.open(sshd.options);
  const command = connection.local(["echo", "unnoticed"]);
  await connection.disconnect();
  const { code, stdout } = await outputLocal(command);
  equal(code, 255);
  equal(text(stdout), "");
  equal(logins(sshd), 1);
});

test("ConnectError tells why a key is refused", async (sshd) => {
  const identityFile = `${sshd.directory}/host_key`;
  for (const stateless of [false, true]) {
    const error = await rejected(
      SshConnection.open({ ...sshd.options, identityFile, stateless }),
      ConnectError,
      `Cannot connect to root@127.0.0.1:${sshd.port}: root@127.0.0.1: Permission denied (publickey)`,
    );
    equal(error.code, 255);
    match(error.output, /Permission denied/);
  }
});

test("ConnectError tells why a system cannot be reached", async () => {
  const options = { ConnectionAttempts: 1, ConnectTimeout: 1 };
  const cases: [host: string, reason: RegExp][] = [
    [`127.0.0.1:${freePort()}`, /Connection refused$/],
    [
      "no-such-host.invalid",
      /Could not resolve hostname no-such-host\.invalid/,
    ],
  ];
  using server = silence();
  cases.push([`127.0.0.1:${server.port}`, /timed out/]);
  for (const [host, reason] of cases) {
    for (const stateless of [false, true]) {
      const { message } = await rejected(
        SshConnection.open({ host, options, stateless }),
        ConnectError,
        `Cannot connect to ${host}: `,
      );
      match(message, reason);
    }
  }
});

test("ConnectError names a missing ssh", async (sshd) => {
  for (const stateless of [false, true]) {
    await rejected(
      SshConnection.open({ ...sshd.options, ssh: "atex-no-ssh", stateless }),
      ConnectError,
      `Cannot connect to root@127.0.0.1:${sshd.port}: the program "atex-no-ssh" is not installed`,
    );
  }
});

test("ConnectError tells that no command can be run", async (sshd) => {
  await rejected(
    SshConnection.open(sshd.options),
    ConnectError,
    "no commands for you",
  );
}, ["ForceCommand echo no commands for you >&2; exit 1"]);

test("SshConnection.connect() can be aborted, and tried again", async (sshd) => {
  using server = silence();
  for (const stateless of [false, true]) {
    const controller = new AbortController();
    const connection = new SshConnection({
      host: `127.0.0.1:${server.port}`,
      stateless,
    });
    const connecting = connection.connect({ signal: controller.signal });
    const other = connection.connect();
    setTimeout(() => controller.abort(new Error("my reason")), 100);
    await rejected(connecting, Error, "my reason");
    const error = rejected(other, NotConnectedError, "disconnected meanwhile");
    await connection.disconnect();
    await error;
  }
  const signal = AbortSignal.abort(new Error("before"));
  const connection = new SshConnection(sshd.options);
  await rejected(connection.connect({ signal }), Error, "before");
  equal(logins(sshd), 0);
  await connection.connect();
  await connection.disconnect();
});

test("SshConnection.disconnect() ends a connect() under way", async () => {
  using server = silence();
  const connection = new SshConnection({ host: `127.0.0.1:${server.port}` });
  const connecting = rejected(
    connection.connect(),
    NotConnectedError,
    "disconnected meanwhile",
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  await connection.disconnect();
  await connecting;
});

test(
  "SshConnection asks again a server that drops new connections",
  async (sshd) => {
    const opening = Array.from(
      { length: 8 },
      () => SshConnection.open(sshd.options),
    );
    const connections = await Promise.all(opening);
    for (const connection of connections) {
      equal(await run(connection, ["echo", "x"]), "x\n");
      await connection.disconnect();
    }
    match(sshd.log, /MaxStartups/);
  },
  ["MaxStartups 1:100:1"],
);

test("paths with quotes and other odd characters are those that are meant", async (sshd) => {
  for (
    const name of [
      "bob's",
      'a"b',
      `a's "b"`,
      "back\\slash",
      "a\\'b\\\"c\\\\d e",
      "50%h",
      "#x",
      "eq=x",
    ]
  ) {
    const directory = `${sshd.directory}/${name}`;
    await Deno.mkdir(directory);
    const identityFile = `${directory}/key`;
    await Deno.copyFile(sshd.options.identityFile, identityFile);
    await Deno.chmod(identityFile, 0o600);
    using _env = new Environment({ TMPDIR: directory });
    await using connection = await SshConnection.open({
      ...sshd.options,
      identityFile,
    });
    equal(await run(connection, ["echo", "x"]), "x\n", name);
  }
  const directory = `${sshd.directory}/\${HOME}`;
  await Deno.mkdir(directory);
  using _env = new Environment({ TMPDIR: directory });
  await using connection = await SshConnection.open(sshd.options);
  equal(await run(connection, ["echo", "x"]), "x\n");
});

test("the shell of the user need not be there", async (sshd) => {
  using _env = new Environment({ SHELL: "/nonexistent/zsh" });
  await using connection = await SshConnection.open(sshd.options);
  equal(await run(connection, ["echo", "x"]), "x\n");
});

test("a directory for temporary files that is missing is named", async (sshd) => {
  using _env = new Environment({ TMPDIR: "/nonexistent" });
  await rejected(
    SshConnection.open(sshd.options),
    Deno.errors.NotFound,
    'Cannot make a directory for temporary files in "/nonexistent", which TMPDIR names: it does not exist',
  );
});

test("a key that cannot be used is named where the server lets nobody in", async (sshd) => {
  const locked = `${sshd.directory}/locked`;
  await runLocal({
    argv: ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked],
  });
  for (const stateless of [false, true]) {
    const open = (identityFile: string) =>
      SshConnection.open({ ...sshd.options, identityFile, stateless });
    await rejected(
      open(locked),
      ConnectError,
      `Permission denied (publickey); "identityFile": "${locked}" needs a passphrase, which only an agent can give`,
    );
    await rejected(
      open("/nonexistent/key"),
      ConnectError,
      'Permission denied (publickey); "identityFile": "/nonexistent/key" does not exist',
    );
  }
});

test("a proxy that fails is asked once, and its reason is told", async (sshd) => {
  const tries = `${sshd.directory}/tries`;
  const proxy = `sh -c 'echo >>${tries}; echo "no route to host" >&2'`;
  for (const stateless of [false, true]) {
    const open = (options: Record<string, string>) =>
      SshConnection.open({ ...sshd.options, stateless, options });
    await rejected(
      open({ ProxyCommand: proxy }),
      ConnectError,
      `Cannot connect to ${sshd.options.host}: no route to host`,
    );
    equal(await Deno.readTextFile(tries), "\n");
    await Deno.remove(tries);
    await rejected(
      open({ ProxyCommand: "atex-nosuchprogram %h" }),
      ConnectError,
      "atex-nosuchprogram: not found",
    );
    const closed = freePort();
    await rejected(
      open({ ProxyJump: `127.0.0.1:${closed}` }),
      ConnectError,
      `port ${closed}: Connection refused`,
    );
  }
});

test("a forward that the server refuses is why there is no connection", async (sshd) => {
  const options = {
    ...sshd.options.options,
    RemoteForward: `${freePort()} localhost:1`,
  };
  await using _first = await SshConnection.open({ ...sshd.options, options });
  await rejected(
    SshConnection.open({ ...sshd.options, options }),
    ConnectError,
    ": Error: remote port forwarding failed for listen port ",
  );
  equal(logins(sshd), 2);
});

test(
  "commands wait for their turn, those that were started count",
  async (sshd) => {
    await using connection = await SshConnection.open({
      ...sshd.options,
      maxSessions: 3,
    });
    await using started = start(connection, ["sleep", "600"]);
    await using child = connection.command("sleep", { args: ["600"] }).spawn();
    const echo = (i: number) =>
      run(connection, ["sh", "-c", `sleep 0.02; echo ${i}`]);
    const numbers = Array.from({ length: 10 }, (_, i) => i);
    deepEqual(
      await Promise.all(numbers.map(echo)),
      numbers.map((i) => `${i}\n`),
    );
    equal(sshd.log.includes("no more sessions"), false);
    child.kill("SIGKILL");
    await started.terminate();
  },
  ["MaxSessions 3"],
);

test("waiting for one's turn can be given up", async (sshd) => {
  await using connection = await SshConnection.open({
    ...sshd.options,
    maxSessions: 1,
  });
  const first = new AbortController();
  const long = run(connection, ["sleep", "600"], { signal: first.signal });
  await rejected(
    run(connection, ["true"], { signal: AbortSignal.timeout(50) }),
    DOMException,
    "timeout",
  );
  first.abort(new Error("enough"));
  await rejected(long, Error, "enough");
  equal(await run(connection, ["echo", "next"]), "next\n");
});

test(
  "the user's configuration counts, except where it would do harm",
  async (sshd, place) => {
    const configFile = `${sshd.directory}/config with blanks`;
    await Deno.writeTextFile(
      configFile,
      [
        "Host alias",
        "  HostName 127.0.0.1",
        `  Port ${sshd.port}`,
        `  User ${sshd.user}`,
        `  IdentityFile ${sshd.directory}/key`,
        "  RemoteCommand echo harm",
        "  RequestTTY force",
        "  ControlMaster auto",
        `  ControlPath ${place.path}/harm`,
        "  ControlPersist yes",
        "  PermitLocalCommand yes",
        "  LocalCommand echo harm",
        "  SendEnv LANG LC_* ATEX_SENT",
        `  LocalForward ${place.path}/forward 127.0.0.1:${sshd.port}`,
        "  ForkAfterAuthentication yes",
        "  SessionType none",
        "  StdinNull yes",
        "  Tunnel point-to-point",
        "Host *",
        "  LogLevel VERBOSE",
        "  EscapeChar x",
      ].join("\n"),
    );
    const saved = ["LANG", "LC_ALL", "LC_ATEX", "ATEX_SENT"]
      .map((name) => [name, Deno.env.get(name)] as const);
    for (const [name] of saved) Deno.env.set(name, "C");
    try {
      for (const stateless of [false, true]) {
        await using connection = await SshConnection.open({
          host: "alias",
          configFile: new URL(`file://${encodeURI(configFile)}`),
          stateless,
        });
        const { stdout, stderr } = await output(connection, ["env"]);
        const environment = text(stdout).split("\n");
        equal(text(stderr), "");
        deepEqual(
          environment.filter((line) => /^(LANG|LC_|ATEX_)/.test(line)),
          ["ATEX_SENT=C"],
        );
        equal(await run(connection, ["cat"], { stdin: "\nx.\n" }), "\nx.\n");
        equal(await exists(`${place.path}/forward`), false);
        await connection.disconnect();
      }
    } finally {
      for (const [name, value] of saved) {
        if (value === undefined) Deno.env.delete(name);
        else Deno.env.set(name, value);
      }
    }
  },
  ["AcceptEnv ATEX_SENT"],
);

test(
  "a proxy command is used by the connection, and ends with it",
  async (sshd, place) => {
    const proxy = `${place.path}/proxy`;
    await Deno.writeTextFile(
      proxy,
      `#!/bin/sh\nexec ssh -F none -i "${sshd.directory}/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p "$2" -W "$1:$2" "${sshd.user}@$1"\n`,
    );
    await Deno.chmod(proxy, 0o700);
    await using connection = await SshConnection.open({
      ...sshd.options,
      options: { ...sshd.options.options, ProxyCommand: `${proxy} %h %p` },
    });
    equal(await run(connection, ["echo", "through"]), "through\n");
    equal(await run(connection, ["echo", "again"]), "again\n");
    equal(logins(sshd), 2); // the proxy, and what goes through it
    await connection.disconnect();
    await Deno.remove(proxy);
  },
);

test(
  "several systems share what ssh_config says of forwards",
  async (sshd) => {
    const configFile = `${sshd.directory}/ssh_config`;
    const port = freePort();
    await Deno.writeTextFile(
      configFile,
      [
        "Host lab*",
        "  HostName 127.0.0.1",
        `  Port ${sshd.port}`,
        `  User ${sshd.user}`,
        `  IdentityFile ${sshd.directory}/key`,
        `  DynamicForward ${port}`,
        `  LocalForward ${sshd.directory}/forward 127.0.0.1:${sshd.port}`,
        `  RemoteForward ${port} 127.0.0.1:${sshd.port}`,
      ].join("\n"),
    );
    await using one = await SshConnection.open({ host: "lab1", configFile });
    await using two = await SshConnection.open({ host: "lab2", configFile });
    equal(await run(one, ["echo", "1"]), "1\n");
    equal(await run(two, ["echo", "2"]), "2\n");
    equal(await exists(`${sshd.directory}/forward`), false);
    // What is asked for is forwarded.
    const options = {
      localforward: `${sshd.directory}/mine 127.0.0.1:${sshd.port}`,
    };
    await using _asked = await SshConnection.open({ ...sshd.options, options });
    ok(await exists(`${sshd.directory}/mine`));
  },
);

test("a system that was installed anew is reached, whatever key of it was known", async (sshd) => {
  const other = await Deno.readTextFile(`${sshd.directory}/key.pub`);
  const known = `${sshd.directory}/known`;
  await Deno.writeTextFile(known, `[127.0.0.1]:${sshd.port} ${other}`);
  const configFile = `${sshd.directory}/ssh_config`;
  await Deno.writeTextFile(configFile, `GlobalKnownHostsFile ${known}\n`);
  for (const stateless of [false, true]) {
    const options = { ...sshd.options, configFile, stateless };
    await using machine = await SshConnection.open(options);
    const { code, stderr } = await output(machine, ["true"]);
    deepEqual([code, text(stderr)], [0, ""]);
    // Also if somebody wants to read of it: nothing is forwarded that could be refused.
    await using told = await SshConnection.open({
      ...options,
      options: { ...options.options, UserKnownHostsFile: known },
    });
    equal(await run(told, ["echo", "x"]), "x\n");
    await rejected(
      SshConnection.open({
        ...options,
        options: { ...options.options, StrictHostKeyChecking: true },
      }),
      ConnectError,
      "Host key verification failed",
    );
  }
});

test("host keys are checked if asked for", async (sshd, place) => {
  const known = `${place.path}/known hosts`;
  const options = {
    ...sshd.options.options,
    StrictHostKeyChecking: true,
    UserKnownHostsFile: known,
  };
  await rejected(
    SshConnection.open({ ...sshd.options, options }),
    ConnectError,
    "Host key verification failed",
  );
  const key = await Deno.readTextFile(`${sshd.directory}/host_key.pub`);
  await Deno.writeTextFile(known, `[127.0.0.1]:${sshd.port} ${key}`);
  await using connection = await SshConnection.open({
    ...sshd.options,
    options,
  });
  equal(await run(connection, ["echo", "known"]), "known\n");
  await Deno.remove(known);
});

test("a command that is too long is refused, one that is just not is run", async (sshd) => {
  await using connection = await SshConnection.open(sshd.options);
  const longest = 128 * 1024 - 1 - "exec echo ".length;
  equal(
    (await run(connection, ["echo", "x".repeat(longest)])).length,
    longest + 1,
  );
  const error = thrown(
    () => connection.local(["echo", "x".repeat(longest + 1)]),
    RangeError,
  );
  match(
    error.message,
    /the command has 131072 bytes, at most 131071 are possible/,
  );
});

Deno.test({
  name: "SshConnection works where the path of temporary files is long",
  ignore,
  fn: async () => {
    await using place = await Place.make("x".repeat(100));
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open(sshd.options);
    equal(await run(connection, ["echo", "x"]), "x\n");
    const { ssh } = await new Place("/tmp").master();
    ok(ssh > 0);
    Deno.env.set("TMPDIR", place.path);
  },
});

test(
  "forward() makes reachable here what listens there, and the other way round",
  async (sshd, place) => {
    await using connection = await SshConnection.open(sshd.options);
    const target = `127.0.0.1:${sshd.port}`;
    const greeting = async (
      options: Deno.ConnectOptions | Deno.UnixConnectOptions,
    ) => {
      using socket = "path" in options
        ? await Deno.connect({ ...options, transport: "unix" })
        : await Deno.connect(options);
      const buffer = new Uint8Array(4);
      await socket.read(buffer);
      return text(buffer);
    };
    // A server takes a moment to close its side.
    const refused = (options: Deno.ConnectOptions) =>
      until(async () => {
        const answer = await greeting(options).catch((error) => error);
        return answer instanceof Deno.errors.ConnectionRefused;
      });

    for (const kind of ["local", "remote"] as const) {
      const forwards = [
        { listen: 0 },
        { listen: "127.0.0.1:0" },
        { listen: `127.0.0.1:${freePort()}` },
      ];
      for (const { listen } of forwards) {
        const forward = await connection.forward({ kind, listen, to: target });
        ok(forward.port > 0);
        equal(
          await greeting({ port: forward.port }),
          "SSH-",
          `${kind} ${listen}`,
        );
        await forward[Symbol.asyncDispose]();
        await refused({ port: forward.port });
        await forward[Symbol.asyncDispose]();
      }
    }
    const path = `${place.path}/socket`;
    const forward = await connection.forward({
      kind: "local",
      listen: path,
      to: target,
    });
    equal(forward.port, 0);
    equal(await greeting({ path, transport: "unix" }), "SSH-");
    await forward[Symbol.asyncDispose]();
    await Deno.remove(path).catch(() => {});
  },
);

test("forward() tells what is wrong", async (sshd) => {
  await using connection = await SshConnection.open(sshd.options);
  const to = "127.0.0.1:1";
  for (
    const listen of ["", "x", "h:", "h:x", "65536", "a:b:1", "relative/path"]
  ) {
    await rejected(
      connection.forward({ kind: "local", listen, to }),
      TypeError,
      `Cannot listen on "${listen}"`,
    );
  }
  for (const to of ["", "1", "h", "h:", "::1:1"]) {
    await rejected(
      connection.forward({ kind: "local", listen: 1, to }),
      TypeError,
      `Cannot forward to "${to}"`,
    );
  }
  const used = { listen: `127.0.0.1:${sshd.port}`, to } as const;
  await rejected(
    connection.forward({ kind: "local", ...used }),
    CommandError,
    "failed",
  );
  await rejected(
    connection.forward({ kind: "remote", ...used }),
    CommandError,
    "failed",
  );
  const signal = AbortSignal.abort(new Error("my reason"));
  await rejected(
    connection.forward({ kind: "local", listen: 0, to, signal }),
    Error,
    "my reason",
  );
  const forward = await connection.forward({ kind: "local", listen: 0, to });
  await connection.disconnect();
  await forward[Symbol.asyncDispose]();
});

Deno.test({
  name: "a password lets us in, and is in no process list",
  ignore: ignore ||
    cannotRun("connections by ssh, with a password", podmanMissing(["debian"])),
  fn: async () => {
    await using place = await Place.make();
    await using container = await Container.start({
      image: "debian",
      ssh: true,
    });
    const { host } = container.ssh("tester");
    const password = Deno.env.get("ATEX_TEST_PASSWORD")!;
    const options = { PubkeyAuthentication: false };
    const visible: string[] = [];
    const look = async () => {
      for await (const { name } of Deno.readDir("/proc")) {
        if (!/^\d+$/.test(name)) continue;
        const argv = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(
          () => "",
        );
        if (argv.includes(password)) visible.push(argv);
      }
    };
    for (const stateless of [false, true]) {
      let looking = true;
      let looks = 0;
      const looked = (async () => {
        while (looking) {
          await look();
          looks++;
        }
      })();
      await using connection = await SshConnection.open({
        host,
        password,
        options,
        stateless,
      });
      equal(await run(connection, ["id", "-un"]), "tester\n");
      equal((await run(connection, ["env"])).includes(password), false);
      const copy = `${place.path}/copy`;
      const { code } = await connection.rsync(["remote:/etc/passwd", copy])
        .output();
      equal(code, 0);
      await Deno.remove(copy);
      looking = false;
      await looked;
      ok(looks > 2);
      deepEqual(visible, []);
    }
    // Asked for once only: the server takes its time to refuse.
    const error = await rejected(
      SshConnection.open({ host, password: "wrong", options }),
      ConnectError,
      "Permission denied",
    );
    equal(error.message.match(/Permission denied/g)!.length, 1);
    // An odd one arrives as it is.
    const odd = "%s '\"$x\\ ž*";
    await container.exec("sh", "-c", 'echo "tester:$0" | chpasswd', odd);
    const machine = await SshConnection.open({ host, password: odd, options });
    equal(await run(machine, ["id", "-un"]), "tester\n");
    await machine.disconnect();
  },
});

test("nobody but the system gets its password", async (sshd) => {
  await using gate = await Sshd.start({
    config: ["PasswordAuthentication yes"],
  });
  // Who asks for anything else than the password of the system finds what the user has for that.
  const asked = `${sshd.directory}/asked`;
  const askpass = `${sshd.directory}/users-askpass`;
  await Deno.writeTextFile(
    askpass,
    `#!/bin/sh\necho "$1" >>${asked}; exit 1\n`,
  );
  await Deno.chmod(askpass, 0o700);
  using _env = new Environment({ SSH_ASKPASS: askpass, DISPLAY: ":7" });
  const configFile = `${sshd.directory}/ssh_config`;
  await Deno.writeTextFile(
    configFile,
    [
      "Host *gate",
      "  HostName 127.0.0.1",
      `  Port ${gate.port}`,
      `  User ${gate.user}`,
      "  PubkeyAuthentication no",
      "Host gate",
      "  StrictHostKeyChecking no",
      "  UserKnownHostsFile /dev/null",
      "Host unknown-gate",
      "  UserKnownHostsFile /dev/null",
    ].join("\n"),
  );
  for (const stateless of [false, true]) {
    const open = (options: Record<string, string>) =>
      SshConnection.open({
        ...sshd.options,
        password: "of the system",
        configFile,
        stateless,
        options: { ...sshd.options.options, ...options },
      });
    await rejected(
      open({ ProxyJump: "gate" }),
      ConnectError,
      "Permission denied",
    );
    match(
      await Deno.readTextFile(asked),
      new RegExp(`^${gate.user}@127.0.0.1's password: $`, "m"),
    );
    await Deno.remove(asked);
    // Whoever is asked whether a host is known has no answer, not a wrong one for ever.
    await rejected(
      open({ ProxyJump: "unknown-gate" }),
      ConnectError,
      "Host key verification failed",
    );
    await rejected(
      open({ StrictHostKeyChecking: "ask" }),
      ConnectError,
      "Host key verification failed",
    );
  }
});

test("what ssh starts finds the environment of the script, without the password", async (sshd) => {
  using _env = new Environment({
    SSH_ASKPASS: "/its/own 'askpass'",
    SSH_ASKPASS_REQUIRE: undefined,
    DISPLAY: ":7",
  });
  const file = `${sshd.directory}/proxy-environment`;
  const tell = 'echo "$SSH_ASKPASS-$SSH_ASKPASS_REQUIRE-$DISPLAY-' +
    `$ATEX_SSH_PASSWORD-$SHELL" >${file}; echo failed >&2`;
  await rejected(
    SshConnection.open({
      ...sshd.options,
      password: "secret",
      options: { ProxyCommand: `sh -c '${tell}'` },
    }),
    ConnectError,
  );
  const told = await Deno.readTextFile(file);
  equal(told, "/its/own 'askpass'--:7--/bin/sh\n");
});

Deno.test({
  name: "a user that sudo does not know is a ConnectError",
  ignore: ignore ||
    cannotRun("connections by ssh, with sudo", podmanMissing(["debian"])),
  fn: async () => {
    await using _place = await Place.make();
    await using container = await Container.start({
      image: "debian",
      ssh: true,
    });
    await rejected(
      SshConnection.open({ ...container.ssh("tester"), sudo: "nosuchuser" }),
      ConnectError,
      "nosuchuser",
    );
  },
});
