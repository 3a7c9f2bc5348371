/**
 * What scripts can leave behind: `container`s, directories of `ssh` connections,
 * temporary `directory`s that carry the id of a run.
 */
export type LeftoverKind = "container" | "ssh" | "directory";

/** Something that a script has made and that is still there. */
export interface Leftover {
  /** What it is. */
  readonly kind: LeftoverKind;
  /** Name of a container, path of a directory. */
  readonly name: string;
  /** Id of the run that made it, if it is known. */
  readonly run?: string;
  /** The process that made it, as it is recorded, if it is. */
  readonly owner?: string;
  /** Milliseconds since it was made, or changed the last time. */
  readonly age: number;
  /**
   * `dead` if its owner certainly is, or it is overdue; `alive` if somebody uses
   * it; `unknown` if that cannot be told. Only what is dead is removed.
   */
  readonly verdict: "dead" | "alive" | "unknown";
  /** True if it was removed. */
  readonly removed: boolean;
  /** Why it could not be removed. */
  readonly error?: Error;
}
