/** The client of the virt helper, with helpers that behave and others. */
import assert from "node:assert/strict";
import { ConnectionLostError } from "../../connections/connection.ts";
import { LocalConnection } from "../../connections/local.ts";
import {
  VirtHelper,
  VirtHelperError,
  type VirtHelperOptions,
} from "../../provisioners/virt_helper.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { rejected } from "../_thrown.ts";
import { exists, until } from "../_wait.ts";
import { FakeVirtHost } from "./_fake_virsh.ts";

const ignore = cannotRun(
  "provisioners/virt_helper_client",
  missingPrograms("python3"),
);

const PONG =
  `'{"success": true, "cmd": "ping", "reply": "atex-virt-helper v1 pong"}'`;

/** A helper that answers a ping, and then does what a shell script says. */
function openScripted(
  script: string,
  options: VirtHelperOptions = {},
): Promise<VirtHelper> {
  const helper = ["sh", "-c", `read -r _; echo ${PONG}; ${script}`];
  return VirtHelper.open(new LocalConnection(), { ...options, helper });
}

async function open(
  host: FakeVirtHost,
  options: VirtHelperOptions = {},
): Promise<VirtHelper> {
  const { helper } = host;
  return await VirtHelper.open(host.connection, { helper, ...options });
}

Deno.test({
  name: "the client speaks all of the protocol",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await Deno.writeTextFile(`${host.directory}/pool/image`, "image");
    await host.addProgram("virt-install", 'cat ks.cfg; echo " $*"; exit 3');
    let output = "";
    await using helper = await open(host, {
      reserveName: "nightly",
      onOutput: (text) => output += text,
    });
    assert.equal(await helper.reserve("o.*"), "one");
    assert.deepEqual(await helper.reservations(), { one: "(reserved for us)" });
    assert.equal(await helper.virsh(["domstate", "one"]), "shut off\n");
    await helper.copyVolume({
      pool: "default",
      from: "image",
      toDomain: "one",
    });
    await helper.createVolume({
      pool: "default",
      name: "new",
      size: 4096,
      format: "raw",
    });
    await helper.copyVolume({
      pool: "default",
      from: "new",
      to: "image",
      move: true,
    });
    const { size } = await Deno.stat(`${host.directory}/pool/image`);
    assert.equal(size, 4096);
    await helper.createVolume({
      pool: "default",
      name: "image",
      size: 1,
      format: "raw",
      removeExisting: true,
    });
    await helper.upload("ks.cfg", "größer");
    await helper.upload("empty", new Uint8Array());
    const error = await rejected(
      helper.virtInstall(["--name", "one"], { destroyOnError: true }),
      VirtHelperError,
      "ended with exit code 3",
    );
    assert.equal(error.cmd, "virt-install");
    await until(() => output.endsWith(" --name one\r\n"));
    assert.equal(output, "größer --name one\r\n");
    await helper.release("one");
    assert.deepEqual(await helper.reservations(), { one: "(free)" });
    await helper.close();
    await helper.close(); // harmless
    await rejected(helper.reserve(), ConnectionLostError, "it was closed");
  },
});

Deno.test({
  name: "a refused command is an error with the reason, and the next one works",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await using helper = await open(host);
    const error = await rejected(
      helper.virsh(["domstate", "two"]),
      VirtHelperError,
      `Cannot run "virsh" by the virt helper: error: failed to get domain 'two'`,
    );
    assert.equal(error.cmd, "virsh");
    assert.equal(error.reply, "error: failed to get domain 'two'\n");
    await rejected(
      helper.request("fly", {}),
      VirtHelperError,
      "unknown cmd: fly",
    );
    await rejected(
      helper.request("setname", { name: "x".repeat(1 << 20) }),
      RangeError,
      "fewer than 1048576 are possible",
    );
    const volume = { pool: "default", name: "v", size: 1, format: "raw" };
    for (
      const [wrong, type, part] of [
        [{ size: 2.5 }, RangeError, 'Cannot use 2.5 as "size"'],
        [{ size: "1" }, TypeError, 'a string as "size" of createVolume()'],
        [{ format: "vdi" }, TypeError, '"raw" or "qcow2" would be right'],
        [{ removeexisting: true }, TypeError, '"removeExisting" would be'],
      ] as const
    ) {
      const options = { ...volume, ...wrong } as never;
      await rejected(helper.createVolume(options), type, part);
    }
    const copy = { pool: "default", from: "a", toDomian: "b" };
    await rejected(helper.copyVolume(copy), TypeError, '"toDomain" would be');
    await rejected(
      helper.virtInstall([], { destroyonerror: true } as never),
      TypeError,
      '"destroyOnError" would be right',
    );
    for (const name of ["a/b", "", ".", "..", "\0"]) {
      await rejected(helper.upload(name, '{"cmd":"ping"}\n'), TypeError);
    }
    assert.equal(await helper.reserve(), "one");
  },
});

Deno.test({
  name: "many requests at once are answered one after the other",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    for (let i = 0; i < 10; i++) await host.define(`d${i}`);
    await using helper = await open(host);
    const names = await Promise.all(
      Array.from({ length: 10 }, (_, i) => helper.reserve(`d${i}`)),
    );
    assert.deepEqual(names, Array.from({ length: 10 }, (_, i) => `d${i}`));
  },
});

Deno.test({
  name:
    "an aborted request is waited for by the next one, and not sent if it did not begin",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await host.hook(
      "domstate",
      `echo x >"$FAKE/began"; until [ -e "$FAKE/go" ]; do sleep 0.05; done`,
    );
    await using helper = await open(host);
    const abort = new AbortController();
    const { signal } = abort;
    const first = helper.virsh(["domstate", "one"], { signal });
    const second = helper.virsh(["start", "one"], { signal });
    await until(() => exists(`${host.directory}/began`));
    abort.abort(new Error("enough"));
    await rejected(first, Error, "enough");
    await rejected(second, Error, "enough");
    await rejected(helper.reserve("one", { signal }), Error, "enough");
    const third = helper.reserve();
    await Deno.writeTextFile(`${host.directory}/go`, "");
    assert.equal(await third, "one");
    assert.ok(!(await host.log()).includes("start one"));
  },
});

Deno.test({
  name: "a helper is ended at once amid a request, and otherwise by itself",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await host.hook("domstate", 'echo $$ >"$FAKE/pid"; exec sleep 1000');
    const helper = await open(host);
    const waiting = rejected(
      helper.virsh(["domstate", "one"]),
      ConnectionLostError,
      "it was closed",
    );
    await until(() => exists(`${host.directory}/pid`));
    await helper.close();
    await waiting;
    const pid = (await Deno.readTextFile(`${host.directory}/pid`)).trim();
    await until(async () => !await exists(`/proc/${pid}`));
    // One that cleans up in its own time has it.
    const last = `${host.directory}/last`;
    const slow = await openScripted(`read -r _; sleep 0.5; echo >'${last}'`);
    await slow.close();
    assert.ok(await exists(last));
  },
});

Deno.test({
  name:
    "an upload that is aborted ends the helper: nobody knows what comes next",
  ignore,
  fn: async () => {
    await using helper = await openScripted("exec sleep 1000");
    const bytes = new Uint8Array(1 << 20); // more than pipes hold
    const signal = AbortSignal.timeout(100);
    await rejected(
      helper.upload("file", bytes, { signal }),
      DOMException,
      "due to timeout",
    );
    await rejected(helper.reserve(), ConnectionLostError);
  },
});

for (
  const [what, script, why] of [
    ["that ends", "read -r _; exit 3", "it ended with exit code 3"],
    ["that complains", "read -r _; echo oh no >&2; exit 1", "oh no"],
    ["that is killed", "read -r _; kill -9 $$", "it ended with exit code 137"],
    [
      "that prints something else",
      "read -r _; echo Welcome; sleep 1000",
      'it does not keep to its protocol: it printed "Welcome"',
    ],
    [
      "that answers something else",
      `read -r _; echo '{"success": true, "cmd": "release"}'; sleep 1000`,
      'it printed an answer to "release"',
    ],
    [
      "that fails at something else",
      `read -r _; echo '{"success": false, "cmd": "release"}'; sleep 1000`,
      'it printed an answer to "release"',
    ],
    [
      "that forgets what it is asked for",
      `read -r _; echo '{"success": true, "cmd": "reserve"}'; sleep 1000`,
      'it printed an answer to "reserve" without what belongs to it',
    ],
    [
      "that answers twice",
      `read -r _; echo ${PONG}; echo ${PONG}; sleep 1000`,
      "it printed an answer to",
    ],
    [
      "that never ends a line",
      "read -r _; exec tr '\\0' x </dev/zero",
      "a line of more than 1048576 bytes",
    ],
  ]
) {
  Deno.test({
    name: `a helper ${what} is lost, with all requests`,
    ignore,
    fn: async () => {
      await using helper = await openScripted(script);
      const requests = [helper.reserve(), helper.reserve()];
      for (const request of requests) {
        await rejected(request, ConnectionLostError, `Lost the virt helper: `);
      }
      assert.ok((await helper.ended).message.includes(why));
      await rejected(helper.reserve(), ConnectionLostError, why);
    },
  });
}

Deno.test({
  name: "an answer to nothing is the end of it",
  ignore,
  fn: async () => {
    await using helper = await openScripted(
      `sleep 0.2; echo ${PONG}; sleep 1000`,
    );
    const { message } = await helper.ended;
    assert.match(message, /it printed an answer to nothing$/);
  },
});

Deno.test({
  name: "no answer within the time limit is an error",
  ignore,
  fn: async () => {
    await using helper = await openScripted("exec sleep 1000", {
      commandTimeout: 100,
    });
    await rejected(
      helper.reserve(),
      DOMException,
      'Cannot run "reserve" by the virt helper: no answer within 0.1 s',
    );
  },
});

Deno.test({
  name: "a listener that throws does no harm",
  ignore,
  fn: async () => {
    const reported: unknown[] = [];
    const listen = (event: ErrorEvent) => {
      event.preventDefault();
      reported.push(event.error.message);
    };
    globalThis.addEventListener("error", listen);
    await using helper = await openScripted(
      `echo loud >&2; read -r _; echo '{"success": true, "cmd": "release"}'; read -r _`,
      {
        onOutput: () => {
          throw new Error("oops");
        },
      },
    );
    await helper.release("one");
    await until(() => reported.length > 0);
    globalThis.removeEventListener("error", listen);
    assert.deepEqual(reported, ["oops"]);
  },
});

Deno.test({
  name:
    "a helper that was let go does not keep the program from ending, but a request does",
  ignore,
  fn: async () => {
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const url = (path: string) => new URL(`../../${path}`, import.meta.url);
    const script = `
      import { LocalConnection } from "${url("connections/local.ts")}";
      import { VirtHelper } from "${url("provisioners/virt_helper.ts")}";
      const helper = await VirtHelper.open(new LocalConnection(), {
        helper: ${
      JSON.stringify([
        "sh",
        "-c",
        `read -r _; echo ${PONG}; read -r _; sleep 0.3; echo '{"success": true, "cmd": "release"}'; read -r _`,
      ])
    },
      });
      helper.unref();
      await helper.release("x");
      console.log("answered");
    `;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, script);
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-qA", "--no-check", `--config=${config}`, file],
      signal: AbortSignal.timeout(30_000),
    }).output();
    await Deno.remove(file);
    assert.equal(new TextDecoder().decode(stdout), "answered\n");
    assert.equal(code, 0);
  },
});
