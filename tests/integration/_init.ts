/**
 * A system with systemd that restarts at once: inside a container it may not be
 * told that the last process of a unit has ended, and then waits for a time-out.
 */
export const INIT: readonly string[] = [
  "sh",
  "-c",
  `mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\\nDefaultTimeoutStopSec=2s\\n' >/etc/systemd/system.conf.d/stop.conf
ln -sf /dev/null /etc/systemd/system/user@.service
exec /sbin/init`,
];
