import { deepEqual, equal, ok } from "node:assert/strict";
import { NotConnectedError } from "../../connections/connection.ts";
import { SshConnection, type SshOptions } from "../../connections/ssh.ts";
import { parseHost, sshArguments } from "../../connections/_ssh_options.ts";
import { rejected, thrown } from "../_thrown.ts";

Deno.test("parseHost() takes user, host and port apart", () => {
  const cases: Record<string, unknown> = {
    "h": { hostname: "h" },
    "10.0.0.7": { hostname: "10.0.0.7" },
    "root@h": { hostname: "h", user: "root" },
    "h:22": { hostname: "h", port: 22 },
    "root@h.example.org:65535": {
      hostname: "h.example.org",
      user: "root",
      port: 65535,
    },
    "user@realm@h": { hostname: "h", user: "user@realm" },
    "::1": { hostname: "::1" },
    "u@fe80::1%eth0": { hostname: "fe80::1%eth0", user: "u" },
    "[::1]": { hostname: "::1" },
    "u@[::1]:2222": { hostname: "::1", user: "u", port: 2222 },
  };
  for (const [text, parts] of Object.entries(cases)) {
    deepEqual(parseHost(text), parts, text);
  }
});

Deno.test("parseHost() refuses what is no host", () => {
  for (
    const text of [
      "",
      "@h",
      "u@",
      "h:",
      "h:0",
      "h:65536",
      "h:ssh",
      "-oProxyCommand=x",
      "-l@h",
      "u@-h",
      "a b",
      "[::1",
      "[::1]x",
      "[]:22",
      "h\0",
      "ssh://root@h",
      "SSH://h:22",
    ]
  ) {
    const { message } = thrown(() => parseHost(text), TypeError);
    ok(message.startsWith(`Cannot use "${text}" as a host: `), message);
  }
});

const target = {
  host: "me@h:2222",
  identityFile: new URL("file:///keys/my%20key"),
  options: {
    ConnectTimeout: 5,
    proxyjump: "gate",
    LocalForward: ["1 a:1", "2 b:2"],
    SendEnv: ["A", "B"],
    Compression: true,
    UserKnownHostsFile: "/a b",
    IdentityFile: '"/already quoted"',
  },
};

/** The values of an option, in order: the first one counts. */
const values = (argv: readonly string[], keyword: string) =>
  argv.filter((arg) => arg.toLowerCase().startsWith(`-o${keyword}=`))
    .map((arg) => arg.slice(arg.indexOf("=") + 1));

Deno.test("sshArguments() puts the user's options before the defaults, its own before both", () => {
  const argv = sshArguments(target, "stateless");
  equal(argv.at(-1), "h");
  deepEqual(values(argv, "connecttimeout"), ["5", "30"]);
  deepEqual(values(argv, "localforward"), ["1 a:1", "2 b:2"]);
  deepEqual(values(argv, "sendenv"), ["A", "B"]);
  deepEqual(values(argv, "compression"), ["yes"]);
  deepEqual(values(argv, "userknownhostsfile"), ['"/a b"', "/dev/null"]);
  deepEqual(values(argv, "identityfile"), [
    '"/already quoted"',
    '"/keys/my key"',
  ]);
  deepEqual(values(argv, "port"), ["2222"]);
  deepEqual(values(argv, "user"), ["me"]);
  deepEqual(values(argv, "controlmaster"), ["no"]);
  deepEqual(values(argv, "controlpath"), ["none"]);
  deepEqual(values(argv, "requesttty"), ["no"]);
  deepEqual(values(argv, "remotecommand"), ["none"]);
  deepEqual(values(argv, "batchmode"), ["yes"]);
});

Deno.test("sshArguments() keeps clients from connecting by themselves", () => {
  const argv = sshArguments(target, "client", "/tmp/50%/s");
  deepEqual(values(argv, "proxycommand"), ["false"]);
  deepEqual(values(argv, "proxyjump"), []);
  deepEqual(values(argv, "localforward"), []);
  deepEqual(values(argv, "clearallforwardings"), ["yes"]);
  deepEqual(values(argv, "controlpath"), ["/tmp/50%%/s"]);
  deepEqual(values(argv, "sendenv"), ["A", "B"]);
});

Deno.test("sshArguments() lets a master do what its clients need", () => {
  const argv = sshArguments(target, "master", "/tmp/a b/s");
  deepEqual(values(argv, "proxyjump"), ["gate"]);
  deepEqual(values(argv, "controlmaster"), ["yes"]);
  deepEqual(values(argv, "controlpath"), ['"/tmp/a b/s"']);
  deepEqual(values(argv, "controlpersist"), ["no"]);
});

Deno.test("sshArguments() forwards what options say, not what only a file says", () => {
  const cleared = (role: "master" | "client", options: SshOptions["options"]) =>
    values(
      sshArguments({ host: "h", ...(options && { options }) }, role),
      "clearallforwardings",
    );
  deepEqual(cleared("master", undefined), ["yes"]);
  deepEqual(cleared("master", { Compression: true }), ["yes"]);
  deepEqual(cleared("master", { localforward: "1 a:1" }), []);
  deepEqual(cleared("master", { ClearAllForwardings: false }), ["no"]);
  deepEqual(cleared("client", { localforward: "1 a:1" }), ["yes"]);
  const strict = (options: NonNullable<SshOptions["options"]>) =>
    values(
      sshArguments({ host: "h", options }, "master"),
      "exitonforwardfailure",
    )[0];
  equal(strict({}), "no");
  equal(strict({ remoteforward: "1 a:1" }), "yes");
  equal(strict({ LocalForward: "1 a:1", ExitOnForwardFailure: false }), "no");
});

Deno.test("sshArguments() knows no host keys unless they are checked", () => {
  const files = (options: SshOptions["options"] = {}) =>
    values(
      sshArguments({ host: "h", options }, "stateless"),
      "globalknownhostsfile",
    );
  deepEqual(files(), ["/dev/null"]);
  deepEqual(files({ stricthostkeychecking: "no" }), ["/dev/null"]);
  deepEqual(files({ StrictHostKeyChecking: "off" }), ["/dev/null"]);
  deepEqual(files({ GlobalKnownHostsFile: "/k" }), ["/k", "/dev/null"]);
  for (const strict of [true, "yes", "accept-new", "ask"]) {
    deepEqual(files({ StrictHostKeyChecking: strict }), []);
  }
});

Deno.test("sshArguments() says what sessions are like only to an ssh that knows that", () => {
  for (const role of ["stateless", "client", "master"] as const) {
    const argv = (knowsSessions: boolean) =>
      sshArguments(target, role, "none", { knowsSessions });
    const old = /sessiontype|stdinnull|forkafter/i;
    equal(old.test(argv(false).join(" ")), false);
    deepEqual(values(argv(true), "stdinnull"), ["no"]);
    deepEqual(values(argv(true), "forkafterauthentication"), ["no"]);
    deepEqual(
      values(argv(true), "sessiontype"),
      role === "master" ? [] : ["default"], // "-N" says it
    );
  }
});

Deno.test("sshArguments() lets ssh ask for a password only if there is one, and never names it", () => {
  const withPassword = { ...target, password: "se cret" };
  for (const role of ["stateless", "master"] as const) {
    const argv = sshArguments(withPassword, role);
    equal(values(argv, "batchmode")[0], "no");
    deepEqual(values(argv, "numberofpasswordprompts"), ["1"]);
  }
  equal(values(sshArguments(withPassword, "client"), "batchmode")[0], "yes");
  for (const role of ["stateless", "master", "client"] as const) {
    const argv = sshArguments(withPassword, role).join(" ");
    ok(!argv.includes("se cret"), argv);
  }
});

Deno.test("sshArguments() quotes paths in the way of ssh", () => {
  const quoted = (path: string) =>
    values(
      sshArguments({ host: "h", identityFile: path }, "stateless"),
      "identityfile",
    )[0];
  equal(quoted("/a/b"), "/a/b");
  equal(quoted("~/a b"), '"~/a b"');
  equal(quoted("/bob's"), `"/bob's"`);
  equal(quoted('/a"b'), '"/a\\"b"');
  equal(quoted("/back\\slash"), "/back\\slash");
  equal(quoted("/back\\slash's"), '"/back\\slash\'s"');
  equal(quoted("/a b\\\\c"), '"/a b\\\\\\c"');
  equal(quoted("/a b\\"), '"/a b\\\\"');
});

Deno.test("sshArguments() names the configuration to read", () => {
  const file = (configFile: string | URL) =>
    sshArguments({ host: "h", configFile }, "stateless")[1];
  equal(file("~/x"), `${Deno.env.get("HOME")}/x`);
  equal(file("~other/x"), "~other/x");
  equal(file("/a b"), "/a b");
  const argv = sshArguments({ host: "h", configFile: "none" }, "stateless");
  deepEqual(argv.slice(0, 2), ["-F", "none"]);
});

Deno.test("SshConnection refuses options that cannot be used", () => {
  const bad = (options: Omit<SshOptions, "host">, part: string) =>
    thrown(() => new SshConnection({ host: "h", ...options }), TypeError, part);
  bad(
    { options: { controlpath: "/x" } },
    'option "controlpath": use "stateless" instead',
  );
  bad({ options: { RequestTTY: true } }, '"RequestTTY"');
  bad({ options: { "Proxy Command": "x" } }, "letters and digits");
  bad({ options: { User: "a\nb" } }, "single line");
  bad({ options: { SendEnv: ["A", "B\n"] } }, "single line");
  bad(
    { options: { localForward: "1 h:1" }, stateless: true },
    'option "localForward": a "stateless" connection has no forwards',
  );
  bad({ password: "a\nb" }, "password");
  bad({ identityFile: "" }, '"identityFile": leave it out');
  bad({ configFile: "" }, '"configFile": leave it out');
  bad({ sudo: "" }, '"sudo": leave it out');
  bad({ identityFile: "/keys/${HOME}/k" }, 'no path with "${"');
  bad({ identityFile: "/keys/a\nb" }, "or a line end in it");
  for (const maxSessions of [0, 1.5]) {
    thrown(
      () => new SshConnection({ host: "h", maxSessions }),
      RangeError,
      `Cannot use ${maxSessions} as "maxSessions": a positive whole number`,
    );
  }
  thrown(() => new SshConnection({ host: "" }), TypeError, "host");
  // Scripts run without a check of their types.
  const wrong: [Record<string, unknown>, string][] = [
    [{ password: 5 }, 'Cannot use 5 as "password" of SshConnection: a string'],
    [{ ssh: ["ssh"] }, 'Cannot use a list as "ssh" of SshConnection: a string'],
    [{ stateless: "no" }, '"stateless" of SshConnection: true or false'],
    [{ sudo: true }, '"sudo" of SshConnection: a string'],
    [{ identityFile: 5 }, '"identityFile" of SshConnection: a path or a URL'],
    [{ configFile: {} }, '"configFile" of SshConnection: a path or a URL'],
    [{ maxSessions: "8" }, '"maxSessions" of SshConnection: a number'],
    [{ options: "x" }, '"options" of SshConnection: an object'],
    [{ options: { User: undefined } }, 'option "User": a string, a number'],
    [{ options: { Port: null } }, 'option "Port": a string, a number'],
    [{ options: { SendEnv: ["A", {}] } }, 'option "SendEnv": a string, a num'],
  ];
  for (const [options, part] of wrong) bad(options, part);
});

Deno.test("SshConnection runs nothing before connect()", async () => {
  for (const stateless of [false, true]) {
    const connection = new SshConnection({ host: "h", stateless });
    const error = 'Cannot run "true" on h: not connected';
    thrown(() => connection.local(["true"]), NotConnectedError, error);
    thrown(() => connection.command("true"), NotConnectedError, error);
    thrown(() => connection.rsync([]), NotConnectedError, "not connected");
    for (
      const [options, error] of [
        [{}, '"kind" and "listen" and "to" are missing'],
        [
          { kind: "dynamic", listen: 0, to: "h:1" },
          '"local" or "remote" would',
        ],
        [{ listen: 0, to: "h:1" }, '"kind" is missing'],
        [{ kind: "local", listen: 0, to: 80 }, '"to" of forward(): a string'],
      ] as [never, string][]
    ) await rejected(connection.forward(options), TypeError, error);
    const forward = { kind: "local", listen: 1, to: "h:1" } as const;
    await rejected(connection.forward(forward), NotConnectedError);
    await connection.disconnect();
    await connection[Symbol.asyncDispose]();
  }
});

Deno.test("sshArguments() lends agent and screen to no system, unless told to", () => {
  for (const option of ["ForwardAgent", "ForwardX11"]) {
    const target = { host: "h", configFile: "none" };
    const first = (options: SshOptions["options"]) =>
      sshArguments({ ...target, ...(options && { options }) }, "stateless")
        .find((arg) => arg.startsWith(`-o${option}=`)); // ssh takes the first
    equal(first(undefined), `-o${option}=no`);
    equal(first({ [option]: true }), `-o${option}=yes`);
  }
});
