/** What a system that is after its tester cannot do; see docs/security.md. */
import { deepStrictEqual, match } from "node:assert/strict";
import { download } from "../../connections/copy.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";

/** In place of the system's own: packs what leads out of the target, in every way that there is. */
const TAR = `#!/bin/sh
case " $* " in
  *" ./link ") cat /link.tar ;;
  *" -c"*|*" c"*|*--create*) cat /evil.tar ;;
  *) exec /usr/bin/tar "$@" ;;
esac
`;

/** Makes the archive: an absolute name, one with dots, a link out of it and a file behind the link. */
async function pack(directory: string, outside: string): Promise<string> {
  const from = `${directory}/from`;
  await Deno.mkdir(from);
  await Deno.writeTextFile(`${from}/evil`, "evil\n");
  await Deno.symlink(outside, `${from}/link`);
  const archive = `${directory}/evil.tar`;
  const add = async (name: string, member: string) => {
    const { success } = await new Deno.Command("tar", {
      args: [
        ...["--append", "--absolute-names", `--file=${archive}`, "-C", from],
        // of links, only their own names
        ...[`--transform=flags=r;s,^${member}$,${name},`, member],
      ],
    }).output();
    deepStrictEqual(success, true);
  };
  await add("../evil-dots", "evil");
  await add(`${outside}/evil-absolute`, "evil");
  await add("./link", "link");
  await add("./link/evil-behind", "evil");
  await add("./good", "evil");
  await new Deno.Command("tar", {
    args: ["-c", `--file=${directory}/link.tar`, "-C", from, "./link"],
  }).output();
  return archive;
}

Deno.test({
  name: "a system whose tar lies writes nothing outside of what is downloaded",
  ignore: cannotRun("hostile systems", podmanMissing(["debian"])),
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      const outside = `${directory}/outside`;
      await Deno.mkdir(outside);
      await Deno.mkdir(`${directory}/place`);
      const archive = await pack(directory, outside);
      await Deno.writeTextFile(`${directory}/tar`, TAR, { mode: 0o755 });
      await using container = await Container.start({
        image: "debian",
        args: [
          // without rsync, which would be used
          "--volume=/dev/null:/usr/bin/rsync:ro",
          `--volume=${archive}:/evil.tar:ro`,
          `--volume=${directory}/link.tar:/link.tar:ro`,
          `--volume=${directory}/tar:/usr/local/bin/tar:ro`,
        ],
      });
      await container.exec("mkdir", "/data");
      await using system = await PodmanConnection.open({
        container: container.name,
      });
      // whether it fails is all the same
      await download(system, "/data", `${directory}/place/target`)
        .catch(() => {});
      // nor is there a link where a file was asked for
      await container.exec("touch", "/data/link");
      await download(system, "/data/link", `${directory}/place/file`)
        .catch(() => {});
      const names = (path: string) =>
        [...Deno.readDirSync(path)].map(({ name }) => name).toSorted();
      deepStrictEqual(names(outside), []);
      deepStrictEqual(names(`${directory}/place`), ["target"]);
      // it was the lying one that was asked
      deepStrictEqual(
        names(`${directory}/place/target`).includes("good"),
        true,
      );
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

for (const tool of ["rsync", "tar"] as const) {
  Deno.test({
    name:
      `neither setuid programs nor devices of a system come here, by ${tool}`,
    ignore: cannotRun("hostile systems", podmanMissing(["debian"])),
    async fn() {
      const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
      try {
        await using container = await Container.start({
          image: "debian",
          args: [
            "--cap-add=MKNOD",
            ...(tool === "tar" ? ["--volume=/dev/null:/usr/bin/rsync:ro"] : []),
          ],
        });
        await container.exec(
          "sh",
          "-c",
          `
mkdir -p /data/dir; cd /data; chmod 2755 . dir
cp /bin/true setuid; chmod 6755 setuid; echo x >sticky; chmod 1644 sticky
long=$(printf 'l%.0s' $(seq 150)); cp -p setuid $long; cp /bin/true file
mknod null c 1 3; mknod dir/$long b 7 0; mknod pipe p`,
        );
        await using system = await PodmanConnection.open({
          container: container.name,
        });
        const to = `${directory}/target`;
        await download(system, "/data", to);
        const long = "l".repeat(150);
        const modes = [".", "dir", "file", long, "setuid", "sticky"].map((
          name,
        ) => Deno.lstatSync(`${to}/${name}`).mode! & 0o7777);
        deepStrictEqual(modes, [0o755, 0o755, 0o755, 0o755, 0o755, 0o1644]);
        deepStrictEqual(
          [...Deno.readDirSync(to)].map(({ name }) => name).toSorted(),
          ["dir", "file", long, "pipe", "setuid", "sticky"],
        );
        deepStrictEqual([...Deno.readDirSync(`${to}/dir`)], []);
        await download(system, "/data/setuid", `${directory}/one`);
        deepStrictEqual(
          Deno.statSync(`${directory}/one`).mode! & 0o7777,
          0o755,
        );
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

Deno.test({
  name: "a system whose find lies has nothing removed outside of the target",
  ignore: cannotRun("hostile systems", podmanMissing(["debian"])),
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      await Deno.writeTextFile(`${directory}/find`, "");
      const precious = `${directory}/precious`;
      await Deno.writeTextFile(precious, "");
      await Deno.mkdir(`${directory}/target`);
      await Deno.symlink(directory, `${directory}/target/link`);
      await using container = await Container.start({
        image: "debian",
        args: [
          "--volume=/dev/null:/usr/bin/rsync:ro",
          `--volume=${directory}/find:/usr/local/bin/find:ro`,
        ],
      });
      await container.exec("mkdir", "/data");
      await using system = await PodmanConnection.open({
        container: container.name,
      });
      for (
        const path of [
          precious,
          "./../precious",
          "../precious",
          "./link/precious",
          "./..",
          "..",
          ".",
        ].flatMap((path) => [path, `${path}\\0`])
      ) {
        await Deno.writeTextFile(
          `${directory}/find`,
          `#!/bin/sh\nprintf './\\0%b' '${path}'\n`,
          { mode: 0o755 },
        );
        const error = await download(system, "/data", `${directory}/target`)
          .then(() => undefined, (error) => error);
        match(
          `${error?.message}`,
          /is not in a directory that the system told|does not come to its end/,
        );
        Deno.statSync(precious);
        Deno.lstatSync(`${directory}/target/link`);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test({
  name: "a system that packs nonsense without an end is refused at once",
  ignore: cannotRun("hostile systems", podmanMissing(["debian"])),
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      await Deno.writeTextFile(
        `${directory}/tar`,
        `#!/bin/sh\ncase $* in *--version*) echo GNU;; *) exec yes;; esac\n`,
        { mode: 0o755 },
      );
      await using container = await Container.start({
        image: "debian",
        args: [
          "--volume=/dev/null:/usr/bin/rsync:ro",
          `--volume=${directory}/tar:/usr/local/bin/tar:ro`,
        ],
      });
      await container.exec("mkdir", "/data");
      await using system = await PodmanConnection.open({
        container: container.name,
      });
      for (const from of ["/data", "/etc/passwd"]) {
        const to = `${directory}/${from.length}`;
        const error = await download(system, from, to, {
          signal: AbortSignal.timeout(30_000),
        }).then(() => undefined, (error) => error);
        match(`${error?.message}`, /^Cannot download .* is not understood$/m);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
