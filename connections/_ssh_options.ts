import { resolve } from "@std/path/posix/resolve";
import { pathOf } from "../options.ts";
import type { SignalOptions } from "./connection.ts";
import { outputLocal } from "./process.ts";

/** Options of `ssh_config`; a list repeats the keyword. */
export type SshConfig = Readonly<
  Record<string, string | number | boolean | readonly string[]>
>;

/** What {@linkcode sshArguments} needs to know of the options of a connection. */
export interface SshTarget {
  host: string;
  identityFile?: string | URL;
  configFile?: string | URL;
  password?: string;
  sudo?: string;
  options?: SshConfig;
  stateless?: boolean;
}

/** What a user says of a host, taken apart. */
export interface HostAndPort {
  /** Name or address, as `ssh` wants it. */
  hostname: string;
  user?: string;
  port?: number;
}

/**
 * Takes `user@host:port` apart; the address of version 6 is in brackets if a
 * port follows.
 *
 * @throws {TypeError} if it is something else
 */
export function parseHost(text: string): HostAndPort {
  const bad = (why: string) =>
    new TypeError(
      `Cannot use "${text}" as a host: ${why}, "user@host:port" would be right`,
    );
  if (/^ssh:\/\//i.test(text)) throw bad("it is a URL");
  const at = text.lastIndexOf("@");
  const rest = text.slice(at + 1);
  const bracketed = /^\[(.*)\](?::(.*))?$/.exec(rest);
  const [hostname, port] = bracketed
    ? bracketed.slice(1)
    : rest.split(":").length > 2 // an address of version 6
    ? [rest]
    : rest.split(":");
  if (!hostname || /[\s\[\]\0]/.test(hostname)) throw bad("it names no host");
  if (
    port !== undefined && !(/^\d+$/.test(port) && +port > 0 && +port < 65536)
  ) {
    throw bad("a port is from 1 to 65535");
  }
  const user = at < 0 ? undefined : text.slice(0, at);
  if (user === "" || /[\s\0]/.test(user ?? "")) throw bad("it names no user");
  if (hostname.startsWith("-") || user?.startsWith("-")) {
    throw bad('a name does not begin with "-"');
  }
  return {
    hostname,
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: +port }),
  };
}

/** Keywords that decide how a connection works at all, with what to use instead. */
const OURS: Readonly<Record<string, string>> = {
  controlmaster: '"stateless"',
  controlpath: '"stateless"',
  controlpersist: '"stateless"',
  localcommand: "a command of your own",
  permitlocalcommand: "a command of your own",
  remotecommand: "the command itself",
  requesttty: "a program like script(1)",
  sessiontype: "forward()",
  forkafterauthentication: "start()",
  stdinnull: '"stdin"',
};

/** Keywords whose value is one path, which `ssh` splits at blanks unless it is quoted. */
const PATHS = new Set([
  "certificatefile",
  "controlpath",
  "globalknownhostsfile",
  "identityagent",
  "identityfile",
  "pkcs11provider",
  "revokedhostkeys",
  "securitykeyprovider",
  "userknownhostsfile",
  "xauthlocation",
]);

/** What cannot be done by every command anew. */
const FORWARDS = new Set(["dynamicforward", "localforward", "remoteforward"]);

/** What only the process that makes the connection needs, not those that share it. */
const CONNECTION_ONLY = new Set([
  ...FORWARDS,
  "proxycommand",
  "proxyjump",
  "proxyusefdpass",
]);

/** The value that counts is the first one, so these come last. */
const DEFAULTS: SshConfig = {
  LogLevel: "ERROR", // stderr is that of the command: no banners
  StrictHostKeyChecking: false, // systems are new each time, addresses are not
  UserKnownHostsFile: "/dev/null",
  ConnectionAttempts: 3,
  ConnectTimeout: 30,
  ServerAliveInterval: 30,
  ServerAliveCountMax: 4,
  TCPKeepAlive: false, // what breaks the network for a moment may be the test
  EscapeChar: "none",
  BatchMode: true,
  ForwardAgent: false, // a system under test must not use the keys of who tests it
  ForwardX11: false,
  Tunnel: false,
};

/** What the user's `ssh_config` may say of sessions, and what commands need. */
const SESSION: SshConfig = {
  StdinNull: false,
  ForkAfterAuthentication: false,
};

/** Options that matter to whether those of `ssh_config` that forward something count. */
const ABOUT_FORWARDS = new Set([...FORWARDS, "clearallforwardings"]);

/** What is not the same for every version of `ssh`. */
export interface SshAbilities {
  /** It has the options of OpenSSH 8.7 for sessions. */
  knowsSessions?: boolean;
}

/**
 * The arguments of `ssh` up to and including the host.
 *
 * @param role what the process is: it makes a connection of its own
 * (`stateless`), one that others share (`master`), or shares one (`client`)
 * @param controlPath the socket of the connection that is shared
 * @param abilities what this `ssh` can do
 */
export function sshArguments(
  target: SshTarget,
  role: "stateless" | "master" | "client",
  controlPath: string = "none",
  abilities: SshAbilities = {},
): string[] {
  const { hostname, user, port } = parseHost(target.host);
  const { options = {}, password, identityFile, configFile } = target;
  const own: SshConfig[] = [];
  const keywords = Object.keys(options).map((name) => name.toLowerCase());
  // Each of several commands would want to listen at the same place, and each of several
  // systems for which the user's file has a forward.
  if (
    role !== "master" || !keywords.some((name) => ABOUT_FORWARDS.has(name))
  ) own.push({ ClearAllForwardings: true });
  // Without any it would still refuse a system whose key has changed.
  const forwards = keywords.some((name) => FORWARDS.has(name));
  if (role === "client") {
    // A client that cannot use the socket would make a connection of its own.
    own.push({ ProxyCommand: "false" });
  } else if (password !== undefined) {
    own.push({ BatchMode: false, NumberOfPasswordPrompts: 1 });
  }
  own.push({
    ControlMaster: role === "master",
    ControlPath: controlPath.replaceAll("%", "%%"),
    ControlPersist: false,
    PermitLocalCommand: role === "master",
    RemoteCommand: "none",
    RequestTTY: false,
  });
  if (abilities.knowsSessions) {
    // "-N" of the master is a type of session, too.
    own.push(role === "master" ? {} : { SessionType: "default" }, SESSION);
  }
  if (role === "master") own.push({ LocalCommand: `echo ${READY}` });
  const given = Object.fromEntries(
    Object.entries(options).filter(([keyword]) =>
      role !== "client" || !CONNECTION_ONLY.has(keyword.toLowerCase())
    ),
  );
  const place: SshConfig = {
    ...(port !== undefined && { Port: port }),
    ...(user !== undefined && { User: user }),
    ...(identityFile !== undefined &&
      { IdentityFile: absolute(identityFile).replaceAll("%", "%%") }),
  };
  return [
    ...(configFile === undefined ? [] : ["-F", absolute(configFile, home())]),
    ...[
      ...own,
      given,
      place,
      DEFAULTS,
      hostKeys(options),
      { ExitOnForwardFailure: forwards },
    ]
      .flatMap(configArguments),
    hostname,
  ];
}

/** Where host keys are that count: of systems that are new each time, none does. */
function hostKeys(options: SshConfig): SshConfig {
  const [, strict = false] =
    Object.entries(options).find(([keyword]) =>
      keyword.toLowerCase() === "stricthostkeychecking"
    ) ?? [];
  const checks = !["false", "no", "off"].includes(`${strict}`.toLowerCase());
  return checks ? {} : { GlobalKnownHostsFile: "/dev/null" };
}

/** The arguments for a command that is to have a terminal. */
export function withTerminal(argv: readonly string[]): string[] {
  return argv.map((word) =>
    word === "-oRequestTTY=no" ? "-oRequestTTY=force" : word
  );
}

/** The path of a file, except where ssh knows better. */
function absolute(file: string | URL, home?: string): string {
  const path = pathOf(file);
  if (home && /^~(\/|$)/.test(path)) return resolve(`${home}/${path.slice(1)}`);
  return path === "none" || path.startsWith("~") ? path : resolve(path);
}

/** The home directory, which ssh puts in place of "~" in options, but not for "-F". */
function home(): string | undefined {
  return Deno.env.get("HOME");
}

/** A path as a single word for ssh. */
function quotePath(path: string): string {
  if (!/[\s'"]/.test(path) || /^['"]/.test(path)) return path;
  // A backslash is one except before what it can escape.
  const text = path.replace(/\\(?=[\\'"]|$)/g, "\\\\").replaceAll('"', '\\"');
  return `"${text}"`;
}

/** What a master prints when others can share its connection. */
export const READY = "atex-connected";

/**
 * Checks what a user gave.
 *
 * @throws {TypeError} if something cannot be used
 */
export function checkTarget(target: SshTarget): void {
  parseHost(target.host);
  const { identityFile, configFile, sudo } = target;
  for (
    const [name, value] of Object.entries({ identityFile, configFile, sudo })
  ) {
    if (value === "") {
      throw new TypeError(
        `Cannot use an empty text as "${name}": leave it out instead`,
      );
    }
  }
  if (
    identityFile !== undefined && /\$\{|[\n\r\0]/.test(pathOf(identityFile))
  ) {
    throw new TypeError(
      `Cannot use "${
        pathOf(identityFile)
      }" as "identityFile": ssh takes no path with "\${" or a line end in it`,
    );
  }
  for (const [keyword, value] of Object.entries(target.options ?? {})) {
    const what = `Cannot set the ssh option "${keyword}"`;
    if (!/^[A-Za-z0-9]+$/.test(keyword)) {
      throw new TypeError(`${what}: a keyword has letters and digits only`);
    }
    const instead = OURS[keyword.toLowerCase()];
    if (instead) throw new TypeError(`${what}: use ${instead} instead`);
    if (target.stateless && FORWARDS.has(keyword.toLowerCase())) {
      throw new TypeError(`${what}: a "stateless" connection has no forwards`);
    }
    if (![value].flat().every((value) => isValue(value))) {
      throw new TypeError(
        `${what}: a string, a number, true, false, or a list of strings would be right`,
      );
    }
    if ([value].flat().some((value) => /[\n\r\0]/.test(`${value}`))) {
      throw new TypeError(`${what}: a value is a single line`);
    }
  }
  if (/[\n\r\0]/.test(target.password ?? "")) {
    throw new TypeError("Cannot use this password: it is not a single line");
  }
}

function isValue(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

function configArguments(config: SshConfig): string[] {
  return Object.entries(config).flatMap(([keyword, value]) =>
    [value].flat().map((value) => {
      const text = typeof value === "boolean"
        ? (value ? "yes" : "no")
        : `${value}`;
      const isPath = PATHS.has(keyword.toLowerCase());
      return `-o${keyword}=${isPath ? quotePath(text) : text}`;
    })
  );
}

const known = new Map<string, boolean>();

/**
 * Whether this `ssh` knows the options `SessionType`, `StdinNull` and
 * `ForkAfterAuthentication`, of OpenSSH 8.7: others refuse them.
 */
export async function knowsSessions(
  ssh: string,
  options: SignalOptions,
): Promise<boolean> {
  const before = known.get(ssh);
  if (before !== undefined) return before;
  let said;
  try {
    const { stderr } = await outputLocal({ argv: [ssh, "-V"] }, options);
    said = new TextDecoder().decode(stderr);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false; // it is not there: who uses it says so
  }
  const [, major, minor] = /^OpenSSH_(\d+)\.(\d+)/m.exec(said) ?? [];
  const knows = Number(major) > 8 || Number(major) === 8 && Number(minor) >= 7;
  known.set(ssh, knows);
  return knows;
}
