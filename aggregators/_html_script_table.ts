/** The page's script, part 3: the table, of which only what can be seen exists. */

export const TABLE = String.raw`
/** @typedef {{ row: Row, part: number }} Line A test, or one of its subtests; part is -1 for the test. */

/** @typedef {{ key: string, title: string, width: string, show: boolean, cell: (it: Row) => HTMLElement }} Column */

/** More would be higher than browsers allow a page to be. */
const MAX_LINES = 250000;
const NUMBERS = ["time", "attempts", "files"];
/** Columns for which there is room beside the details. */
const BESIDE_DETAIL = ["status", "test", "time"];
/** Lines that make sense on paper. */
const MAX_PRINTED = 3000;
/** Lines beyond what can be seen that exist all the same. */
const MARGIN = 12;

/** A status with its colour. @param {string} status @param {{ tone?: Tone, waits?: boolean }} how */
function statusMark(status, { tone = TONES.get(status) ?? "off", waits = false } = {}) {
  return el("span", { class: "status " + tone + (waits ? " waiting" : "") }, clean(status));
}

/** @param {Row} it */
function stateCell(it) {
  return el("div", { class: "state" }, statusMark(it.status, it),
    it.flaky && el("span", { class: "tag flaky", title: "passed, but not at its first attempt" }, "flaky"),
    it.change && el("span", { class: "tag " + CHANGE_TONES.get(it.change) }, CHANGES.get(it.change)));
}

/** A name whose last part stands out. @param {string} name */
function nameOf(name) {
  const at = lastPart(name);
  return [at > 0 && el("span", { class: "way" }, clean(name.slice(0, at))), el("b", {}, clean(name.slice(at)))];
}

/** @param {Row} it */
function nameCell(it) {
  const parts = it.subtests.length + it.leftOut;
  const failed = it.subtests.filter(([, status]) => FAILING.has(status ?? "")).length;
  return el("div", { class: "name", title: clean(it.name) }, ...nameOf(it.name),
    parts > 0 && el("span", { class: "parts" }, count(parts, "subtest"),
      failed > 0 && el("span", { class: "failed" }, ", " + failed + " failed")));
}

/** @param {string} kind @param {string} text */
function cell(kind, text) {
  return el("div", { class: kind, title: text }, text);
}

/** @param {Row[]} rows @returns {Column[]} */
function columnsFor(rows) {
  const some = (/** @type {(it: Row) => unknown} */ has) => rows.some((it) => has(it));
  const wide = some((it) => it.change) ? "210px" : some((it) => it.flaky) ? "150px" : "110px";
  return [
    { key: "status", title: "Status", width: wide, show: true, cell: stateCell },
    { key: "test", title: "Test", width: "minmax(180px, 3fr)", show: true, cell: nameCell },
    { key: "note", title: "Note", width: "minmax(80px, 2fr)", show: some((it) => it.note),
      cell: (it) => cell("note", clean(it.note)) },
    { key: "platform", title: "Platform", width: "minmax(80px, 1fr)", show: data.platforms.length > 1,
      cell: (it) => cell("side", clean(it.platform)) },
    { key: "system", title: "System", width: "minmax(80px, 1fr)", show: some((it) => it.system),
      cell: (it) => cell("side", clean(it.system)) },
    { key: "attempts", title: "Attempts", width: "64px", show: some((it) => it.attempt > 1),
      cell: (it) => cell("attempts side right number", it.attempt > 1 ? String(it.attempt) : "") },
    { key: "files", title: "Files", width: "44px", show: some((it) => it.files.length > 0),
      cell: (it) => cell("files side right number", it.files.length > 0 ? String(it.files.length) : "") },
    { key: "time", title: "Time", width: "84px", show: some((it) => it.ms !== undefined),
      cell: (it) => cell("time side right number", it.ms === undefined ? "" : span(it.ms)) },
  ];
}

/** Shows lines, and which of them is selected. */
class Table {
  /** @type {Line[]} */
  lines = [];
  selected = -1;
  /** Lines that exist, by their place. @type {Map<number, HTMLElement>} */
  #shown = new Map();
  /** @type {Column[]} */
  #columns;
  #header = el("div", { class: "header", role: "row" });
  #body;
  #nothing;
  #more = el("div", { class: "nothing" });
  element;
  /** @type {(line: Line | undefined) => void} */
  #onSelect;
  #onEnter;
  #printing = false;

  /**
   * @param {Row[]} rows
   * @param {{ onSelect: (line: Line | undefined) => void, onEnter: () => void, onSort: (key: string) => void }} listeners
   */
  constructor(rows, { onSelect, onEnter, onSort }) {
    this.#onSelect = onSelect;
    this.#onEnter = onEnter;
    this.#columns = columnsFor(rows).filter(({ show }) => show);
    this.#nothing = el("div", { class: "nothing" }, rows.length > 0 ? "No test fits this filter."
      : "There are no results" + (data.final ? "." : " yet."));
    this.#header.append(el("span"), ...this.#columns.map(({ key, title }) =>
      el("button", {
        "data-key": key, role: "columnheader", click: () => onSort(key),
        class: (NUMBERS.includes(key) ? "right" : "") + (BESIDE_DETAIL.includes(key) ? "" : " spare"),
      }, title)));
    this.#body = el("div", {
      class: "body", id: "body", role: "rowgroup", tabindex: 0, "aria-label": "Tests",
      keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      click: (/** @type {MouseEvent} */ event) => this.#click(event),
    });
    this.element = el("section", { class: "card table", role: "treegrid", "aria-label": "Test results" },
      this.#header, this.#body, this.#nothing, this.#more);
    const widths = (/** @type {Column[]} */ columns) => ["22px", ...columns.map(({ width }) => width)].join(" ");
    this.element.style.setProperty("--columns", widths(this.#columns));
    this.element.style.setProperty("--narrow", widths(this.#columns.filter(({ key }) => BESIDE_DETAIL.includes(key))));
    addEventListener("scroll", () => this.draw(), { passive: true });
    addEventListener("resize", () => this.redraw());
    const print = (/** @type {boolean} */ on) => {
      this.#printing = on;
      this.redraw();
    };
    addEventListener("beforeprint", () => print(true));
    addEventListener("afterprint", () => print(false));
  }

  /** Shows these tests, those that are unfolded with their parts. @param {Row[]} rows @param {string} sort */
  show(rows, sort) {
    const before = this.lines[this.selected];
    /** @type {Line[]} */
    const lines = [];
    for (const row of rows) {
      lines.push({ row, part: -1 });
      if (row.unfolded) row.subtests.forEach((_, part) => lines.push({ row, part }));
    }
    const beyond = lines.length - MAX_LINES;
    this.lines = beyond > 0 ? lines.slice(0, MAX_LINES) : lines;
    this.#more.textContent = count(beyond, "more row") + " would not fit: filter for what you look for.";
    this.#more.hidden = beyond <= 0;
    this.#nothing.hidden = lines.length > 0;
    this.element.setAttribute("aria-rowcount", String(lines.length));
    this.selected = before
      ? this.lines.findIndex((it) => it.row === before.row && it.part === before.part)
      : -1;
    for (const button of this.#header.querySelectorAll("button")) {
      const key = button.dataset.key ?? "";
      if (sort === key) button.dataset.sorted = "up";
      else if (sort === "-" + key) button.dataset.sorted = "down";
      else delete button.dataset.sorted;
      button.setAttribute("aria-sort", sort === key ? "ascending" : sort === "-" + key ? "descending" : "none");
    }
    this.redraw();
  }

  /** Forgets what exists, and draws again. */
  redraw() {
    for (const element of this.#shown.values()) element.remove();
    this.#shown.clear();
    this.#body.style.height = this.lines.length * this.#rowHeight() + "px";
    this.draw();
  }

  #rowHeight() {
    return parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
  }

  /** Makes what can be seen, or is to be printed. */
  draw() {
    const height = this.#rowHeight();
    const top = -this.#body.getBoundingClientRect().top;
    const first = this.#printing ? 0 : Math.max(0, Math.floor(top / height) - MARGIN);
    const last = Math.min(this.lines.length, this.#printing ? MAX_PRINTED : Math.ceil((top + innerHeight) / height) + MARGIN);
    for (const [index, element] of this.#shown) {
      if (index >= first && index < last) continue;
      element.remove();
      this.#shown.delete(index);
    }
    for (let index = first; index < last; index++) {
      if (this.#shown.has(index)) continue;
      const element = this.#make(index);
      element.style.transform = "translateY(" + index * height + "px)";
      this.#shown.set(index, element);
      this.#body.append(element);
    }
  }

  /** @param {number} index */
  #make(index) {
    const { row, part } = this.lines[index];
    const attributes = {
      class: part < 0 ? "row" : "row part", role: "row", id: "row-" + index, "data-index": index,
      "aria-rowindex": index + 1, "aria-level": part < 0 ? 1 : 2, "aria-selected": String(index === this.selected),
      "aria-expanded": part < 0 && row.subtests.length > 0 && row.unfolded ? "true"
        : part < 0 && row.subtests.length > 0 ? "false" : undefined,
    };
    const fold = part < 0 && row.subtests.length > 0
      ? el("button", { class: "fold", tabindex: -1, "aria-label": "Subtests" })
      : el("span", { class: "nofold" });
    const cells = part < 0
      ? this.#columns.map((column) => column.cell(row))
      : this.#partCells(row, row.subtests[part]);
    cells.forEach((cell, column) => {
      cell.setAttribute("role", "gridcell");
      cell.classList.toggle("spare", !BESIDE_DETAIL.includes(this.#columns[column].key));
    });
    return el("div", attributes, fold, ...cells);
  }

  /** @param {Row} _row @param {PageSubtest} subtest */
  #partCells(_row, [name, status, note, files]) {
    return this.#columns.map(({ key }) =>
      key === "status" ? el("div", { class: "state" }, statusMark(status || "none"))
        : key === "test" ? el("div", { class: "name", title: clean(name) }, clean(name))
        : key === "note" ? cell("note", clean(note ?? ""))
        : key === "files" ? cell("files side right number", files ? String(files.length) : "")
        : cell("side", ""));
  }

  /** @param {number} index @param {boolean} scroll */
  select(index, scroll = true) {
    const old = this.#shown.get(this.selected);
    if (old) old.setAttribute("aria-selected", "false");
    this.selected = index;
    if (index >= 0 && scroll) this.#scrollTo(index);
    this.draw();
    const element = this.#shown.get(index);
    if (element) {
      element.setAttribute("aria-selected", "true");
      this.#body.setAttribute("aria-activedescendant", element.id);
    } else this.#body.removeAttribute("aria-activedescendant");
    this.#onSelect(this.lines[index]);
  }

  /** Selects a test, if it is shown. @param {Row} row */
  selectRow(row) {
    this.select(this.lines.findIndex((it) => it.row === row && it.part < 0));
  }

  focus() {
    this.#body.focus({ preventScroll: true });
  }

  /** @param {number} index */
  #scrollTo(index) {
    const height = this.#rowHeight();
    const top = this.#body.getBoundingClientRect().top + index * height;
    const above = 100;
    const below = innerHeight - height - 10;
    if (top < above) scrollBy(0, top - above);
    else if (top > below) scrollBy(0, top - Math.min(below, innerHeight / 2));
  }

  /** Shows or hides the parts of a test. @param {Row} row @param {boolean} unfolded */
  fold(row, unfolded) {
    if (row.subtests.length === 0 || row.unfolded === unfolded) return;
    row.unfolded = unfolded;
    const at = this.lines.findIndex((it) => it.row === row && it.part < 0);
    const parts = row.subtests.map((_, part) => ({ row, part }));
    if (unfolded) this.lines.splice(at + 1, 0, ...parts);
    else this.lines.splice(at + 1, parts.length);
    if (this.selected > at) this.selected = unfolded ? this.selected + parts.length : Math.max(at, this.selected - parts.length);
    this.element.setAttribute("aria-rowcount", String(this.lines.length));
    this.redraw();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const element = /** @type {HTMLElement | null} */ (target.closest(".row"));
    if (!element) return;
    const index = Number(element.dataset.index);
    const { row } = this.lines[index];
    if (target.closest(".fold")) this.fold(row, !row.unfolded);
    else this.select(index, false);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const line = this.lines[this.selected];
    const page = Math.max(1, Math.floor(innerHeight / this.#rowHeight()) - 6);
    const last = this.lines.length - 1;
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -last, End: last };
    const move = moves[event.key];
    if (move !== undefined && last >= 0) {
      const from = this.selected < 0 && move > 0 ? -1 : this.selected;
      this.select(Math.min(last, Math.max(0, from + move)));
    } else if (line && event.key === "ArrowRight") this.fold(line.row, true);
    else if (line && event.key === "ArrowLeft") {
      if (line.part >= 0) this.selectRow(line.row);
      this.fold(line.row, false);
    } else if (line && event.key === "Enter") this.#onEnter();
    else return;
    event.preventDefault();
  }
}
`;
