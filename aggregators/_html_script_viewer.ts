/** The page's script, part 6: the window in which a log is read. */

export const VIEWER = String.raw`
const LINE_HEIGHT = 18;
/** Browsers do not draw what is higher; then a step of the scroll bar is more than a line. */
const MAX_HEIGHT = 8e6;
const PICTURE = /\.(?:png|jpe?g|gif|webp)$/i;

/** Shows one file at a time. */
class Viewer {
  #name = el("span", { class: "name" });
  #search = el("input", {
    type: "search", placeholder: "Search", "aria-label": "Search in the file",
    input: () => this.#find(), keydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") this.#next(event.shiftKey ? -1 : 1);
    },
  });
  #hitCount = el("span", { class: "soft", "aria-live": "polite" });
  #steps = el("span", { hidden: true },
    el("button", { click: () => this.#next(-1), "aria-label": "Previous hit" }, "\u2191"), " ",
    el("button", { click: () => this.#next(1), "aria-label": "Next hit" }, "\u2193"));
  #says = el("div", { class: "says" });
  #inner = el("div", { class: "inner" });
  #lines = el("div", {
    class: "lines", tabindex: 0, "aria-label": "Lines", scroll: () => this.#draw(),
    keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
  }, this.#inner);
  #link = el("span");
  #folder = el("input", {
    type: "file", webkitdirectory: true, hidden: true, "aria-label": "Folder",
    change: () => {
      takeFiles(this.#folder.files ?? []);
      if (this.#file) this.open(this.#file);
    },
  });
  element = el("dialog", { class: "log", "aria-label": "File", close: () => this.#close() },
    el("div", { class: "tools" }, this.#name, this.#search, this.#hitCount, this.#steps,
      el("button", { click: () => this.#scrollTo(0) }, "Beginning"),
      el("button", { click: () => this.#scrollTo(Infinity) }, "End"),
      this.#link,
      el("button", { click: () => this.element.close(), title: "Close (Esc)", "aria-label": "Close the file" }, "\u2715")),
    this.#says, this.#lines, this.#folder);

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#lines);
  }

  /** @type {OpenFile | undefined} */
  #file;
  /** @type {LogText | undefined} */
  #text;
  #hits = new Offsets();
  #hit = -1;
  /** Lines that were read last. @type {{ first: number, lines: { text: string, number: string }[] }} */
  #read = { first: 0, lines: [] };
  #working = new AbortController();
  #searching = new AbortController();
  #drawing = 0;
  /** @type {string | undefined} */
  #picture;

  /** @param {OpenFile} file */
  async open(file) {
    this.#reset();
    this.#file = file;
    const { signal } = this.#working;
    const url = linkTo(file.place);
    this.#name.textContent = clean(file.name) + (file.size === undefined ? "" : "  " + size(file.size));
    this.#link.replaceChildren(url === null ? "" : el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, "Open the file"));
    if (!this.element.open) this.element.showModal();
    this.#lines.focus();
    const given = file.place && givenFile(file.place);
    if (given) return await this.#show(given, signal);
    if (file.text?.length === 1) return await this.#show(new Blob(file.text), signal);
    const excerpt = file.text && new Blob([file.text[0], "\n[\u2026]\n\n", file.text[1]]);
    const beginning = file.text?.[0].split("\n").length ?? 1;
    const shown = excerpt ? "This is the beginning and the end of the file. " : "";
    // what is said takes room from the lines: it comes first
    if (url === null) this.#say(shown || "The report does not know where this file is.");
    else if (!canFetch()) this.#askForFolder(shown);
    else this.#say(shown + "Reading all of it \u2026");
    if (excerpt) await this.#show(excerpt, signal, beginning - 1);
    if (signal.aborted || url === null || !canFetch()) return;
    try {
      const blob = await fetchFile(url, signal);
      this.#say("");
      await this.#show(blob, signal);
    } catch (error) {
      if (!signal.aborted) this.#say(shown + "It cannot be read: " + (error instanceof Error ? error.message : error) + ".");
    }
  }

  /** @param {string} shown */
  #askForFolder(shown) {
    if (isElsewhere()) return this.#say(shown + "All of it is on another server: open the file there.");
    const folder = decodeURIComponent((data.files ?? "").split("/").filter((part) => part).at(-1) ?? "");
    this.#say(shown + "A browser does not let a page from a disk read other files. Open the file, or choose the folder \u201c" +
      clean(folder) + "\u201d once to read all files here (they stay on this computer).");
    this.#says.append(el("button", { click: () => this.#folder.click() }, "Choose folder"));
  }

  /** @param {string} text */
  #say(text) {
    this.#says.hidden = text === "";
    this.#says.replaceChildren(el("span", { role: "status" }, text));
  }

  #reset() {
    this.#working.abort();
    this.#searching.abort();
    this.#working = new AbortController();
    this.#text = undefined;
    this.#hits = new Offsets();
    this.#hit = -1;
    this.#read = { first: 0, lines: [] };
    this.#search.value = "";
    this.#hitCount.textContent = "";
    this.#steps.hidden = true;
    this.#inner.replaceChildren();
    this.#inner.style.height = this.#inner.style.width = "";
    this.#say("");
    if (this.#picture) URL.revokeObjectURL(this.#picture);
    this.#picture = undefined;
  }

  #close() {
    this.#reset();
    this.#file = undefined;
  }

  /** @param {Blob} packed @param {AbortSignal} signal @param {number} [numbered] */
  async #show(packed, signal, numbered) {
    const blob = await unpacked(packed);
    if (PICTURE.test(this.#file?.name ?? "") && !signal.aborted) {
      this.#picture = URL.createObjectURL(blob);
      this.#inner.replaceChildren(el("img", { class: "picture", src: this.#picture, alt: clean(this.#file?.name ?? "") }));
      return;
    }
    const text = new LogText(blob, numbered);
    await text.index(signal);
    if (signal.aborted) return;
    if (text.binary) this.#say("This is not a text: what is shown is of little use.");
    this.#text = text;
    this.#read = { first: 0, lines: [] };
    this.#inner.replaceChildren();
    this.#inner.style.width = "";
    this.#inner.style.height = this.#height() + "px";
    if (this.#search.value !== "") await this.#find();
    else if (this.#file?.fromEnd) this.#scrollTo(Infinity);
    await this.#draw();
  }

  #height() {
    return Math.min(MAX_HEIGHT, (this.#text?.length ?? 0) * LINE_HEIGHT);
  }

  /** The line at the top, and how much of it is out of sight. */
  #top() {
    const all = (this.#text?.length ?? 0) * LINE_HEIGHT;
    const room = this.#height() - this.#lines.clientHeight;
    const share = room > 0 ? Math.min(1, this.#lines.scrollTop / room) : 0;
    return share * Math.max(0, all - this.#lines.clientHeight) / LINE_HEIGHT;
  }

  /** @param {number} line */
  #scrollTo(line) {
    const all = (this.#text?.length ?? 0) * LINE_HEIGHT - this.#lines.clientHeight;
    const room = this.#height() - this.#lines.clientHeight;
    if (all <= 0) return;
    this.#lines.scrollTop = Math.max(0, Math.min(1, line * LINE_HEIGHT / all)) * room;
    this.#lines.scrollLeft = 0;
  }

  async #draw() {
    const text = this.#text;
    if (!text) return;
    const drawing = ++this.#drawing;
    const top = this.#top();
    const first = Math.floor(top);
    const last = Math.min(text.length, first + Math.ceil(this.#lines.clientHeight / LINE_HEIGHT) + 2);
    const { first: from, lines } = this.#read;
    if (first < from || last > from + lines.length) {
      const start = Math.max(0, first - 200);
      const read = await text.lines(start, Math.min(text.length, last + 200));
      if (drawing !== this.#drawing || text !== this.#text) return;
      this.#read = { first: start, lines: read };
    }
    const y = this.#lines.scrollTop - (top - first) * LINE_HEIGHT;
    this.#inner.replaceChildren(...Array.from({ length: last - first }, (_, i) => {
      const element = this.#line(first + i);
      element.style.top = y + i * LINE_HEIGHT + "px";
      return element;
    }));
    // a line is as wide as its text, and what is scrolled must be as wide as the widest
    const width = Math.max(...[...this.#inner.children].map((child) => child.scrollWidth), 0);
    if (width > this.#inner.clientWidth) this.#inner.style.width = width + "px";
  }

  /** @param {number} index */
  #line(index) {
    const { text, number } = this.#read.lines[index - this.#read.first];
    const found = this.#hits.length > 0 && this.#hits.at(this.#hits.find(index)) === index;
    const current = found && this.#hits.at(this.#hit) === index;
    const element = el("div", { class: "line" + (current ? " current" : found ? " found" : ""), "data-number": number });
    element.append(...(found ? marked(text, this.#search.value) : coloured(text)));
    return element;
  }

  async #find() {
    this.#searching.abort();
    this.#searching = new AbortController();
    const { signal } = this.#searching;
    const wanted = this.#search.value;
    this.#hits = new Offsets();
    this.#hit = -1;
    this.#hitCount.textContent = "";
    this.#steps.hidden = true;
    if (wanted !== "" && this.#text) {
      const hits = await this.#text.search(wanted, signal);
      if (signal.aborted) return;
      this.#hits = hits;
      this.#steps.hidden = hits.length < 2;
      if (hits.length > 0) {
        // the first one that is in sight or below
        const at = hits.find(Math.floor(this.#top()));
        this.#hit = at - 1 + (hits.at(at) >= Math.floor(this.#top()) ? 0 : 1);
        this.#next(1);
      } else this.#hitCount.textContent = "not found";
    }
    await this.#draw();
  }

  /** @param {number} step */
  #next(step) {
    const { length } = this.#hits;
    if (length === 0) return;
    this.#hit = (this.#hit + step + length) % length;
    const line = this.#hits.at(this.#hit);
    const top = this.#top();
    const rows = this.#lines.clientHeight / LINE_HEIGHT;
    if (line < top || line > top + rows - 2) this.#scrollTo(line - rows / 3);
    this.#hitCount.textContent = this.#hit + 1 + " of " + length + (length === MAX_HITS ? "+" : "") + " lines";
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "/" || (event.key === "f" && event.ctrlKey)) this.#search.focus();
    else if (event.key === "n") this.#next(1);
    else if (event.key === "N") this.#next(-1);
    else if (event.key === "Home") this.#scrollTo(0);
    else if (event.key === "End") this.#scrollTo(Infinity);
    else return;
    event.preventDefault();
  }
}

/** A line in which a text is marked. @param {string} line @param {string} wanted @returns {(string | HTMLElement)[]} */
function marked(line, wanted) {
  const text = cleanLines(line.replace(SEQUENCE, ""));
  const [low, small] = [text.toLowerCase(), wanted.toLowerCase()];
  if (low.length !== text.length || small === "") return [text];
  const nodes = [];
  let from = 0;
  for (let at; (at = low.indexOf(small, from)) >= 0; from = at + small.length) {
    nodes.push(text.slice(from, at), el("mark", {}, text.slice(at, at + small.length)));
  }
  return [...nodes, text.slice(from)];
}
`;
