import { ageOf, type Candidate } from "./_leftover.ts";
import type { Run } from "./_run.ts";
import type { TestingFarmApi } from "./_testing_farm_api.ts";
import { askService, type ServiceOptions } from "./_testing_farm_service.ts";
import { factsOf, isMine, isOfThisBoot, judge } from "./_verdict.ts";

/** Tags of our requests. */
export const TAG = {
  run: "atex-run",
  owner: "atex-owner",
  /** Tells what one pool made from what others of the same run did. */
  pool: "atex-pool",
  /** Tells one submission from all others. */
  submit: "atex-submit",
} as const;

/** Requests of a token that may have been left behind. Those of other machines, and of former boots, end by their own timeout. */
export async function judgeRequests(
  api: TestingFarmApi,
  tokenId: string,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const facts = factsOf(me.directory);
  const candidates: Candidate[] = [];
  for (
    const { id, tags, created } of await api.listAlive(tokenId, { signal })
  ) {
    const { [TAG.run]: run, [TAG.owner]: owner } = tags;
    if (run === undefined || owner === undefined) continue;
    const verdict = isOfThisBoot(owner, me.owner)
      ? await judge({ run, owner }, me, facts)
      : "unknown";
    candidates.push({
      kind: "request",
      name: id,
      run,
      owner,
      age: ageOf(created),
      verdict,
      mine: verdict === "alive" && isMine({ run, owner }, me),
      remove: (signal) => api.cancel(id, { signal }),
    });
  }
  return candidates;
}

/**
 * Requests that may have been left behind.
 *
 * @throws {ProvisionError} if there is no token, or the service cannot be asked
 */
export function findRequests(
  options: ServiceOptions,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  return askService("requests", options, async (api) => {
    const { tokenId } = await api.whoami({ signal });
    return await judgeRequests(api, tokenId, me, signal);
  }, signal);
}
