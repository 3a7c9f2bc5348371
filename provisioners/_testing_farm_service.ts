import { TestingFarmApi } from "./_testing_farm_api.ts";
import { ProvisionError } from "./provisioner.ts";

/** The service, if nothing else is said. */
export const DEFAULT_URL = "https://api.testing-farm.io";

/** Where the service is, and who we are to it. */
export interface ServiceOptions {
  readonly url?: string;
  readonly token?: string;
}

const VARIABLE = "TESTING_FARM_API_TOKEN";

/**
 * The token for the service, without the line end that one read from a file has.
 *
 * @param given the option, which comes before the variable
 * @throws {ProvisionError} if there is none, or it cannot be a token; it is not in the error
 */
export function tokenOf(given?: string): string {
  const option = given?.trim();
  const token = option || Deno.env.get(VARIABLE)?.trim();
  if (!token) {
    throw new ProvisionError(
      `Cannot use Testing Farm: there is no token, neither the option "token" nor the variable ${VARIABLE}`,
      { fatal: true },
    );
  }
  if (isToken(token)) return token;
  const place = option ? 'the option "token"' : `the variable ${VARIABLE}`;
  throw new ProvisionError(`Cannot use Testing Farm: ${noToken(place)}`, {
    fatal: true,
  });
}

/**
 * Checks an option that may be left out.
 *
 * @throws {TypeError} if it can be no token; it is not in the error
 */
export function checkToken(given: string | undefined): void {
  if (given === undefined || isToken(given.trim())) return;
  if (given.trim() === "") return; // that of the environment
  throw new TypeError(
    `Cannot use Testing Farm: ${noToken('the option "token"')}`,
  );
}

/** What can be in the header of a request. */
function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

const noToken = (place: string) =>
  `${place} holds no token, which is a single word of ASCII characters`;

/**
 * Asks the service something that somebody waits for.
 *
 * @throws {ProvisionError} if there is no token, or the service cannot be asked
 */
export async function askService<T>(
  what: string,
  { url = DEFAULT_URL, token }: ServiceOptions,
  ask: (api: TestingFarmApi) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const api = new TestingFarmApi({
    url,
    token: tokenOf(token),
    retryDelays: [1000, 2000, 5000],
    retryFor: 30_000,
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
