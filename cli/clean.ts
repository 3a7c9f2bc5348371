/** `atex clean`: what dead scripts left behind. */
import { parseOwner } from "../connections/owner.ts";
import { formatDuration } from "../orchestrators/progress.ts";
import {
  type Leftover,
  type LeftoverKind,
  type LivingSystem,
  reap,
  type ReapOptions,
} from "../provisioners/reap.ts";
import { ask } from "./_ask.ts";
import { type Call, type Command, print } from "./_command.ts";

/** Shows, and removes if asked to, what scripts left behind that died. */
export const clean: Command = {
  name: "clean",
  purpose:
    "Shows what scripts left behind that died, and removes it if asked to.",
  operands: "",
  arity: [0, 0],
  options: [
    { name: "force", about: "remove it; otherwise nothing is removed" },
    {
      name: "libvirt",
      value: "URI",
      about: "domains of this libvirt; otherwise of what virsh takes by itself",
    },
    { name: "images", about: "also images that were built and nobody uses" },
    {
      name: "testing-farm",
      about:
        "also requests of Testing Farm; the token is in TESTING_FARM_API_TOKEN",
    },
    {
      name: "kubernetes",
      about: "also pods of Kubernetes, in the current context and namespace",
    },
    { name: "run", value: "ID", about: "only what this run has made" },
    {
      name: "mine-alive",
      about: "also take systems from your scripts that live; asks before",
    },
    {
      name: "all",
      short: "a",
      about: "also show what belongs to scripts that live, or may",
    },
    { name: "json", about: "a JSON object a line" },
  ],
  permissions: "-A",
  example: "atex clean --force",
  async run(call) {
    const options = optionsOf(call);
    const force = call.has("force");
    const living = call.has("mine-alive")
      ? force ? await askFor(call, options) : () => true
      : () => false;
    if (!living) return 2;
    const found = await reap({ ...options, dryRun: !force, living });
    const goes = (leftover: Leftover) =>
      leftover.verdict === "dead" || leftover.mine && living(leftover);
    for (const leftover of found) {
      if (!call.has("all") && !goes(leftover)) continue;
      print(call, plain(leftover), line(leftover));
    }
    const going = found.filter(goes).length;
    if (going === 0) call.note("nothing is left behind");
    else if (!force) call.note(`"--force" removes ${going}`);
    return found.some(({ error }) => error) ? 2 : 0;
  },
};

function optionsOf(call: Call): ReapOptions {
  const run = call.get("run");
  const uri = call.get("libvirt");
  const kinds: LeftoverKind[] = [
    ...(call.has("images") ? ["image" as const] : []),
    ...(call.has("testing-farm") ? ["request" as const] : []),
    ...(call.has("kubernetes") ? ["lease" as const] : []),
  ];
  return {
    ...(kinds.length > 0 && { more: kinds }),
    ...(run !== undefined && { run }),
    ...(uri !== undefined && { libvirt: { uri } }),
    signal: call.signal,
  };
}

/**
 * Asks whether scripts that live may lose their systems; gives which of them, as
 * others may come into being before that is answered.
 */
async function askFor(
  call: Call,
  options: ReapOptions,
): Promise<((system: LivingSystem) => boolean) | undefined> {
  const mine = (await reap({ ...options, dryRun: true }))
    .filter(({ mine }) => mine);
  const keyOf = ({ kind, name }: LivingSystem) => `${kind} ${name}`;
  const listed = new Set(mine.map(keyOf));
  const isListed = (system: LivingSystem) => listed.has(keyOf(system));
  if (mine.length === 0) return isListed;
  for (const leftover of mine) call.note(line(leftover));
  const answer = await ask(
    `Take ${mine.length} from scripts that live, whose tests fail then? [y/N] `,
    call.signal,
  );
  call.signal.throwIfAborted();
  if (/^y(es)?$/i.test(answer ?? "")) return isListed;
  call.note("nothing was removed");
}

/** An error has nothing that JSON would show. */
function plain({ error, ...rest }: Leftover): object {
  return { ...rest, ...(error && { error: error.message }) };
}

function line(leftover: Leftover): string {
  const { kind, name, age, verdict, kept, removed, error, run } = leftover;
  const what = error
    ? `not removed: ${error.message}`
    : removed
    ? "removed"
    : kept
    ? "kept: results that could not be stored"
    : verdict;
  const of = ownerOf(leftover);
  return [
    kind.padEnd(9),
    name,
    `${formatDuration(age)} old`,
    ...(run === undefined ? [] : [`run ${run}`]),
    ...(of ? [of] : []),
    what,
  ].join("  ");
}

/** The host and process of an owner, for people. */
function ownerOf({ owner }: Leftover): string {
  const { hostname, pid } = parseOwner(owner ?? "") ?? {};
  return hostname === undefined ? "" : `of process ${pid} on ${hostname}`;
}
