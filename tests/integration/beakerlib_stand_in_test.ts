/** Beakerlib tests on a system that they restart, against a stand-in for the functions of the library. */
import assert from "node:assert/strict";
import { PodmanConnection } from "../../connections/podman.ts";
import { BeakerlibExecutor } from "../../executors/beakerlib.ts";
import type { FmfExecutorEvent } from "../../executors/fmf/mod.ts";
import { readArtifacts } from "../../executors/results.ts";
import { STAND_IN } from "../executors/_beakerlib_stand_in.ts";
import { cannotRun, Container, podmanMissing } from "../_podman.ts";

/** Ends when it is told to, as the first process of a system does. */
const FIRST = [
  "bash",
  "-c",
  "trap exit TERM; while :; do sleep 1 & wait; done",
];

const TEST = `. ./beakerlib.sh; set +e
rlJournalStart
echo "id $TESTID, left $(ls "$BEAKERLIB_DIR" | tr '\\n' ' ')" >>"$TMT_TREE/log"
if [ "$TMT_REBOOT_COUNT" = 0 ]; then
  rlPhaseStartSetup; rlRun true; rlPhaseEnd
  rlPhaseStartTest open; rlRun false; touch "$BEAKERLIB_DIR/kept"; rhts-reboot -c 'kill -TERM 1'
fi
rlPhaseStartTest 'after the restart'; rlRun true; rlPhaseEnd
rlFileSubmit "$TMT_TREE/log" log
rlJournalEnd
`;

Deno.test({
  name:
    "with a stand-in for Beakerlib, a test restarts its system: phases that ended before are results",
  ignore: cannotRun("executor: beakerlib", podmanMissing(["tiny"])),
  async fn() {
    await using container = await Container.start({
      command: FIRST,
      args: ["--restart=always"],
    });
    await using resources = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "atex-test-" });
    resources.defer(() => Deno.remove(directory, { recursive: true }));
    const root = `${directory}/root`;
    const artifacts = `${directory}/artifacts`;
    await Deno.mkdir(root);
    await Deno.mkdir(artifacts);
    await Deno.writeTextFile(`${root}/beakerlib.sh`, STAND_IN);
    const events: FmfExecutorEvent[] = [];
    await using executor = await new BeakerlibExecutor(
      await PodmanConnection.open({ container: container.name }),
      {
        install: false,
        tests: {
          plan: {},
          data: new Map([["/t", { test: TEST, duration: "1m" }]]),
          sources: new Map(),
          root,
        },
        onEvent: (event) => events.push(event),
      },
    ).start();
    assert.equal(await executor.runTest("/t", artifacts), 0);
    assert.deepEqual(await Array.fromAsync(readArtifacts(artifacts)), [
      { status: "pass", name: "Setup" },
      { status: "pass", name: "after-the-restart" },
      { status: "pass", files: ["output.txt", "log"] },
    ]);
    // one run of the test, so one id, and what is there stays there
    const log = await Deno.readTextFile(`${artifacts}/files/log`);
    assert.match(
      log,
      /^id (.{36}), left OUTPUTFILE metadata.yaml \nid \1, left OUTPUTFILE kept metadata.yaml \n$/,
    );
    assert.deepEqual(events.at(-1), {
      type: "restarted",
      test: "/t",
      count: 1,
      rebooted: true,
    });
  },
});
