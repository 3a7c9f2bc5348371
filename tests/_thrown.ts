/** Errors that tests look at. */
import { ok } from "node:assert/strict";

/** Any class of errors. */
// deno-lint-ignore no-explicit-any -- constructors differ
type ErrorClass<E extends Error> = new (...args: any[]) => E;

function check<E extends Error>(
  error: unknown,
  type: ErrorClass<E>,
  part: string,
): E {
  ok(error instanceof type, `${Deno.inspect(error)} is no ${type.name}`);
  ok(error.message.includes(part), `"${part}" is not in "${error.message}"`);
  return error;
}

/** The error that `action` throws: of this class, with this in its message. */
export function thrown<E extends Error>(
  action: () => unknown,
  type: ErrorClass<E>,
  part = "",
): E {
  try {
    action();
  } catch (error) {
    return check(error, type, part);
  }
  throw new Error(`no ${type.name} was thrown`);
}

/** The same for what a promise rejects with. */
export async function rejected<E extends Error>(
  promise: Promise<unknown>,
  type: ErrorClass<E>,
  part = "",
): Promise<E> {
  try {
    await promise;
  } catch (error) {
    return check(error, type, part);
  }
  throw new Error(`no ${type.name} was thrown`);
}
