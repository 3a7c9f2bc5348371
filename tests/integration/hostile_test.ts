/** What a system that is after its tester cannot do; see docs/security.md. */
import { deepStrictEqual } from "node:assert/strict";
import { download } from "../../connections/copy.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";

/** In place of the system's own: packs what leads out of the target, in every way that there is. */
const TAR = `#!/bin/sh
case " $* " in
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
