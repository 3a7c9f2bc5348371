import { deepStrictEqual } from "node:assert/strict";
import type { Call } from "../../cli/_command.ts";
import { optionsFor, teller } from "../../cli/_system.ts";
import { printed } from "../_printed.ts";

Deno.test("an image that SYSTEM names is pulled if it is missing, unless no registry can have it", () => {
  deepStrictEqual(
    [
      "podman:fedora:42",
      "systemd:quay.io/me/fedora",
      "podman:localhost/mine",
      "local",
      "k8s:fedora:42",
    ].map(optionsFor),
    [
      { podman: { pull: "missing" } },
      { systemd: { pull: "missing" } },
      {},
      {},
      {},
    ],
  );
});

Deno.test("what systems are waited for is told without -v", () => {
  const told: string[] = [];
  const call = {
    note: (text: string) => told.push(`note ${text}`),
    detail: (level: number, text: string) => told.push(`${level} ${text}`),
  } as unknown as Call;
  const tell = teller(call);
  tell({ type: "pulling", image: "fedora:42" });
  tell({ type: "waiting", id: "ssh:lab1", reason: "alice has it" });
  tell({ type: "reserving", id: "podman:1" });
  deepStrictEqual(told, [
    "note pulling fedora:42",
    "note alice has it",
    "1 reserving: id podman:1",
  ]);
});

Deno.test("atex run --print-script has the image pulled, too", async () => {
  const script = async (...args: string[]) =>
    (await printed("run", "--print-script", ...args)).out.join("\n")
      .match(/provisionerFromString\(([^;]*)\);/)?.[1];
  deepStrictEqual(
    [
      await script("--on", "podman:fedora:42", "--parallel", "3"),
      await script("--on", "ssh:lab1"),
    ],
    [
      `"podman:fedora:42", {
    maxRemotes: 3,
    podman: {
      pull: "missing",
    },
  }`,
      '"ssh:lab1"',
    ],
  );
});
