import type { Provisioner } from "../provisioners/provisioner.ts";

/** The platforms of live runs, by what gives them systems. */
const platforms = new WeakMap<Provisioner, string>();

/**
 * Keeps provisioners for one run, until the function that it returns is called. What
 * a provisioner is asked for is not told apart by who asked: two runs would take each
 * other's systems, and the end of one would drop what the other waits for.
 *
 * @throws {TypeError} if a live run has one of them
 */
export function keepForRun(
  provisioners: readonly Provisioner[],
  platform: string,
): () => void {
  for (const one of provisioners) {
    const other = platforms.get(one);
    if (other === undefined) continue;
    throw new TypeError(
      `Cannot run tests on "${platform}": a run on "${other}" that has not ended has the provisioner "${one.name}"; a provisioner for each, or one run after the other, would be right`,
    );
  }
  for (const one of provisioners) platforms.set(one, platform);
  return () => {
    for (const one of provisioners) platforms.delete(one);
  };
}
