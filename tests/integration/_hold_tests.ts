/** A script that runs the same test here and over ssh until it is killed. */
import { LocalConnection } from "../../connections/local.ts";
import { SshConnection } from "../../connections/ssh.ts";
import { FmfExecutor } from "../../executors/fmf/executor.ts";

const { ssh, test, mark, root } = JSON.parse(Deno.args[0]);
const connections = [
  await LocalConnection.open(),
  await SshConnection.open(ssh),
];
await Promise.all(connections.map(async (connection) => {
  const executor = new FmfExecutor(connection, {
    tests: {
      plan: {},
      data: new Map([["/t", { test }]]),
      sources: new Map(),
      root,
    },
    env: { ATEX_TEST_MARK: mark },
  });
  await executor.start();
  await executor.runTest("/t", await Deno.makeTempDir({ dir: root }));
}));
