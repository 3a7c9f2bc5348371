/**
 * Key of an option of `PodmanConnection` that is none for users: with it the first
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
  /**
   * What all have in common that are made alike. The first connection to one fills
   * in the runtime by which commands can be run in all of them.
   */
  readonly alike: { runtime?: string };
}
