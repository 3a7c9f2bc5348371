import type { Connection } from "../connections/connection.ts";
import type { SshOptions } from "../connections/ssh.ts";
import type { ReleaseReason } from "./provisioner.ts";

/** A host and how to get there. */
export interface HostOptions extends SshOptions {
  /**
   * As whom to log in.
   *
   * @default the user in `host`, or who `ssh` says
   */
  user?: string | undefined;
  /**
   * Where its sshd listens.
   *
   * @default the port in `host`, or what `ssh` says
   */
  port?: number | undefined;
  /**
   * What is to be known of the host: added to the attributes of the remote.
   *
   * @default `{}`
   */
  labels?: Readonly<Record<string, string>> | undefined;
  /**
   * The file that is locked on this host.
   *
   * @default that of the provisioner
   */
  leaseFile?: string | undefined;
}

/** Hosts that an `ssh_config` has. */
export interface SshConfigHosts {
  /** The file; `ssh` gets all details from there. */
  sshConfig: string | URL;
  /**
   * Names, and patterns with `*` and `?` for names of `Host` lines. Files that it
   * includes are not looked through.
   *
   * @default all names of `Host` lines
   */
  hosts?: readonly string[] | undefined;
}

/** Which hosts, and how to get there. */
export interface HostSelection {
  /**
   * The hosts: a list of `USER@HOST:PORT`, with user and port optional, or of
   * objects that say more; a file; or an `ssh_config`.
   *
   * A file that ends with `.json` or `.yaml` holds such a list. Any other is text,
   * a host a line, as in `root@lab1:2222 arch=x86_64 ssh.ProxyJump=gate # comment`:
   * words with `=` are labels, or ssh options if they begin with `ssh.`. Paths in
   * a file are relative to it.
   */
  hosts:
    | readonly (string | HostOptions)[]
    | string
    | URL
    | SshConfigHosts;
  /**
   * Which of the hosts: those that have all of these labels, or for which the
   * function is true.
   *
   * @default all
   */
  where?:
    | Readonly<Record<string, string>>
    | ((labels: Readonly<Record<string, string>>, host: string) => boolean)
    | undefined;
  /**
   * How to connect to all of them; what a host says itself wins.
   *
   * @default `{}`
   */
  ssh?: Omit<SshOptions, "host"> | undefined;
}

/** What hooks are told about a host. */
export interface HostContext {
  /** As it is listed. */
  readonly host: string;
  /** Its labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** Aborted when it is not waited for any more. */
  readonly signal: AbortSignal;
}

/** What hooks are told about a host that was given back. */
export interface ReleasedHostContext extends HostContext {
  /** Why it was given back. */
  readonly reason: ReleaseReason;
}

/**
 * What is done to a host beside its use. A hook that throws sets the host aside.
 * None is called for a host that somebody else got while it was away, or may have
 * got because it was away for longer than `rebootGrace`.
 */
export interface HostHooks {
  /**
   * Called before a host is lent, connected.
   *
   * @default nothing is done
   */
  prepare?:
    | ((
      connection: Connection,
      context: HostContext,
    ) => Promise<void> | void)
    | undefined;
  /**
   * Called when a host was given back as `destroyed` or `setup-failed`: to revert
   * a snapshot, to reinstall, to switch the power. It is not connected, and may be
   * impossible to connect to.
   *
   * @default nothing is done
   */
  recover?:
    | ((
      connection: Connection,
      context: ReleasedHostContext,
    ) => Promise<void> | void)
    | undefined;
  /**
   * Called when a host was given back, whatever the reason, connected.
   *
   * The default ends what tests in the Flexible Metadata Format left running in
   * sessions of their own: processes whose variable `TMT_TREE` names a directory of
   * an executor that is gone, by SIGTERM and within two seconds by SIGKILL. It takes
   * the connection that there is: a host that is away is left alone. What fails is a
   * `warning`, and the host is lent again.
   *
   * @default what tests left running is ended; `() => {}` does nothing
   */
  clean?:
    | ((
      connection: Connection,
      context: ReleasedHostContext,
    ) => Promise<void> | void)
    | undefined;
}

/** A host, and where it is listed. */
export interface Listed {
  readonly host: HostOptions;
  readonly origin: string;
}

/** A host that may be lent. */
export interface HostEntry {
  readonly options: SshOptions;
  readonly labels: Readonly<Record<string, string>>;
  /** More attributes. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** The file that is locked on the host. */
  readonly leaseFile?: string;
}
