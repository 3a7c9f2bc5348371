/** Copies that are aborted, also while the other system hangs: they end, and leave nothing here. */
import { deepStrictEqual } from "node:assert/strict";
import type { Connection } from "../../connections/connection.ts";
import { download, upload } from "../../connections/copy.ts";
import { LocalConnection } from "../../connections/local.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { run } from "../../connections/process.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { missingPrograms, which } from "../_parts.ts";
import {
  cannotRun,
  Container,
  freeze,
  podman,
  podmanMissing,
} from "../_podman.ts";
import { sshdMissing } from "../_sshd.ts";
import { until } from "../_wait.ts";

const ignore = cannotRun("aborted copies", missingPrograms("rsync", "tar"));
const ignoreContainers = ignore ||
  cannotRun(
    "copies to systems that hang",
    podmanMissing(["debian"]) ?? sshdMissing(),
  );

/** What is copied: as long as nobody reads it, it takes no place. */
const SIZE = "4G";

interface Running {
  readonly group: number;
  readonly command: string;
}

/** All processes but those that have ended. */
function processes(): Running[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    try {
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`);
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (command === "" || state === "Z") return [];
      return [{
        group: Number(group),
        command: command.replaceAll("\0", " "),
      }];
    } catch {
      return []; // no process, or it has ended
    }
  });
}

type Tool = "rsync" | "tar";
const TOOLS: readonly Tool[] = ["rsync", "tar"];

/** A copy of a file that is under way. */
interface Case {
  readonly connection: Connection;
  readonly way: "upload" | "download";
  readonly by: Tool;
  /** A directory of its own on the system. */
  readonly there: string;
  /** Makes the system hang before the abort; what it gives ends that, also when called again. */
  readonly freeze?: () => Promise<() => Promise<void>>;
}

/** Aborts a copy, and looks at what is left of it here and there. */
async function checkAbort(
  { connection, way, by, there, freeze }: Case,
): Promise<void> {
  const here = await Deno.makeTempDir({ prefix: "atex-test-copies-" });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => Deno.remove(here, { recursive: true }));
  const local = new LocalConnection();
  const source = way === "upload" ? local : connection;
  const [from, to] = way === "upload" ? [here, there] : [there, here];
  await run(connection, ["mkdir", "-p", there]);
  undo.defer(async () => void await run(connection, ["rm", "-rf", there]));
  await run(source, ["truncate", "-s", SIZE, `${from}/big`]);

  const controller = new AbortController();
  const { signal } = controller;
  const copy = way === "upload" ? upload : download;
  let outcome: unknown;
  const copying = copy(connection, `${from}/big`, `${to}/copy`, { signal })
    .then(() => void (outcome = "copied"), (error) => void (outcome = error));
  undo.defer(() => copying);
  /** The groups of processes here that have to do with the copy, once the tool runs. */
  const groupsOfCopy = () => {
    const all = processes();
    const about = all.filter(({ command }) => command.includes(here));
    const groups = new Set(about.map(({ group }) => group));
    const isTool = new RegExp(`^(\\S*/)?${by} `);
    const runs = all.some(({ group, command }) =>
      groups.has(group) && isTool.test(command)
    );
    return runs ? groups : new Set<number>();
  };
  let groups = new Set<number>();
  await until(() => (groups = groupsOfCopy()).size > 0);
  const place = way === "upload" ? connection : local;
  const isEmpty = async () => await run(place, ["ls", "-A", to]) === "";
  await until(async () => !await isEmpty());
  const thaw = await freeze?.();
  if (thaw) undo.defer(thaw);
  const reason = new Error("enough");
  controller.abort(reason);
  await until(() => outcome !== undefined, 20_000);
  deepStrictEqual(outcome, reason);
  const left = () => processes().filter(({ group }) => groups.has(group));
  await until(() => left().length === 0, 1000).catch(() => {});
  deepStrictEqual(left(), []);

  await thaw?.();
  await until(isEmpty, 10_000).catch(() => {});
  deepStrictEqual(await run(place, ["ls", "-A", to]), "");
}

/** A system here; without rsync, if that is to be. */
async function systemHere(
  by: Tool,
  directory: string,
): Promise<LocalConnection> {
  if (by === "rsync") return await LocalConnection.open();
  const path = `${directory}/bin`;
  await Deno.mkdir(path);
  const tools = "sh tar stat mkdir rm mv ls truncate mktemp";
  for (const tool of tools.split(" ")) {
    await Deno.symlink(which(tool)!, `${path}/${tool}`);
  }
  return await LocalConnection.open({ env: { PATH: path } });
}

for (const by of TOOLS) {
  for (const way of ["upload", "download"] as const) {
    Deno.test({
      name: `${way}() by ${by} that is aborted leaves nothing half done`,
      ignore,
      async fn() {
        const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
        await using connection = await systemHere(by, directory);
        const there = `${directory}/there`;
        await checkAbort({ connection, way, by, there });
        await Deno.remove(directory, { recursive: true });
      },
    });
  }
}

/** Lets every process of a container stand still. */
const pause = ({ name }: Container) => async () => {
  await freeze(name);
  let paused = true;
  return async () => {
    if (paused) await podman("unpause", name);
    paused = false;
  };
};

const LINKS: Record<string, (container: Container) => Promise<Connection>> = {
  "podman": ({ name: container }) => PodmanConnection.open({ container }),
  "ssh": (container) => SshConnection.open(container.ssh()),
  "ssh, stateless": (container) =>
    SshConnection.open({ ...container.ssh(), stateless: true }),
};

for (const [link, open] of Object.entries(LINKS)) {
  Deno.test({
    name: `copies to a system that hangs can be aborted: ${link}`,
    ignore: ignoreContainers,
    async fn(t) {
      await using container = await Container.start({
        image: "debian",
        ssh: true,
      });
      const connection = await open(container);
      for (const by of TOOLS) {
        if (by === "tar") await container.exec("rm", "/usr/bin/rsync");
        for (const way of ["upload", "download"] as const) {
          await t.step(`${way} by ${by}`, async () => {
            const there = `/root/${by}-${way}`;
            await checkAbort({
              connection,
              way,
              by,
              there,
              freeze: pause(container),
            });
            await until(async () => {
              const names = await container.exec("ps", "-eo", "comm=");
              return !/^(rsync|tar)$/m.test(names);
            });
          });
        }
      }
      await connection.disconnect();
    },
  });
}
