/** What PodmanProvisioner does when podman does not do what it should. */
import assert from "node:assert/strict";
import { delay } from "@std/async/delay";
import { run } from "../../connections/process.ts";
import type { ProvisionerEvent } from "../../provisioners/events.ts";
import { withSystemdImage } from "../../provisioners/systemd.ts";
import { pullImage } from "../../provisioners/podman_image.ts";
import {
  PodmanProvisioner,
  type PodmanProvisionerOptions,
} from "../../provisioners/podman.ts";
import {
  type ProvisionError,
  ProvisionerStoppedError,
} from "../../provisioners/provisioner.ts";
import { childrenEnded, FakePodman } from "./_fake_podman.ts";

/** A provisioner of containers that the fake makes. */
function lend(
  podman: FakePodman,
  options: Partial<PodmanProvisionerOptions> = {},
) {
  const events: ProvisionerEvent[] = [];
  const pool = new PodmanProvisioner({
    image: "image",
    podman: [podman.program],
    onEvent: (event) => events.push(event),
    ...options,
  });
  const seen = async (type: ProvisionerEvent["type"]) => {
    for (let i = 0; i < 200; i++) {
      const event = events.find((event) => event.type === type);
      if (event) return event;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail(`no event ${type}`);
  };
  return { pool, events, seen, start: () => pool.start() };
}

/** The error of a start that has to fail for good. */
async function startError(
  options: Partial<PodmanProvisionerOptions>,
): Promise<ProvisionError> {
  const pool = new PodmanProvisioner({ image: "image", ...options });
  let error;
  try {
    await pool.start();
  } catch (e) {
    error = e as ProvisionError;
  } finally {
    await pool.stop();
  }
  assert.equal(error?.name, "ProvisionError", String(error));
  assert.equal(error.fatal, true);
  return error;
}

Deno.test("PodmanProvisioner refuses options that make no sense", () => {
  for (const image of ["", "-v", undefined as unknown as string]) {
    assert.throws(() => new PodmanProvisioner({ image }), TypeError);
  }
  for (
    const options of [
      { parallel: 0 },
      { parallel: 1.5 },
      { maxLifetime: 0 },
      { maxLifetime: NaN },
      { commandTimeout: -1 },
      { reserveTimeout: 0 },
      { maxRemotes: -1 },
    ]
  ) {
    assert.throws(
      () => new PodmanProvisioner({ image: "image", ...options }),
      RangeError,
    );
  }
});

Deno.test("start() names a podman program that is missing, not executable or not podman", async () => {
  await using podman = await FakePodman.make();
  const missing = `${podman.directory}/none`;
  assert.equal(
    (await startError({ podman: [missing] })).message,
    `Cannot run "${missing} version --format=json": "${missing}" does not exist, or the interpreter that it names`,
  );
  assert.match(
    (await startError({ podman: ["podmann"] })).message,
    /^Cannot run "podmann version .*": the program "podmann" is not installed$/,
  );
  await Deno.chmod(podman.program, 0o644);
  assert.match(
    (await startError({ podman: [podman.program] })).message,
    /is not executable$/,
  );
  assert.equal(
    (await startError({ podman: ["echo"] })).message,
    'Cannot use "echo" for containers: it does not answer as podman does',
  );
  const docker = `{"Client":{"Version":"27.0.1","ApiVersion":"1.46"}}`;
  assert.equal(
    (await startError({ podman: ["echo", docker, "#"] })).message,
    `Cannot use "echo ${docker} #" for containers: it does not answer as podman does`,
  );
});

Deno.test("start() tells what podman says when it fails, is too old or hangs", async () => {
  await using podman = await FakePodman.make();
  const { program } = podman;
  await podman.fault("version", 'echo "Error: no storage" >&2; exit 125');
  assert.equal(
    (await startError({ podman: [program] })).message,
    `Cannot use "${program}" for containers: no storage`,
  );
  await podman.fault(
    "version",
    `echo '{"Client":{"Version":"3.4.4","APIVersion":"3.4.4"}}'; exit 0`,
  );
  assert.equal(
    (await startError({ podman: [program] })).message,
    `Cannot use "${program}" for containers: its version is 3.4.4, 4.0 or later is needed`,
  );
  await podman.fault("version", "exec sleep 60");
  const pool = new PodmanProvisioner({
    image: "image",
    podman: [program],
    commandTimeout: 200,
  });
  await assert.rejects(pool.start(), {
    message: `Cannot run "${program} version": it did not end within 0.2 s`,
  });
});

Deno.test("start() says what to do about an image that is not there", async () => {
  await using podman = await FakePodman.make();
  const { program } = podman;
  assert.equal(
    (await startError({ podman: [program], image: "fedora:42" })).message,
    'Cannot use the image "fedora:42": it is not on this system; ' +
      `pull it with "${program} pull fedora:42", build it with "${program} build -t fedora:42 DIRECTORY", ` +
      'or set the option "pull" to "missing"',
  );
  assert.match(
    (await startError({ podman: [program], image: "localhost/mine" })).message,
    /; build it with [^,]*$/,
  );
  await podman.fault("exists", 'echo "Error: bad reference" >&2; exit 125');
  assert.equal(
    (await startError({ podman: [program] })).message,
    'Cannot look for the image "image": bad reference',
  );
});

Deno.test("pullImage() fetches an image and gives its id", async () => {
  await using podman = await FakePodman.make();
  const options = { podman: [podman.program] };
  assert.equal(await pullImage("fedora:42", options), "0123456789abcdef");
  assert.deepEqual(podman.calls, ["image pull -q fedora:42"]);
  await podman.fault("pull", 'echo "Error: no route to host" >&2; exit 125');
  await assert.rejects(pullImage("fedora:42", options), {
    name: "ProvisionError",
    message: 'Cannot pull the image "fedora:42": no route to host',
  });
  await podman.fault("pull", "exec sleep 60");
  const reason = new Error("enough");
  const abort = new AbortController();
  setTimeout(() => abort.abort(reason), 100);
  await assert.rejects(
    pullImage("fedora:42", { ...options, signal: abort.signal }),
    reason,
  );
});

Deno.test("withSystemdImage() tells that it pulls the origin", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("pull", 'echo "Error: no route to host" >&2; exit 125');
  const events: ProvisionerEvent[] = [];
  const options = {
    podman: [podman.program],
    pull: "missing",
    onEvent: (event: ProvisionerEvent) => events.push(event),
  } as const;
  await assert.rejects(withSystemdImage("fedora:42", options), {
    message: 'Cannot pull the image "fedora:42": no route to host',
  });
  assert.deepEqual(events, [{ type: "pulling", image: "fedora:42" }]);
});

Deno.test("start() pulls the image as the option says", async () => {
  await using podman = await FakePodman.make();
  const pulls = async (
    pull: PodmanProvisionerOptions["pull"],
    image: string,
  ) => {
    const before = podman.calls.length;
    const { pool, events } = lend(podman, { image, pull });
    try {
      await pool.start();
    } finally {
      await pool.stop();
    }
    const calls = podman.calls.slice(before)
      .filter((call) => / pull /.test(call));
    const told = calls.map(() => ({ type: "pulling", image }));
    assert.deepEqual(events, told);
    return calls;
  };
  assert.deepEqual(await pulls("never", "image"), []);
  assert.deepEqual(await pulls("missing", "image"), []);
  assert.deepEqual(await pulls("missing", "other"), ["image pull -q other"]);
  assert.deepEqual(await pulls("newer", "image"), ["image pull -q image"]);
  assert.deepEqual(await pulls("always", "image"), ["image pull -q image"]);
  await podman.fault("pull", 'echo "Error: no route to host" >&2; exit 125');
  assert.equal((await pulls("newer", "image")).length, 1); // the one here will do
  for (const pull of ["newer", "missing", "always"] as const) {
    const image = pull === "always" ? "image" : "third";
    await assert.rejects(pulls(pull, image), {
      name: "ProvisionError",
      fatal: true,
      message: `Cannot pull the image "${image}": no route to host`,
    });
  }
});

Deno.test("a container that has ended is told of as such when it is connected to again", async () => {
  await using podman = await FakePodman.make();
  const { pool, start } = lend(podman);
  await using _ = await start();
  pool.provision(2);
  await using _first = await pool.getRemote();
  await using second = await pool.getRemote();
  await podman.fault(
    "inspect",
    'echo "Error: no such container" >&2; exit 125',
  );
  await second.disconnect();
  await assert.rejects(second.connect(), {
    name: "ConnectError",
    message:
      `Cannot connect to the container "${second.attributes.container}": Error: no such container`,
  });
});

Deno.test("start() that is aborted while podman hangs ends it", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("pull", 'echo $$ >"$here/pid"; exec sleep 60');
  const { pool } = lend(podman, { image: "other", pull: "missing" });
  const abort = new AbortController();
  const starting = pool.start({ signal: abort.signal });
  while (!await exists(`${podman.directory}/pid`)) await tick();
  abort.abort(new Error("changed my mind"));
  await assert.rejects(starting, { message: "changed my mind" });
  const pid = Deno.readTextFileSync(`${podman.directory}/pid`).trim();
  assert.equal(await exists(`/proc/${pid}`), false);
});

Deno.test("getRemote() lends a container of the options, and release() removes it", async () => {
  await using podman = await FakePodman.make();
  const { pool, start } = lend(podman, {
    runOptions: ["--network=none"],
    command: ["sleep", "1d"],
    init: false,
    maxLifetime: 90_500,
    maxRemotes: 1,
  });
  assert.equal(pool.name, "podman:image");
  await start();
  pool.provision(2);
  const remote = await pool.getRemote();
  assert.match(remote.id, /^podman:\d+$/);
  assert.equal(remote.reusable, false);
  assert.deepEqual(podman.containers, [remote.attributes.container]);
  assert.equal(remote.attributes.image, "image");
  assert.equal(await run(remote, ["echo", "a b"]), "a b\n");
  const call = podman.calls.find((call) => call.startsWith("container run"))!;
  const label = /--label=atex\.\w+=\S+ /g;
  assert.deepEqual(call.match(label)!.map((l) => l.split("=")[1]), [
    "atex.run",
    "atex.owner",
    "atex.kind",
    "atex.until",
  ]);
  assert.equal(
    call.replaceAll(label, ""),
    `container run --quiet --detach --pull=never --name=${remote.attributes.container} --rm ` +
      "--stop-timeout=1 --timeout=91 --network=none image sleep 1d",
  );
  await remote.release();
  const second = await pool.getRemote();
  assert.deepEqual(podman.containers, [second.attributes.container]);
  assert.ok(second.local(["true"]).argv.includes("0123456789abcdef"));
  const asked = podman.calls.filter((call) => call.includes(" inspect "));
  assert.equal(asked.length, 1, "the runtime of all is asked for once");
  await pool.stop();
  assert.deepEqual(podman.containers, []);
});

Deno.test("getRemote() tells what podman said about a container, and whether another try makes sense", async () => {
  await using podman = await FakePodman.make();
  const errorOf = async (script: string) => {
    await podman.fault("run", script);
    const { pool, start } = lend(podman);
    await using _ = await start();
    pool.provision(1);
    const error = await pool.getRemote().then(
      () => assert.fail("lent"),
      (error) => error as ProvisionError,
    );
    return [error.fatal, error.message];
  };
  const because = 'Cannot run a container of the image "image": ';
  assert.deepEqual(
    await errorOf('echo "Error: no space left" >&2; exit 125'),
    [false, because + "no space left"],
  );
  assert.deepEqual(await errorOf("exit 1"), [false, because + "exit code 1"]);
  assert.deepEqual(
    await errorOf('echo "Error: runc: sleep: not found" >&2; exit 127'),
    [true, because + "runc: sleep: not found"],
  );
  assert.deepEqual(
    await errorOf(
      `printf '%s\\n' "Error: unknown flag: --bad" "See 'podman run --help'" >&2; exit 125`,
    ),
    [true, because + "unknown flag: --bad"],
  );
  const [fatal, message] = await errorOf(
    'echo "Error: image: image not known" >&2; exit 125',
  );
  assert.equal(fatal, true);
  assert.match(message as string, /^Cannot use the image "image": it is not/);
  assert.deepEqual(podman.containers, []);
});

Deno.test("a container that ends at once is reported as such", async () => {
  await using podman = await FakePodman.make();
  await podman.fault(
    "inspect",
    `shift 3; rm "$here/containers/$1"
     echo "{\\"Name\\":\\"$1\\"}" >>"$here/events"
     echo "Error: no such container $1" >&2; exit 125`,
  );
  const { pool, start } = lend(podman, { command: ["true"] });
  await using _ = await start();
  pool.provision(1);
  await assert.rejects(pool.getRemote(), {
    fatal: false,
    message:
      'Cannot keep a container of the image "image": it ended at once, its command has to run for as long as the container is needed: true',
  });
});

Deno.test("no more containers than processors are made before they can be used", async () => {
  await using podman = await FakePodman.make();
  await podman.fault(
    "inspect",
    `while [ ! -e "$here/go" ]; do sleep 0.01; done`,
  );
  const { pool, start } = lend(podman, { parallel: 1 });
  await using _ = await start();
  pool.provision(2);
  const inspected = () =>
    podman.calls.some((call) => call.includes(" inspect "));
  while (!inspected()) await tick();
  await delay(100);
  assert.equal(podman.containers.length, 1);
  await Deno.writeTextFile(`${podman.directory}/go`, "");
  await pool.getRemote();
  await pool.getRemote();
  assert.equal(podman.containers.length, 2);
});

Deno.test("stop() ends podman run that hangs, and removes what it may have made", async () => {
  await using podman = await FakePodman.make();
  await podman.fault(
    "run",
    `: >"$here/containers/$(name_of "$@")"; echo $$ >>"$here/pids"; exec sleep 60`,
  );
  const { pool, start } = lend(podman, { parallel: 2 });
  await start();
  const waiting = pool.getRemote();
  waiting.catch(() => {});
  pool.provision(4);
  while (podman.containers.length < 2) await tick();
  await pool.stop();
  await assert.rejects(waiting, ProvisionerStoppedError);
  assert.deepEqual(podman.containers, []);
  const pids = Deno.readTextFileSync(`${podman.directory}/pids`).trim();
  for (const pid of pids.split("\n")) {
    assert.equal(await exists(`/proc/${pid}`), false);
  }
  // The watchdog looks three times more, for what the killed client had begun.
  const looks = () =>
    podman.calls.filter((c) => /^ps -a --external --filter name=/.test(c))
      .length;
  await childrenEnded();
  assert.equal(looks(), 3);
});

Deno.test("a container that is not ready within reserveTimeout is removed", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("inspect", "exec sleep 60");
  const { pool, start } = lend(podman, { reserveTimeout: 300 });
  await using _ = await start();
  pool.provision(1);
  await assert.rejects(pool.getRemote(), {
    message: /^Cannot reserve system "podman:\d+": it is not ready after 0.3 s/,
  });
  assert.deepEqual(podman.containers, []);
});

Deno.test("reserveTimeout does not count the time before a container's turn", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("run", "sleep 0.7");
  const { pool, start, events } = lend(podman, {
    parallel: 1,
    reserveTimeout: 2700,
  });
  await using _ = await start();
  pool.provision(4);
  for (let i = 0; i < 4; i++) await pool.getRemote();
  const order = events.map(({ type }) => type);
  assert.ok(order.lastIndexOf("reserving") > order.indexOf("ready"));
});

Deno.test("release() tries twice, and then tells that the container is still there", async () => {
  await using podman = await FakePodman.make();
  const { pool, start, events } = lend(podman, { maxRemotes: 2 });
  await start();
  pool.provision(2);
  const [first, second] = [await pool.getRemote(), await pool.getRemote()];
  await podman.fault(
    "rm",
    'test -e "$here/once" || { : >"$here/once"; echo "Error: busy" >&2; exit 1; }',
  );
  await first.release();
  await podman.fault("rm", 'echo "Error: busy" >&2; exit 1');
  await assert.rejects(second.release(), {
    name: "ProvisionError",
    message:
      `Cannot remove the container "${second.attributes.container}": busy`,
  });
  assert.deepEqual(
    events.filter(({ type }) => type.startsWith("release")).map((e) => e.type),
    ["released", "release-failed"],
  );
  pool.provision(2); // its place is taken: one more only
  const third = await pool.getRemote();
  assert.equal(podman.containers.length, 2);
  await podman.fault("rm", "exit 0"); // says yes, does nothing
  await podman.fault("exists", "exit 125");
  await third.release();
  await podman.repair("rm");
  await pool.stop(); // removes also what could not be removed before
  assert.deepEqual(podman.containers, []);
});

Deno.test("containers that are given back together are removed by one command", async () => {
  await using podman = await FakePodman.make();
  const { pool, start, events } = lend(podman, { maxRemotes: 6 });
  await start();
  pool.provision(6);
  const remotes = await Promise.all(
    Array.from({ length: 6 }, () => pool.getRemote()),
  );
  const stuck = remotes[3].attributes.container;
  await podman.fault(
    "rm",
    `case "$*" in *${stuck}*)
      for name; do case $name in
        ${stuck}) ;;
        atex-*) rm "$here/containers/$name"; echo "$name";;
      esac; done
      echo "Error: busy" >&2
      exit 1;;
    esac`,
  );
  const ends = await Promise.allSettled(remotes.map((it) => it.release()));
  assert.deepEqual(
    ends.map(({ status }) => status),
    ends.map((_, n) => n === 3 ? "rejected" : "fulfilled"),
  );
  assert.deepEqual(podman.containers, [stuck]);
  const removals = podman.calls.filter((call) => / rm /.test(call));
  assert.deepEqual(
    removals.map((call) => call.match(/atex-/g)?.length),
    [6, 1, 1], // and twice more for the one that is still there
  );
  assert.deepEqual(
    events.filter(({ type }) => type === "release-failed").length,
    1,
  );
  await podman.repair("rm");
  await pool.stop();
  assert.deepEqual(podman.containers, []);
});

Deno.test("a container that is gone keeps no other that is given back with it", async () => {
  await using podman = await FakePodman.make();
  const { pool, start } = lend(podman, { maxRemotes: 4 });
  await start();
  pool.provision(4);
  const remotes = await Promise.all(
    Array.from({ length: 4 }, () => pool.getRemote()),
  );
  await podman.end(remotes[1].attributes.container);
  await Promise.all(remotes.map((it) => it.release()));
  assert.deepEqual(podman.containers, []);
  await pool.stop();
});

Deno.test("a container that hangs when it is removed does not keep those removed with it for longer", async () => {
  await using podman = await FakePodman.make();
  const { pool, start } = lend(podman, {
    maxRemotes: 3,
    commandTimeout: 1000,
  });
  await start();
  pool.provision(3);
  const remotes = await Promise.all(
    Array.from({ length: 3 }, () => pool.getRemote()),
  );
  const stuck = remotes[0].attributes.container;
  await podman.fault("rm", `case "$*" in *${stuck}*) exec sleep 600;; esac`);
  const [first, ...others] = remotes.map((it) => it.release());
  const failure = assert.rejects(first, { name: "ProvisionError" });
  await Promise.all(others);
  assert.deepEqual(podman.containers, [stuck]);
  await failure;
  await podman.repair("rm");
  await pool.stop();
  assert.deepEqual(podman.containers, []);
});

Deno.test("release() of a container that is gone is fine, whatever rm says", async () => {
  await using podman = await FakePodman.make();
  const { pool, start } = lend(podman);
  await using _ = await start();
  pool.provision(1);
  const remote = await pool.getRemote();
  await podman.fault(
    "rm",
    'rm -f "$here/containers/"*; echo "Error: no such container" >&2; exit 1',
  );
  await remote.release();
  await podman.repair("rm");
});

Deno.test("stop() that could not remove a container rejects and leaves it to the watchdog", async () => {
  await using podman = await FakePodman.make();
  const { pool, start, seen } = lend(podman);
  await start();
  pool.provision(1);
  await pool.getRemote();
  await podman.fault("rm", 'echo "Error: busy" >&2; exit 1');
  await assert.rejects(pool.stop(), AggregateError);
  await seen("warning");
  await podman.repair("rm");
  await childrenEnded();
  assert.deepEqual(podman.containers, []);
});

Deno.test("podman may be relative to the script's directory, also for the watchdog", async () => {
  await using podman = await FakePodman.make();
  const before = Deno.cwd();
  Deno.chdir(podman.directory);
  try {
    const { pool, start } = lend(podman, { podman: ["./podman"] });
    await start();
    pool.provision(1);
    const remote = await pool.getRemote();
    await podman.end(remote.attributes.container);
    await remote.lost;
    pool.provision(1);
    await pool.getRemote();
    await podman.fault("rm", 'echo "Error: busy" >&2; exit 1');
    await assert.rejects(pool.stop(), AggregateError);
    await podman.repair("rm");
    await childrenEnded();
    assert.deepEqual(podman.containers, []);
  } finally {
    Deno.chdir(before);
  }
});

Deno.test("neither stop() nor the watchdog touches what podman lists of others in spite of the filter", async () => {
  await using podman = await FakePodman.make();
  // What real podman does with --external for whatever is made or removed at the moment.
  await podman.fault("ps", "echo somebody-elses");
  const { pool, start } = lend(podman);
  await start();
  pool.provision(1);
  await pool.getRemote();
  await podman.fault("rm", 'echo "Error: busy" >&2; exit 1');
  await assert.rejects(pool.stop(), AggregateError); // and so the watchdog looks, too
  await podman.repair("rm");
  await childrenEnded();
  assert.deepEqual(podman.containers, []);
  const removals = podman.calls.filter((call) => / ?rm /.test(call));
  assert.ok(removals.length >= 3, removals.join("; "));
  assert.deepEqual(
    removals.filter((call) => call.includes("somebody-elses")),
    [],
  );
});

Deno.test("lost resolves when the container ends by itself", async () => {
  await using podman = await FakePodman.make();
  const { pool, start } = lend(podman);
  await using _ = await start();
  pool.provision(1);
  const remote = await pool.getRemote();
  await podman.end(remote.attributes.container);
  assert.equal(
    (await remote.lost).message,
    `The container "${remote.attributes.container}" ended by itself`,
  );
});

Deno.test("a script that waits for lost only does not end before", async () => {
  await using podman = await FakePodman.make();
  const script = `
    import { PodmanProvisioner } from "${new URL(
    "../../provisioners/podman.ts",
    import.meta.url,
  )}";
    const pool = await new PodmanProvisioner({ image: "image", podman: ["${podman.program}"] }).start();
    pool.provision();
    const remote = await pool.getRemote();
    console.log(remote.attributes.container);
    console.log((await remote.lost).message);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
      `data:application/typescript,${encodeURIComponent(script)}`,
    ],
    stdout: "piped",
  }).spawn();
  while (podman.containers.length === 0) await tick();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await podman.end(podman.containers[0]);
  const { stdout, code } = await child.output();
  assert.match(new TextDecoder().decode(stdout), /ended by itself\n$/);
  assert.equal(code, 0); // and nobody called stop()
  const looks = () =>
    podman.calls.filter((c) => /^ps -a --external --filter name=/.test(c))
      .length;
  while (looks() < 3) await tick();
});

Deno.test("lost resolves even if podman events ended in the meantime", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("events", 'echo "Error: no events" >&2; exit 125');
  const { pool, start, seen } = lend(podman);
  await using _ = await start();
  pool.provision(2);
  const [ends, stays] = [await pool.getRemote(), await pool.getRemote()];
  const warning = await seen("warning");
  assert.equal(
    (warning as { error: Error }).error.message,
    `Cannot watch containers for 1 s: "${podman.program} events" ended: Error: no events`,
  );
  await podman.end(ends.attributes.container, { silently: true });
  assert.match((await ends.lost).message, /ended by itself/);
  const pending = Symbol();
  assert.equal(
    await Promise.race([stays.lost, Promise.resolve(pending)]),
    pending,
  );
});

Deno.test("podman events that is killed is started again", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("events", 'echo $$ >"$here/pid"');
  const { pool, start, seen } = lend(podman);
  await using _ = await start();
  pool.provision(1);
  const remote = await pool.getRemote();
  while (!await exists(`${podman.directory}/pid`)) await tick();
  const pid = Deno.readTextFileSync(`${podman.directory}/pid`).trim();
  Deno.kill(Number(pid), "SIGKILL");
  await seen("warning");
  await podman.end(remote.attributes.container);
  assert.match((await remote.lost).message, /ended by itself/);
});

Deno.test("podman events that stumbles over half a line in its log listens without the past", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("events", "case $* in *--since*) exit 0 ;; esac");
  const { pool, start, events } = lend(podman);
  await using _ = await start();
  pool.provision(1);
  const remote = await pool.getRemote();
  const isDeaf = () =>
    podman.calls.some((call) => /^events(?!.*--since)/.test(call));
  while (!isDeaf()) await tick();
  await podman.end(remote.attributes.container);
  assert.match((await remote.lost).message, /ended by itself/);
  assert.ok(!events.some(({ type }) => type === "warning"));
});

Deno.test("stop() does not wait for podman events that does not want to end", async () => {
  await using podman = await FakePodman.make();
  await podman.fault(
    "events",
    'trap "" TERM; echo $$ >"$here/pid"; while :; do sleep 1; done',
  );
  const { pool, start } = lend(podman);
  await start();
  while (!await exists(`${podman.directory}/pid`)) await tick();
  await pool.stop();
  const pid = Deno.readTextFileSync(`${podman.directory}/pid`).trim();
  while (await exists(`/proc/${pid}`)) await tick(); // killed, and nobody waits for it
});

Deno.test("start() goes on when what dead scripts left cannot be removed", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("ps", 'echo "Error: locked" >&2; exit 125');
  const { pool, start, seen } = lend(podman);
  await start();
  assert.equal(
    (await seen("warning") as { error: Error }).error.message,
    "Cannot list containers: locked",
  );
  pool.provision(1);
  await pool.getRemote();
  await podman.repair("ps");
  await pool.stop();
});

Deno.test("start() waits no more than some seconds for what dead scripts left", async () => {
  await using podman = await FakePodman.make();
  await podman.fault("ps", 'case "$*" in *json*) exec sleep 60;; esac');
  const { pool, start } = lend(podman);
  await start();
  pool.provision(1);
  await pool.getRemote();
  await pool.stop(); // ends also that
});

Deno.test("start() removes nothing that is not certainly a dead script's", async () => {
  await using podman = await FakePodman.make();
  const owner = `${Deno.hostname()}/x/1/2/3/4/-`;
  const labels = { "atex.run": "aaaaaaaaaa", "atex.owner": owner };
  await podman.list([
    { Names: ["web"], Labels: {} },
    { Names: ["atex-database"], Labels: labels },
    { Names: ["atex-aaaaaaaaaa-1-1"], Labels: { ...labels, "atex.run": "b" } },
    { Names: ["atex-aaaaaaaaaa-1-2"], Labels: { "atex.run": "aaaaaaaaaa" } },
    { Names: ["atex-aaaaaaaaaa-1-3"], Labels: labels }, // another machine's
    { Names: ["atex-aaaaaaaaaa-1-4"], Labels: null }, // no run file says it is dead
    { Names: null, Labels: labels },
  ]);
  const { pool, start } = lend(podman);
  await start();
  await pool.stop();
  assert.deepEqual(podman.calls.filter((call) => / rm /.test(call)), []);
});

Deno.test("start() removes what is overdue", async () => {
  await using podman = await FakePodman.make();
  const found = [1, 2].map((n) => ({
    Names: [`atex-aaaaaaaaaa-1-${n}`],
    Labels: {
      "atex.run": "aaaaaaaaaa",
      "atex.owner": "lab7/x/1/2/3/4/5",
      "atex.until": "1000",
    },
  }));
  await podman.list(found);
  const { pool, start, events } = lend(podman);
  await start();
  await pool.stop();
  assert.deepEqual(podman.calls.filter((call) => / rm /.test(call)).sort(), [
    "container rm -f -v -t 0 atex-aaaaaaaaaa-1-1",
    "container rm -f -v -t 0 atex-aaaaaaaaaa-1-2",
  ]);
  const name = (event: ProvisionerEvent) => "name" in event ? event.name : "";
  assert.deepEqual(
    events.sort((a, b) => name(a) < name(b) ? -1 : 1),
    [1, 2].map((n) => ({
      type: "reaped",
      kind: "podman",
      name: `atex-aaaaaaaaaa-1-${n}`,
      owner: "lab7/x/1/2/3/4/5",
    })),
  );
});

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("podman events that begins anew, as with each file of its log, is no trouble", async () => {
  await using podman = await FakePodman.make();
  const once = 'if mkdir "$here/once" 2>/dev/null; then sleep 5.2; exit 0; fi';
  await podman.fault("events", once);
  const { pool, events, start } = lend(podman);
  await using _ = await start();
  pool.provision(1);
  const remote = await pool.getRemote();
  const listened = () => podman.calls.filter((c) => /^events /.test(c)).length;
  while (listened() < 2) await tick();
  await podman.end(remote.attributes.container);
  assert.match((await remote.lost).message, /ended by itself/);
  assert.deepEqual(events.filter(({ type }) => type === "warning"), []);
});
