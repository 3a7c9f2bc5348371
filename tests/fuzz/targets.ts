/** All targets. */
import * as control from "./targets/control.ts";
import * as metadata from "./targets/metadata.ts";
import { PLANTED } from "./targets/planted.ts";
import * as provisioning from "./targets/provisioning.ts";
import * as results from "./targets/results.ts";
import * as runs from "./targets/runs.ts";
import * as services from "./targets/services.ts";
import type { Target } from "./target.ts";

/** Each by its name. */
export const TARGETS: ReadonlyMap<string, Target> = new Map(
  [control, metadata, results, services, provisioning, runs]
    .flatMap((module): Target[] => Object.values(module))
    .map((target) => [target.name, target]),
);

/** The target of a name, also one with a planted fault. */
export function targetOf(name: string): Target | undefined {
  return TARGETS.get(name) ?? PLANTED.get(name);
}
