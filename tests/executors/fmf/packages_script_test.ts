/** Installing packages, with tools that pretend. */
import assert from "node:assert/strict";
import {
  packageArguments,
  PACKAGES,
} from "../../../executors/fmf/_packages.ts";
import { quote } from "../../../executors/fmf/scripts.ts";
import { cannotRun } from "../../_parts.ts";
import { checkScript, shellcheckMissing } from "../../_shellcheck.ts";

/** Asks as `rpm -q --whatprovides` and the like do; fails by the number of what is not installed. */
const QUERY = `#!/bin/bash
missing=0
# what \`dpkg-query -W\` tells of all packages
if [[ $0 == */dpkg-query ]] && (($# == 3)); then cat "$DB/provided" 2>/dev/null; exit; fi
for argument; do
  case $argument in -* | info | '\${db'*) continue ;; esac
  if grep -qxF -- "$argument" "$DB/installed"; then
    [[ $0 != */dpkg-query ]] || printf 'installed '
  else
    missing=$((missing + 1))
  fi
done
exit $missing
`;

/** Installs what is available, as the package managers do, and writes down how it was called. */
const INSTALL = `#!/bin/bash
tool=\${0##*/}
echo "$tool $*$([[ $LC_ALL = C ]] || echo ' WRONG LOCALE')" >>"$DB/log"
[[ $tool != apk || $1 != info ]] || { shift; exec "\${0%/*}/query" "$@"; }
echo "$tool says hello"
lenient=
names=()
skip=
for argument; do
  [[ ! $skip ]] || { skip=; continue; }
  case $argument in
    update) cat "$DB/news" >>"$DB/available"; exit ;;
    --skip-broken) lenient=1 ;;
    -o) skip=1 ;;
    -* | install | add) ;;
    *) names+=("$argument") ;;
  esac
done
valid=()
for name in "\${names[@]}"; do
  if grep -qxF -- "$name" "$DB/available"; then
    valid+=("$name")
  elif [[ $tool != yum && ! $lenient ]]; then
    echo "no package $name"
    exit 1
  fi
done
[[ $tool != yum ]] || ((\${#valid[@]} > 0)) || { echo nothing to do; exit 1; }
((\${#valid[@]} == 0)) || printf '%s\\n' "\${valid[@]}" >>"$DB/installed"
`;

const SCRIPT = `#!/bin/bash
echo "script $*" >>"$DB/log"
`;

interface System {
  tools: string[];
  /** A tool that knows of no package. */
  foreign?: string;
  installed?: string[];
  available?: string[];
  /** What is available after an update. */
  news?: string[];
  /** What installed packages provide, as `dpkg-query` lists it. */
  provided?: string[];
  /** Paths that exist, in a directory that takes the place of `DIR`. */
  files?: string[];
}

interface Installation {
  success: boolean;
  /** How the tools were called. */
  log: string[];
  output: string;
  /** What is there in the end. */
  installed: string[];
}

/** Installs on a system that has these tools and no others. */
async function install(
  system: System,
  required: string[],
  recommended: string[] = [],
  call = "install_packages",
): Promise<Installation> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const { tools, installed = [], available = [], news = [], files = [] } =
      system;
    const { provided = [] } = system;
    const bin = `${directory}/bin`;
    await Deno.mkdir(bin);
    const write = (name: string, text: string) =>
      Deno.writeTextFile(`${bin}/${name}`, text, { mode: 0o755 });
    for (const tool of ["bash", "cat", "grep"]) {
      await Deno.writeTextFile(
        `${bin}/${tool}`,
        `#!/bin/sh\nexec /bin/${tool} "$@"\n`,
        { mode: 0o755 },
      );
    }
    await write("query", QUERY);
    if (system.foreign) await write(system.foreign, "#!/bin/bash\nexit 1\n");
    for (const tool of tools) {
      await write(
        tool,
        ["rpm", "dpkg-query"].includes(tool)
          ? QUERY
          : tool === "script"
          ? SCRIPT
          : INSTALL,
      );
    }
    for (const file of files) {
      await Deno.writeTextFile(`${directory}/${file}`, "");
    }
    const list = (name: string, lines: string[]) =>
      Deno.writeTextFile(
        `${directory}/${name}`,
        lines.map((line) => `${line}\n`).join(""),
      );
    await list("installed", installed);
    await list("available", available);
    await list("news", news);
    await list("log", []);
    await list("provided", provided);
    const place = (names: string[]) =>
      names.map((name) => name.replace("DIR", directory));
    const words = call === "install_packages"
      ? packageArguments(place(required), place(recommended)).map(quote)
      : [];
    const { success, stdout } = await new Deno.Command("/bin/bash", {
      args: [
        "-c",
        `set -e; state=$DB; ${PACKAGES}\nwith_log ${call} ${
          words.join(" ")
        }\necho done`,
      ],
      clearEnv: true,
      env: { PATH: bin, DB: directory, LC_ALL: "de_DE.UTF-8" },
      stdin: "null",
    }).output();
    const read = async (name: string) =>
      (await Deno.readTextFile(`${directory}/${name}`))
        .replaceAll(directory, "DIR").split("\n").slice(0, -1);
    return {
      success,
      log: await read("log"),
      output: new TextDecoder().decode(stdout).replaceAll(directory, "DIR"),
      installed: await read("installed"),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The families: what they look with, and how they are called. */
const FAMILIES: Record<
  string,
  { query: string[]; required: string; recommended: string | string[] }
> = {
  dnf5: {
    query: ["rpm"],
    required: "dnf5 -q -y --setopt=install_weak_deps=False install",
    recommended:
      "dnf5 -q -y --setopt=install_weak_deps=False install --skip-broken --skip-unavailable",
  },
  dnf: {
    query: ["rpm"],
    required: "dnf -q -y --setopt=install_weak_deps=False install",
    recommended:
      "dnf -q -y --setopt=install_weak_deps=False install --skip-broken",
  },
  microdnf: {
    query: ["rpm"],
    required: "microdnf -y --setopt=install_weak_deps=0 install",
    recommended: [],
  },
  yum: {
    query: ["rpm"],
    required: "yum -q -y install",
    recommended: "yum -q -y install --skip-broken filesystem",
  },
  zypper: {
    query: ["rpm"],
    required:
      "zypper --non-interactive --quiet install --no-recommends --auto-agree-with-licenses",
    recommended: [],
  },
  "apt-get": {
    query: ["dpkg-query"],
    required:
      "apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 -o APT::Cmd::Pattern-Only=true install",
    recommended: [],
  },
  apk: {
    query: [],
    required: "apk add -q --no-cache",
    recommended: [],
  },
};

Deno.test({
  name: "the functions have nothing that shellcheck objects to",
  ignore: cannotRun("packages script", shellcheckMissing()),
  async fn() {
    // `missing`, `tool` and `state` belong to whoever calls
    await checkScript(PACKAGES, "bash", "--exclude=SC2154");
  },
});

for (
  const [tool, { query, required, recommended }] of Object.entries(FAMILIES)
) {
  const tools = [tool, ...query];
  const calls = (log: string[]) =>
    log.filter((line) => !line.startsWith("apk info"));

  Deno.test(`${tool} is not called when everything is there`, async () => {
    const { success, log, output } = await install(
      { tools, installed: ["a", "b", "c"] },
      ["a", "b"],
      ["c"],
    );
    assert.ok(success);
    assert.deepEqual(calls(log), []);
    assert.equal(output, "done\n");
  });

  Deno.test(`${tool} installs what is missing and required by one call`, async () => {
    const others = tool === "apt-get" ? ["c++", "d=1:2~3"] : ["c d", "*"];
    const { success, log, installed, output } = await install(
      { tools, installed: ["a"], available: ["b", ...others] },
      ["a", "b", ...others],
    );
    assert.ok(success);
    assert.deepEqual(calls(log), [`${required} b ${others.join(" ")}`]);
    assert.deepEqual(installed, ["a", "b", ...others]);
    assert.equal(output, "done\n");
  });

  Deno.test(`${tool} fails if something required cannot be installed`, async () => {
    const { success, output } = await install(
      { tools, available: ["b"] },
      ["b", "nonsense"],
    );
    assert.ok(!success);
    assert.match(output, new RegExp(`^\\+ ${tool} .* b nonsense\\n`));
    assert.match(output, /no package nonsense|Cannot install nonsense: yum/);
  });

  Deno.test(`${tool} does without what is only recommended`, async () => {
    const { success, log, installed } = await install(
      { tools, installed: ["a"], available: ["c", "filesystem"] },
      ["a"],
      ["nonsense", "c"],
    );
    assert.ok(success);
    assert.ok(installed.includes("c"));
    if (typeof recommended === "string") {
      assert.deepEqual(calls(log), [`${recommended} nonsense c`]);
    } else {
      assert.equal(calls(log).at(-1), `${required} c`);
    }
  });
}

Deno.test("the first of several package managers is used", async () => {
  const { log } = await install(
    { tools: ["yum", "dnf", "dnf5", "rpm"], available: ["a"] },
    ["a"],
  );
  assert.match(log[0], /^dnf5 /);
});

Deno.test("what is there is asked of what belongs to the package manager", async (t) => {
  for (
    const [tools, foreign] of [
      [["apt-get", "dpkg-query"], "rpm"],
      [["apk"], "rpm"],
      [["apk"], "dpkg-query"],
      [["dnf", "rpm"], "dpkg-query"],
    ] as const
  ) {
    await t.step(`${tools[0]} beside ${foreign}`, async () => {
      const { success, log } = await install({
        tools: [...tools],
        foreign,
        installed: ["a"],
        files: ["file"],
      }, foreign === "rpm" ? ["a", "DIR/file"] : ["a"]);
      assert.ok(success);
      assert.deepEqual(log.filter((line) => !line.startsWith("apk info")), []);
    });
  }
});

Deno.test("apt-get updates its lists once, when it fails", async () => {
  const { success, log } = await install(
    { tools: ["apt-get", "dpkg-query"], news: ["a", "b"] },
    ["a"],
    ["nonsense", "more-nonsense", "b"],
  );
  assert.ok(success);
  assert.deepEqual(
    log.map((line) => /(update|install .*)$/.exec(line)![0]),
    [
      ...["install a", "update", "install a"],
      ...["install nonsense", "install nonsense"],
      ...["install more-nonsense", "install more-nonsense", "install b"],
    ],
  );
});

Deno.test("yum is asked about groups, addresses and files only by installing them", async () => {
  const names = ["@group", "https://example.org/x.rpm", "./y.rpm"];
  const { success } = await install(
    { tools: ["yum", "rpm"], available: ["@group"] },
    names,
  );
  assert.ok(success);
});

Deno.test("a name that an installed Debian package provides is there", async () => {
  const provided = [
    "config-files, , awk,",
    "installed, , ,",
    "installed, , mail-server, awk (= 1.3), editor,",
    "installed, , awkward,",
  ];
  const system = { tools: ["apt-get", "dpkg-query"], provided };
  for (const name of ["awk", "editor", "mail-server"]) {
    const { success, log } = await install(system, [name]);
    assert.ok(success, name);
    assert.deepEqual(log, []);
  }
  for (const name of ["mail", "= 1.3", "server", "awkwar"]) {
    assert.ok(!(await install(system, [name])).success, name);
  }
});

Deno.test("a path counts as installed if it exists", async (t) => {
  for (const tools of [["apt-get", "dpkg-query"], ["apk"], []]) {
    await t.step(tools[0] ?? "no package manager", async () => {
      const { success, output } = await install(
        { tools, files: ["file"] },
        ["DIR/file"],
        ["DIR/other"],
      );
      assert.ok(success, output);
    });
  }
});

Deno.test("apt-get and apk do not install by path", async (t) => {
  for (const tools of [["apt-get", "dpkg-query"], ["apk"]]) {
    await t.step(tools[0], async () => {
      const { success, output } = await install({ tools }, ["DIR/file"]);
      assert.ok(!success);
      assert.equal(
        output,
        `Cannot install DIR/file: ${tools[0]} does not install by path\n`,
      );
    });
  }
});

Deno.test("apt-get installs packages, and does nothing else", async (t) => {
  for (
    const [name, reason] of [
      ["rsync-", 'with a "-" at its end it would be removed'],
      ...["a*", "a.*$", "~na", "?name(a)", "a b", "[ab]", "desktop^"].map((
        name,
      ) => [name, "it is not the name of a package"]),
    ]
  ) {
    await t.step(name!, async () => {
      const { success, log, output } = await install(
        { tools: ["apt-get", "dpkg-query"], available: [name!, "a"] },
        ["a", name!],
      );
      assert.ok(!success);
      assert.equal(output, `Cannot install ${name}: ${reason}\n`);
      assert.deepEqual(log, []);
    });
  }
});

Deno.test("a system without a package manager cannot install", async (t) => {
  await t.step("what is required", async () => {
    const { success, output } = await install({ tools: [] }, ["a", "b"]);
    assert.ok(!success);
    assert.equal(
      output,
      "Cannot install a b: the system has no package manager that is known here\n",
    );
  });
  await t.step("but has what it has", async () => {
    const { success } = await install(
      { tools: ["rpm"], installed: ["a"] },
      ["a"],
      ["b"],
    );
    assert.ok(success);
  });
});

Deno.test("a terminal is there, or is installed", async (t) => {
  const packages: Record<string, string> = {
    dnf: "/usr/bin/script",
    zypper: "/usr/bin/script",
    "apt-get": "bsdutils",
    apk: "util-linux-misc",
  };
  for (const [tool, name] of Object.entries(packages)) {
    await t.step(tool, async () => {
      const tools = [tool, ...FAMILIES[tool].query];
      const { success, log, output } = await install(
        { tools, available: [name] },
        [],
        [],
        "install_terminal",
      );
      assert.match(log.at(-1)!, new RegExp(` ${name}$`));
      // it was not really installed
      assert.ok(!success);
      assert.match(output, /Cannot give the test a terminal: .*"script"/);
    });
  }
  await t.step("there", async () => {
    const { success, log } = await install(
      { tools: ["apt-get", "script"] },
      [],
      [],
      "install_terminal",
    );
    assert.ok(success);
    assert.deepEqual(log, ["script -q -e -f -c true /dev/null"]);
  });
});

Deno.test("packageArguments() refuses what is no name", () => {
  for (const name of ["", "-y", "!a", "a\0b"]) {
    assert.throws(() => packageArguments([name], []), TypeError);
    assert.throws(() => packageArguments([], [name]), TypeError);
  }
  assert.deepEqual(packageArguments(["a b"], ["c"]), ["a b", "--", "c"]);
});
