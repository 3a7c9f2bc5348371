/** Aggregators that do what a test of ours wants. */
import type {
  Aggregator,
  IngestInfo,
  Stored,
} from "../../aggregators/aggregator.ts";

/** What {@linkcode pretend} is to do; it does nothing else. */
export interface Doings {
  readsOnly?: boolean;
  start?(): void | Promise<void>;
  ingest?(
    platform: string,
    test: string,
    artifacts: string,
    info?: IngestInfo,
  ): Stored | void | Promise<Stored | void>;
  stop?(): void | Promise<void>;
}

/** Makes an aggregator. */
export function pretend(doings: Doings): Aggregator {
  return {
    ...(doings.readsOnly && { readsOnly: true }),
    async start() {
      await doings.start?.();
      return this;
    },
    async ingest(platform, test, artifacts, info) {
      return await doings.ingest?.(platform, test, String(artifacts), info);
    },
    async stop() {
      await doings.stop?.();
    },
    async [Symbol.asyncDispose]() {
      await doings.stop?.();
    },
  };
}
