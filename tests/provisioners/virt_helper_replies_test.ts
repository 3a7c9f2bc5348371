import assert from "node:assert/strict";
import {
  ConfusedError,
  LONGEST_LINE,
  ReplyParser,
  type VirtHelperReply,
} from "../../provisioners/_virt_helper_replies.ts";
import { thrown } from "../_thrown.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("replies are the same wherever their stream is cut", () => {
  const replies: VirtHelperReply[] = [
    { success: true, cmd: "ping", reply: "atex-virt-helper v1 pong" },
    { success: false, reply: "größer → 𝄞\nthan allowed" },
    { success: true, cmd: "reservations", domains: { "web-1": "(free)" } },
    { success: true, cmd: "virsh", args: ["list"], reply: "" },
  ];
  const bytes = encode(replies.map((r) => JSON.stringify(r) + "\n").join(""));
  const cut = (...at: number[]) => {
    const parser = new ReplyParser();
    return [0, ...at].flatMap((start, i) =>
      parser.push(bytes.subarray(start, at[i] ?? bytes.length))
    );
  };
  assert.deepEqual(cut(), replies);
  assert.deepEqual(cut(...bytes.keys()), replies);
  for (const at of bytes.keys()) assert.deepEqual(cut(at), replies);
});

Deno.test("what was given to the parser may be overwritten", () => {
  const parser = new ReplyParser();
  const buffer = encode('{"success":true,');
  parser.push(buffer);
  buffer.fill(0);
  const [reply] = parser.push(encode('"cmd":"ping"}\n'));
  assert.deepEqual(reply, { success: true, cmd: "ping" });
});

for (
  const [what, line] of Object.entries({
    "a banner": "Welcome to virt.example.org",
    "an empty line": "",
    "half a reply": '{"success": true',
    "two replies": '{"success": true} {"success": true}',
    "a list": "[true]",
    "nothing": "null",
    "a reply without success": '{"cmd": "ping"}',
    "success that is none": '{"success": "yes"}',
    "a command that is not a string": '{"success": true, "cmd": 3}',
    "a reason that is not a string": '{"success": false, "reply": {}}',
  })
) {
  Deno.test(`${what} is no reply, and cited`, () => {
    const parser = new ReplyParser();
    const { message } = thrown(
      () => parser.push(encode(`${line}\n`)),
      ConfusedError,
    );
    assert.equal(message, `"${line}"`);
  });
}

Deno.test("bytes that are no UTF-8 are no reply", () => {
  const bytes = encode('{"success":true,"reply":"x"}\n');
  bytes[bytes.indexOf("x".charCodeAt(0))] = 0xff;
  thrown(
    () => new ReplyParser().push(bytes),
    ConfusedError,
    '"reply":"\ufffd"',
  );
});

Deno.test("a line of 1 MiB is a reply, a longer one is refused as soon as it is", () => {
  const lineOf = (length: number) => {
    const frame = '{"success":true,"reply":""}'.length;
    return encode(`{"success":true,"reply":"${"x".repeat(length - frame)}"}\n`);
  };
  const fits = lineOf(LONGEST_LINE - 1); // with the newline
  assert.equal(fits.length, LONGEST_LINE);
  assert.equal(new ReplyParser().push(fits).length, 1);
  thrown(() => new ReplyParser().push(lineOf(LONGEST_LINE)), ConfusedError);
  const parser = new ReplyParser();
  const endless = encode("x".repeat(1 << 16));
  for (let i = 1; i < 16; i++) parser.push(endless);
  thrown(() => parser.push(endless), ConfusedError, "more than 1048576 bytes");
});
