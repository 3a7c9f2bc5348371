/**
 * Key of an option of `PodmanConnection` that is not for users: with it the first
 * connection to a container spares the time to ask podman, and to try.
 */
export const MADE: unique symbol = Symbol("made");

/** The option. */
export interface MadeOption {
  readonly [MADE]?: MadeContainer;
}

/** A container that has just been made. */
export interface MadeContainer {
  /** The long one. */
  readonly id: string;
  /** What all have in common that are made alike: filled in by the first connection to one. */
  readonly alike: { way?: WayIn };
}

/** A way in which commands can be run. */
export interface WayIn {
  /** The program of the container's runtime. */
  readonly runtime: string;
  /** Whether that runs them, rather than podman. */
  readonly direct: boolean;
}
