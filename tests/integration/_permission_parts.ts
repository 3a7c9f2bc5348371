/** What the uses of `_permissions.ts` talk to: systems and services. */
import { ok } from "node:assert/strict";
import { kubectlMissing, KubernetesServer } from "../_kubernetes.ts";
import { Container, imageName, podmanMissing } from "../_podman.ts";
import { FakeReportPortal, TOKEN as PORTAL_TOKEN } from "../_report_portal.ts";
import { cannotRun, Sshd, sshdMissing } from "../_sshd.ts";
import {
  FarmServer,
  guestLog,
  TOKEN as FARM_TOKEN,
} from "../provisioners/_testing_farm_server.ts";
import { VirtHost, virtHostMissing } from "../_virt_host.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { installVirtHelper } from "../../provisioners/virt_helper.ts";
import type { Part, Place } from "./_permissions.ts";

/** What there is for a use. */
export interface Parts {
  readonly place?: Partial<Place>;
  /** Variables of the script. */
  readonly env?: Record<string, string>;
  /** The address of a service. */
  readonly service?: string;
  /** A private key, to be the file `key` in the directory of the script, with `key.pub` beside it. */
  readonly key?: string;
}

const noSshd = cannotRun("permissions with ssh", sshdMissing());
const noVirtHost = cannotRun("permissions with libvirt", virtHostMissing());

/** Which parts cannot be had here. */
export const MISSING: Record<Part, boolean> = {
  "podman": cannotRun("permissions with podman", podmanMissing()),
  "systemd": cannotRun("permissions with systemd", podmanMissing(["debian"])),
  "ssh": noSshd,
  "kubernetes": cannotRun("permissions with kubectl", kubectlMissing()),
  "testing-farm": noSshd,
  "libvirt": noVirtHost,
  "shared-libvirt": noVirtHost,
  "telemetry": false,
  "report-portal": false,
};

/** Makes parts, which are gone with `resources`. */
export const OPEN: Record<
  Part,
  (resources: AsyncDisposableStack) => Promise<Parts>
> = {
  async podman(resources) {
    const { name } = resources.use(await Container.start());
    return { place: { container: name, image: imageName("tiny") } };
  },

  systemd: () => Promise.resolve({ place: { image: imageName("debian") } }),

  async ssh(resources) {
    const { options } = resources.use(await Sshd.start());
    return { place: { ssh: options } };
  },

  async kubernetes(resources) {
    const server = resources.use(await KubernetesServer.start());
    const spec = { containers: [{ name: "main" }] };
    server.ready(server.add("pods", { metadata: { name: "pod" }, spec }));
    return {
      place: { service: { kubeconfig: server.kubeconfig, pod: "pod" } },
      env: { KUBECACHEDIR: `${server.directory}/cache` },
    };
  },

  async "testing-farm"(resources) {
    const server = resources.use(new FarmServer());
    const sshd = resources.use(await Sshd.start());
    server.log = guestLog(sshd.user, `127.0.0.1:${sshd.port}`);
    return {
      place: {
        service: {
          compose: "Fedora-42",
          url: server.url,
          token: FARM_TOKEN,
          sshKey: "key",
          times: { pollInterval: 10, sshInterval: 20, spread: 10 },
        },
      },
      service: new URL(server.url).host,
      key: sshd.options.identityFile,
    };
  },

  async libvirt(resources) {
    const host = resources.use(await VirtHost.start());
    await host.defineOrigin("origin");
    return {
      place: {
        service: {
          origin: "origin",
          sshKey: "key",
          uri: host.uri,
          domainHost: "127.0.0.1",
          portFrom: host.port(0),
        },
      },
      key: host.ssh.identityFile,
    };
  },

  async "shared-libvirt"(resources) {
    const host = resources.use(await VirtHost.start());
    await host.defineShared("one", host.port(0));
    await host.defineShared("two", host.port(1));
    const helper = ".local/bin/atex-virt-helper";
    await using connection = await SshConnection.open(host.ssh);
    await installVirtHelper(connection, { path: helper });
    return {
      place: {
        service: {
          host: host.ssh,
          helper: [helper],
          image: "guest.raw",
          sshKey: "key",
        },
      },
      key: host.ssh.identityFile,
    };
  },

  telemetry(resources) {
    let spans = 0;
    resources.defer(() => ok(spans > 0, "no spans came"));
    const collector = resources.use(
      Deno.serve({ port: 0, onListen() {} }, ({ url }) => {
        if (url.endsWith("/v1/traces")) spans++;
        return new Response("{}");
      }),
    );
    return Promise.resolve({
      env: {
        OTEL_DENO: "true",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${collector.addr.port}`,
      },
    });
  },

  "report-portal"(resources) {
    const server = resources.use(new FakeReportPortal());
    return Promise.resolve({
      place: {
        service: { url: server.url, project: "proj", token: PORTAL_TOKEN },
      },
      service: new URL(server.url).host,
    });
  },
};
