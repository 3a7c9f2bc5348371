/**
 * What scripts can leave behind: `container`s, `image`s that were built for them,
 * `domain`s of libvirt, `request`s of Testing Farm, `lease`s of Kubernetes (with
 * their pods), directories of `ssh` connections, temporary `directory`s, and `work`
 * directories of tests that ran on this system.
 */
export type LeftoverKind =
  | "container"
  | "image"
  | "domain"
  | "request"
  | "lease"
  | "ssh"
  | "directory"
  | "work";

/** Something that a script has made and that is still there. */
export interface Leftover {
  /** What it is. */
  readonly kind: LeftoverKind;
  /** Its name or id; path of a directory. */
  readonly name: string;
  /** Id of the run that made it, if it is known. */
  readonly run?: string | undefined;
  /** The process that made it, as it is recorded, if it is. */
  readonly owner?: string | undefined;
  /** Milliseconds since it was made, or changed the last time. */
  readonly age: number;
  /**
   * `dead` if its owner certainly is, or it is overdue; `alive` if somebody uses
   * it; `unknown` if that cannot be told. Only what is dead is removed.
   */
  readonly verdict: "dead" | "alive" | "unknown";
  /**
   * True if it holds what somebody is to look at, such as results that could not be
   * stored: it is not removed, whatever became of its owner.
   *
   * @default {false}
   */
  readonly kept?: boolean | undefined;
  /**
   * True if it is a system that a living script of this user has, other than this
   * one: the option `living` removes it, too.
   */
  readonly mine: boolean;
  /** True if it was removed. */
  readonly removed: boolean;
  /** Why it could not be removed. */
  readonly error?: Error | undefined;
}

/** Something that may have been left behind, and how to remove it. */
export interface Candidate
  extends Omit<Leftover, "mine" | "removed" | "error"> {
  readonly mine?: boolean;
  remove(signal: AbortSignal): Promise<void>;
}

/** Milliseconds since a moment; never negative, whatever clocks say. */
export function ageOf(moment: number | undefined): number {
  return Math.max(0, Date.now() - (moment ?? Date.now()));
}
