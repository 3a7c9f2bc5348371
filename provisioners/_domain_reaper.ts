import { NAMESPACE, recordIn } from "./_domain_xml.ts";
import { ageOf, type Candidate } from "./_leftover.ts";
import { type Run, runInName } from "./_run.ts";
import { factsOf, isMine, judge } from "./_verdict.ts";
import type { Virsh } from "./_virsh.ts";

/** Domains whose name and metadata say that they are ours. */
export async function findDomains(
  virsh: Virsh,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const facts = factsOf(me.directory);
  const candidates: Candidate[] = [];
  for (const name of await virsh.domains("atex-", { signal })) {
    const run = runInName(name);
    if (run === undefined) continue;
    const metadata = await virsh.metadata(name, NAMESPACE, { signal });
    const record = metadata === undefined ? undefined : recordIn(metadata);
    if (record?.id !== run || !record.owner) continue; // gone, or not ours
    const { owner } = record;
    const since = Date.parse(record.since ?? "");
    const verdict = await judge({ run, owner }, me, facts);
    candidates.push({
      kind: "domain",
      name,
      run,
      owner,
      age: ageOf(Number.isNaN(since) ? undefined : since),
      verdict,
      mine: verdict === "alive" && isMine({ run, owner }, me),
      remove: (signal) => virsh.destroy(name, { signal }),
    });
  }
  return candidates;
}
