/** The page's script, part 9: the whole page, and what it remembers in its address. */

export const MAIN = String.raw`
const rows = makeRows();
const state = readState();

/** What the address says: filter, order, selected test. */
function readState() {
  const known = new URLSearchParams(location.hash.slice(1));
  return { query: known.get("q") ?? "", sort: known.get("sort") ?? "status", test: known.get("test") ?? "", platform: known.get("platform") ?? "" };
}

function writeState() {
  const known = new URLSearchParams();
  if (state.query) known.set("q", state.query);
  if (state.sort !== "status") known.set("sort", state.sort);
  if (state.test) known.set("test", state.test);
  if (state.test && data.platforms.length > 1) known.set("platform", state.platform);
  const hash = known.toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
}

/** How many rows have a status. @type {Map<string, number>} */
const counts = new Map();
for (const { status } of rows) counts.set(status, (counts.get(status) ?? 0) + 1);
const statuses = [...counts.keys()].sort((a, b) => (RANKS.get(a) ?? 9.5) - (RANKS.get(b) ?? 9.5));
const tests = rows.filter(({ status }) => status !== "gone").length;
const failed = rows.filter(({ status }) => FAILING.has(status)).length;
const passed = rows.filter(({ status }) => PASSED.has(status)).length;
const skipped = counts.get("skip") ?? 0;
const flaky = rows.filter((it) => it.flaky).length;

/** Statuses in the order of the bar: what still waits comes last. */
const shares = [
  ...statuses.filter((status) => !["gone", "running", "queued"].includes(status)),
  ...statuses.filter((status) => ["running", "queued"].includes(status)),
];

function makeHead() {
  const going = (counts.get("running") ?? 0) + (counts.get("queued") ?? 0);
  const done = tests - going;
  const parts = /** @type {[number, string][]} */ ([[passed, "passed"], [skipped, "skipped"], [tests - passed - skipped, "other"]]);
  const verdict = !data.final
    ? (going > 0 ? done + " of " : "") + count(tests, "test") + " done" + (failed > 0 ? ", " + failed + " failed" : "")
    : tests === 0 ? "No results" : failed > 0 ? failed + " of " + count(tests, "test") + " failed"
    : passed < tests ? parts.filter(([n]) => n > 0).map((part) => part.join(" ")).join(", ")
    : tests === 1 ? "The test passed" : "All " + count(tests, "test") + " passed";
  const tone = failed > 0 ? "bad" : data.final && passed > 0 && passed + skipped === tests ? "good" : "";
  document.title = (data.final ? "" : "\u2026 ") + clean(verdict) + " \u2013 " + clean(data.title);
  const begun = [...rows.map(({ began }) => began), ...data.runs.map(({ startedAt }) => startedAt)].filter((it) => it !== undefined);
  const ended = [...rows.map(({ began, ms }) => began === undefined || ms === undefined ? undefined : began + ms),
    ...data.runs.map(({ finishedAt }) => finishedAt)].filter((it) => it !== undefined);
  const start = begun.reduce((a, b) => Math.min(a, b), Infinity);
  const end = data.final ? ended.reduce((a, b) => Math.max(a, b), -Infinity) : data.madeAt;
  return el("header", { class: "card head " + tone },
    el("div", { class: "title name" }, clean(data.title)),
    el("h1", {}, verdict),
    el("div", { class: "facts" },
      el("span", {}, el("b", { class: "name" }, data.platforms.slice(0, 5).map(clean).join(", ") + (data.platforms.length > 5 ? ", \u2026" : ""))),
      Number.isFinite(start) && el("span", {}, moment(start) + (Number.isFinite(end) ? " \u2013 " + (sameDay(start, end) ? timeOnly.format(end) : moment(end)) : "")),
      Number.isFinite(start) && Number.isFinite(end) && el("span", {}, el("b", {}, span(end - start))),
      data.systems.length > 0 && el("span", {}, el("b", {}, String(data.systems.length)), data.systems.length === 1 ? " system" : " systems"),
      flaky > 0 && el("span", {}, el("b", {}, String(flaky)), " flaky"),
      ...data.runs.filter(({ kind }) => kind).map(({ kind }) => el("span", {}, "incomplete: ", el("b", {}, kind)))),
    el("div", { class: "share", role: "img", "aria-label": statuses.map((status) => (counts.get(status) ?? 0) + " " + clean(status)).join(", ") },
      ...shares.map((status) => {
        const part = el("span", { class: TONES.get(status) ?? "off", title: (counts.get(status) ?? 0) + " " + clean(status) });
        part.style.flexGrow = String(counts.get(status) ?? 0);
        return part;
      })),
    !data.final && makeLive());
}

/** @param {number} a @param {number} b */
function sameDay(a, b) {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** Says that the page is not the last one, and loads the next. */
function makeLive() {
  const text = el("span");
  const pause = el("button", { "aria-pressed": "false", click: () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
  } }, "Stay on this page");
  text.textContent = "The run goes on; this is how it was at " + timeOnly.format(data.madeAt) + ".";
  if (data.refresh > 0) {
    setInterval(() => {
      const busy = pause.getAttribute("aria-pressed") === "true" || document.hidden || document.querySelector("dialog[open]");
      if (!busy) location.reload();
    }, Math.max(2000, data.refresh));
  }
  return el("div", { class: "live" }, text, data.refresh > 0 && pause);
}

const input = el("input", {
  type: "search", id: "filter", "aria-label": "Filter", placeholder: "Filter: words, status:fail, test:/net, -word, \"exact words\"",
  autocomplete: "off", spellcheck: "false", input: () => setQuery(input.value),
});
const chips = el("div", { class: "chips", role: "group", "aria-label": "Filters" });
const counted = el("span", { class: "counted", role: "status" });

function drawChips() {
  const chip = (/** @type {string} */ key, /** @type {string} */ word, /** @type {string} */ text, /** @type {number} */ n, /** @type {Tone} */ tone) =>
    n > 0 && el("button", {
      class: "chip " + tone, "aria-pressed": String(asksFor(state.query, key, word.toLowerCase())),
      click: () => setQuery(toggled(state.query, key, word.toLowerCase())),
    }, clean(text), el("b", {}, n.toLocaleString("en")));
  const changes = [...CHANGES].map(([change, text]) =>
    chip("change", change, text, rows.filter((it) => it.change === change).length, CHANGE_TONES.get(change) ?? "off"));
  const all = [
    ...statuses.filter((status) => status !== "gone").map((status) => chip("status", status, status, counts.get(status) ?? 0, TONES.get(status) ?? "off")),
    chip("is", "flaky", "flaky", flaky, "flaky"), ...(data.compared ? changes : []),
  ];
  const focused = [...chips.children].indexOf(/** @type {Element} */ (document.activeElement));
  chips.replaceChildren(...all.filter((it) => it !== false));
  if (focused >= 0) /** @type {HTMLElement} */ (chips.children[focused])?.focus();
}

/** @param {string} query */
function setQuery(query) {
  state.query = query;
  if (input.value !== query) input.value = query;
  drawChips();
  drawTable();
  writeState();
}

/** Sorts by a column, or the other way round. @param {string} key */
function setSort(key) {
  state.sort = state.sort === key ? "-" + key : key;
  drawTable();
  writeState();
}

/** @type {{ sort: string, rows: Row[] }} */
let order = { sort: "", rows: [] };

function drawTable() {
  if (order.sort !== state.sort) order = { sort: state.sort, rows: sorted(rows, state.sort) };
  const fits = matcher(state.query);
  const shown = state.query.trim() === "" ? order.rows : order.rows.filter(fits);
  counted.textContent = shown.length === rows.length ? count(rows.length, "row") : shown.length.toLocaleString("en") + " of " + count(rows.length, "row");
  table.show(shown, state.sort);
}

const viewer = new Viewer();
const results = el("div", { class: "results" });
/** @type {HTMLElement | undefined} */
let detail;

/** Shows all about a test, or nothing. @param {Line | undefined} line */
function showDetail(line) {
  detail?.remove();
  detail = line && makeDetail(line, { close: () => table.select(-1), open: (file) => viewer.open(file) });
  results.classList.toggle("open", detail !== undefined);
  if (detail) results.append(detail);
  state.test = line ? line.row.name : "";
  state.platform = line ? line.row.platform : "";
  writeState();
}

const table = new Table(rows, {
  onSelect: showDetail, onSort: setSort,
  onEnter: () => {
    if (!detail) showDetail(table.lines[table.selected]);
    /** @type {HTMLElement | null | undefined} */ (detail?.querySelector(".file") ?? detail?.querySelector("button"))?.focus();
  },
});

/** Shows a test that somebody pointed at elsewhere. @param {Row | undefined} row */
function showRow(row) {
  if (!row) return;
  if (!matcher(state.query)(row)) setQuery("");
  table.selectRow(row);
  table.focus();
}

const help = el("dialog", { class: "help", "aria-label": "Help" }, el("h2", {}, "Filter"),
  el("dl", {}, ...[
    ["net timeout", "both words, anywhere in a row or its subtests"], ["\"address in use\"", "exactly this text"],
    ["-word", "not this word"], ["status:fail,error", "one of these statuses"],
    ["test: subtest: platform: system: note: file:", "a text in one column"],
    ["is:flaky is:failed", "passed at a later attempt; somebody has to look at it"],
    ["change:broken", "compared with earlier results: broken, fixed, failing, changed, new, gone"],
  ].flatMap(([what, text]) => [el("dt", {}, el("code", {}, what)), el("dd", {}, text)])),
  el("h2", {}, "Keys"),
  el("dl", {}, ...[
    ["/", "filter"], ["\u2191 \u2193", "from test to test"], ["\u2192 \u2190", "unfold and fold subtests"],
    ["Enter", "go to the details, and open the first file from there"], ["Esc", "close what is open"], ["t", "timeline"], ["?", "this help"],
  ].flatMap(([what, text]) => [el("dt", {}, el("kbd", {}, what)), el("dd", {}, text)])),
  el("button", { click: () => help.close() }, "Close"));

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  const typing = document.activeElement instanceof HTMLInputElement;
  if (event.key === "Escape") {
    if (typing && state.query) setQuery("");
    else if (table.selected >= 0) table.select(-1);
    table.focus();
  } else if (typing) {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    table.focus();
    if (table.selected < 0 && table.lines.length > 0) table.select(0);
  } else if (event.key === "/") input.focus();
  else if (event.key === "?") help.showModal();
  else if (event.key === "t") document.getElementById("chart")?.focus();
  else return;
  event.preventDefault();
});

addEventListener("hashchange", () => {
  Object.assign(state, readState());
  setQuery(state.query);
  showNamed();
});

/** Shows the test that the address names. */
function showNamed() {
  if (!state.test) return;
  const { test, platform } = state;
  showRow(rows.find((it) => it.name === test && (!platform || it.platform === platform)));
}

function start() {
  const timeline = data.runs.some(({ systems }) => systems.length > 0) && new TimelineChart(rows, {
    onChoose: (test, run) => showRow(typeof test === "number" ? rows[test]
      : rows.find((it) => it.name === test && it.platform === data.platforms[run.platform])),
  });
  results.append(table.element);
  document.body.append(el("main", {}, makeHead(), timeline && timeline.element,
    el("div", { class: "bar" }, el("div", { class: "filter" }, input), chips,
      el("button", { click: () => help.showModal(), "aria-label": "Help", title: "Filters and keys (?)" }, "?"), counted),
    results, viewer.element, help,
    data.leftOut > 0 && el("p", { class: "soft" }, count(data.leftOut, "subtest") + " that passed or were too many are not in this page.")));
  setQuery(state.query);
  showNamed();
}
start();
`;
