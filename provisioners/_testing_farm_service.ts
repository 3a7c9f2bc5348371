import { TestingFarmApi } from "./_testing_farm_api.ts";
import { ProvisionError } from "./provisioner.ts";

/** The service, if nothing else is said. */
export const DEFAULT_URL = "https://api.testing-farm.io";

/** Where the service is, and who we are to it. */
export interface ServiceOptions {
  readonly url?: string;
  readonly token?: string;
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

/**
 * Asks the service something that somebody waits for.
 *
 * @throws {ProvisionError} if there is no token, or the service cannot be asked
 */
export async function askService<T>(
  what: string,
  { url = DEFAULT_URL, token = tokenOfUser() }: ServiceOptions,
  ask: (api: TestingFarmApi) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const api = new TestingFarmApi({
    url,
    token,
    retryDelays: [1000, 2000, 5000],
    retryTime: 30_000,
    callTimeout: 20_000,
  });
  try {
    return await ask(api);
  } catch (error) {
    signal?.throwIfAborted();
    throw new ProvisionError(
      `Cannot ask Testing Farm for ${what}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}
