/** The note of an `infra` result: what kept a test from being carried out. */
export function errorNote(error: unknown): string {
  return error instanceof Error
    ? `${error.name}(${error.message})`
    : String(error);
}
