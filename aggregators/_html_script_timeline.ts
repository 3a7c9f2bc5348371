/** The page's script, part 8: which test ran when on which system. */

export const TIMELINE = String.raw`
const ROW = 22;
const BAR = 14;
const AXIS = 22;
/** With more systems than this, those that were there one after the other share a line. */
const MANY_SYSTEMS = 30;

class TimelineChart {
  #extent = extent();
  #length = this.#extent.end - this.#extent.start;
  /** What is in sight. */
  #from = 0;
  #to = this.#length;
  #together = data.runs.reduce((sum, { systems }) => sum + systems.length, 0) > MANY_SYSTEMS;
  /** @type {Track[]} */
  #tracks = [];
  /** Drawn bars, line by line, for the keyboard. @type {Bar[][]} */
  #drawn = [];
  #row = -1;
  #at = -1;
  /** The last attempt of each test that has begun. @type {Map<number | string, number>} */
  #attempts = new Map();
  #axis = svg("svg", { class: "axis", height: AXIS, "aria-hidden": "true" });
  #drawing = svg("svg", {});
  #chart = el("div", {
    class: "chart", id: "chart", tabindex: 0, role: "application",
    "aria-label": "Timeline: arrow keys go from test to test, Enter shows one, plus and minus zoom",
    scroll: () => this.draw(), keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    focusout: () => this.#point(-1, -1),
  });
  #tip = el("div", { class: "tip", hidden: true, role: "status" });
  /** @type {(bar: Bar) => void} */
  #onChoose;
  element;

  /** @param {Row[]} rows @param {{ onChoose: (test: number | string, run: PageRun) => void }} listeners */
  constructor(rows, { onChoose }) {
    this.rows = rows;
    for (const { systems } of data.runs) {
      for (const bar of systems.flatMap(({ bars }) => bars)) {
        if (bar[0] !== "test") continue;
        this.#attempts.set(bar[3], Math.max(bar[4], this.#attempts.get(bar[3]) ?? 0));
      }
    }
    this.#onChoose = ({ bar, run }) => {
      if (bar[0] === "test") onChoose(bar[3], run);
    };
    this.#chart.append(this.#drawing);
    const body = el("div", {}, this.#axis, this.#chart, ...this.#below());
    const hide = el("button", {
      "aria-expanded": "true",
      click: () => {
        body.hidden = !body.hidden;
        hide.setAttribute("aria-expanded", String(!body.hidden));
        hide.textContent = body.hidden ? "Show" : "Hide";
      },
    }, "Hide");
    this.element = el("section", { class: "card when", "aria-label": "Timeline" },
      el("div", { class: "tools" }, el("h2", {}, "Timeline"), this.#keys(), this.#tools(hide)), body, this.#tip);
    this.#listen();
    this.#arrange();
    new ResizeObserver(() => this.draw()).observe(this.#chart);
  }

  /** @param {HTMLElement} hide */
  #tools(hide) {
    const together = el("button", {
      "aria-pressed": this.#together, title: "Systems that were there one after the other share a line",
      click: () => {
        this.#together = !this.#together;
        together.setAttribute("aria-pressed", String(this.#together));
        this.#arrange();
      },
    }, "Compact");
    return el("div", { class: "zoom" },
      data.runs.some(({ systems }) => systems.length > 1) && together,
      el("button", { click: () => this.#zoom(2), "aria-label": "Zoom in" }, "+"),
      el("button", { click: () => this.#zoom(0.5), "aria-label": "Zoom out" }, "\u2212"),
      el("button", { click: () => this.#fit() }, "All"), hide);
  }

  #keys() {
    const bars = data.runs.flatMap(({ systems }) => systems.flatMap(({ bars }) => bars));
    const kinds = new Set(bars.flatMap((bar) => this.#kindOf(bar).split(" ")));
    /** @type {[kind: string, sign: string, text: string][]} */
    const keys = [
      ["bar-setup", "setup", "setup"], ["good", "good", "passed"], ["bad", "bad", "failed"], ["error", "error", "error"],
      ["infra", "infra", "infra"], ["warn", "warn", "warn"], ["again", "again", "failed, ran again"], ["waiting", "info", "running"],
      ["alive", "idle", "idle"], ["bar-release", "release", "release"],
    ];
    return el("div", { class: "keys" }, ...keys.filter(([kind]) => kind === "alive" || kinds.has(kind)).map(([, sign, text]) =>
      el("span", {}, el("i", { class: sign }), text)));
  }

  /** What can be said of all of it. */
  #below() {
    return data.runs.map((run) => {
      const tracks = tracksOf(run, this.#extent.start, this.#extent.end);
      const alive = tracks.reduce((sum, { alive: [[from, to]] }) => sum + to - from, 0);
      const busy = tracks.reduce((sum, track) => sum + track.busy, 0);
      const texts = [];
      if (data.runs.length > 1) texts.push(el("b", {}, clean(data.platforms[run.platform])), ": ");
      if (alive > 0) texts.push("Systems ran tests in ", el("b", {}, percent(busy / alive)), " of their time. ");
      if (run.tail && run.tail[2] > 1000) {
        const [test, system, ms] = run.tail;
        texts.push("At the end, for ", el("b", {}, span(ms)), ", only ", el("b", { class: "name" }, clean(test)), " ran, on ",
          el("span", { class: "name" }, clean(data.systems[system])), ".");
      }
      const more = run.moreIncidents ? [el("li", {}, "\u2026 and " + run.moreIncidents + " more")] : [];
      return el("div", { class: "end" }, el("div", {}, ...texts), run.incidents.length > 0 &&
        el("details", {}, el("summary", {}, count(run.incidents.length + (run.moreIncidents ?? 0), "incident")),
          el("ul", {}, ...run.incidents.map(([at, text]) => el("li", {}, span(at) + ": " + clean(text))), ...more)));
    });
  }

  #arrange() {
    this.#tracks = data.runs.flatMap((run) => {
      const tracks = tracksOf(run, this.#extent.start, this.#extent.end);
      const shown = this.#together ? packed(tracks) : tracks;
      if (data.runs.length === 1) return shown;
      const heading = { label: data.platforms[run.platform], heading: true, alive: [], bars: [], busy: 0 };
      return [heading, ...shown];
    });
    this.#drawing.setAttribute("height", String(this.#tracks.length * ROW + 4));
    this.draw();
  }

  #listen() {
    const chart = this.#chart;
    chart.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.#zoom(event.deltaY < 0 ? 1.25 : 0.8, event.clientX);
    }, { passive: false });
    chart.addEventListener("pointermove", (event) => {
      if (this.#drag) this.#pan(event);
      else this.#hover(event);
    });
    chart.addEventListener("pointerleave", () => this.#tip.hidden = true);
    chart.addEventListener("pointerdown", (event) => {
      if (event.button === 0) this.#drag = { x: event.clientX, from: this.#from, moved: false };
    });
    chart.addEventListener("pointerup", (event) => {
      const moved = this.#drag?.moved;
      this.#drag = undefined;
      const bar = moved ? undefined : this.#barAt(event);
      if (bar) this.#onChoose(bar);
    });
    chart.addEventListener("pointercancel", () => this.#drag = undefined);
  }
  /** @type {{ x: number, from: number, moved: boolean } | undefined} */
  #drag;

  /** @param {PointerEvent} event */
  #pan(event) {
    const drag = this.#drag;
    if (!drag || (!drag.moved && Math.abs(event.clientX - drag.x) < 4)) return;
    if (!drag.moved) this.#chart.setPointerCapture(event.pointerId);
    drag.moved = true;
    const wide = this.#to - this.#from;
    this.#look(drag.from - (event.clientX - drag.x) / this.#width() * wide, wide);
  }

  #gutter() {
    return innerWidth < 700 ? 84 : 190;
  }

  #width() {
    return Math.max(50, this.#chart.clientWidth - this.#gutter() - 8);
  }

  /** Where a time is. @param {number} ms */
  #x(ms) {
    return this.#gutter() + (ms - this.#from) / (this.#to - this.#from) * this.#width();
  }

  #fit() {
    this.#look(0, this.#length);
  }

  /** @param {number} factor @param {number} [clientX] */
  #zoom(factor, clientX) {
    const left = this.#chart.getBoundingClientRect().left + this.#gutter();
    const share = clientX === undefined ? 0.5 : Math.min(1, Math.max(0, (clientX - left) / this.#width()));
    const wide = this.#to - this.#from;
    const at = this.#from + share * wide;
    const next = Math.max(10, Math.min(this.#length, wide / factor));
    this.#look(at - share * next, next);
  }

  /** @param {number} from @param {number} wide */
  #look(from, wide) {
    this.#from = Math.max(0, Math.min(this.#length - wide, from));
    this.#to = this.#from + wide;
    this.draw();
  }

  /** Draws what is in sight. */
  draw() {
    if (this.#chart.clientWidth === 0) return;
    const first = Math.max(0, Math.floor(this.#chart.scrollTop / ROW) - 2);
    const shown = Math.max(this.#chart.clientHeight, ROW);
    const last = Math.min(this.#tracks.length, first + Math.ceil(shown / ROW) + 4);
    this.#drawn = [];
    const nodes = [hatch()];
    for (const at of this.#marks()) {
      nodes.push(svg("line", { class: "grid", x1: this.#x(at), x2: this.#x(at), y1: 0, y2: "100%" }));
    }
    for (let index = first; index < last; index++) nodes.push(...this.#drawTrack(this.#tracks[index], index));
    this.#drawing.replaceChildren(...nodes);
    const end = this.#gutter() + this.#width();
    this.#axis.replaceChildren(...this.#marks().map((at) => {
      const x = this.#x(at);
      const anchor = at === 0 ? "start" : x > end - 20 ? "end" : "middle";
      return svg("text", { class: "tick", x, y: 15, "text-anchor": anchor }, mark(at));
    }));
  }

  #marks() {
    const step = stepFor(this.#to - this.#from, this.#width() / 90);
    const marks = [];
    for (let at = Math.ceil(this.#from / step) * step; at <= this.#to; at += step) marks.push(at);
    return marks;
  }

  /** @param {Track} track @param {number} index */
  #drawTrack(track, index) {
    const y = index * ROW;
    const gutter = this.#gutter();
    const alive = track.alive.reduce((sum, [from, to]) => sum + to - from, 0);
    const share = innerWidth < 700 ? 0 : 40;
    const chars = Math.floor((gutter - 8 - share) / 7);
    const label = clean(track.label);
    const nodes = [svg("text", { x: 2, y: y + 15, class: track.heading ? "group" : "" },
      track.heading ? label : cutMiddle(label, chars), svg("title", {}, label))];
    if (track.heading) return nodes;
    nodes.push(svg("text", { x: gutter - 8, y: y + 15, "text-anchor": "end", class: "share-text" }, percent(track.busy / (alive || 1)),
      svg("title", {}, "ran tests in this part of its time")));
    for (const [from, to] of track.alive) {
      const box = this.#box(from, to);
      if (box) nodes.push(svg("rect", { ...box, y: y + 9, height: 4, rx: 2, class: "alive" }));
    }
    /** @type {Bar[]} */
    const drawn = [];
    /** The last rectangle. @type {{ kind: string, x: number, end: number, element: SVGElement } | undefined} */
    let last;
    for (const it of track.bars) {
      const box = this.#box(it.from, it.to);
      if (!box) continue;
      drawn.push(it);
      const kind = this.#kindOf(it.bar) + (index === this.#row && drawn.length - 1 === this.#at ? " lit" : "");
      const end = box.x + box.width;
      // of very many very small ones, neighbours of one kind are one; what would not be seen is not there
      if (last && box.width < 3 && box.x - last.end < 1) {
        if (kind === last.kind) {
          last.element.setAttribute("width", String(end - last.x));
          last.end = end;
          continue;
        }
        if (end <= last.end && !isBad(it.bar)) continue;
      }
      const element = this.#drawBar(it.bar, kind, box, y);
      nodes.push(element);
      last = { kind, x: box.x, end, element };
    }
    this.#drawn[index] = drawn;
    return nodes;
  }

  /** Where a span is, if it is in sight. @param {number} from @param {number} to */
  #box(from, to) {
    if (to < this.#from || from > this.#to) return;
    const left = Math.max(this.#gutter(), this.#x(from));
    const right = Math.min(this.#gutter() + this.#width(), this.#x(to));
    return { x: left, width: Math.max(1, right - left) };
  }

  /** How a bar looks. @param {PageBar} bar */
  #kindOf(bar) {
    if (bar[0] !== "test") return "bar-" + bar[0] + (bar[3] === undefined ? "" : " fault");
    const [, , ms, test, attempt, outcome] = bar;
    const row = typeof test === "number" ? this.rows[test] : undefined;
    if (outcome !== "pass" && ms >= 0 && (this.#attempts.get(test) ?? 0) > attempt) return "bar-test again";
    if (ms < 0) return "bar-test waiting";
    const tone = outcome === "infra" ? "infra" : outcome === "fail" ? "bad" : row && row.tone !== "off" ? row.tone : "good";
    return "bar-test " + tone;
  }

  /** @param {PageBar} bar @param {string} kind @param {{ x: number, width: number }} box @param {number} top */
  #drawBar(bar, kind, box, top) {
    // a gap between neighbours, where there is room for it
    const width = box.width > 4 ? box.width - 1 : box.width;
    const shape = { class: kind, x: box.x, width, rx: width > 5 ? 3 : 0 };
    const y = top + (ROW - BAR) / 2;
    if (bar[0] !== "test") return svg("rect", { ...shape, y: y + 3, height: BAR - 6 });
    const name = typeof bar[3] === "number" ? this.rows[bar[3]].name : bar[3];
    return svg("rect", { ...shape, y, height: BAR, "data-test": name });
  }

  /** @param {MouseEvent} event */
  #barAt(event) {
    const box = this.#drawing.getBoundingClientRect();
    const index = Math.floor((event.clientY - box.top) / ROW);
    const x = event.clientX - box.left;
    const bars = this.#drawn[index] ?? [];
    // of several on one pixel, the worst
    const near = bars.filter((it) => {
      const found = this.#box(it.from, it.to);
      return found && x >= found.x - 2 && x <= found.x + found.width + 2;
    });
    return near.find(({ bar }) => isBad(bar)) ??
      near.sort((a, b) => a.to - a.from - (b.to - b.from)).find(({ bar }) => bar[0] === "test") ?? near[0];
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    const bar = this.#barAt(event);
    this.#chart.style.cursor = bar?.bar[0] === "test" ? "pointer" : "";
    if (bar) this.#say(bar, event.clientX, event.clientY);
    else this.#tip.hidden = true;
  }

  /** @param {Bar} it @param {number} x @param {number} y */
  #say(it, x, y) {
    this.#tip.textContent = this.#describe(it);
    this.#tip.hidden = false;
    const { width, height } = this.#tip.getBoundingClientRect();
    this.#tip.style.left = Math.max(4, Math.min(innerWidth - width - 8, x + 12)) + "px";
    this.#tip.style.top = (y + height + 24 > innerHeight ? y - height - 12 : y + 18) + "px";
  }

  /** @param {Bar} it */
  #describe({ bar, from, to, system }) {
    const times = bar[2] < 0 ? "since " + mark(Math.round(from)) : span(to - from) + ", from " + mark(Math.round(from));
    const when = times + " (" + timeOnly.format(this.#extent.start + from) + ")\non " + clean(system);
    if (bar[0] !== "test") {
      return (bar[0] === "setup" ? "setup" : "release") + (bar[3] === undefined ? "" : " failed: " + clean(bar[3])) + "\n" + when;
    }
    const [, , , test, attempt, outcome, why] = bar;
    const name = typeof test === "number" ? this.rows[test].name : test;
    const how = outcome === "pass" ? "passed" : outcome === "fail" ? "failed" : outcome;
    return clean(name) + "\n" + how + (why ? ": " + clean(why) : "") + (attempt > 1 ? ", attempt " + attempt : "") + "\n" + when;
  }

  /** @param {number} row @param {number} at */
  #point(row, at) {
    [this.#row, this.#at] = [row, at];
    const it = this.#drawn[row]?.[at];
    this.draw();
    if (!it) {
      this.#tip.hidden = true;
      return;
    }
    const box = this.#drawing.getBoundingClientRect();
    this.#say(it, box.left + this.#x(Math.max(this.#from, it.from)), box.top + row * ROW + ROW / 2);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.metaKey || event.altKey || event.ctrlKey) return;
    const { key } = event;
    const wide = this.#to - this.#from;
    if (key === "+" || key === "=") this.#zoom(2);
    else if (key === "-") this.#zoom(0.5);
    else if (key === "0") this.#fit();
    else if (key === "ArrowLeft" && event.shiftKey) this.#look(this.#from - wide / 4, wide);
    else if (key === "ArrowRight" && event.shiftKey) this.#look(this.#from + wide / 4, wide);
    else if (key === "ArrowRight") this.#step(1);
    else if (key === "ArrowLeft") this.#step(-1);
    else if (key === "ArrowDown") this.#stepRow(1);
    else if (key === "ArrowUp") this.#stepRow(-1);
    else if (key === "Enter") {
      const it = this.#drawn[this.#row]?.[this.#at];
      if (it) this.#onChoose(it);
    } else return;
    event.preventDefault();
  }

  /** @param {number} by */
  #step(by) {
    if (this.#row < 0) return this.#stepRow(1);
    const bars = this.#drawn[this.#row] ?? [];
    this.#point(this.#row, Math.max(0, Math.min(bars.length - 1, this.#at + by)));
  }

  /** @param {number} by */
  #stepRow(by) {
    const now = this.#drawn[this.#row]?.[this.#at]?.from ?? this.#from;
    let row = this.#row + by;
    while (row >= 0 && row < this.#tracks.length && this.#tracks[row].heading) row += by;
    if (row < 0 || row >= this.#tracks.length) return;
    if ((row + 1) * ROW > this.#chart.scrollTop + this.#chart.clientHeight) this.#chart.scrollTop = (row + 2) * ROW - this.#chart.clientHeight;
    if (row * ROW < this.#chart.scrollTop) this.#chart.scrollTop = row * ROW;
    this.draw();
    const bars = this.#drawn[row] ?? [];
    const at = bars.findIndex(({ to }) => to > now);
    this.#point(row, at < 0 ? bars.length - 1 : at);
  }
}

/** The pattern of attempts that were followed by another one. */
function hatch() {
  return svg("defs", {}, svg("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("rect", { width: 2, height: 5, fill: "var(--flaky)" })));
}
`;
