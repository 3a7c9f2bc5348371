/** What the contract promises, on every kind of connection. */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { output, run, start } from "../../connections/process.ts";
import { thrown } from "../_thrown.ts";
import { lines, until } from "../_wait.ts";
import { type Transport, transports } from "./_transports.ts";

const sh = (script: string, ...args: string[]) => [
  "sh",
  "-c",
  script,
  "sh",
  ...args,
];
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const ASCII = Array.from({ length: 127 }, (_, i) => String.fromCharCode(i + 1));

/** Arguments that somebody on the way could misunderstand. */
const ARGUMENTS = [
  ...ASCII,
  ...ASCII.map((char) => `${char}a`),
  ...ASCII.map((char) => `a${char}`),
  ASCII.join(""),
  "",
  " ",
  "\n",
  "\n\n",
  "a\n",
  "\r\n",
  "'",
  "''",
  "'\"'\"'",
  `a'b"c`,
  "\\",
  "\\\\",
  "\\n",
  "\\'",
  "%",
  "%%",
  "%h",
  "%s%n",
  "%{x}",
  "-",
  "--",
  "-n",
  "-o",
  "--help",
  "-oProxyCommand=false",
  "$",
  "$HOME",
  "${HOME}",
  "$(id)",
  "`id`",
  "~",
  "~root",
  "=ls",
  "A=B",
  "*",
  "?",
  "[a-z]",
  "{a,b}",
  "a;b",
  "a&b",
  "a|b",
  "a>b",
  "!!",
  "#",
  "^",
  "(",
  ")",
  "remote:",
  "žluťoučký kůň",
  "日本語",
  "🦕",
  "\u{85}\u{2028}",
  "x".repeat(60_000),
];

async function checkArguments(connection: Connection): Promise<void> {
  // Each goes through a program, not a shell, to its stdout.
  const said = await run(connection, ["printf", "%s\\0", ...ARGUMENTS]);
  deepEqual(said.split("\0").slice(0, -1), ARGUMENTS);
  const inShell = await run(connection, [
    ...sh('printf "%s\\0" "$@"'),
    ...ARGUMENTS,
  ]);
  equal(inShell, said);
  thrown(() => connection.local([]), TypeError, "empty command");
  thrown(() => connection.local(["x", "a\0b"]), TypeError, "argument 1");
}

async function checkOptions(connection: Connection): Promise<void> {
  const env = {
    ATEX_PLAIN: "x",
    ATEX_ODD: ASCII.join(""),
    ATEX_EMPTY: "",
    LANG: "xx_YY",
    "atex.dotted-name": "1",
  };
  const environment = async (argv: string[]) =>
    (await run(connection, argv, { env })).split("\0");
  const cat = await environment(["cat", "/proc/self/environ"]);
  for (const [name, value] of Object.entries(env)) {
    ok(cat.includes(`${name}=${value}`), `${name} is ${cat.join("|")}`);
  }

  const made = await run(
    connection,
    sh(`d=$(mktemp -d) && cd "$d" && mkdir -- "-a b'$" && pwd`),
  );
  const cwd = `${made.trimEnd()}/-a b'$`;
  equal(await run(connection, ["pwd"], { cwd }), `${cwd}\n`);
  equal(await run(connection, ["pwd"], { cwd, env }), `${cwd}\n`);
  // A program that looks like a variable is still the program.
  await run(connection, sh("cat >'A=B' && chmod 755 'A=B'"), {
    cwd,
    stdin: "#!/bin/sh\nexec cat /proc/self/environ\n",
  });
  const odd = (await run(connection, ["./A=B"], { cwd, env })).split("\0");
  ok(odd.includes("ATEX_PLAIN=x"), odd.join("|"));
  await run(connection, ["rm", "-r", made.trimEnd()]);

  const lost = await output(connection, ["pwd"], { cwd: "/no/such directory" })
    .catch((error) => error);
  ok(!lost.success, "a directory that is not there");
}

async function checkStreams(connection: Connection): Promise<void> {
  await Promise.all([0, 7, 254].map(async (code) => {
    const result = await output(
      connection,
      sh(`echo o; echo e >&2; exit ${code}`),
    );
    deepEqual([result.code, text(result.stdout), text(result.stderr)], [
      code,
      "o\n",
      "e\n",
    ]);
  }));
  const terminals = sh(
    "for n in 0 1 2; do test -t $n && echo $n; done; echo none",
  );
  equal(await run(connection, terminals), "none\n");
  equal(await run(connection, ["cat"]), "");

  const bytes = Uint8Array.from(
    { length: 1 << 20 },
    (_, i) => (i * 7) ^ (i >> 8),
  );
  const echoed = await output(connection, ["cat"], { stdin: bytes });
  equal(echoed.stdout.length, bytes.length);
  equal(
    new Uint8Array(await crypto.subtle.digest("SHA-256", echoed.stdout)).join(),
    new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join(),
  );
}

async function checkMissing(connection: Connection): Promise<void> {
  const { code } = await output(connection, ["atex-no-such-program", "x"]);
  equal(code, 127);
}

/** A command on the system notices that nobody reads what it prints. */
async function checkEpipe(connection: Connection): Promise<void> {
  const file = (await run(connection, ["mktemp"])).trim();
  const script =
    `trap '' PIPE; echo begin; while echo x; do sleep 0.01; done 2>/dev/null; echo broken >"$1"`;
  await using process = start(connection, sh(script, file), {
    stdout: "piped",
  });
  const reader = process.stdout.getReader();
  await reader.read();
  await reader.cancel();
  await until(async () => await run(connection, ["cat", file]) === "broken\n");
  await run(connection, ["rm", file]);
}

/** A command on the system sees the end of its input when the process here is killed. */
async function checkLifeline(connection: Connection): Promise<void> {
  const file = (await run(connection, ["mktemp"])).trim();
  const script = `trap '' TERM PIPE; echo begin; cat; echo ended >"$1"`;
  await using process = start(connection, sh(script, file), {
    stdin: "piped",
    stdout: "piped",
  });
  const reader = process.stdout.getReader();
  await reader.read();
  process.kill("SIGKILL");
  await process.status;
  await until(async () => await run(connection, ["cat", file]) === "ended\n");
  await run(connection, ["rm", file]);
  await reader.cancel();
}

async function checkParallel(connection: Connection): Promise<void> {
  const numbers = Array.from({ length: 20 }, (_, i) => `${i}`);
  const said = await Promise.all(
    numbers.map((number) =>
      run(connection, sh('read x; sleep 0.05; echo "$1$x"', number), {
        stdin: "!\n",
      })
    ),
  );
  deepEqual(said, numbers.map((number) => `${number}!\n`));
  // The same by Deno's own interface.
  const outputs = await Promise.all(
    numbers.map((number) =>
      connection.command("sh", {
        args: ["-c", 'sleep 0.05; echo "$0"', number],
      })
        .output()
    ),
  );
  deepEqual(
    outputs.map(({ stdout }) => text(stdout)),
    numbers.map((n) => `${n}\n`),
  );
}

async function checkCommand(connection: Connection): Promise<void> {
  const { stdout, code } = await connection.command("sh", {
    args: [
      "-c",
      'printf "%s|%s|%s|%s" "$A" "$HOME" "$PWD" "$1"; exit 3',
      "sh",
      "a'b",
    ],
    env: { A: "1 2" },
    clearEnv: true,
    cwd: "/usr",
  }).output();
  equal(text(stdout), "1 2||/usr|a'b");
  equal(code, 3);
  await using child = connection.command("cat", {
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("one\n"));
  await writer.close();
  deepEqual(await lines(child.stdout), ["one"]);
  equal((await child.status).code, 0);
}

async function checkRsync(connection: Connection): Promise<void> {
  const here = await Deno.makeTempDir({ prefix: "atex-test-rsync-" });
  const there = (await run(connection, ["mktemp", "-d"])).trim();
  try {
    const odd = ASCII.filter((char) => char !== "/").join("") + "ž";
    await Deno.mkdir(`${here}/${odd}`);
    await Deno.writeTextFile(`${here}/${odd}/-f`, "content");
    const up = await connection.rsync([
      "-r",
      `${here}/`,
      `remote:${there}/a b'"$x/`,
    ]).output();
    equal(text(up.stderr), "");
    equal(
      await run(connection, ["cat", `${there}/a b'"$x/${odd}/-f`]),
      "content",
    );
    const down = await connection.rsync([
      "-r",
      `remote:${there}/a b'"$x/`,
      "back",
    ], { cwd: here }).output();
    equal(text(down.stderr), "");
    equal(await Deno.readTextFile(`${here}/back/${odd}/-f`), "content");
  } finally {
    await Deno.remove(here, { recursive: true });
    await run(connection, ["rm", "-rf", there]);
  }
}

async function checkCycle(connection: Connection): Promise<void> {
  await connection.connect();
  await connection.disconnect();
  await connection.disconnect();
  await connection.connect();
  equal(await run(connection, ["echo", "again"]), "again\n");
}

function checks(
  transport: Transport,
): Record<string, (connection: Connection) => Promise<void>> {
  return {
    "arguments arrive one to one": checkArguments,
    "variables and directory": checkOptions,
    "three streams and a status": checkStreams,
    ...(transport.epipe && { "EPIPE after the reader cancelled": checkEpipe }),
    // Where the client is not the command itself.
    ...(transport.name !== "local" && {
      "end of input after the client was killed": checkLifeline,
      "a program that is missing": checkMissing,
    }),
    "20 commands at once": checkParallel,
    "command()": checkCommand,
    ...(transport.gnu && { "rsync()": checkRsync }),
    "connect() and disconnect() again": checkCycle,
    "the user": async (connection) => {
      equal(await run(connection, ["id", "-un"]), `${transport.user}\n`);
    },
  };
}

for (const transport of transports) {
  Deno.test({
    name: `a connection keeps the contract: ${transport.name}`,
    ignore: transport.ignore,
    fn: async (t) => {
      await using system = await transport.open();
      const { connection } = system;
      equal(
        connection.canReboot ?? true,
        transport.epipe && transport.name !== "local",
      );
      for (const [name, check] of Object.entries(checks(transport))) {
        await t.step(name, () => check(connection));
      }
    },
  });
}
