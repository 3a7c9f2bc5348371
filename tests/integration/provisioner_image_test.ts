/** Images that are really built. */
import assert from "node:assert/strict";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { getRunId } from "../../provisioners/_run.ts";
import {
  buildImage,
  buildSystemdImage,
} from "../../provisioners/podman_image.ts";
import {
  SystemdProvisioner,
  withSystemdImage,
} from "../../provisioners/systemd.ts";
import { run } from "../../connections/process.ts";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";
import { until } from "../_wait.ts";
import { processesOf } from "./_scratch.ts";

const ignore = cannotRun(
  "integration/provisioner_image",
  podmanMissing(["tiny", "debian"]),
);

/** After an abort a watchdog looks for a while whether anything is left. */
async function unwatched(): Promise<void> {
  await until(async () =>
    (await processesOf(`atex-${getRunId()}-`, ["cmdline"])).length === 0
  );
  await new Promise((resolve) => setTimeout(resolve, 100)); // its end is noticed
}

const left = async () => {
  const names = await podman("ps", "-a", "--format={{.Names}}");
  return names.split("\n").filter((name) => name.includes(getRunId()));
};

Deno.test({
  name:
    "buildImage() writes files, keeps what the origin runs, and builds once",
  ignore,
  fn: async () => {
    const text = `it's\n"${crypto.randomUUID()}"\n`;
    const large = "0123456789abcdef".repeat(16_384);
    const options = {
      packages: [],
      files: { "/etc/deep/er/file": text, "/top": "", "/large": large },
      timeout: Infinity,
    };
    const image = await buildImage(imageName("tiny"), options);
    try {
      assert.match(image, /^localhost\/atex-[0-9a-f]{16}$/);
      assert.equal(await buildImage(imageName("tiny"), options), image);
      const cat = ["run", "--rm", "--network=none", image, "cat"];
      assert.equal(await podman(...cat, "/etc/deep/er/file"), text.trim());
      assert.equal(await podman(...cat, "/large"), large);
      const config = async (name: string) =>
        JSON.parse(await podman("image", "inspect", name))[0].Config;
      const [old, built] = [
        await config(imageName("tiny")),
        await config(image),
      ];
      assert.deepEqual(built.Cmd ?? [], old.Cmd ?? []);
      assert.deepEqual(built.Entrypoint ?? [], old.Entrypoint ?? []);
      assert.equal(built.Labels["atex.image"], "1");
      assert.deepEqual(await left(), []);
    } finally {
      await podman("rmi", "-f", image);
    }
  },
});

/** An image for as long as this object, made of another one by these lines. */
async function madeOf(
  image: string,
  ...lines: string[]
): Promise<AsyncDisposable & { name: string }> {
  const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
  const name = `localhost/atex-test-${crypto.randomUUID().slice(0, 13)}`;
  try {
    const file = `${directory}/Containerfile`;
    await Deno.writeTextFile(file, [`FROM ${image}`, ...lines].join("\n"));
    await podman(
      ...["build", "-q", "--format=docker", "--network=none", "-t", name],
      ...["-f", file, directory],
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  return {
    name,
    [Symbol.asyncDispose]: async () => void await podman("rmi", "-f", name),
  };
}

Deno.test({
  name: "buildImage() changes nothing that was not asked for",
  ignore,
  fn: async () => {
    await using origin = await madeOf(
      imageName("debian"),
      "RUN useradd joe",
      'ENV FOO="a b" container=oci PATH=/usr/bin:/bin',
      "WORKDIR /srv",
      "USER joe",
      "VOLUME /vol",
      "EXPOSE 80",
      "STOPSIGNAL SIGQUIT",
      "HEALTHCHECK CMD true",
      "LABEL my=label",
      'ENTRYPOINT ["/bin/echo"]',
      'CMD ["x y"]',
    );
    const files = { "/etc/marker": "of root" };
    const options = { packages: [], files, runOptions: ["--network=none"] };
    const image = await buildImage(origin.name, options);
    try {
      const look = async (name: string) => {
        const [{ Config, Healthcheck }] = JSON.parse(
          await podman("image", "inspect", name),
        );
        const { Labels, ...config } = Config;
        config.Env.sort();
        return { config, Healthcheck, label: Labels.my };
      };
      const built = await look(image);
      assert.deepEqual(built, await look(origin.name));
      assert.deepEqual(built.Healthcheck.Test, ["CMD-SHELL", "true"]);
      const run = ["run", "--rm", "--network=none", "--entrypoint=sh"];
      const who = await podman(...run, image, "-c", "id -un; cat /etc/marker");
      assert.equal(who, "joe\nof root");
      for (const path of ["/vol/x", "/vol", "/etc/../vol/deep/x"]) {
        await assert.rejects(
          buildImage(origin.name, { ...options, files: { [path]: "x" } }),
          {
            name: "ProvisionError",
            message:
              `Cannot write "${path}" into an image: "/vol" is a volume of "${origin.name}", and what is in it becomes no part of the image`,
          },
        );
      }
      const beside = { ...options, files: { "/volume": "x" } };
      await podman("rmi", "-f", await buildImage(origin.name, beside));
    } finally {
      await podman("rmi", "-f", image);
    }
    assert.deepEqual(await left(), []);
  },
});

Deno.test({
  name: "buildImage() tells what is wrong, and leaves nothing",
  ignore,
  fn: async () => {
    await assert.rejects(buildImage("localhost/no-such"), {
      name: "ProvisionError",
      message: /^Cannot use the image "localhost\/no-such"/,
    });
    await assert.rejects(
      buildImage(imageName("tiny"), { files: { "etc/x": "" } }),
      TypeError,
    );
    await assert.rejects(
      buildImage(imageName("tiny"), { timeout: 0 }),
      RangeError,
    );
    await assert.rejects(
      buildImage(imageName("tiny"), { packages: ["no-such"] }),
      {
        name: "ProvisionError",
        message:
          /no-such cannot be installed: the origin has no known package manager/,
      },
    );
    const reason = new Error("enough");
    for (const ms of [0, 200, 500]) {
      const abort = new AbortController();
      setTimeout(() => abort.abort(reason), ms);
      await assert.rejects(
        buildImage(imageName("debian"), {
          packages: ["no-such"],
          signal: abort.signal,
        }),
        reason,
      );
      assert.deepEqual(await left(), []);
    }
    await unwatched();
  },
});

Deno.test({
  name: "buildSystemdImage() makes an image that SystemdProvisioner can use",
  ignore,
  fn: async () => {
    const image = await buildSystemdImage(imageName("debian"), {
      packages: [],
    });
    try {
      await using systems = await new SystemdProvisioner({
        image,
        runOptions: ["--network=none"],
      }).start();
      systems.provision();
      const remote = await systems.getRemote();
      const command = ["systemctl", "show", "-P", "DefaultTimeoutStopUSec"];
      assert.equal(await run(remote, command), "30s\n");
      await remote.release();
    } finally {
      await podman("rmi", "-f", image);
    }
  },
});

/** Of a container whose image differs from all others. */
const ofMyOwn = () => ({
  packages: [],
  files: { "/mine": crypto.randomUUID() },
});

async function imageIsThere(image: string): Promise<boolean> {
  return await podman("image", "exists", image).then(() => true, () => false);
}

Deno.test({
  name: "withSystemdImage() lends systems, and removes the image that it built",
  ignore,
  fn: async () => {
    const events: ProvisionerEvent[] = [];
    const build = ofMyOwn();
    const systems = await withSystemdImage(imageName("debian"), {
      build,
      runOptions: ["--network=none"],
      onEvent: (event) => events.push(event),
    });
    systems.pool.provision();
    const remote = await systems.pool.getRemote();
    assert.equal(await run(remote, ["cat", "/mine"]), build.files["/mine"]);
    assert.ok(await imageIsThere(systems.image));
    await systems[Symbol.asyncDispose](); // with the system lent
    assert.ok(!await imageIsThere(systems.image));
    assert.deepEqual(await left(), []);
    assert.deepEqual(events.filter(({ type }) => type === "warning"), []);
  },
});

Deno.test({
  name:
    "withSystemdImage() leaves an image that it has not built, and one that is borrowed to its last borrower",
  ignore,
  fn: async () => {
    const origin = imageName("debian");
    const build = ofMyOwn();
    const image = await buildSystemdImage(origin, build);
    try {
      {
        await using systems = await withSystemdImage(origin, { build });
        assert.equal(systems.image, image);
      }
      assert.ok(await imageIsThere(image));
      await podman("rmi", image);

      const first = await withSystemdImage(origin, { build });
      const last = await withSystemdImage(origin, { build });
      await first[Symbol.asyncDispose]();
      assert.ok(await imageIsThere(image));
      await last[Symbol.asyncDispose]();
      assert.ok(!await imageIsThere(image));
    } finally {
      await podman("rmi", "-f", image).catch(() => {});
    }
  },
});

Deno.test({
  name: "buildSystemdImage() keeps an image that withSystemdImage() has built",
  ignore,
  fn: async () => {
    const origin = imageName("debian");
    const build = ofMyOwn();
    const systems = await withSystemdImage(origin, { build });
    const { image } = systems;
    try {
      const former = await podman(
        "image",
        "inspect",
        "--format={{.Id}}",
        image,
      );
      assert.equal(await buildSystemdImage(origin, build), image);
      await systems[Symbol.asyncDispose]();
      const cat = ["run", "--rm", "--network=none", image, "cat", "/mine"];
      assert.equal(await podman(...cat), build.files["/mine"]);
      await podman("rmi", image);
      assert.ok(!await imageIsThere(former)); // it is no nameless rest
    } finally {
      await podman("rmi", "-f", image).catch(() => {});
    }
  },
});

Deno.test({
  name: "withSystemdImage() that fails leaves no image",
  ignore,
  fn: async () => {
    const origin = imageName("debian");
    const build = { ...ofMyOwn(), tag: `localhost/atex-test-${getRunId()}` };
    await assert.rejects(
      withSystemdImage(origin, { build, bootTimeout: 0 }),
      RangeError,
    );
    assert.ok(!await imageIsThere(build.tag));
    // The signal is there for the start, too.
    const abort = new AbortController();
    const reason = new Error("enough");
    const starting = withSystemdImage(origin, { build, signal: abort.signal });
    await until(() => imageIsThere(build.tag));
    abort.abort(reason);
    await assert.rejects(starting, reason);
    assert.ok(!await imageIsThere(build.tag));
    await unwatched();
  },
});
