/**
 * Removes what the service puts on a system for its own tests, and tells the
 * reserve test not to end by its own timer. Repositories and packages stay.
 */
export const CLEANING_SCRIPT = `
set -u
rm -f /usr/local/bin/tmt-* /usr/local/bin/rstrnt-* /usr/local/bin/rhts-*
if [ -s /etc/motd ] && [ -w /etc/motd ]; then : >/etc/motd; fi
mkdir -p /var/tmp
: >/var/tmp/.testing-farm-keep
`;
