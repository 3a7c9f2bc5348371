/**
 * Whether `ssh` says that the server dropped its connection before anything else, as one
 * does that has too many new ones (its `MaxStartups`).
 */
export function isDropped(output: string): boolean {
  return /^(kex|ssh)_exchange_identification: /m.test(output);
}
