/** What a system that is after its tester cannot do; see docs/security.md. */
import { deepStrictEqual, match } from "node:assert/strict";
import { download } from "../../connections/copy.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";

/** In place of the system's own: packs what the test wants, in turn. */
const TAR = `#!/bin/sh
case " $* " in
  *" -c"*|*" c"*|*--create*)
    archive=$(ls /archives | head -n 1)
    cat "/archives/$archive"; rm -f "/archives/$archive" ;;
  *) exec /usr/bin/tar "$@" ;;
esac
`;

/** What is in an archive: a file, or a link to somewhere. */
interface Member {
  name: string;
  link?: string;
}

async function pack(archive: string, members: Member[]): Promise<void> {
  const from = await Deno.makeTempDir({ prefix: "atex-test-" });
  try {
    await Deno.writeTextFile(`${from}/file`, "evil\n");
    for (const { name, link } of members) {
      if (link) await Deno.symlink(link, `${from}/link`);
      const member = link ? "link" : "file";
      const { success } = await new Deno.Command("tar", {
        args: [
          ...["--append", "--absolute-names", `--file=${archive}`, "-C", from],
          // of links, only their own names
          ...[`--transform=flags=r;s,^${member}$,${name},`, member],
        ],
      }).output();
      deepStrictEqual(success, true);
    }
  } finally {
    await Deno.remove(from, { recursive: true });
  }
}

const OUTSIDE = "/OUTSIDE";

/** What a system packs at each call of tar, `OUTSIDE` being a directory beside the target, and what is said of it. */
const LIES: Record<
  string,
  {
    from?: string;
    before?: "a file" | "a link";
    calls: Member[][];
    why: RegExp;
  }
> = {
  "a name with dots": {
    calls: [[{ name: "./good" }, { name: "../evil" }]],
    why: /"\.\.\/evil" in it leads elsewhere/,
  },
  "dots further on": {
    calls: [[{ name: "./good" }, { name: "./x/../../evil" }]],
    why: /leads elsewhere/,
  },
  "an absolute name": {
    calls: [[{ name: "./good" }, { name: `${OUTSIDE}/evil` }]],
    why: /^undefined$/, // it loses its slash
  },
  "a link and a file behind it": {
    calls: [[{ name: "./good" }, { name: "./link", link: OUTSIDE }, {
      name: "./link/evil",
    }]],
    why: /"\.\/link\/evil" in it leads elsewhere/,
  },
  "a link, and a file behind it with the second archive": {
    before: "a file",
    calls: [
      [{ name: "./good" }, { name: "./link", link: OUTSIDE }],
      [{ name: "./link/evil" }],
    ],
    why: /an entry of type "0" among directories/,
  },
  "a link with the second archive": {
    before: "a file",
    calls: [[{ name: "./good" }], [{ name: "./link", link: OUTSIDE }]],
    why: /an entry of type "2" among directories/,
  },
  "a file behind a link that is there": {
    before: "a link",
    calls: [[{ name: "./good" }, { name: "./link/evil" }]],
    why: /"\.\/link\/evil" in it leads elsewhere/,
  },
  "a link where a file was asked for": {
    from: "/file/link",
    calls: [[{ name: "./link", link: OUTSIDE }]],
    why: /no file was packed/,
  },
};

Deno.test({
  name: "a system whose tar lies writes nothing outside of what is downloaded",
  ignore: cannotRun("hostile systems", podmanMissing(["debian"])),
  async fn(t) {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    try {
      const archives = `${directory}/archives`;
      await Deno.mkdir(archives);
      await Deno.writeTextFile(`${directory}/tar`, TAR, { mode: 0o755 });
      await using container = await Container.start({
        image: "debian",
        args: [
          // without rsync, which would be used
          "--volume=/dev/null:/usr/bin/rsync:ro",
          `--volume=${archives}:/archives`,
          `--volume=${directory}/tar:/usr/local/bin/tar:ro`,
        ],
      });
      await container.exec("mkdir", "/data", "/file");
      await container.exec("touch", "/file/link");
      await using system = await PodmanConnection.open({
        container: container.name,
      });
      const names = (path: string) =>
        [...Deno.readDirSync(path)].map(({ name }) => name).toSorted();
      for (
        const [lie, { from = "/data", before, calls, why }] of Object.entries(
          LIES,
        )
      ) {
        await t.step(lie, async () => {
          const place = `${directory}/${lie}`;
          const outside = `${place}/outside`;
          const target = `${place}/target`;
          await Deno.mkdir(outside, { recursive: true });
          if (before) await Deno.mkdir(target);
          if (before === "a file") await Deno.writeTextFile(`${target}/x`, "");
          if (before === "a link") {
            await Deno.symlink(outside, `${target}/link`);
          }
          for (const [index, members] of calls.entries()) {
            const placed = members.map(({ name, link }) => ({
              name: name.replace(OUTSIDE, outside),
              ...(link && { link: outside }),
            }));
            await pack(`${archives}/${index}`, placed);
          }
          const error = await download(system, from, target)
            .then(() => undefined, (error) => error);
          match(`${error?.message}`, why);
          deepStrictEqual(names(outside), []);
          const made = from === "/data" ? ["outside", "target"] : ["outside"];
          deepStrictEqual(names(place), made);
          deepStrictEqual(names(archives), []);
          // it was the lying one that was asked
          if (from === "/data") Deno.statSync(`${target}/good`);
        });
      }
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
