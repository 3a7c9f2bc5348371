/** checkProgram(), and that all that call a program refuse what is none. */
import assert from "node:assert/strict";
import { KubernetesConnection } from "../../connections/kubernetes.ts";
import { PodmanConnection } from "../../connections/podman.ts";
import { checkProgram } from "../../connections/program.ts";
import { KubernetesProvisioner } from "../../provisioners/kubernetes.ts";
import { LibvirtProvisioner } from "../../provisioners/libvirt.ts";
import { PodmanProvisioner } from "../../provisioners/podman.ts";
import { buildImage, pullImage } from "../../provisioners/podman_image.ts";
import { reap } from "../../provisioners/reap.ts";
import { SharedLibvirtProvisioner } from "../../provisioners/shared_libvirt.ts";
import { SystemdProvisioner } from "../../provisioners/systemd.ts";

const wrong = (value: unknown) => value as string[];

Deno.test("checkProgram() takes lists of words only, and says what would be right", () => {
  checkProgram("podman", ["podman"]);
  checkProgram("podman", ["sudo", "-n", "podman"]);
  const given: [value: unknown, shown: string, right: string][] = [
    ["podman", '"podman"', '["podman"]'],
    ["podman  --remote", '"podman  --remote"', '["podman", "--remote"]'],
    ["", '""', '["podman"]'],
    [[], "[]", '["podman"]'],
    [[""], '[ "" ]', '["podman"]'],
    [["podman", 1], '[ "podman", 1 ]', '["podman"]'],
    [null, "null", '["podman"]'],
  ];
  for (const [value, shown, right] of given) {
    assert.throws(
      () => checkProgram("podman", wrong(value)),
      new TypeError(
        `Cannot use ${shown} as "podman": a list of words such as ${right} would be right`,
      ),
    );
  }
});

Deno.test("connections, provisioners, images and reap() refuse a program that is no list of words", async () => {
  for (const value of ["podman", []]) {
    const [podman, kubectl, virsh, helper] = Array(4).fill(wrong(value));
    const calls: Record<string, (() => unknown)[]> = {
      podman: [
        () => new PodmanConnection({ container: "c", podman }),
        () => new PodmanProvisioner({ image: "i", podman }),
        () => new SystemdProvisioner({ image: "i", podman }),
        () => buildImage("i", { podman }),
        () => pullImage("i", { podman }),
        () => reap({ podman }),
      ],
      kubectl: [
        () => new KubernetesConnection({ pod: "p", kubectl }),
        () => new KubernetesProvisioner({ image: "i", kubectl }),
        () => reap({ kubernetes: { kubectl } }),
      ],
      virsh: [
        () => new LibvirtProvisioner({ origin: "o", sshKey: "k", virsh }),
        () => reap({ libvirt: { virsh } }),
      ],
      helper: [
        () => new SharedLibvirtProvisioner({ host: "h", image: "i", helper }),
      ],
    };
    for (const [name, each] of Object.entries(calls)) {
      for (const call of each) {
        await assert.rejects(async () => await call(), {
          name: "TypeError",
          message: new RegExp(`^Cannot use .* as "${name}": a list of words`),
        }, String(call));
      }
    }
  }
});
