/** What the uses of `_permissions.ts` talk to: systems and services. */
import { kubectlMissing, KubernetesServer } from "../_kubernetes.ts";
import { Container, imageName, podmanMissing } from "../_podman.ts";
import { FakeReportPortal, TOKEN as PORTAL_TOKEN } from "../_report_portal.ts";
import { cannotRun, Sshd, sshdMissing } from "../_sshd.ts";
import {
  FarmServer,
  guestLog,
  TOKEN as FARM_TOKEN,
} from "../provisioners/_testing_farm_server.ts";
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

/** Which parts cannot be had here. */
export const MISSING: Record<Part, boolean> = {
  "podman": cannotRun("permissions with podman", podmanMissing()),
  "systemd": cannotRun("permissions with systemd", podmanMissing(["debian"])),
  "ssh": noSshd,
  "kubernetes": cannotRun("permissions with kubectl", kubectlMissing()),
  "testing-farm": noSshd,
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
