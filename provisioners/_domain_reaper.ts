import { NAMESPACE, recordIn } from "./_domain_xml.ts";
import { ageOf, type Candidate } from "./_leftover.ts";
import type { Run } from "./_run.ts";
import { factsOf, isAbandoned, isMine, livesHere } from "./_verdict.ts";
import type { Virsh } from "./_virsh.ts";
import { ProvisionError } from "./provisioner.ts";

/** A domain that a script has made, and whether that is dead. */
interface Judged {
  readonly name: string;
  readonly run: string;
  readonly owner: string;
  /** Milliseconds since 1970, if it says so. */
  readonly since?: number;
  readonly verdict: "dead" | "alive" | "unknown";
}

/** What virsh says of a domain that is gone, or none of ours. */
const UNKNOWN = /failed to get domain|metadata.*not found/i;

const RUN_IN_NAME = /^atex-([a-z0-9]{10})-\d+-\d+$/;

/**
 * Removes the domains of scripts that died.
 *
 * @throws {ProvisionError} if that did not work for some
 */
export async function reapDomains(
  virsh: Virsh,
  me: Run,
  { signal, onReaped }: {
    signal: AbortSignal;
    /** Told of each that was removed. */
    onReaped: (found: { name: string; owner: string }) => void;
  },
): Promise<void> {
  for await (const found of judgeDomains(virsh, me, signal)) {
    if (found.verdict !== "dead") continue;
    await virsh.destroy(found.name, { signal });
    onReaped(found);
  }
}

/** Domains that may have been left behind. */
export async function findDomains(
  virsh: Virsh,
  me: Run,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for await (const found of judgeDomains(virsh, me, signal)) {
    const { name, run, owner, since, verdict } = found;
    candidates.push({
      kind: "domain",
      name,
      run,
      owner,
      age: ageOf(since),
      verdict,
      mine: verdict === "alive" && isMine({ run, owner }, me),
      remove: (signal) => virsh.destroy(name, { signal }),
    });
  }
  return candidates;
}

/** Those whose name and metadata say that they are ours. */
async function* judgeDomains(
  virsh: Virsh,
  me: Run,
  signal: AbortSignal,
): AsyncGenerator<Judged> {
  const facts = factsOf(me.directory);
  for (const name of await virsh.domains("atex-", { signal })) {
    const [, run] = RUN_IN_NAME.exec(name) ?? [];
    if (run === undefined) continue;
    const { code, stdout, said } = await virsh.output(
      ["metadata", name, NAMESPACE],
      { signal },
    );
    if (code !== 0 && !UNKNOWN.test(said)) {
      throw new ProvisionError(
        `Cannot find out whose the domain "${name}" is: ${said}`,
      );
    }
    const record = code === 0 ? recordIn(stdout) : undefined;
    if (record?.id !== run || !record.owner) continue; // gone, or not ours
    const { owner } = record;
    const since = Date.parse(record.since ?? "");
    const verdict = run === me.id
      ? "alive"
      : await isAbandoned({ run, owner }, me.owner, facts)
      ? "dead"
      : await livesHere({ run, owner }, me, facts)
      ? "alive"
      : "unknown";
    yield {
      name,
      run,
      owner,
      ...(!Number.isNaN(since) && { since }),
      verdict,
    };
  }
}
