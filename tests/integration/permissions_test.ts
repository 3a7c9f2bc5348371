/** Each block works with the permissions that docs/security.md lists, and says clearly which one it lacks. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { Semaphore } from "@std/async/unstable-semaphore";
import { Container, imageName, podmanMissing } from "../_podman.ts";
import { cannotRun, Sshd, sshdMissing } from "../_sshd.ts";
import { type Place, scriptOf, type Use, USES } from "./_permissions.ts";

const noPodman = cannotRun("permissions with podman", podmanMissing());
const noSshd = cannotRun("permissions with ssh", sshdMissing());

interface Outcome {
  code: number;
  said: string;
}

const slots = new Semaphore(navigator.hardwareConcurrency);

/** Runs the script of a use with these permissions, in a directory of its own. */
async function runWith(
  use: Use,
  flags: readonly string[],
  place: Omit<Place, "where" | "suite">,
): Promise<Outcome> {
  using _slot = await slots.acquire();
  // below /dev, as in memory, Deno takes no other permission than all
  const where = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    const suite = `${where}/suite`;
    await Deno.mkdir(`${suite}/.fmf`, { recursive: true });
    await Deno.writeTextFile(`${suite}/.fmf/version`, "1\n");
    await Deno.writeTextFile(`${suite}/t.fmf`, "test: 'true'\n");
    const script = `${where}/script.ts`;
    await Deno.writeTextFile(script, scriptOf(use, { ...place, where, suite }));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-q", "--no-prompt", "--no-check"],
        ...flags.map((flag) => `--allow-${flag.replace("=DIR", `=${where}`)}`),
        script,
      ],
      env: { NO_COLOR: "1", TMPDIR: where, XDG_RUNTIME_DIR: where },
      stdin: "null",
      signal: AbortSignal.timeout(120_000),
    }).output();
    return { code, said: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(where, { recursive: true });
  }
}

const NAMES: Record<string, RegExp> = {
  run: /[Rr]equires run access/,
  env: /[Rr]equires env access/,
  sys: /[Rr]equires sys access/,
  read: /[Rr]equires read access/,
  write: /[Rr]equires write access/,
};

for (const use of USES) {
  Deno.test({
    name: `${use.block} needs ${
      use.flags.map((flag) => `--allow-${flag}`).join(" ")
    }, and no more`,
    ignore: use.needs === "podman" && noPodman || use.needs === "ssh" && noSshd,
    async fn() {
      await using resources = new AsyncDisposableStack();
      const place: Omit<Place, "where" | "suite"> = {};
      if (use.needs === "ssh") {
        place.ssh = resources.use(await Sshd.start()).options;
      }
      if (use.needs === "podman") {
        place.container = resources.use(await Container.start()).name;
        place.image = imageName("tiny");
      }
      const [all, ...without] = await Promise.all([
        runWith(use, use.flags, place),
        ...use.flags.map((flag) =>
          runWith(use, use.flags.filter((one) => one !== flag), place)
        ),
      ]);
      deepStrictEqual(all, { code: 0, said: "" });
      for (const [index, { code, said }] of without.entries()) {
        const flag = use.flags[index]!;
        ok(code !== 0, `it works without --allow-${flag}`);
        ok(NAMES[flag.split("=")[0]!]!.test(said), `${flag}: ${said}`);
      }
    },
  });
}

Deno.test("docs/security.md lists what is proved here", async () => {
  const page = await Deno.readTextFile(
    new URL("../../docs/security.md", import.meta.url),
  );
  const rows = [...page.matchAll(/^\| `([\w/-]+)` +\| (.*?) +\|$/gm)]
    .map(([, block, flags]) => `${block}: ${flags}`);
  deepStrictEqual(
    rows.toSorted(),
    USES.map(({ block, flags }) =>
      `${block}: ${flags.map((flag) => `\`--allow-${flag}\``).join(" ")}`
    ).toSorted(),
  );
});
