import assert from "node:assert/strict";
import { cannotRun, missingPrograms } from "../_parts.ts";

const root = new URL("../../", import.meta.url);

Deno.test({
  name: "the shell scripts of the repository satisfy shellcheck",
  ignore: cannotRun("shellcheck", missingPrograms("shellcheck")),
  async fn() {
    const { code, stdout } = await new Deno.Command("shellcheck", {
      args: ["dev/kubernetes.sh", "dev/setup.sh", ".ci/run"],
      cwd: root,
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "");
    assert.equal(code, 0);
  },
});
