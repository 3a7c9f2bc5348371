import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import {
  type LocalCommand,
  type LocalOptions,
  withOptions,
} from "../../connections/connection.ts";
import { download, upload } from "../../connections/copy.ts";
import { LocalConnection } from "../../connections/local.ts";
import { output, run } from "../../connections/process.ts";
import { which } from "../_parts.ts";
import { rejected, thrown } from "../_thrown.ts";
import { exists } from "../_wait.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("LocalConnection is always connected", async () => {
  const here = new LocalConnection();
  equal(await run(here, ["echo", "before"]), "before\n");
  await here.connect();
  await here.connect();
  await here.disconnect();
  await here.disconnect();
  equal(await run(here, ["echo", "after"]), "after\n");
  await here[Symbol.asyncDispose]();
});

Deno.test("LocalConnection.connect() obeys a signal that is aborted", async () => {
  const signal = AbortSignal.abort(new Error("my reason"));
  await rejected(new LocalConnection().connect({ signal }), Error, "my reason");
  await rejected(LocalConnection.open({ signal }), Error, "my reason");
});

Deno.test("LocalConnection.local() is the command itself, and starts nothing", () => {
  const here = new LocalConnection();
  const argv = ["a b", "", "'", "%s", "\n"];
  deepEqual(here.local(argv), { argv });
  notEqual(here.local(argv).argv, argv);
  deepEqual(here.local(argv, { env: { A: "1" }, cwd: "/usr" }), {
    argv,
    env: { A: "1" },
    cwd: "/usr",
  });
  thrown(() => here.local([]), TypeError, "empty command");
  thrown(
    () => here.local(["a", "\0"]),
    TypeError,
    'Cannot run "a": argument 1',
  );
});

Deno.test("LocalConnection cannot reboot its system", () => {
  equal(new LocalConnection().canReboot, false);
});

Deno.test("LocalConnection.command() takes the options of Deno.Command", async () => {
  const here = new LocalConnection();
  const shown = await here.command("/bin/sh", {
    args: ["-c", 'printf "%s|%s|%s" "$A" "$HOME" "$PWD"; cat >&2'],
    env: { A: "1" },
    clearEnv: true,
    cwd: new URL("file:///usr"),
    stdin: "null",
  }).output();
  equal(text(shown.stdout), "1||/usr");
  equal(text(shown.stderr), "");
  const plain = await here.command("pwd").output();
  equal(text(plain.stdout), `${Deno.cwd()}\n`);
  await using child = here.command("cat", {
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  await child.stdin.close();
  equal(await child.stdout.text(), "");
});

Deno.test("LocalConnection.rsync() copies to and from here, relative to its directory", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-local-" });
  try {
    const odd = "a b'\"$x*[y]\\z -n\u{17e}";
    await Deno.mkdir(`${directory}/${odd}`);
    await Deno.writeTextFile(`${directory}/${odd}/f`, "content");
    const here = new LocalConnection();
    const options = { cwd: directory };
    const up = await here.rsync(["-r", "--", `./${odd}`, "remote:up"], options)
      .output();
    equal(text(up.stderr), "");
    equal(await Deno.readTextFile(`${directory}/up/${odd}/f`), "content");
    const down = await here.rsync(["-r", "remote:up/", "down"], options)
      .output();
    equal(text(down.stderr), "");
    equal(await Deno.readTextFile(`${directory}/down/${odd}/f`), "content");
    const failed = await here.rsync(["remote:nothing", "there"], options)
      .output();
    equal(failed.code, 23);
    equal(await exists(`${directory}/there`), false);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("copies over a LocalConnection begin in its directory, by rsync and by tar", async () => {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-local-" });
  const names = (path: string) =>
    [...Deno.readDirSync(`${directory}/${path}`)].map(({ name }) => name)
      .sort();
  try {
    const system = "a 'system'\n";
    for (const name of ["here", system, "bin"]) {
      await Deno.mkdir(`${directory}/${name}`);
    }
    await Deno.writeTextFile(`${directory}/here/file`, "content");
    const tools = "sh tar stat mkdir rm mv mktemp find sort";
    for (const tool of tools.split(" ")) {
      await Deno.symlink(which(tool)!, `${directory}/bin/${tool}`);
    }
    const options = { cwd: `${directory}/${system}` };
    const byTar = { ...options, env: { PATH: `${directory}/bin` } };
    await using rsyncing = await LocalConnection.open(options);
    await using tarring = await LocalConnection.open(byTar);
    const { success, stderr } = await rsyncing.rsync(
      ["file", "remote:given"],
      { cwd: `${directory}/here` },
    ).output();
    ok(success, text(stderr));
    for (const [name, connection] of Object.entries({ rsyncing, tarring })) {
      await upload(connection, `${directory}/here/file`, `${name}/file`);
      await upload(connection, `${directory}/here`, `${name}/tree`);
      await download(connection, name, `${directory}/${name}`);
      deepEqual(names(name), ["file", "tree"]);
    }
    deepEqual(names(system), ["given", "rsyncing", "tarring"]);
    deepEqual(names("here"), ["file"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a connection derived from LocalConnection needs nothing but local()", async () => {
  class Wrapped extends LocalConnection {
    override local(
      argv: readonly string[],
      options?: LocalOptions,
    ): LocalCommand {
      const command = withOptions(argv, options);
      return super.local(["env", "-C", "/", "ATEX_WRAPPED=yes", ...command]);
    }
  }
  await using wrapped = await Wrapped.open();
  equal(wrapped instanceof Wrapped, true);
  equal(await run(wrapped, ["printenv", "ATEX_WRAPPED"]), "yes\n");
  const command = wrapped.command("printenv", { args: ["ATEX_WRAPPED"] });
  equal(text((await command.output()).stdout), "yes\n");
  const options = { env: { A: "a b" }, cwd: "/usr" };
  const show = ["sh", "-c", 'echo "$A $PWD"'];
  equal(await run(wrapped, show, options), "a b /usr\n");
  const { stdout } = await wrapped.command("sh", {
    args: show.slice(1),
    ...options,
  }).output();
  equal(text(stdout), "a b /usr\n");
  const { code } = await wrapped.rsync([
    "--rsync-path=atex-no-such-program",
    "--dry-run",
    "remote:/etc/passwd",
    "nowhere",
  ]).output();
  ok(code === 12 || code === 127); // whichever end rsync hears first
});

Deno.test("a connection whose local() puts something behind the command has no rsync", () => {
  class Odd extends LocalConnection {
    override local(argv: readonly string[]): LocalCommand {
      return super.local(["sh", "-c", argv.join(" "), "end"]);
    }
  }
  thrown(() => new Odd().rsync([]), TypeError, "does not end with the command");
});

Deno.test("output() of a program that a system lacks ends with 127", async () => {
  const here = new LocalConnection();
  const result = await output(here, ["env", "atex-no-such-program"]);
  equal(result.code, 127);
});

Deno.test("LocalConnection runs commands in its directory and with its variables", async () => {
  const directory = await Deno.realPath(
    await Deno.makeTempDir({ prefix: "atex-test-" }),
  );
  try {
    await using here = await LocalConnection.open({
      cwd: directory,
      env: { A: "1", B: "1", PATH: Deno.env.get("PATH")! },
      clearEnv: true,
    });
    const show = ["sh", "-c", 'echo "$PWD $A$B$HOME"'];
    equal(await run(here, show), `${directory} 11\n`);
    equal(
      await run(here, show, { cwd: "/", env: { B: "2" } }),
      "/ 12\n",
    );
    const { stdout } = await here.command("pwd").output();
    equal(new TextDecoder().decode(stdout), `${directory}\n`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
