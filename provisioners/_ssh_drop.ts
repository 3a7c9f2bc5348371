/** Whether `ssh` says that the server dropped its connection, as one does that has too many new ones. */
export function isDropped(output: string): boolean {
  return /^(kex|ssh)_exchange_identification: /m.test(output);
}
