/** The option `pull`, with a registry on loopback. */
import assert from "node:assert/strict";
import { run } from "../../connections/process.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import { cannotRun, imageName, podman, podmanMissing } from "../_podman.ts";

const ignore = cannotRun(
  "integration/provisioner_podman_pull",
  podmanMissing(),
);

/** A registry that has one image, under any name and tag. */
class Registry implements AsyncDisposable {
  readonly requests: string[] = [];

  private constructor(
    readonly directory: string,
    private readonly server: Deno.HttpServer<Deno.NetAddr>,
  ) {}

  static async start(image: string): Promise<Registry> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    const layout = `${directory}/image`;
    await podman("save", "-q", "--format=oci-dir", "-o", layout, image);
    const index = JSON.parse(await Deno.readTextFile(`${layout}/index.json`));
    const { digest, mediaType } = index.manifests[0];
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        registry.requests.push(pathname);
        const [, kind, name] = /\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ??
          [];
        if (!kind) return Response.json({});
        const wanted = kind === "manifests" ? digest : name;
        return new Response(
          await Deno.readFile(`${layout}/blobs/${wanted.replace(":", "/")}`),
          {
            headers: {
              "docker-content-digest": wanted,
              ...(kind === "manifests" && { "content-type": mediaType }),
            },
          },
        );
      },
    );
    const registry = new Registry(directory, server);
    await Deno.writeTextFile(
      `${directory}/registries.conf`,
      `[[registry]]\nlocation = "${registry.address}"\ninsecure = true\n`,
    );
    Deno.env.set("CONTAINERS_REGISTRIES_CONF", `${directory}/registries.conf`);
    return registry;
  }

  get address(): string {
    return `127.0.0.1:${this.server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    Deno.env.delete("CONTAINERS_REGISTRIES_CONF");
    await this.server.shutdown();
    await Deno.remove(this.directory, { recursive: true });
  }
}

Deno.test({
  name: "start() fetches an image that is missing, and asks for a newer one",
  ignore,
  fn: async () => {
    await using registry = await Registry.start(imageName("tiny"));
    const image = `${registry.address}/atex/tiny:1`;
    try {
      await assert.rejects(new PodmanProvisioner({ image }).start(), {
        message: /set the option "pull" to "missing"$/,
      });
      assert.deepEqual(registry.requests, []);
      const { length } = await pulled("missing");
      assert.ok(length > 0);
      assert.deepEqual(await pulled("missing"), []);
      assert.ok((await pulled("newer")).length > 0);
      assert.ok((await pulled("always")).length > 0);
    } finally {
      // Its other name stays.
      await podman("untag", image, image).catch(() => {});
    }

    async function pulled(pull: "missing" | "newer" | "always") {
      registry.requests.length = 0;
      await using pool = await new PodmanProvisioner({
        image,
        pull,
        runOptions: ["--network=none"],
      }).start();
      const requests = [...registry.requests];
      pool.provision();
      const remote = await pool.getRemote();
      assert.equal(await run(remote, ["echo", "hi"]), "hi\n");
      return requests;
    }
  },
});

Deno.test({
  name:
    "start() says that the registry cannot be reached, and does without it for a newer image",
  ignore,
  fn: async () => {
    let address: string;
    {
      await using registry = await Registry.start(imageName("tiny"));
      address = registry.address;
    }
    const image = `${address}/atex/tiny:1`;
    await assert.rejects(
      new PodmanProvisioner({ image, pull: "missing" }).start(),
      {
        name: "ProvisionError",
        fatal: true,
        message: /^Cannot pull the image "127[^"]*": .*refused/,
      },
    );
    await podman("tag", imageName("tiny"), image);
    try {
      await using _ = await new PodmanProvisioner({ image, pull: "newer" })
        .start();
    } finally {
      await podman("untag", image, image);
    }
  },
});
