import type { FarmRequest, TestingFarmApi } from "./_testing_farm_api.ts";
import type { Run } from "./_run.ts";
import { factsOf, isAbandoned } from "./_verdict.ts";

/** Tags of our requests. */
export const TAG = {
  run: "atex-run",
  owner: "atex-owner",
  /** Tells one submission from all others. */
  submit: "atex-submit",
} as const;

export interface ReapOptions {
  signal?: AbortSignal;
  /**
   * Only tells what would be ended.
   *
   * @default {false}
   */
  dryRun?: boolean;
  /** Told of each that was ended. */
  onReaped: (request: FarmRequest) => void;
}

/** Ends the requests of scripts that died. Those of other machines end by their own timeout. */
export async function reapRequests(
  api: TestingFarmApi,
  tokenId: string,
  me: Run,
  { signal, dryRun = false, onReaped }: ReapOptions,
): Promise<void> {
  const options = signal ? { signal } : {};
  const facts = factsOf(me.directory);
  for (const request of await api.listAlive(tokenId, options)) {
    const { [TAG.run]: run, [TAG.owner]: owner } = request.tags;
    if (run === undefined || owner === undefined || run === me.id) continue;
    if (!await isAbandoned({ run, owner }, me.owner, facts)) continue;
    if (!dryRun) await api.cancel(request.id, options);
    onReaped(request);
  }
}
