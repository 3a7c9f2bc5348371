/** Variables for tests, where a script gives them. */
import { checkKind } from "../options.ts";

/**
 * Checks that each variable has a text.
 *
 * @param of whose `env` it is
 * @throws {TypeError} that names the variable, but not its value, if one has none
 */
export function checkVariables(of: string, env: unknown): void {
  if (env === undefined) return;
  checkKind(of, "env", env, "an object");
  for (const [name, value] of Object.entries(env as object)) {
    checkKind(`"env" of ${of}`, name, value, "a text");
  }
}
