import { equal, match } from "node:assert/strict";
import { PrivateDirectory } from "../../connections/_ssh_directory.ts";
import { askpass } from "../../connections/_ssh_askpass.ts";
import { outputLocal } from "../../connections/process.ts";

Deno.test("askpass() tells the password to who asks for it, and to nobody else", async () => {
  await using directory = await PrivateDirectory.open();
  const env = await askpass(directory.path, "it's %s", {});
  const ask = async (prompt: string) => {
    const { code, stdout, stderr } = await outputLocal({
      argv: [env.SSH_ASKPASS, prompt],
      env,
    });
    const [out, err] = [stdout, stderr]
      .map((bytes) => new TextDecoder().decode(bytes));
    return { code, out, err };
  };
  for (
    const prompt of [
      "root@10.0.0.7's password: ",
      "current new user@again's password: ",
      "(root@10.0.0.7) Password: ",
      "(root@10.0.0.7) Password:",
      "(root@10.0.0.7) root@10.0.0.7's password: ",
      "(u@h) Password for u@h:",
      "(u@h) UNIX password: ",
      "(u@h) Please log in\nYour password: ",
      "Password: ",
      "password:",
    ]
  ) {
    equal((await ask(prompt)).out, "it's %s\n", prompt);
  }
  for (
    const prompt of [
      "",
      "The authenticity of host 'h (10.0.0.7)' can't be established.\n" +
      "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
      "Please type 'yes', 'no' or the fingerprint: ",
      "root@h's old password: ",
      "Enter root@h's new password: ",
      "Retype root@h's new password: ",
      "(u@h) New password: ",
      "(u@h) Current Password: ",
      "(u@h) (current) UNIX password: ",
      "(u@h) Verification code: ",
      "(u@h) One-time password (OATH) for `u': ",
      "Enter PIN for 'token': ",
      "Confirm user presence for key ED25519-SK SHA256:x",
    ]
  ) {
    const { code, out, err } = await ask(prompt);
    equal(code, 1, prompt);
    equal(out, "", prompt);
    match(err, /^ssh asks for something else than the password: /, prompt);
    equal(err.includes(prompt), true, prompt);
  }
  const key = await ask("Enter passphrase for key '/home/u/.ssh/id_rsa': ");
  equal(key.code, 1);
  equal(key.out + key.err, "");
});
