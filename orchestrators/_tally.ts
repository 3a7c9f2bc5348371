import type { RunEvent, RunStatus } from "./orchestrator.ts";

type Counts = { -readonly [K in keyof RunStatus]: RunStatus[K] };

/** The counts of a run from its events alone. */
export class Tally {
  readonly #counts: Counts = {
    tests: 0,
    queued: 0,
    running: 0,
    done: 0,
    failed: 0,
    reruns: 0,
    requested: 0,
    settingUp: 0,
    spares: 0,
  };
  readonly #settingUp = new Set<string>();
  readonly #idle = new Set<string>();
  /** Systems that are asked for, by provisioner. */
  readonly #asked = new Map<string, number>();

  /** The counts after the last event. */
  get status(): RunStatus {
    let requested = 0;
    for (const count of this.#asked.values()) requested += count;
    return {
      ...this.#counts,
      requested,
      settingUp: this.#settingUp.size,
      spares: this.#idle.size,
    };
  }

  /** Takes an event. */
  take(event: RunEvent): void {
    const counts = this.#counts;
    switch (event.type) {
      case "run-started":
        // perhaps once more, after a process that was killed
        Object.assign(counts, new Tally().#counts);
        this.#settingUp.clear();
        this.#idle.clear();
        this.#asked.clear();
        counts.tests = counts.queued = event.tests.length;
        break;
      case "run-resumed":
        counts.done += event.done.length;
        counts.failed += event.failed.length;
        counts.queued -= event.done.length;
        counts.reruns += event.reruns;
        break;
      case "requested":
        this.#ask(event.provisioner, event.count);
        break;
      case "demand-cancelled":
        for (const name of event.provisioners) this.#asked.delete(name);
        break;
      case "reservation-failed":
        this.#ask(event.provisioner, -1);
        break;
      case "remote-ready":
        this.#ask(event.provisioner, -1);
        break;
      case "setup-started":
        this.#settingUp.add(event.remote);
        break;
      case "setup-finished":
      case "setup-failed":
        this.#settingUp.delete(event.remote);
        break;
      case "remote-idle":
        this.#idle.add(event.remote);
        break;
      case "test-started":
        this.#idle.delete(event.remote);
        counts.queued--;
        counts.running++;
        break;
      case "test-finished":
        counts.running--;
        if (event.rerun) {
          counts.reruns++;
          counts.queued++;
        } else {
          counts.done++;
          if (event.exitCode !== 0) counts.failed++;
        }
        break;
      case "release-started":
        this.#settingUp.delete(event.remote);
        this.#idle.delete(event.remote);
        break;
    }
  }

  #ask(provisioner: string, count: number): void {
    const asked = (this.#asked.get(provisioner) ?? 0) + count;
    this.#asked.set(provisioner, Math.max(0, asked));
  }
}
