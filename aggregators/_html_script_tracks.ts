/** The page's script, part 7: what the lines of the timeline are made of. */

export const TRACKS = String.raw`
/**
 * @typedef {object} Bar Times since the start of everything.
 * @property {PageBar} bar
 * @property {number} from
 * @property {number} to
 * @property {string} system
 * @property {PageRun} run
 */

/**
 * @typedef {object} Track A line of the timeline: a system, several one after the other, or a heading.
 * @property {string} label
 * @property {boolean} [heading]
 * @property {[from: number, to: number][]} alive
 * @property {Bar[]} bars
 * @property {number} busy Milliseconds in which tests ran.
 */

/** Where everything begins and ends. */
function extent() {
  const start = Math.min(...data.runs.map((run) => run.startedAt));
  let end = start + 1;
  for (const run of data.runs) {
    end = Math.max(end, run.finishedAt ?? data.madeAt);
    for (const { to } of run.systems) if (to !== undefined) end = Math.max(end, run.startedAt + to);
  }
  return { start, end };
}

/** @param {PageRun} run @param {number} start @param {number} end @returns {Track[]} */
function tracksOf(run, start, end) {
  const offset = run.startedAt - start;
  const last = (run.finishedAt ?? end) - start;
  return run.systems.map((system) => {
    const label = data.systems[system.r];
    const bars = system.bars.map((bar) => {
      const from = offset + bar[1];
      return { bar, from, to: bar[2] < 0 ? last : from + bar[2], system: label, run };
    });
    const tests = bars.filter(({ bar }) => bar[0] === "test");
    return {
      label, bars,
      alive: [/** @type {[number, number]} */ ([offset + system.from, system.to === undefined ? last : offset + system.to])],
      busy: tests.reduce((sum, { from, to }) => sum + to - from, 0),
    };
  });
}

/** Puts systems that were there one after the other into one line. @param {Track[]} tracks @returns {Track[]} */
function packed(tracks) {
  /** @type {Track[]} */
  const lanes = [];
  for (const track of [...tracks].sort((a, b) => a.alive[0][0] - b.alive[0][0])) {
    const free = lanes.find(({ alive }) => alive[alive.length - 1][1] <= track.alive[0][0]);
    if (free) {
      free.alive.push(...track.alive);
      free.bars.push(...track.bars);
      free.busy += track.busy;
    } else lanes.push({ ...track, label: "lane " + (lanes.length + 1), alive: [...track.alive], bars: [...track.bars] });
  }
  return lanes;
}

/** A step between marks of an axis, such that there are about so many. @param {number} ms @param {number} marks */
function stepFor(ms, marks) {
  const [second, minute, hour] = [1000, 60000, 3600000];
  const steps = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, second, 2 * second, 5 * second, 10 * second, 30 * second, minute, 2 * minute,
    5 * minute, 10 * minute, 30 * minute, hour, 2 * hour, 6 * hour, 12 * hour, 24 * hour,
  ];
  return steps.find((step) => ms / step <= marks) ?? 24 * hour * Math.ceil(ms / marks / 24 / hour);
}

/** @param {number} ms */
function mark(ms) {
  if (ms === 0) return "0";
  if (ms < 1000) return ms + " ms";
  if (ms < 60000) return Number((ms / 1000).toFixed(1)) + " s";
  const minutes = Math.floor(ms / 60000);
  const seconds = Math.round(ms % 60000 / 1000);
  if (minutes < 60) return minutes + " min" + (seconds > 0 ? " " + seconds + " s" : "");
  return Math.floor(minutes / 60) + " h" + (minutes % 60 > 0 ? " " + minutes % 60 + " min" : "");
}

/** @param {PageBar} bar */
function isBad(bar) {
  return bar[0] === "test" ? bar[5] === "fail" || bar[5] === "infra" : bar[3] !== undefined;
}

/** What tells systems apart is at the end of their names, and what they are at the start. @param {string} text @param {number} chars */
function cutMiddle(text, chars) {
  const end = chars >> 1;
  return text.length > chars ? text.slice(0, chars - end - 1) + "\u2026" + text.slice(-end) : text;
}

/** @param {number} share */
function percent(share) {
  return Math.round(100 * Math.min(1, share)) + " %";
}
`;
