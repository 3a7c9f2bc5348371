import { equal } from "node:assert/strict";
import { isDropped, lastReason } from "../../connections/ssh_drop.ts";

const CLOSED = "kex_exchange_identification: Connection closed by remote host";
const BY_PROXY = `${CLOSED}\r\nConnection closed by UNKNOWN port 65535\r\n`;

Deno.test("isDropped() knows a server that has too many new connections, also behind a gate", () => {
  for (
    const output of [
      `${CLOSED}\r\nConnection closed by 10.0.0.7 port 22\r\n`,
      "kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 10.0.0.7 port 22\r\n",
      "ssh_exchange_identification: Connection closed by remote host\r\n",
      BY_PROXY,
      // The gate itself.
      `${CLOSED}\r\nConnection closed by 10.0.0.1 port 22\r\n${BY_PROXY}`,
      `Warning: Permanently added 'gate' (ED25519) to the list of known hosts.\n${BY_PROXY}`,
      `Welcome to the gate. Use is at your own risk.\n${BY_PROXY}`,
      `debug1: identity file /k type -1\ndebug1: load_hostkeys: fopen /x: No such file or directory\n${BY_PROXY}`,
    ]
  ) equal(isDropped(output), true, output);
});

Deno.test("isDropped() takes no other failure for that, and its reason is told", () => {
  for (
    const reason of [
      "ssh: Could not resolve hostname gate.invalid: Name or service not known",
      "/bin/sh: 1: exec: nosuchprogram: not found",
      "/bin/sh: line 1: exec: nosuchprogram: cannot execute: required file not found",
      "/bin/sh: 1: exec: /x/proxy: Permission denied",
      "ssh: connect to host gate port 22: Connection refused",
      "ssh: connect to host gate port 22: Connection timed out",
      "ssh: connect to host gate port 22: No route to host",
      "ssh: connect to host gate port 22: Network is unreachable",
      "root@gate: Permission denied (publickey)",
      "Host key verification failed",
      "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed",
      "channel 0: open failed: administratively prohibited: open failed\r\nstdio forwarding failed",
      "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
      "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa",
      "Bad owner or permissions on /home/u/.ssh/config",
      "mux_client_request_session: read from master failed: Broken pipe",
      'nc: getaddrinfo for host "gate" port 22: Temporary failure in name resolution',
    ]
  ) {
    const output = `${reason}\r\n${BY_PROXY}`;
    equal(isDropped(output), false, reason);
    equal(lastReason(output), reason.replace("\r\n", "; "));
  }
  // A server that speaks something else.
  const banner =
    "kex_exchange_identification: banner line contains invalid characters";
  equal(isDropped(`${banner}\r\nConnection closed by h port 80\r\n`), false);
  equal(lastReason(`${banner}\r\n`), banner);
  equal(isDropped("Connection closed by 10.0.0.7 port 22\r\n"), false);
  equal(isDropped(""), false);
  equal(lastReason(""), "");
  equal(lastReason(`${CLOSED}\r\n`), CLOSED);
});
