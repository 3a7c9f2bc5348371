/** Each block works with the permissions that docs/security.md lists, and says clearly which one it lacks. */
import { deepStrictEqual, match, ok } from "node:assert/strict";
import { Semaphore } from "@std/async/unstable-semaphore";
import { ArtifactsWriter } from "../../executors/results.ts";
import { MISSING, OPEN, type Parts } from "./_permission_parts.ts";
import {
  EXAMPLES,
  type Place,
  scriptOf,
  type Use,
  USES,
} from "./_permissions.ts";

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

const slots = new Semaphore(navigator.hardwareConcurrency);

/** Runs the script of a use with these permissions, in a directory of its own. */
async function runWith(
  use: Use,
  flags: readonly string[],
  { place: found, env, service, key }: Parts,
): Promise<Outcome> {
  using _slot = await slots.acquire();
  // below /dev, as in memory, Deno takes no other permission than all
  const where = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const place = { ...found, ...await layOut(where) };
    for (const kind of key ? ["", ".pub"] : []) {
      await Deno.copyFile(`${key}${kind}`, `${where}/key${kind}`);
    }
    await Deno.writeTextFile(`${where}/script.ts`, scriptOf(use, place));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-q", "--no-prompt", "--no-check"],
        ...flags.map((flag) =>
          `--allow-${
            flag.replace("=DIR", `=${where}`).replace("=SERVICE", `=${service}`)
          }`
        ),
        "script.ts",
      ],
      cwd: where,
      env: {
        NO_COLOR: "1",
        TMPDIR: where,
        XDG_RUNTIME_DIR: where,
        GITHUB_ACTIONS: "true",
        GITHUB_STEP_SUMMARY: `${where}/summary.md`,
        ...env,
      },
      stdin: "null",
      signal: AbortSignal.timeout(120_000),
    }).output();
    return {
      code,
      stdout: new TextDecoder().decode(stdout),
      stderr: new TextDecoder().decode(stderr),
    };
  } finally {
    await Deno.remove(where, { recursive: true });
  }
}

/** Lays out what a script finds in its directory. */
async function layOut(where: string): Promise<Place> {
  const suite = `${where}/suite`;
  await Deno.mkdir(`${suite}/.fmf`, { recursive: true });
  await Deno.writeTextFile(`${suite}/.fmf/version`, "1\n");
  await Deno.writeTextFile(`${suite}/t.fmf`, "test: 'true'\n");
  const artifacts = `${where}/artifacts`;
  await Deno.mkdir(artifacts);
  using writer = ArtifactsWriter.open(artifacts);
  writer.write({ status: "pass" });
  await Deno.writeTextFile(`${where}/results.jsonl`, "");
  return { where, suite, artifacts };
}

/** The flags without one permission, in all ways: of a list, one value at a time. */
function withoutOne(
  flags: readonly string[],
): [missing: string, flags: string[]][] {
  return flags.flatMap((flag, index) => {
    const [kind, list = ""] = flag.split("=");
    return list.split(",").map((value, _, values): [string, string[]] => {
      const others = values.filter((one) => one !== value).join(",");
      const rest = others === "" ? [] : [`${kind}=${others}`];
      return [`${kind}=${value}`, flags.toSpliced(index, 1, ...rest)];
    });
  });
}

async function checkWorks(use: Use, parts: Parts): Promise<void> {
  const { code, stdout, stderr } = await runWith(use, use.flags, parts);
  deepStrictEqual([code, stderr], [0, ""], stdout + stderr);
}

async function checkLack(
  use: Use,
  parts: Parts,
  [missing, flags]: [string, string[]],
): Promise<void> {
  const { code, stdout, stderr } = await runWith(use, flags, parts);
  ok(code !== 0, `it works without ${missing}`);
  const kind = missing.split("=")[0];
  match(
    stdout + stderr,
    new RegExp(`[Rr]equires ${kind} access`),
    `without ${missing}`,
  );
}

/** Waits for all, so that none goes on behind the test's back; fails with what every one that failed says. */
async function all(checks: Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(checks)).flatMap((check) =>
    check.status === "rejected" ? [check.reason as Error] : []
  );
  if (failures.length === 0) return;
  const messages = failures.map(({ message }) => message);
  throw new Error(messages.join("\n\n"), { cause: failures[0] });
}

for (const use of USES) {
  const flags = use.flags.map((flag) => `--allow-${flag}`).join(" ") ||
    "nothing";
  Deno.test({
    name: `${use.block} needs ${flags}, and no more`,
    ignore: use.needs !== undefined && MISSING[use.needs],
    async fn() {
      await using resources = new AsyncDisposableStack();
      const parts = use.needs ? await OPEN[use.needs](resources) : {};
      await all([
        checkWorks(use, parts),
        ...withoutOne(use.flags).map((lack) => checkLack(use, parts, lack)),
      ]);
    },
  });
}

Deno.test("docs/security.md lists what is proved here", async () => {
  const page = await Deno.readTextFile(
    new URL("../../docs/security.md", import.meta.url),
  );
  const rows = [...page.matchAll(/^\| `([\w/.-]+)` +\| (.*?) +\|$/gm)]
    .map(([, block, flags]) => `${block}: ${flags}`);
  const proved = [
    ...USES.map(({ block, flags }) => [block, flags] as const),
    ...Object.entries(EXAMPLES).map(([name, flags]) =>
      [`examples/${name}`, flags] as const
    ),
  ];
  deepStrictEqual(
    rows.toSorted(),
    proved.map(([block, flags]) =>
      `${block}: ${
        flags.map((flag) => `\`--allow-${flag}\``).join(" ") || "none"
      }`
    ).toSorted(),
  );
});

/** Rows of the short table in README.md, and the blocks that each is about. */
const IN_SHORT: Record<string, RegExp> = {
  "`discover()` of a tree": /^fmf$/,
  "connections": /^connections\//,
  "provisioners of containers, hosts, pods":
    /^provisioners\/(podman|podman-image|systemd|hosts|leases|kubernetes)$/,
  "virtual machines, Testing Farm":
    /^provisioners\/(libvirt|shared-libvirt|testing-farm)$/,
  "executors": /^executors\//,
  "aggregators in files; orchestrators":
    /^(aggregators\/(jsonl|yaml|junit|html)|orchestrators\/)/,
  "ReportPortal": /^aggregators\/report-portal$/,
  "GitHub": /^aggregators\/github$/,
  "progress, OpenTelemetry": /^orchestrators\/(progress|telemetry)$/,
};

Deno.test("README.md names every kind of permission that is proved here", async () => {
  const page = await Deno.readTextFile(
    new URL("../../README.md", import.meta.url),
  );
  const rows = new Map(
    [...page.matchAll(/^\| (.*?) +\| (.*?) +\|$/gm)]
      .map(([, name, text]) => [name!, text!]),
  );
  const kindsIn = (text: string) =>
    new Set(
      [...text.matchAll(/`(\w+)(?:=[^`]*)?`/g)].map(([, kind]) => kind!),
    );
  const kindsOf = (use: Use) =>
    new Set(use.flags.map((flag) => flag.split("=")[0]!));
  const ofConnections = kindsIn(rows.get("connections")!);
  for (const [name, blocks] of Object.entries(IN_SHORT)) {
    const text = rows.get(name);
    ok(text, `no row "${name}"`);
    const told = kindsIn(text);
    if (/those of the connection|the same/.test(text)) {
      for (const kind of ofConnections) told.add(kind);
    }
    const uses = USES.filter(({ block }) => blocks.test(block));
    ok(uses.length > 0, `no blocks of "${name}"`);
    for (const use of uses) {
      const untold = kindsOf(use).difference(told);
      deepStrictEqual([...untold], [], `${use.block} in the row "${name}"`);
    }
  }
});
