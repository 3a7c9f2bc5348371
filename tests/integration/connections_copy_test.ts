/** upload() and download(): the same result over every connection, with rsync and without. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { type CopyOptions, download, upload } from "../../connections/copy.ts";
import { LocalConnection } from "../../connections/local.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { CommandError, run } from "../../connections/process.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { missingPrograms, which } from "../_parts.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";
import { Sshd, sshdMissing } from "../_sshd.ts";
import { rejected } from "../_thrown.ts";
import { exists } from "../_wait.ts";

const ignore = cannotRun("copying", missingPrograms("rsync", "tar", "find"));
const ignoreContainers = ignore || cannotRun(
  "copying to containers",
  podmanMissing(["tiny", "tiny-ssh", "debian"]),
);
const ignoreSsh = ignore || cannotRun("copying by ssh", sshdMissing());

const here = new LocalConnection();
const sh = (script: string, ...args: string[]) => [
  "sh",
  "-c",
  script,
  "sh",
  ...args,
];

/** A directory here for one test. */
class Scratch implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Scratch> {
    return new Scratch(await Deno.makeTempDir({ prefix: "atex-test-copy-" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(here, sh('chmod -R u+rwx "$1"; rm -rf "$1"', this.path));
  }
}

/** A tree with everything that can be in one. */
async function makeTree(path: string): Promise<void> {
  await run(
    here,
    sh(
      `
set -e
umask 022
mkdir "$1"; cd "$1"
mkdir -p dir/deep/.git/objects .git/refs empty sticky read-only 'with blank' -- -dash
echo x >.git/HEAD; echo x >dir/deep/.git/config
echo 'gitdir: elsewhere' >dir/.git
echo "this is no directory" >'with blank/.git'
echo program >program; chmod 755 program
echo setuid >setuid; chmod 6755 setuid
echo secret >secret; chmod 600 secret
: >nothing
head -c 3000000 /dev/urandom >big
echo linked >hard1; ln hard1 dir/hard2
ln -s dir/deep link; ln -s /no/such/place dangling; ln -s ../nothing dir/up; ln -s . loop
echo odd >"odd ' \\" \\\\ \\$x *?[a] \\t %s
newline"
printf latin >"$(printf 'latin1-\\351')"
echo dash >./-dash/-f
echo uni >'žluťoučký 🦕'
mkfifo fifo
long=$(printf 'l%.0s' $(seq 150)); mkdir -p "$long/$long"; echo long >"$long/$long/$long"
i=0; while [ $i -lt 12 ]; do echo $i >dir/file-$i; i=$((i+1)); done
echo in read-only >read-only/file; chmod 444 read-only/file; chmod 555 read-only
chmod 1777 sticky; chmod 750 .
touch -d '2001-02-03 04:05:06' hard1 setuid 'with blank/.git' empty dir/deep dir .`,
      path,
    ),
  );
}

/**
 * All that a copy has to have in common with its original, kind by kind, with few
 * processes: names, each with a NUL behind it, then a line about each of them.
 */
const SNAPSHOT = `
cd "$1" || exit
find . -type d -exec printf '%s\\0' {} +; find . -type d -exec stat -c 'directory %a %Y' {} +
printf '\\1'
find . -type f -exec printf '%s\\0' {} +; find . -type f -exec stat -c 'file %a %Y %h' {} +
printf '\\1'
find . -type f -exec sh -c 'printf "%s\\0" "$@"; for path; do md5sum <"$path"; done' sh {} +
printf '\\1'
find . -type l -exec sh -c 'printf "%s\\0" "$@"; for path; do readlink "$path"; done' sh {} +
printf '\\1'
find . ! -type d ! -type f ! -type l -exec printf '%s\\0' {} + -exec stat -c '%F %a %Y' {} +
`;

async function snapshot(
  connection: Connection,
  path: string,
): Promise<string[]> {
  const said = await run(connection, sh(SNAPSHOT, path));
  return said.split("\x01").flatMap((kind) => {
    const names = kind.split("\0");
    const lines = names.pop()!.split("\n").slice(0, -1);
    equal(lines.length, names.length);
    return names.map((name, i) => `${name}: ${lines[i]!.split("  ")[0]}`);
  }).sort();
}

/** Compares entries, and tells which of them differ. */
function same(actual: string[], expected: string[], what = ""): void {
  const extra = actual.filter((entry) => !expected.includes(entry));
  const missing = expected.filter((entry) => !actual.includes(entry));
  deepEqual({ what, extra, missing }, { what, extra: [], missing: [] });
}

/** The same without directories called .git. */
function withoutGit(entries: string[]): string[] {
  const inside = (entry: string) => /(^|\/)\.git(\/|: directory)/.test(entry);
  return entries.filter((entry) => !inside(entry));
}

/** The same without the bits that {@linkcode download} does not let in. */
function harmless(entries: string[]): string[] {
  return entries.map((entry) =>
    entry.replace(
      /(: \w+ )(\d)(\d{3} )/,
      (_, kind, special, mode) => kind + (Number(special) & 1 || "") + mode,
    )
  );
}

/** What is at a place already, and in the way. */
const OBSTACLES = `
set -e
mkdir -p "$1"; cd "$1"
mkdir -p .git/kept program/with/things empty/has; echo x >empty/has/one; echo x >program/with/things/x
echo extra >extra; mkdir -p extra-directory/deep; chmod 700 extra-directory
echo file >dir
ln -s "$2" sticky
ln -s "$2/precious" secret
ln -s "$2/precious" hard1
mkdir link
echo modified >nothing; touch -d '2001-02-03 04:05:06' nothing
echo SETUID >setuid; chmod 644 setuid; touch -d '2001-02-03 04:05:06' setuid
mkdir "$2"; echo precious >"$2/precious"`;

const IN_BRIEF = new Set([
  "a tree with all that is in it",
  "a tree over something else",
  "a tree back",
  "a file",
]);

/** Every way of copying over one connection; `brief`: those that differ most. */
async function checkCopies(
  context: Deno.TestContext,
  connection: Connection,
  brief = false,
): Promise<void> {
  const t = {
    step: async (name: string, fn: () => Promise<void>) => {
      if (brief && !IN_BRIEF.has(name)) return;
      await context.step(name, fn);
    },
  };
  await using scratch = await Scratch.make();
  const original = `${scratch.path}/original`;
  await makeTree(original);
  const all = await snapshot(here, original);
  const expected = withoutGit(all);
  ok(all.length > expected.length + 5);
  const there = (await run(connection, ["mktemp", "-d"])).trim();
  const options = { exclude: [".git"] };

  await t.step("a tree to a place that is not there yet", async () => {
    const to = `${there}/new/place`;
    await upload(connection, original, to, options);
    same(await snapshot(connection, to), expected);
    await upload(connection, new URL(`file://${original}`), to, options);
    same(await snapshot(connection, to), expected, "again");
  });

  await t.step("a tree with all that is in it", async () => {
    await upload(connection, `${original}/`, `${there}/all/`);
    same(await snapshot(connection, `${there}/all`), all);
  });

  await t.step("a tree over something else", async () => {
    const to = `${there}/over`;
    const outside = `${there}/outside`;
    await run(connection, sh(OBSTACLES, to, outside));
    const extra = (await snapshot(connection, to))
      .filter((entry) => /^\.\/(extra|empty\/has|\.git)/.test(entry));
    await upload(connection, original, to, options);
    same(await snapshot(connection, to), [...expected, ...extra].sort());
    equal(await run(connection, ["cat", `${outside}/precious`]), "precious\n");
    equal(await run(connection, ["ls", "-A", outside]), "precious\n");
  });

  await t.step("a tree instead of something else", async () => {
    const to = `${there}/instead`;
    const outside = `${there}/outside2`;
    await run(connection, sh(OBSTACLES, to, outside));
    await upload(connection, original, to, { ...options, delete: true });
    same(await snapshot(connection, to), expected);
    equal(await run(connection, ["cat", `${outside}/precious`]), "precious\n");
  });

  await t.step(
    "a tree in place of a file or a link, but not of a device",
    async () => {
      await run(
        connection,
        sh(
          `cd "$1" && mkdir kept && echo x >file && ln -s file to-file && ln -s nothing dangling && ln -s kept to-directory && mkfifo fifo`,
          there,
        ),
      );
      await Deno.mkdir(`${scratch.path}/small`);
      await Deno.writeTextFile(`${scratch.path}/small/x`, "content");
      for (const name of ["to-file", "file", "dangling/", "to-directory"]) {
        await upload(connection, `${scratch.path}/small`, `${there}/${name}`);
        equal(
          await run(connection, ["cat", `${there}/${name}/x`]),
          "content",
          name,
        );
      }
      // the directory behind a link, and no file behind one
      equal(await run(connection, ["cat", `${there}/kept/x`]), "content");
      const error = await rejected(
        upload(connection, `${scratch.path}/small`, `${there}/fifo`),
        TypeError,
      );
      match(error.message, /\/fifo" is neither a file nor a directory$/);
      await Deno.writeTextFile(`${scratch.path}/instead`, "");
      await download(connection, `${there}/kept`, `${scratch.path}/instead`);
      equal(await Deno.readTextFile(`${scratch.path}/instead/x`), "content");
    },
  );

  await t.step("an empty tree", async () => {
    const empty = `${scratch.path}/nothing in it`;
    await Deno.mkdir(empty);
    const to = `${there}/empty`;
    await upload(connection, empty, to);
    same(await snapshot(connection, to), await snapshot(here, empty));
    await run(connection, sh("mkdir -p $1/a/b", to));
    await upload(connection, empty, to, { delete: true });
    same(await snapshot(connection, to), await snapshot(here, empty));
  });

  await t.step("names to exclude are no patterns", async () => {
    const odd = [
      "a*",
      "b?",
      "c[d]",
      "e\\f",
      "-g",
      "h i",
      "ž",
      "#j",
      "+ k",
      " l",
      "!",
      "- m",
    ];
    const tree = `${scratch.path}/odd`;
    for (const name of [...odd, "abc", "bx", "cd", "ef", "g"]) {
      await Deno.mkdir(`${tree}/${name}/${name}`, { recursive: true });
    }
    await upload(connection, tree, `${there}/odd`, { exclude: odd });
    equal(
      await run(connection, ["ls", `${there}/odd`]),
      "abc\nbx\ncd\nef\ng\n",
    );
  });

  await t.step("a tree back", async () => {
    const to = `${scratch.path}/back`;
    await download(connection, `${there}/all`, to, options);
    same(await snapshot(here, to), harmless(expected));
    await run(
      here,
      sh(
        `chmod -R u+w "$1"; rm -rf "$1"; ${OBSTACLES}`,
        to,
        `${scratch.path}/outside`,
      ),
    );
    const extra = (await snapshot(here, to))
      .filter((entry) => /^\.\/(extra|empty\/has|\.git)/.test(entry));
    await download(connection, `${there}/all`, to, options);
    same(await snapshot(here, to), [...harmless(expected), ...extra].sort());
    equal(
      await Deno.readTextFile(`${scratch.path}/outside/precious`),
      "precious\n",
    );
    await download(connection, `${there}/all`, new URL(`file://${to}`), {
      delete: true,
    });
    same(await snapshot(here, to), harmless(all));
  });

  await t.step(
    "names that are patterns, options or homes elsewhere",
    async () => {
      await run(
        here,
        sh(
          'mkdir -p "$1/a*b" "$1/axb"; echo 1 >"$1/a*b/one"; echo 2 >"$1/axb/two"',
          scratch.path,
        ),
      );
      for (const name of ["a*b", "~", "-x", "[y]", "q?\\", "'\" $z", "c:d"]) {
        const to = `${there}/odd names/${name}`;
        await upload(connection, `${scratch.path}/a*b`, to);
        equal(await run(connection, ["ls", to]), "one\n", name);
        const back = `${scratch.path}/odd names/${name}`;
        await download(connection, to, back);
        same(
          await snapshot(here, back),
          await snapshot(here, `${scratch.path}/a*b`),
          name,
        );
      }
    },
  );

  await t.step("a file", async () => {
    const others = brief ? [] : ["program", "big", "-f"];
    for (
      const name of [
        "setuid",
        "link-to-file",
        "dangerous \n * name",
        ...others,
      ]
    ) {
      const from = `${scratch.path}/files/${name}`;
      await run(
        here,
        sh(
          'mkdir -p "$2/files"; cp -p "$1/setuid" "$2/files/target"; [ -e "$3" ] || case $3 in *link*) ln -s target "$3";; *) cp -p "$1/program" "$3";; esac',
          original,
          scratch.path,
          from,
        ),
      );
      const to = `${there}/files/in/${name} copied`;
      await upload(connection, from, to);
      await run(connection, sh('echo old >"$1"; chmod 400 "$1"', to));
      await upload(connection, from, to, { exclude: ["files"], delete: true });
      const back = `${scratch.path}/returned/${name}`;
      await download(connection, to, back);
      const look = sh('cd "$1"; stat -c "%F %a %Y %s %h" "$2"; md5sum <"$2"');
      const target = name === "link-to-file" ? "target" : name;
      const one = await run(here, [
        ...look,
        `${scratch.path}/files`,
        `./${target}`,
      ]);
      equal(
        await run(connection, [
          ...look,
          `${there}/files/in`,
          `./${name} copied`,
        ]),
        one,
      );
      equal(
        await run(here, [...look, `${scratch.path}/returned`, `./${name}`]),
        one.replace("regular file 6755 ", "regular file 755 "),
      );
    }
  });

  await t.step("a file instead of a link, but not of a directory", async () => {
    const to = `${there}/links`;
    await run(
      connection,
      sh(
        'mkdir -p "$1/directory"; cd "$1"; echo kept >target; ln -s target link; ln -s directory link-to-directory',
        to,
      ),
    );
    await upload(connection, `${original}/program`, `${to}/link`);
    equal(
      await run(connection, ["cat", `${to}/link`, `${to}/target`]),
      "program\nkept\n",
    );
    for (const name of ["directory", "link-to-directory"]) {
      await rejected(
        upload(connection, `${original}/program`, `${to}/${name}`),
        Deno.errors.IsADirectory,
        `"${to}/${name}" is a directory`,
      );
    }
    await run(connection, ["mkfifo", `${to}/fifo`]);
    await rejected(
      upload(connection, `${original}/program`, `${to}/fifo`),
      TypeError,
      `"${to}/fifo" is neither a file nor a directory`,
    );
    await run(connection, sh('test -p "$1"', `${to}/fifo`));
    equal(await run(connection, ["ls", `${to}/directory`]), "");
  });

  await t.step("what is not there or no file is told", async () => {
    await rejected(
      upload(connection, `${original}/nowhere`, `${there}/x`),
      Deno.errors.NotFound,
      `Cannot upload "${original}/nowhere" to "${there}/x": "${original}/nowhere" does not exist`,
    );
    await rejected(
      download(connection, `${there}/nowhere`, `${scratch.path}/x`),
      Deno.errors.NotFound,
      `"${there}/nowhere" does not exist`,
    );
    await rejected(
      upload(connection, `${original}/fifo`, `${there}/x`),
      TypeError,
      "neither a file nor a directory",
    );
    await rejected(
      upload(connection, `${original}/program`, `${there}/x/`),
      TypeError,
      "names a directory",
    );
    equal(
      await run(
        connection,
        sh('ls -d "$1" 2>/dev/null || echo no', `${there}/x`),
      ),
      "no\n",
    );
    const blocked = `${there}/files/in/-f copied/below`;
    for (const from of [original, `${original}/program`]) {
      const error = await rejected(
        upload(connection, from, `${blocked}/x`),
        Error,
        `Cannot upload "${from}" to "${blocked}/x": `,
      );
      ok(error.cause instanceof CommandError);
      match(error.message, /[Nn]ot a directory/);
    }
  });

  await t.step("aborting", async () => {
    const signal = AbortSignal.abort(new Error("my reason"));
    await rejected(
      upload(connection, original, `${there}/x`, { signal }),
      Error,
      "my reason",
    );
    const controller = new AbortController();
    const copying = upload(connection, original, `${there}/x`, {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(new Error("later")), 1);
    await rejected(copying, Error, "later");
  });

  await run(connection, sh('chmod -R u+rwx "$1"; rm -rf "$1"', there));
}

/** Runs `action` with programs that are found before all others, or with nothing but some. */
async function withPath<T>(path: string, action: () => Promise<T>): Promise<T> {
  const before = Deno.env.get("PATH")!;
  Deno.env.set("PATH", path);
  try {
    return await action();
  } finally {
    Deno.env.set("PATH", before);
  }
}

/** A directory with links to these programs. */
async function only(directory: string, programs: string): Promise<string> {
  await Deno.mkdir(directory);
  for (const program of programs.split(" ")) {
    await Deno.symlink(which(program)!, `${directory}/${program}`);
  }
  return directory;
}

Deno.test({
  name: "holes in files are copied as holes by rsync",
  ignore,
  fn: async () => {
    await using scratch = await Scratch.make();
    const at = (name: string) => `${scratch.path}/${name}`;
    await Deno.mkdir(at("tree"));
    await Deno.writeTextFile(at("tree/file"), "begin");
    await Deno.truncate(at("tree/file"), 50_000_000);
    await Deno.writeTextFile(at("tree/file"), "end", { append: true });
    await upload(here, at("tree"), at("copy"));
    await download(here, at("copy"), at("back"));
    await upload(here, at("tree/file"), at("file"));
    for (const name of ["copy/file", "back/file", "file"]) {
      await run(here, ["cmp", at("tree/file"), at(name)]);
      const { size, blocks } = await Deno.stat(at(name));
      equal(size, 50_000_003);
      ok(blocks! * 512 < 1_000_000, `${name} takes ${blocks! * 512} bytes`);
    }
  },
});

const TOOLS =
  "sh find xargs tar sort stat mkdir rm mv ls cat cp ln chmod touch printf mktemp readlink md5sum env echo seq head mkfifo";

Deno.test({
  name: "copies are the same: here, by rsync",
  ignore,
  fn: (t) => checkCopies(t, here),
});

Deno.test({
  name: "copies are the same: here, without rsync",
  ignore,
  fn: async (t) => {
    await using scratch = await Scratch.make();
    const path = await only(`${scratch.path}/bin`, TOOLS);
    await withPath(path, () => checkCopies(t, here));
  },
});

Deno.test({
  name: "copies are the same: podman, by rsync",
  ignore: ignoreContainers,
  fn: async (t) => {
    await using container = await Container.start({ image: "debian" });
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await checkCopies(t, connection, true);
  },
});

Deno.test({
  name: "copies are the same: podman, without rsync there",
  ignore: ignoreContainers,
  fn: async (t) => {
    await using container = await Container.start({ image: "debian" });
    await container.exec("rm", "/usr/bin/rsync");
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await checkCopies(t, connection, true);
  },
});

Deno.test({
  name: "copies are the same: podman, with busybox there",
  ignore: ignoreContainers,
  fn: async (t) => {
    await using container = await Container.start();
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await checkCopies(t, connection);
  },
});

/** Where tools of BSD, which macOS has, know other options than those of Linux. */
const BSD: Record<string, string> = {
  tar: 'exec bsdtar "$@"',
  rsync: `case $1 in -s) echo "rsync: -s: unknown option" >&2; exit 1;; esac
exec $RSYNC "$@"`,
  stat: `case "$*" in
  '-c %a %Y '*/.) echo "stat: illegal option -- c" >&2; exit 1;;
  '-f %Lp %m '*) shift 2; exec $STAT -c '%a %Y' "$@";;
esac
exec $STAT "$@"`,
  touch: `case $2 in @*) echo "touch: out of range" >&2; exit 1;; esac
exec $TOUCH "$@"`,
  date:
    `if [ "$1" = -r ]; then seconds=$2; shift 2; exec $DATE -d "@$seconds" "$@"; fi
exec $DATE "$@"`,
};

Deno.test({
  name:
    "copies are the same: from and to macOS, as far as tools of BSD show it",
  ignore: ignoreContainers ||
    cannotRun("copying with tools of BSD", missingPrograms("bsdtar")),
  fn: async (t) => {
    await using scratch = await Scratch.make();
    const bin = `${scratch.path}/bin`;
    await Deno.mkdir(bin);
    for (const [name, script] of Object.entries(BSD)) {
      const text = script.replaceAll(`$${name.toUpperCase()}`, which(name)!);
      await Deno.writeTextFile(`${bin}/${name}`, `#!/bin/sh\n${text}\n`, {
        mode: 0o755,
      });
    }
    const path = `${bin}:${Deno.env.get("PATH")}`;
    await using container = await Container.start({ image: "tiny" });
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await withPath(path, () => checkCopies(t, connection, true));
  },
});

Deno.test({
  name: "copies are the same: ssh, by rsync",
  ignore: ignoreSsh,
  fn: async (t) => {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open(sshd.options);
    await checkCopies(t, connection);
  },
});

Deno.test({
  name: "copies are the same: ssh and sudo, by rsync",
  ignore: ignoreContainers,
  fn: async (t) => {
    await using container = await Container.start({
      image: "debian",
      ssh: true,
    });
    await using connection = await SshConnection.open({
      ...container.ssh("tester"),
      sudo: "root",
    });
    await checkCopies(t, connection, true);
  },
});

Deno.test({
  name: "copies are the same: ssh, with busybox there",
  ignore: ignoreContainers,
  fn: async (t) => {
    await using container = await Container.start({ image: "tiny-ssh" });
    await using connection = await SshConnection.open(container.ssh());
    await checkCopies(t, connection, true);
  },
});

Deno.test({
  name: "copies are the same: ssh to a login shell that prints something",
  ignore: ignoreSsh,
  fn: async (t) => {
    await using sshd = await Sshd.start();
    await using connection = await SshConnection.open(sshd.options);
    // bash reads it for commands of sshd; only the copies themselves have to cope.
    const noisy = `${sshd.directory}/home/.bashrc`;
    await using scratch = await Scratch.make();
    await makeTree(`${scratch.path}/tree`);
    await Deno.writeTextFile(
      noisy,
      "echo 'Welcome to this machine!'; printf 'no newline'\n",
    );
    match(await run(connection, ["true"]), /^Welcome/);
    for (const options of [{}, { delete: true }] as CopyOptions[]) {
      await t.step(
        `a tree there and back, ${Deno.inspect(options)}`,
        async () => {
          await upload(
            connection,
            `${scratch.path}/tree`,
            `${scratch.path}/there`,
            options,
          );
          await download(
            connection,
            `${scratch.path}/there`,
            `${scratch.path}/back`,
            options,
          );
          const tree = await snapshot(here, `${scratch.path}/tree`);
          same(await snapshot(here, `${scratch.path}/there`), tree);
          same(await snapshot(here, `${scratch.path}/back`), harmless(tree));
        },
      );
    }
    await t.step("a file there and back", async () => {
      await upload(
        connection,
        `${scratch.path}/tree/big`,
        `${scratch.path}/big`,
      );
      await download(connection, `${scratch.path}/big`, `${scratch.path}/big2`);
      const bytes = await Deno.readFile(`${scratch.path}/tree/big`);
      deepEqual(await Deno.readFile(`${scratch.path}/big2`), bytes);
    });
  },
});

Deno.test({
  name: "copies are the same: thousands of files, with busybox there",
  ignore: ignoreContainers,
  fn: async () => {
    await using container = await Container.start();
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await using scratch = await Scratch.make();
    const original = `${scratch.path}/original`;
    const name = "n".repeat(200);
    const make =
      `mkdir -p "$1"; cd "$1"; for i in $(seq 3000); do echo $i >"$2-$i"; done`;
    await run(here, sh(make, original, name));
    await upload(connection, original, "/many");
    await download(connection, "/many", `${scratch.path}/back`);
    const list = sh('cd "$1"; ls -A | sort; cat ./* | md5sum');
    const expected = await run(here, [...list, original]);
    equal(await run(connection, [...list, "/many"]), expected);
    equal(await run(here, [...list, `${scratch.path}/back`]), expected);
  },
});

Deno.test({
  name: "upload() names the tools that are missing",
  ignore: ignoreContainers,
  fn: async () => {
    await using container = await Container.start();
    await using connection = await PodmanConnection.open({
      container: container.name,
    });
    await run(connection, ["rm", "/bin/tar"]);
    for (const from of ["/etc/passwd", "/etc/ssh"]) {
      await rejected(
        upload(connection, from, "/x"),
        Error,
        "the system has neither rsync nor tar",
      );
    }
  },
});

Deno.test({
  name: "upload() does not mind files that vanish, but everything else",
  ignore,
  fn: async (t) => {
    await using scratch = await Scratch.make();
    const bin = await only(`${scratch.path}/bin`, TOOLS.replace(" tar", ""));
    const tar = which("tar")!;
    const tree = `${scratch.path}/tree`;
    await Deno.mkdir(`${tree}/directory`, { recursive: true });
    const fake = async (name: string, script: string) => {
      await Deno.remove(`${bin}/${name}`).catch(() => {});
      await Deno.writeTextFile(`${bin}/${name}`, `#!/bin/sh\n${script}\n`);
      await Deno.chmod(`${bin}/${name}`, 0o755);
    };
    await t.step("with tar", async () => {
      await Deno.writeTextFile(`${tree}/kept`, "kept");
      await Deno.writeTextFile(`${tree}/directory/gone`, "gone");
      // By the time tar has read the list, find has ended.
      await fake(
        "tar",
        `case " $* " in *" -cf "*) cat >${scratch.path}/list; rm -f ${tree}/directory/gone; exec ${tar} "$@" <${scratch.path}/list;; esac; exec ${tar} "$@"`,
      );
      await withPath(bin, () => upload(here, tree, `${scratch.path}/copy`));
      match(await Deno.readTextFile(`${scratch.path}/list`), /directory\/gone/);
      equal(await Deno.readTextFile(`${scratch.path}/copy/kept`), "kept");
      equal(await exists(`${scratch.path}/copy/directory/gone`), false);
    });
    await t.step("another failure of tar", async () => {
      await fake(
        "tar",
        `case " $* " in *" -cf "*) echo 'tar: some disaster' >&2; ${tar} "$@"; exit 2;; esac; exec ${tar} "$@"`,
      );
      const error = await rejected(
        withPath(bin, () => upload(here, tree, `${scratch.path}/copy2`)),
        Error,
        "tar: some disaster",
      );
      equal((error.cause as CommandError).status.code, 2);
    });
    await t.step("another failure among files that vanish", async () => {
      const said = [
        "tar: ./log: File shrank by 5 bytes; padding with zeros",
        ...["a", "b", "c"].map((name) =>
          `tar: ./${name}: Cannot stat: No such file or directory`
        ),
        "tar: Exiting with failure status due to previous errors",
      ];
      await Deno.writeTextFile(`${scratch.path}/said`, said.join("\n"));
      await fake(
        "tar",
        `case " $* " in *" -cf "*) cat ${scratch.path}/said >&2; ${tar} "$@"; exit 2;; esac; exec ${tar} "$@"`,
      );
      const { message } = await rejected(
        withPath(bin, () => upload(here, tree, `${scratch.path}/copy5`)),
        Error,
      );
      match(message, /": tar: \.\/log: File shrank [^;]*; padding with zeros$/);
    });
    await t.step("another failure of find", async () => {
      await fake("tar", `exec ${tar} "$@"`);
      await fake(
        "find",
        `${which("find")} "$@"; echo 'find: some disaster' >&2; exit 1`,
      );
      await rejected(
        withPath(bin, () => upload(here, tree, `${scratch.path}/copy3`)),
        Error,
        "find: some disaster",
      );
    });
    for (
      const [code, succeeds] of [[0, true], [24, true], [23, false], [
        12,
        false,
      ]] as const
    ) {
      await t.step(`rsync with exit code ${code}`, async () => {
        await fake("rsync", `echo "rsync: last words" >&2; exit ${code}`);
        const uploading = withPath(
          bin,
          () => upload(here, tree, `${scratch.path}/copy4`),
        );
        if (succeeds) return await uploading;
        const { message, cause } = await rejected(uploading, Error);
        match(message, /^Cannot upload ".*" to ".*": rsync: last words$/);
        equal((cause as CommandError).status.code, code);
        equal((cause as CommandError).argv[0], "rsync");
      });
    }
  },
});

Deno.test({
  name: "upload() refuses what cannot be a path or a name",
  ignore,
  fn: async () => {
    for (const exclude of ["", ".", "..", "a/b", "a\0"]) {
      await rejected(
        upload(here, "/etc", "/tmp/x", { exclude: [exclude] }),
        TypeError,
        `Cannot exclude "${exclude}"`,
      );
    }
    for (const path of ["", "a\0"]) {
      await rejected(upload(here, "/etc", path), TypeError, "is not a path");
      await rejected(
        download(here, path, "/tmp/x"),
        TypeError,
        "is not a path",
      );
    }
  },
});
