import { z } from "zod";
import { ageOf, type Candidate } from "./_leftover.ts";
import type { PodmanCli } from "./_podman_cli.ts";
import { findLivingRuns } from "./_other_runs.ts";
import type { Run } from "./_run.ts";
import { ProvisionError } from "./provisioner.ts";

const images = z.array(z.object({
  Id: z.string(),
  Names: z.array(z.string()).nullish(),
  Created: z.number(),
}));

/** How `buildImage()` names images. */
const OURS = /^localhost\/atex-[0-9a-f]{16}(:|$)/;

/**
 * Images that were built for scripts, and that no container is made of. As long as
 * another script of this user lives it may want them, even if it has no
 * container at the moment.
 */
export async function findImages(
  cli: PodmanCli,
  me: Run,
  signal: AbortSignal,
  isWanted: (me: Run) => Promise<boolean> = othersLive,
): Promise<Candidate[]> {
  const { code, stdout, said } = await cli.output(
    ["image", "ls", "--filter=label=atex.image", "--format=json"],
    { signal },
  );
  if (code !== 0) throw new ProvisionError(`Cannot list images: ${said}`);
  const wanted = await isWanted(me);
  const found: Candidate[] = [];
  for (const { Id, Names, Created } of images.parse(JSON.parse(stdout))) {
    // What is built on one of ours inherits the label, and is somebody else's.
    if (!Names?.every((name) => OURS.test(name))) continue;
    // Those that are made of what is made of it, too.
    const users = await cli.list(
      ["--quiet", `--filter=ancestor=${Id}`],
      { signal },
    );
    found.push({
      kind: "image",
      name: Names[0] ?? Id.slice(0, 12),
      age: ageOf(Created * 1000),
      verdict: users.trim() ? "alive" : wanted ? "unknown" : "dead",
      remove: (signal) => removeImage(cli, Id, signal),
    });
  }
  return found;
}

async function removeImage(
  cli: PodmanCli,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  // All of its names go; podman refuses if a container is made of it.
  const { stdout } = await cli.output(
    ["image", "inspect", '--format={{join .RepoTags "\\n"}}', id],
    { signal },
  );
  const names = stdout.trim().split("\n").filter((name) => name !== "");
  const { code, said } = await cli.output(
    ["image", "rm", ...(names.length > 0 ? names : [id])],
    { signal },
  );
  if (code !== 0) throw new ProvisionError(`Cannot remove the image: ${said}`);
}

async function othersLive(me: Run): Promise<boolean> {
  return (await findLivingRuns()).some(({ id }) => id !== me.id);
}
