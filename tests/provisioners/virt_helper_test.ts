/** The virt helper as a real process: against libvirt's own test driver, and a `virsh` that misbehaves. */
import assert from "node:assert/strict";
import { LocalConnection } from "../../connections/local.ts";
import {
  installVirtHelper,
  VIRT_HELPER,
} from "../../provisioners/virt_helper.ts";
import { cannotRun, missingPrograms } from "../_parts.ts";
import { exists, until } from "../_wait.ts";
import { FakeVirtHost, helperCommand } from "./_fake_virsh.ts";

const ignore = cannotRun(
  "provisioners/virt_helper",
  missingPrograms("python3"),
);
const withoutVirsh = cannotRun(
  "provisioners/virt_helper with libvirt",
  missingPrograms("python3", "virsh", "qemu-img"),
);

type Reply = Record<string, unknown>;

/** A helper, spoken to without a client. */
class Helper implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";
  readonly stderr: Promise<string>;

  constructor(argv: string[], env: Record<string, string> = {}) {
    const [file, ...args] = argv;
    this.child = new Deno.Command(file, {
      args,
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#writer = this.child.stdin.getWriter();
    this.#lines = this.child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    this.stderr = new Response(this.child.stderr).text();
  }

  static on(host: FakeVirtHost): Helper {
    return new this(host.helper, host.env);
  }

  say(data: string | Uint8Array): void {
    const bytes = typeof data === "string"
      ? new TextEncoder().encode(data)
      : data;
    this.#writer.write(bytes).catch(() => {});
  }

  /** `undefined` at the end. */
  async reply(): Promise<Reply | undefined> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return JSON.parse(line);
      }
      const { done, value } = await this.#lines.read();
      if (done) return undefined;
      this.#rest += value;
    }
  }

  async ask(request: unknown): Promise<Reply> {
    this.say(JSON.stringify(request) + "\n");
    return (await this.reply())!;
  }

  /** No more requests: how it ended. */
  async end(): Promise<Deno.CommandStatus> {
    await this.#writer.close().catch(() => {});
    return await this.child.status;
  }

  /** As when the script that uses it is killed. */
  async cut(): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#lines.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut();
    await this.child.status;
    await this.stderr;
  }
}

/** A host of libvirt's test driver, with a real directory as its pool. */
class TestDriver implements AsyncDisposable {
  private constructor(readonly directory: string) {}

  static async make(): Promise<TestDriver> {
    const directory = await Deno.makeTempDir({ prefix: "atex-test-virt-" });
    const pool = `${directory}/pool`;
    await Deno.mkdir(pool);
    const volume = (name: string) =>
      `<volume><name>${name}</name><capacity>1</capacity><target><path>${pool}/${name}</path></target></volume>`;
    const domain = (name: string, more: string) =>
      `<domain type='test'><name>${name}</name><memory>8192</memory>
        <os><type>hvm</type><loader readonly='yes' type='pflash'>/x</loader><nvram>${directory}/${name}.nvram</nvram></os>
        <devices>${more}</devices></domain>`;
    const disk = (pool: string, volume: string, device = "disk") =>
      `<disk type='volume' device='${device}'><source pool='${pool}' volume='${volume}'/><target dev='${
        device === "disk" ? "vda" : "sda"
      }' bus='${device === "disk" ? "virtio" : "sata"}'/></disk>`;
    await Deno.writeTextFile(
      `${directory}/node.xml`,
      `<node>
        ${domain("one", disk("images", "one.raw"))}
        ${domain("two", disk("images", "cd.iso", "cdrom"))}
        <pool type='dir'><name>images</name><target><path>${pool}</path></target>
          ${volume("origin.raw")}${volume("lost.raw")}
        </pool>
        <pool type='logical'><name>lvm</name><source><name>vg</name></source><target><path>/dev/vg</path></target></pool>
      </node>`,
    );
    await Deno.writeTextFile(`${pool}/origin.raw`, "origin", { mode: 0o640 });
    await Deno.writeTextFile(`${pool}/one.raw`, "used");
    await Deno.writeTextFile(`${directory}/one.nvram`, "entries");
    return new TestDriver(directory);
  }

  open(...args: string[]): Helper {
    return new Helper(
      helperCommand(
        ...["--locks", `${this.directory}/locks`, ...args],
        `test://${this.directory}/node.xml`,
      ),
    );
  }

  /** What is in the pool, and what the files hold. */
  async pool(): Promise<Record<string, string>> {
    const files: Record<string, string> = {};
    for await (const { name } of Deno.readDir(`${this.directory}/pool`)) {
      files[name] = await Deno.readTextFile(`${this.directory}/pool/${name}`);
    }
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Waits until a script has written a line there: a file exists before it holds anything. */
const written = (path: string) =>
  until(async () =>
    (await Deno.readTextFile(path).catch(() => "")).endsWith("\n")
  );

const succeeds = (reply: Reply, fields: Reply = {}) =>
  assert.deepEqual(reply, { ...reply, success: true, ...fields });

function fails(reply: Reply, why: string | RegExp): void {
  assert.equal(reply.success, false, JSON.stringify(reply));
  if (typeof why === "string") assert.equal(reply.reply, why);
  else assert.match(reply.reply as string, why);
}

Deno.test({
  name: "the helper compiles, also with warnings as errors",
  ignore,
  fn: async () => {
    const file = await Deno.makeTempFile({ suffix: ".py" });
    await Deno.writeTextFile(file, VIRT_HELPER);
    const { success, stderr } = await new Deno.Command("python3", {
      args: ["-W", "error", "-m", "py_compile", file],
      env: { PYTHONPYCACHEPREFIX: `${file}.cache` },
    }).output();
    await Deno.remove(file);
    await Deno.remove(`${file}.cache`, { recursive: true }).catch(() => {});
    assert.ok(success, new TextDecoder().decode(stderr));
  },
});

Deno.test({
  name: "the helper answers each command, with libvirt's test driver",
  ignore: withoutVirsh,
  fn: async () => {
    await using host = await TestDriver.make();
    await using helper = host.open("--log", "error");
    const { directory } = host;
    assert.deepEqual(await helper.ask({ cmd: "ping" }), {
      success: true,
      cmd: "ping",
      reply: "atex-virt-helper v1 pong",
    });
    assert.deepEqual(await helper.ask({ cmd: "setname", name: "nightly" }), {
      success: true,
      cmd: "setname",
      name: "nightly",
    });
    assert.deepEqual(await helper.ask({ cmd: "reservations" }), {
      success: true,
      cmd: "reservations",
      domains: { one: "(free)", two: "(free)" },
    });
    assert.deepEqual(await helper.ask({ cmd: "reserve", filter: "o.e" }), {
      success: true,
      cmd: "reserve",
      filter: "o.e",
      domain: "one",
    });
    succeeds(await helper.ask({ cmd: "reservations" }), {
      domains: { one: "(reserved for us)", two: "(free)" },
    });
    assert.deepEqual(
      await helper.ask({ cmd: "virsh", args: ["domstate", "one"] }),
      {
        success: true,
        cmd: "virsh",
        args: ["domstate", "one"],
        reply: "running\n",
      },
    );
    const copy = { cmd: "copy-volume", pool: "images", from: "origin.raw" };
    assert.deepEqual(await helper.ask({ ...copy, to_domain: "one" }), {
      success: true,
      ...copy,
      to_domain: "one",
    });
    assert.deepEqual(await host.pool(), {
      "origin.raw": "origin",
      "one.raw": "origin",
    });
    const { mode } = await Deno.stat(`${directory}/pool/one.raw`);
    assert.equal(mode! & 0o777, 0o640); // as the image
    assert.ok(!await exists(`${directory}/one.nvram`));
    succeeds(await helper.ask({ ...copy, to: "new.raw" }));
    succeeds(await helper.ask({ ...copy, to: "moved.raw", move: true }));
    assert.deepEqual(await host.pool(), {
      "moved.raw": "origin",
      "one.raw": "origin",
      "new.raw": "origin",
    });
    const create = { cmd: "create-volume", pool: "images", size: 1 << 20 };
    succeeds(await helper.ask({ ...create, name: "r", format: "raw" }));
    succeeds(await helper.ask({ ...create, name: "q", format: "qcow2" }));
    const { size, blocks } = await Deno.stat(`${directory}/pool/r`);
    assert.deepEqual([size, blocks], [1 << 20, 0]);
    assert.match((await host.pool()).q, /^QFI/);
    fails(
      await helper.ask({ ...create, name: "q", format: "raw" }),
      "volume q exists already in pool images",
    );
    const replacing = { ...create, name: "q", remove_existing: true };
    succeeds(await helper.ask({ ...replacing, format: "raw" }));
    assert.doesNotMatch((await host.pool()).q, /^QFI/);
    succeeds(await helper.ask({ cmd: "release", domain: "one" }));
    succeeds(await helper.ask({ cmd: "reservations" }), {
      domains: { one: "(free)", two: "(free)" },
    });
    assert.equal((await helper.end()).code, 0);
    assert.equal(await helper.stderr, "");
  },
});

Deno.test({
  name:
    "the helper gives the reason of each failure, with libvirt's test driver",
  ignore: withoutVirsh,
  fn: async () => {
    await using host = await TestDriver.make();
    await using helper = host.open();
    const before = await host.pool();
    const copy = {
      cmd: "copy-volume",
      pool: "images",
      from: "origin.raw",
      to: "x",
    };
    const create = {
      cmd: "create-volume",
      pool: "images",
      name: "x",
      size: 1,
      format: "raw",
    };
    const cases: [Reply, string | RegExp][] = [
      [{ cmd: "setname", name: "" }, "the name is empty"],
      [{ cmd: "setname", name: "a\nb" }, "the name has control characters"],
      [{ cmd: "reserve", filter: "on" }, "no domain matches the filter"],
      [
        { cmd: "reserve", filter: "(" },
        /^the filter is no regular expression: /,
      ],
      [{ cmd: "release", domain: "one" }, "domain not locked"],
      [{ cmd: "virsh", args: [] }, /^there is no virsh command/],
      [
        { cmd: "virsh", args: ["domstate", "ten"] },
        /^error: failed to get domain 'ten'\n/,
      ],
      [{ cmd: "virsh", args: ["--nonsense"] }, /^error: /],
      [
        { ...copy, from: "none" },
        /^failed getting volume none of pool images: error: failed to get vol 'none'/,
      ],
      [
        { ...copy, pool: "none" },
        /^failed getting pool none: error: failed to get pool 'none'/,
      ],
      [{ ...copy, pool: "lvm" }, "pool lvm is of type logical, not dir"],
      [{ ...create, pool: "lvm" }, "pool lvm is of type logical, not dir"],
      [
        { ...copy, to: undefined, to_domain: "two" },
        "domain two has no volume in pool images",
      ],
      [{ ...copy, to: undefined, to_domain: "ten" }, /^no domain ten: error: /],
      [{ ...copy, from: "lost.raw" }, /^\[Errno 2\] .*lost\.raw/],
      [
        { ...copy, from: "lost.raw", move: true },
        /^\[Errno 2\] .*lost\.raw/,
      ],
      [{ ...copy, to: "../x" }, "not the name of a file: '../x'"],
      [{ ...copy, to: ".." }, "not the name of a file: '..'"],
      [{ ...create, name: "a/b" }, "not the name of a file: 'a/b'"],
      [{ ...create, name: "" }, "not the name of a file: ''"],
      [{ ...create, size: -1 }, "the size is negative: -1"],
      [{ ...create, size: 10 ** 17 }, /./], // no file system has that
      [{ ...create, format: "vmdk" }, /^the format is neither raw nor qcow2/],
      [
        { cmd: "virt-install", args: ["--x"], destroy_on_error: true },
        /^no domain is named by -n or --name/,
      ],
    ];
    for (const [request, why] of cases) {
      const reply = await helper.ask(request);
      fails(reply, why);
      // The arguments come back.
      const { success: _, reply: __, ...rest } = reply;
      assert.deepEqual(rest, JSON.parse(JSON.stringify(request)));
    }
    assert.deepEqual(await host.pool(), before);
    assert.equal((await helper.end()).code, 0);
  },
});

Deno.test({
  name: "errors before the command is known come without it",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await using helper = Helper.on(host);
    const cases: [string, RegExp][] = [
      ["nonsense", /^not a request in JSON: /],
      ['{"cmd": "ping"', /^not a request in JSON: /],
      ["[]", /^not a request: an object would be right/],
      ["null", /^not a request: an object/],
      ["{}", /^there is no cmd/],
      ['{"cmd": 7}', /^there is no cmd/],
      ['{"cmd": "__init__"}', /^unknown cmd: __init__/],
      ['{"cmd": "release"}', /^release: missing argument: domain/],
      [
        '{"cmd": "release", "domain": null}',
        /^release: wrong argument: domain/,
      ],
      ['{"cmd": "ping", "self": 1}', /^ping: superfluous argument: self/],
      ['{"cmd": "reserve", "filter": 5}', /^reserve: wrong argument: filter/],
      ['{"cmd": "virsh", "args": "list"}', /^virsh: wrong argument: args/],
      ['{"cmd": "virsh", "args": ["list", 1]}', /^virsh: wrong argument: args/],
      [
        '{"cmd": "upload", "name": "x", "length": -1}',
        /wrong argument: length/,
      ],
      ['{"cmd": "upload", "name": "x", "length": true}', /wrong argument: len/],
      [
        '{"cmd": "copy-volume", "pool": "p", "from": "f"}',
        /exactly one of to, to_domain/,
      ],
      [
        '{"cmd": "copy-volume", "pool": "p", "from": "f", "to": "t", "to_domain": "d"}',
        /exactly one of to, to_domain/,
      ],
      ["[".repeat(100_000), /^not a request in JSON: /],
      [`{"cmd": ${"9".repeat(10_000)}}`, /./],
      ["\u0000", /^not a request in JSON: /],
    ];
    for (const [line, why] of cases) {
      helper.say(`${line}\n`);
      const reply = (await helper.reply())!;
      assert.deepEqual(Object.keys(reply).sort(), ["reply", "success"]);
      fails(reply, why);
    }
    helper.say(new Uint8Array([0xff, 0xfe, 10]));
    fails((await helper.reply())!, /^not a request in JSON: /);
    helper.say("\n  \n"); // nothing is said to nothing
    succeeds(await helper.ask({ cmd: "ping" }));
  },
});

Deno.test({
  name: "lines of more than 1 MiB are refused, in both directions",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await using helper = Helper.on(host);
    const request = (length: number) => {
      const frame = '{"cmd":"setname","name":""}\n'.length;
      return `{"cmd":"setname","name":"${"x".repeat(length - frame)}"}\n`;
    };
    helper.say(request((1 << 20) + 1));
    fails((await helper.reply())!, "the line is too long");
    helper.say(request(3 << 20));
    fails((await helper.reply())!, "the line is too long");
    // The request fits, the reply with the request in it does not.
    helper.say(request(1 << 20));
    fails((await helper.reply())!, /^the reply has \d+ bytes/);
    await host.define("one");
    await host.hook("domstate", "head -c 1100000 /dev/zero | tr '\\0' x");
    const reply = await helper.ask({ cmd: "virsh", args: ["domstate", "one"] });
    fails(reply, /^the reply has \d+ bytes/);
    assert.equal(reply.cmd, "virsh");
    succeeds(await helper.ask({ cmd: "ping" }));
  },
});

Deno.test({
  name:
    "texts that no program can be given are refused, and the helper goes on",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await using helper = Helper.on(host);
    for (const odd of ["\0", "\ud800", "a\0b"]) {
      const requests = [
        { cmd: "virsh", args: ["domstate", odd] },
        { cmd: "copy-volume", pool: odd, from: "x", to: "y" },
        { cmd: "copy-volume", pool: "default", from: odd, to: "y" },
        { cmd: "copy-volume", pool: "default", from: "x", to: odd },
        { cmd: "copy-volume", pool: "default", from: "x", to_domain: odd },
        {
          cmd: "create-volume",
          pool: "default",
          name: odd,
          size: 1,
          format: "raw",
        },
        { cmd: "release", domain: odd },
        { cmd: "virt-install", args: [odd] },
      ];
      for (const request of requests) fails(await helper.ask(request), /./);
    }
    // A hole, an option, a shell: all of it is one argument.
    for (const odd of ["", "-x", "$(reboot)", "a b", "ä'\"\\"]) {
      fails(await helper.ask({ cmd: "virsh", args: ["domstate", odd] }), /./);
      assert.equal((await host.log()).at(-1), `domstate ${odd}`);
    }
    succeeds(await helper.ask({ cmd: "ping" }));
  },
});

Deno.test({
  name:
    "what follows an upload is never taken for a request, even if it is refused",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await using helper = Helper.on(host);
    const bytes = new TextEncoder().encode('{"cmd":"ping"}\n\0\n');
    const upload = { cmd: "upload", length: bytes.length };
    for (const name of ["a/b", "..", "", "\0"]) {
      helper.say(JSON.stringify({ ...upload, name }) + "\n");
      helper.say(bytes);
      fails((await helper.reply())!, /^not the name of a file: /);
    }
    helper.say(JSON.stringify({ ...upload, nam: "x" }) + "\n");
    helper.say(bytes);
    fails((await helper.reply())!, "upload: missing argument: name");
    helper.say(JSON.stringify({ ...upload, name: "file" }) + "\n");
    for (const byte of bytes) helper.say(new Uint8Array([byte]));
    succeeds((await helper.reply())!);
    succeeds(await helper.ask({ ...upload, name: "empty", length: 0 }));
    const workspaces = async () =>
      (await Array.fromAsync(Deno.readDir(host.directory)))
        .filter(({ name }) => name.startsWith("atex-virt-helper-"));
    const [{ name }] = await workspaces();
    const stored = await Deno.readFile(`${host.directory}/${name}/file`);
    assert.deepEqual(stored, bytes);
    // The other side dies amid an upload.
    helper.say(JSON.stringify({ ...upload, name: "half" }) + "\nabc");
    assert.equal((await helper.end()).code, 0);
    assert.deepEqual(await workspaces(), []);
  },
});

Deno.test({
  name: "virt-install runs on a terminal, in the directory of uploads",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.addProgram(
      "virt-install",
      'tty && tty <&1 && cat ks.cfg && echo "$@" && : </dev/tty && [ "$4" != fail ]',
    );
    const argv = host.helper;
    await using helper = new Helper([...argv, "test:///x"], host.env);
    helper.say('{"cmd":"upload","name":"ks.cfg","length":5}\ntext\n');
    succeeds((await helper.reply())!);
    succeeds(
      await helper.ask({ cmd: "virt-install", args: ["--name", "new"] }),
    );
    for (const args of [["-n", "fail"], ["--name", "fail"]]) {
      fails(
        await helper.ask({ cmd: "virt-install", args, destroy_on_error: true }),
        "virt-install ended with exit code 1",
      );
    }
    fails(
      await helper.ask({
        cmd: "virt-install",
        args: ["-x", "fail", "--name=other"],
        destroy_on_error: true,
      }),
      "virt-install ended with exit code 1",
    );
    assert.equal((await helper.end()).code, 0);
    assert.match(
      await helper.stderr,
      /^(\/dev\/pts\/\d+)\r\n\1\r\ntext\r\n--connect test:\/\/\/x --name new\r\n/,
    );
    assert.deepEqual(await host.log(), [
      "destroy --domain=fail",
      "destroy --domain=fail",
      "destroy --domain=other",
    ]);
  },
});

Deno.test({
  name: "virt-install ends with whom it is for, and so does its domain",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.addProgram(
      "virt-install",
      'echo $$ >"$FAKE/pid"; exec sleep 1000',
    );
    await using helper = Helper.on(host);
    const args = ["--name", "new"];
    helper.say(
      JSON.stringify({ cmd: "virt-install", args, destroy_on_error: true }) +
        "\n",
    );
    await written(`${host.directory}/pid`);
    const pid = Number(await Deno.readTextFile(`${host.directory}/pid`));
    await helper.cut();
    await helper.child.status;
    assert.ok(!await exists(`/proc/${pid}`));
    assert.deepEqual(await host.log(), ["destroy --domain=new"]);
  },
});

Deno.test({
  name:
    "a domain is reserved for one helper at a time, until that ends in any way",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await host.define("two");
    const reserve = { cmd: "reserve" };
    const list = { cmd: "reservations" };
    await using first = Helper.on(host);
    await using second = Helper.on(host);
    await first.ask({ cmd: "setname", name: "größer-als-alles" });
    await second.ask({ cmd: "setname", name: "second" });
    const names = [
      (await first.ask(reserve)).domain,
      (await first.ask(reserve)).domain,
    ];
    assert.deepEqual(names.sort(), ["one", "two"]);
    // The name is cut to 15 bytes, between characters.
    succeeds(await second.ask(list), {
      domains: { one: "größer-als-al", two: "größer-als-al" },
    });
    fails(await first.ask(reserve), "no domain could be reserved");
    fails(await second.ask(reserve), "no domain could be reserved");
    fails(
      await second.ask({ cmd: "release", domain: "one" }),
      "domain not locked",
    );
    // To have looked at the locks unlocks nothing.
    succeeds(await first.ask(list), {
      domains: { one: "(reserved for us)", two: "(reserved for us)" },
    });
    fails(await second.ask(reserve), "no domain could be reserved");
    succeeds(await first.ask({ cmd: "release", domain: "two" }));
    succeeds(await second.ask(reserve), { domain: "two" });
    first.child.kill("SIGKILL");
    await first.child.status;
    succeeds(await second.ask(reserve), { domain: "one" });
    await using third = Helper.on(host);
    succeeds(await third.ask(list), {
      domains: { one: "second", two: "second" },
    });
    second.child.kill("SIGTERM");
    assert.equal((await second.child.status).code, 143);
    succeeds(await third.ask(list), {
      domains: { one: "(free)", two: "(free)" },
    });
    succeeds(await third.ask({ ...reserve, filter: "two" }), { domain: "two" });
    await third.end();
    await using fourth = Helper.on(host);
    succeeds(await fourth.ask({ ...reserve, filter: "two" }), {
      domain: "two",
    });
  },
});

Deno.test({
  name: "locks are those that other programs know by lockf",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await Deno.mkdir(`${host.directory}/locks`);
    const [python] = host.helper;
    await using holder = new Helper([
      python,
      "-c",
      'import fcntl, sys; f = open(sys.argv[1], "w"); fcntl.lockf(f, fcntl.LOCK_EX); print("{}", flush=True); sys.stdin.read()',
      `${host.directory}/locks/one`,
    ]);
    await holder.reply();
    await using helper = Helper.on(host);
    fails(await helper.ask({ cmd: "reserve" }), "no domain could be reserved");
    const { domains } = await helper.ask({ cmd: "reservations" });
    assert.match((domains as Record<string, string>).one, /^python/);
    await holder.end();
    succeeds(await helper.ask({ cmd: "reserve" }), { domain: "one" });
  },
});

Deno.test({
  name: "20 helpers get 10 domains, each one at most",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    for (let i = 0; i < 10; i++) await host.define(`d${i}`);
    await using stack = new AsyncDisposableStack();
    const helpers = Array.from(
      { length: 20 },
      () => stack.use(Helper.on(host)),
    );
    const replies = await Promise.all(
      helpers.map((helper) => helper.ask({ cmd: "reserve" })),
    );
    const got = replies.flatMap(({ domain }) => domain ? [domain] : []);
    assert.equal(got.length, 10);
    assert.equal(new Set(got).size, 10);
  },
});

Deno.test({
  name: "reserve tells what is wrong with the host",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await using helper = Helper.on(host);
    const reserve = { cmd: "reserve" };
    fails(await helper.ask(reserve), "no persistent domains found");
    fails(
      await helper.ask({ ...reserve, filter: "x" }),
      "no persistent domains found",
    );
    await host.hook("list", "echo 'error: no connection'; exit 1");
    fails(
      await helper.ask(reserve),
      "virsh list failed: error: no connection",
    );
    await Deno.remove(`${host.directory}/hooks/list`);
    await host.define("one");
    await host.define("x".repeat(255));
    await Deno.writeTextFile(`${host.directory}/locks`, "");
    fails(await helper.ask(reserve), /^\[Errno \d+\] .*locks/);
    await Deno.remove(`${host.directory}/locks`);
    // A lock that cannot be made keeps nobody from the others.
    await Deno.mkdir(`${host.directory}/locks/${"x".repeat(255)}`, {
      recursive: true,
    });
    succeeds(await helper.ask(reserve), { domain: "one" });
    fails(
      await helper.ask({ ...reserve, filter: "x+" }),
      /^no lock for domain xxx.*directory/,
    );
    await Deno.remove(`${host.directory}/bin/virsh`);
    await using other = new Helper(host.helper, {
      PATH: `${host.directory}/bin`,
    });
    fails(
      await other.ask(reserve),
      "cannot run virsh: No such file or directory",
    );
  },
});

Deno.test({
  name: "a pool that is busy is refreshed later",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await Deno.writeTextFile(`${host.directory}/pool/image`, "image");
    await using helper = Helper.on(host);
    const copy = {
      cmd: "copy-volume",
      pool: "default",
      from: "image",
      to: "copy",
    };
    const refreshes = async () =>
      (await host.log()).filter((line) => /^pool-refresh/.test(line)).length;
    const busy = "error: storage pool 'default' has asynchronous jobs running.";
    await host.hook(
      "pool-refresh",
      `echo x >>"$FAKE/tries"; [ $(wc -l <"$FAKE/tries") -gt 3 ] || { echo "${busy}"; exit 1; }`,
    );
    succeeds(await helper.ask(copy));
    assert.equal(await refreshes(), 4);
    await host.hook("pool-refresh", `echo "${busy}"; exit 1`);
    fails(await helper.ask(copy), /^failed refreshing pool default: .*jobs/);
    assert.equal(await refreshes(), 14);
    await host.hook("pool-refresh", "echo 'error: no such directory'; exit 1");
    fails(await helper.ask(copy), /no such directory$/);
    assert.equal(await refreshes(), 15);
  },
});

Deno.test({
  name: "a copy that does not end well leaves nothing, and what was there",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    const pool = `${host.directory}/pool`;
    const files = async () =>
      (await Array.fromAsync(Deno.readDir(pool))).map(({ name }) => name)
        .sort();
    await Deno.writeTextFile(`${pool}/image`, "image");
    await Deno.writeTextFile(`${pool}/copy`, "old");
    const copy = {
      cmd: "copy-volume",
      pool: "default",
      from: "image",
      to: "copy",
    };
    const began = async () =>
      (await files()).some((name) => /^\.atex-.*\.part$/.test(name));
    await host.addProgram("cp", "echo 'cp: No space left on device'; exit 1");
    await using helper = Helper.on(host);
    fails(await helper.ask(copy), "cp failed: cp: No space left on device");
    assert.deepEqual(await files(), ["copy", "image"]);
    // The script dies amid a copy.
    await host.addProgram("cp", 'echo $$ >"$FAKE/cp"; exec sleep 1000');
    helper.say(JSON.stringify(copy) + "\n");
    await written(`${host.directory}/cp`);
    assert.ok(await began());
    await helper.cut();
    await helper.child.status;
    assert.deepEqual(await files(), ["copy", "image"]);
    assert.ok(
      !await exists(
        `/proc/${(await Deno.readTextFile(`${host.directory}/cp`)).trim()}`,
      ),
    );
    // The helper is killed amid a copy: the next one cleans up, though not after those that live.
    await Deno.remove(`${host.directory}/cp`);
    await using killed = Helper.on(host);
    killed.say(JSON.stringify(copy) + "\n");
    await written(`${host.directory}/cp`);
    const orphan = (await Deno.readTextFile(`${host.directory}/cp`)).trim();
    await Deno.remove(`${host.directory}/cp`);
    await using alive = Helper.on(host);
    alive.say(JSON.stringify({ ...copy, to: "other" }) + "\n");
    await written(`${host.directory}/cp`);
    killed.child.kill("SIGKILL");
    await killed.child.status;
    Deno.kill(Number(orphan), "SIGKILL");
    assert.equal((await files()).length, 4);
    await Deno.remove(`${host.directory}/bin/cp`);
    await using next = Helper.on(host);
    succeeds(await next.ask({ ...copy, to: "third" }));
    assert.equal((await files()).length, 4);
    await alive.cut();
    await alive.child.status;
    assert.deepEqual(await files(), ["copy", "image", "third"]);
    assert.equal(await Deno.readTextFile(`${pool}/copy`), "old");
  },
});

Deno.test({
  name: "a virsh that hangs ends with whom it is for",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await host.hook("domstate", 'echo $$ >"$FAKE/pid"; exec sleep 1000');
    await using helper = Helper.on(host);
    succeeds(await helper.ask({ cmd: "reserve" }));
    helper.say('{"cmd":"virsh","args":["domstate","one"]}\n');
    await written(`${host.directory}/pid`);
    await helper.cut();
    await helper.child.status;
    const pid = (await Deno.readTextFile(`${host.directory}/pid`)).trim();
    await until(async () => !await exists(`/proc/${pid}`));
    await using next = Helper.on(host);
    succeeds(await next.ask({ cmd: "reserve" }));
  },
});

Deno.test({
  name: "requests that were sent before the end of input are answered",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("one");
    await host.hook("list", "sleep 0.3");
    await using helper = Helper.on(host);
    helper.say('{"cmd":"reservations"}\n{"cmd":"ping"}\n{"cmd":"ping"}');
    const { code } = await helper.end();
    assert.equal(code, 0);
    succeeds((await helper.reply())!, { domains: { one: "(free)" } });
    succeeds((await helper.reply())!, { cmd: "ping" });
    assert.equal(await helper.reply(), undefined); // a line without an end is none
  },
});

Deno.test({
  name: "options that are wrong are told",
  ignore,
  fn: async () => {
    for (const args of [["--log", "loud"], ["a", "b"], ["--nonsense"]]) {
      await using helper = new Helper(helperCommand(...args));
      assert.equal((await helper.child.status).code, 2);
      assert.match(await helper.stderr, /usage: atex-virt-helper /);
    }
  },
});

Deno.test({
  name: "locks are in the home directory, or in /var/lib for root",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    await host.define("atex-test-domain");
    const home = `${host.directory}/home`;
    await Deno.mkdir(home);
    await using helper = new Helper(helperCommand(), {
      ...host.env,
      HOME: home,
    });
    // Only looked at: nothing is made there.
    succeeds(await helper.ask({ cmd: "reservations" }));
    if (Deno.uid() === 0) return;
    succeeds(await helper.ask({ cmd: "reserve" }));
    const lock = `${home}/.atex-virt-helper/locks/atex-test-domain`;
    assert.ok(await exists(lock));
  },
});

Deno.test({
  name: "installVirtHelper() puts a program into place that works",
  ignore,
  fn: async () => {
    await using host = await FakeVirtHost.make();
    const here = new LocalConnection({ cwd: host.directory });
    const older = `${host.directory}/a b/helper`;
    await Deno.mkdir(`${host.directory}/a b`);
    await Deno.writeTextFile(older, "no program");
    for (const path of [older, ".local/bin/helper"]) {
      await installVirtHelper(here, { path });
      const place = path.startsWith("/") ? path : `${host.directory}/${path}`;
      const siblings = await Array.fromAsync(
        Deno.readDir(place.slice(0, place.lastIndexOf("/"))),
      );
      assert.equal(siblings.length, 1);
      await using helper = new Helper([place]);
      succeeds(await helper.ask({ cmd: "ping" }));
    }
  },
});
