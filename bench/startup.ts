/**
 * Measures the whole process of a script that imports what most scripts do, and ends:
 *
 *     bench/startup.ts [--discovery yes|no] [--against COMMAND] [--pairs N]
 */
import { atMost } from "./_goals.ts";
import { measure, runProcess } from "./_once.ts";
import { benchmark } from "./_program.ts";
import { alternately, type Unit } from "./_units.ts";

const EMPTY = import.meta.resolve("./_empty_once.ts");
const WITHOUT = import.meta.resolve("./_startup_once.ts");
const WITH = import.meta.resolve("./_startup_fmf_once.ts");

await benchmark({
  name: "startup",
  defaults: { discovery: "yes" },
  choices: { discovery: ["yes", "no"] },
  prepare({ discovery }) {
    const script = discovery === "yes" ? WITH : WITHOUT;
    return {
      async ours() {
        const cost = measure();
        await runProcess(script);
        const { wall_ms, cpu_ms, children_cpu_ms } = cost();
        return {
          n: 1,
          wall_ms,
          cpu_ms: cpu_ms + children_cpu_ms,
          children_cpu_ms: 0,
          peak_mib: 0,
          modules: await modulesOf(script),
          check: await runProcess(script),
        };
      },
      async goals() {
        const [E, without, all] = await alternately(
          15,
          [EMPTY, WITHOUT, WITH].map((script) => () => runProcess(script)),
        );
        const goals = (what: string, limit: number, one: Unit) => [
          atMost(limit, {
            what: `wall, ${what}`,
            value: one.wall_ms,
            unit: "ms",
            floor: E.wall_ms,
            floor_is: "E",
          }),
          atMost(limit, {
            what: `CPU, ${what}`,
            value: one.cpu_ms,
            unit: "ms",
            floor: E.cpu_ms,
            floor_is: "E",
          }),
        ];
        return {
          units: { E },
          goals: [
            ...goals("with discovery", 4, all),
            ...goals("without discovery", 3, without),
          ],
        };
      },
    };
  },
});

/** How many modules a script loads. */
async function modulesOf(script: string): Promise<number> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", script],
    stderr: "inherit",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).modules.length;
}
