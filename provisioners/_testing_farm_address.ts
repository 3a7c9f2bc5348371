import { exchange, HttpError } from "./_testing_farm_http.ts";
import { ProvisionError } from "./provisioner.ts";

/** Services that tell whoever asks the address that the question came from. */
export const ADDRESS_SERVICES: readonly string[] = [
  "https://ifconfig.me",
  "https://ifconfig.co",
];

/** Milliseconds that one of them has. */
const PATIENCE = 10_000;

const ADDRESS = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

/** True for an address of version 4. */
export function isAddress(text: string): boolean {
  return ADDRESS.test(text);
}

/**
 * The address under which others see this machine.
 *
 * @throws {ProvisionError} if nobody tells it
 */
export async function ownAddress(
  signal: AbortSignal,
  services: readonly string[] = ADDRESS_SERVICES,
): Promise<string> {
  const faults: string[] = [];
  for (const service of services) {
    try {
      return await exchange(new URL(service), {
        headers: { "user-agent": "curl/8" }, // others get a web page
        what: `GET ${service}`,
        timeout: PATIENCE,
        signal,
      }, async (response) => {
        const text = (await response.text()).trim();
        if (response.ok && isAddress(text)) return text;
        throw new HttpError(
          `GET ${service}: ${
            response.ok
              ? "the answer is not an address of version 4"
              : `status ${response.status}`
          }`,
          response.status,
        );
      });
    } catch (error) {
      signal.throwIfAborted();
      faults.push((error as Error).message);
    }
  }
  throw new ProvisionError(
    `Cannot find out the address of this machine, "sourceCidr" would tell it: ${
      faults.join("; ")
    }`,
  );
}
