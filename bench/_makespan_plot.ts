/** A drawing of how long runs take. */
import type { Makespans } from "./makespan.ts";

type Way = "split" | "given" | "longestFirst";

const WAYS: Record<Way, string> = {
  split: "list cut into equal parts beforehand",
  given: "ad hoc, in the order of the list",
  longestFirst: "ad hoc, longest first",
};

const [WIDTH, HEIGHT] = [860, 372];
const PANEL = { width: 340, height: 220, top: 62 };
/** Makespans above this are cut off. */
const MOST = 2;

const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #333 }
    .title { font-size: 14px; font-weight: 600 }
    .grid { stroke: #ddd; fill: none }
    .line { fill: none; stroke-width: 2.5 }
    .split { stroke: #c2410c } circle.split { fill: #c2410c }
    .given { stroke: #2563eb } circle.given { fill: #2563eb }
    .longestFirst { stroke: #15803d } circle.longestFirst { fill: #15803d }
    @media (prefers-color-scheme: dark) {
      text { fill: #ddd }
      .grid { stroke: #444 }
      .split { stroke: #fb923c } circle.split { fill: #fb923c }
      .given { stroke: #60a5fa } circle.given { fill: #60a5fa }
      .longestFirst { stroke: #4ade80 } circle.longestFirst { fill: #4ade80 }
    }`;

/** One panel for each name: systems to the right, time as a multiple of what is possible upwards. */
export function plotMakespans(
  names: readonly string[],
  all: readonly Makespans[],
): string {
  const panels = names.map((name, i) => {
    const own = all.filter((one) => one.name === name && one.tests <= 10_000);
    return panel(own, 60 + i * (PANEL.width + 70));
  });
  const legend = Object.entries(WAYS).map(([way, text], i) => {
    const x = 60 + [0, 270, 520][i];
    const y = HEIGHT - 16;
    return `<path class="line ${way}" d="M${x} ${y - 4}h26"/>
  <text x="${x + 34}" y="${y}">${text}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
  <title>Time of a run, as a multiple of what is possible at all, by the number of systems</title>
  <style>${STYLE}
  </style>
  <text x="60" y="20">Time of a run, as a multiple of what is possible at all</text>
  ${[...panels, ...legend].join("\n  ")}
</svg>
`;
}

function panel(runs: readonly Makespans[], left: number): string {
  const [{ name, tests }] = runs;
  const last = Math.log2(runs.at(-1)!.systems);
  const x = (systems: number) => left + Math.log2(systems) / last * PANEL.width;
  const y = (ratio: number) =>
    PANEL.top + (MOST - Math.min(ratio, MOST)) / (MOST - 1) * PANEL.height;
  const round = (value: number) => Math.round(value * 10) / 10;

  const parts = [
    `<text class="title" x="${left}" y="${PANEL.top - 16}">${name}, ${
      tests.toLocaleString("en").replace(",", "\u202f")
    } tests</text>`,
  ];
  for (const ratio of [1, 1.25, 1.5, 1.75, 2]) {
    parts.push(
      `<path class="grid" d="M${left} ${round(y(ratio))}h${PANEL.width}"/>`,
      `<text x="${left - 10}" y="${
        round(y(ratio) + 4)
      }" text-anchor="end">${ratio}</text>`,
    );
  }
  const bottom = PANEL.top + PANEL.height;
  for (const { systems } of runs) {
    parts.push(
      `<text x="${round(x(systems))}" y="${
        bottom + 20
      }" text-anchor="middle">${systems}</text>`,
    );
  }
  parts.push(
    `<text x="${left + PANEL.width}" y="${
      bottom + 38
    }" text-anchor="end">systems</text>`,
  );
  for (const way of Object.keys(WAYS) as Way[]) {
    const points = runs.map((one) => [
      round(x(one.systems)),
      round(y(one[way] / one.bound)),
    ]);
    parts.push(
      `<path class="line ${way}" d="M${
        points.map((p) => p.join(" ")).join("L")
      }"/>`,
      ...points.map(([cx, cy]) =>
        `<circle class="${way}" cx="${cx}" cy="${cy}" r="3.5"/>`
      ),
    );
  }
  return parts.join("\n  ");
}
