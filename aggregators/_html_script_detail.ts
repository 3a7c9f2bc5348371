/** The page's script, part 4: all about one test. */

export const DETAIL = String.raw`
/** Makes the panel about a test. @param {Line} line @param {{ close: () => void, open: (file: OpenFile) => void }} listeners */
function makeDetail({ row, part }, { close, open }) {
  const subtest = part < 0 ? undefined : row.subtests[part];
  const status = subtest ? subtest[1] || "none" : row.status;
  const note = subtest ? subtest[2] ?? "" : row.note;
  const files = subtest ? subtest[3] ?? [] : row.files;
  return el("aside", { class: "card detail", "aria-label": "Details" },
    el("header", {},
      el("h2", { class: "name" }, ...nameOf(row.name), subtest && " / " + clean(subtest[0])),
      el("button", { class: "close", click: close, "aria-label": "Close details", title: "Close (Esc)" }, "\u2715")),
    el("div", {}, statusMark(status, subtest ? {} : row),
      !subtest && row.flaky && el("span", { class: "tag flaky" }, "flaky"),
      !subtest && row.change && el("span", { class: "tag " + CHANGE_TONES.get(row.change) },
        CHANGES.get(row.change), row.before !== undefined && row.before !== row.status && ", was " + clean(row.before))),
    note && el("div", { class: "said note" }, cleanLines(note)),
    facts(row),
    row.earlier.length > 0 && !subtest && attempts(row),
    files.length > 0 && fileList(row, subtest, files, open),
    !subtest && row.subtests.length + row.leftOut > 0 && parts(row, open));
}

/** @param {Row} row */
function facts(row) {
  const { system } = row;
  const known = systemOf(row);
  /** @type {[string, string | undefined][]} */
  const list = [
    ["Platform", row.platform],
    ["System", system || undefined],
    ["From", known?.provisioner],
    ...Object.entries(known?.attributes ?? {}),
    ["Began", row.began === undefined ? undefined : moment(row.began)],
    ["Took", row.ms === undefined ? undefined : span(row.ms)],
  ];
  return el("dl", {}, ...list.filter(([, value]) => value !== undefined).flatMap(([name, value]) => [
    el("dt", {}, clean(name)), el("dd", { class: "value" }, clean(value ?? "")),
  ]));
}

/** What is known of the system that a test ran on. @param {Row} row */
function systemOf(row) {
  for (const run of data.runs) {
    if (data.platforms[run.platform] !== row.platform) continue;
    const found = run.systems.find((it) => data.systems[it.r] === row.system);
    if (found) return found;
  }
}

/** @param {Row} row */
function attempts(row) {
  const last = /** @type {[string, string?]} */ ([row.status, row.note.split("\n")[0]]);
  return el("div", {}, el("h3", {}, "Attempts"),
    el("ol", {}, ...[...row.earlier, last].map(([status, note], index) =>
      el("li", {}, index + 1 + ". ", statusMark(status), note && el("span", { class: "note soft" }, " " + clean(note))))));
}

/**
 * @param {Row} row @param {PageSubtest | undefined} subtest @param {PageFile[]} files
 * @param {(file: OpenFile) => void} open
 */
function fileList(row, subtest, files, open) {
  const list = files.map((file) => openFile(row, subtest, file));
  const first = list.find(({ text }) => text !== undefined);
  return el("div", {}, el("h3", {}, list.length === 1 ? "File" : "Files"),
    el("ul", {}, ...list.map((file) => el("li", {},
      el("button", { class: "file name", click: () => open(file) }, clean(file.name)),
      file.size !== undefined && el("span", { class: "soft" }, "  " + size(file.size)),
      file === first && peek(file)))));
}

/** The last lines of what is in the page. @param {OpenFile} file */
function peek({ text = [] }) {
  const lines = (text.at(-1) ?? "").replace(/\r?\n$/, "").split(/\r?\n/).slice(-24);
  const element = el("div", { class: "peek", tabindex: 0, "aria-label": "The last lines" });
  lines.forEach((line, index) => element.append(...(index > 0 ? ["\n"] : []), ...coloured(line)));
  requestAnimationFrame(() => element.scrollTop = element.scrollHeight);
  return element;
}

/** @param {Row} row @param {(file: OpenFile) => void} open */
function parts(row, open) {
  const most = 500;
  const beyond = row.subtests.length - most;
  return el("div", {}, el("h3", {}, "Subtests"),
    el("ul", {}, ...row.subtests.slice(0, most).map((subtest) => {
      const [name, status, note, files] = subtest;
      return el("li", {}, statusMark(status || "none"), " ", el("span", { class: "name" }, clean(name)),
        note && el("div", { class: "note soft" }, cleanLines(note)),
        files && el("div", {}, ...files.flatMap((file) => {
          const it = openFile(row, subtest, file);
          return [el("button", { class: "file name", click: () => open(it) }, clean(it.name)), "  "];
        })));
    })),
    beyond > 0 && el("p", { class: "soft" }, "\u2026 and " + beyond + " more: unfold the test in the table."),
    row.leftOut > 0 && el("p", { class: "soft" }, count(row.leftOut, "subtest") + " that passed " +
      (row.leftOut === 1 ? "is" : "are") + " not in this page."));
}
`;
