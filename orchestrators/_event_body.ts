import type { RunEvent } from "./orchestrator.ts";

type Untimed<Event> = Event extends RunEvent ? Omit<Event, "time"> : never;

/** An event before it is told, when the time is added. */
export type RunEventBody = Untimed<RunEvent>;
