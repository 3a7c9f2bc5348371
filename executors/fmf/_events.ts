/**
 * What an executor tells beside results.
 *
 * - `output`: a line that a script of the plan printed, or the installation of
 *   the plan's packages. A line of more than 64 KiB comes in pieces.
 * - `set-up`: what the set-up of a test printed before it started.
 * - `reconnecting`: a test announced that the system goes down, and the command
 *   that ran it here ended with `code`.
 * - `restarted`: the test was started again; `rebooted` tells whether the system
 *   really was, `count` how many times by now.
 * - `warning`: something that is probably not meant to be.
 */
export type FmfExecutorEvent =
  | {
    readonly type: "output";
    readonly phase: "prepare" | "finish";
    readonly line: string;
  }
  | { readonly type: "set-up"; readonly test: string; readonly output: string }
  | {
    readonly type: "reconnecting";
    readonly test: string;
    readonly code: number;
  }
  | {
    readonly type: "restarted";
    readonly test: string;
    readonly count: number;
    readonly rebooted: boolean;
  }
  | {
    readonly type: "warning";
    readonly message: string;
    readonly test?: string | undefined;
  };

/** Gives out events; what a listener throws is its own affair. */
export type Emit = (event: FmfExecutorEvent) => void;
