import { ageOf, type Candidate } from "./_leftover.ts";
import type { Run } from "./_run.ts";
import { TestingFarmApi } from "./_testing_farm_api.ts";
import { factsOf, isMine, judge } from "./_verdict.ts";
import { ProvisionError } from "./provisioner.ts";

/** The service, if nothing else is said. */
export const DEFAULT_URL = "https://api.testing-farm.io";

/** Tags of our requests. */
export const TAG = {
  run: "atex-run",
  owner: "atex-owner",
  /** Tells one submission from all others. */
  submit: "atex-submit",
} as const;

/** Requests of a token that may have been left behind. Those of other machines end by their own timeout. */
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
    const verdict = await judge({ run, owner }, me, facts);
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

/** Where the service is, and who we are to it. */
export interface ServiceOptions {
  readonly url?: string;
  readonly token?: string;
}

/**
 * Requests that may have been left behind.
 *
 * @throws {ProvisionError} if there is no token, or the service cannot be asked
 */
export async function findRequests(
  { url = DEFAULT_URL, token = tokenOfUser() }: ServiceOptions,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const api = new TestingFarmApi({
    url,
    token,
    retryDelays: [1000, 2000, 5000],
    retryTime: 30_000,
    callTimeout: 20_000,
  });
  try {
    const { tokenId } = await api.whoami({ signal });
    return await judgeRequests(api, tokenId, me, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new ProvisionError(
      `Cannot ask Testing Farm for requests: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/**
 * The token in the environment.
 *
 * @throws {ProvisionError} if there is none
 */
export function tokenOfUser(): string {
  const token = Deno.env.get("TESTING_FARM_API_TOKEN");
  if (token) return token;
  throw new ProvisionError(
    'Cannot use Testing Farm: there is no token, neither the option "token" nor the variable TESTING_FARM_API_TOKEN',
    { fatal: true },
  );
}
