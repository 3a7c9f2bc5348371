/** The page's script, part 5: reading logs, however large. */

export const LOG = String.raw`
/**
 * @typedef {object} OpenFile
 * @property {string} name
 * @property {number | undefined} size
 * @property {string[] | undefined} text What of it is in the page: all, or the beginning and the end.
 * @property {string[] | null} place
 * @property {boolean} fromEnd Whether the end is of most interest.
 */

/** @param {Row} row @param {PageSubtest | undefined} subtest @param {PageFile} file @returns {OpenFile} */
function openFile(row, subtest, file) {
  const [name, bytes, ...text] = typeof file === "string" ? [file] : file;
  return {
    name, size: bytes, text: text.length > 0 ? text : undefined, place: placeOf(row, subtest?.[0], name),
    fromEnd: FAILING.has(subtest ? subtest[1] ?? "" : row.status),
  };
}

const SEQUENCE = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;

/** A line with the colours that a terminal would show. @param {string} line @returns {(string | HTMLElement)[]} */
function coloured(line) {
  /** @type {(string | HTMLElement)[]} */
  const nodes = [];
  let [bold, colour, from] = [false, -1, 0];
  const add = (/** @type {string} */ text) => {
    const clear = cleanLines(text);
    if (clear === "") return;
    const kind = (bold ? "b1 " : "") + (colour >= 0 ? "c" + colour : "");
    nodes.push(kind ? el("span", { class: kind }, clear) : clear);
  };
  for (const found of line.matchAll(SEQUENCE)) {
    add(line.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[2] !== "m") continue;
    const codes = found[1].split(";").map(Number);
    for (let at = 0; at < codes.length; at++) {
      const code = codes[at];
      if (code === 0) [bold, colour] = [false, -1];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code === 39) colour = -1;
      else if (code === 38 || code === 48 || code === 58) {
        // another colour: the number of one, or how red, green and blue it is
        const [kind, number] = codes.slice(at + 1);
        if (code === 38) colour = kind === 5 && number < 16 ? number : -1;
        at += kind === 5 ? 2 : kind === 2 ? 4 : 0;
      }
      else if (code >= 30 && code <= 37) colour = code - 30;
      else if (code >= 90 && code <= 97) colour = code - 82;
    }
  }
  add(line.slice(from));
  return nodes;
}

/** Bytes of a line; the rest of a longer one is a line of its own. */
const MAX_LINE = 4000;
const BLOCK = 1 << 20;
/** Hits of a search that are kept. */
const MAX_HITS = 100000;

/** A list of whole numbers that grows. */
class Offsets {
  #list = new Float64Array(4096);
  length = 0;

  /** @param {number} value */
  push(value) {
    if (this.length === this.#list.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.#list);
      this.#list = larger;
    }
    this.#list[this.length++] = value;
  }

  /** @param {number} index */
  at(index) {
    return this.#list[index];
  }

  /** The last index whose value is not above this one. @param {number} value */
  find(value) {
    let [low, high] = [0, this.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#list[middle] <= value) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** A text of any size: where its lines begin, and what is in them when it is asked for. */
class LogText {
  #blob;
  #starts = new Offsets();
  #numbers = new Offsets();
  #numbered;
  binary = false;

  /** @param {Blob} blob @param {number} numbered Lines whose numbers are known. */
  constructor(blob, numbered = Infinity) {
    this.#blob = blob;
    this.#numbered = numbered;
  }

  get length() {
    return this.#starts.length;
  }

  /** Finds the lines. @param {AbortSignal} signal */
  async index(signal) {
    let [start, number] = [0, 1];
    const begin = (/** @type {number} */ at) => {
      this.#starts.push(start);
      this.#numbers.push(number);
      start = at;
    };
    for (let at = 0; at < this.#blob.size; at += BLOCK) {
      const bytes = await this.#bytes(at, at + BLOCK);
      if (signal.aborted) return;
      if (at === 0) this.binary = bytes.subarray(0, 8192).includes(0);
      let from = 0;
      for (;;) {
        const newline = bytes.indexOf(10, from);
        const end = newline < 0 ? bytes.length : newline + 1;
        while (at + end - start > MAX_LINE) {
          let cut = start + MAX_LINE;
          // not within a character
          while (cut > at && cut > start + 1 && (bytes[cut - at] & 0xc0) === 0x80) cut--;
          begin(cut);
        }
        if (newline < 0) break;
        begin(at + end);
        number++;
        from = end;
      }
    }
    if (start < this.#blob.size || this.length === 0) begin(this.#blob.size);
  }

  /** @param {number} from @param {number} to */
  async #bytes(from, to) {
    return new Uint8Array(await this.#blob.slice(from, to).arrayBuffer());
  }

  /** Lines with their numbers; those that go on from the one before have none. @param {number} first @param {number} last */
  async lines(first, last) {
    const from = this.#starts.at(first);
    const to = last < this.length ? this.#starts.at(last) : this.#blob.size;
    const bytes = await this.#bytes(from, to);
    const decoder = new TextDecoder();
    return Array.from({ length: last - first }, (_, i) => {
      const index = first + i;
      const end = index + 1 < this.length ? this.#starts.at(index + 1) : this.#blob.size;
      const text = decoder.decode(bytes.subarray(this.#starts.at(index) - from, end - from));
      const number = this.#numbers.at(index);
      const goesOn = index > 0 && this.#numbers.at(index - 1) === number;
      return { text: text.replace(/\r?\n$/, ""), number: goesOn || number > this.#numbered ? "" : String(number) };
    });
  }

  /** The lines in which a text is, in whatever letters of ASCII. @param {string} text @param {AbortSignal} signal */
  async search(text, signal) {
    const wanted = lowered(new TextEncoder().encode(text));
    const hits = new Offsets();
    if (wanted.length === 0) return hits;
    for (let at = 0; at < this.#blob.size && hits.length < MAX_HITS; at += BLOCK) {
      const bytes = lowered(await this.#bytes(at, at + BLOCK + wanted.length - 1));
      if (signal.aborted) break;
      for (let found = -1; (found = bytes.indexOf(wanted[0], found + 1)) >= 0;) {
        let same = 1;
        while (same < wanted.length && bytes[found + same] === wanted[same]) same++;
        if (same < wanted.length) continue;
        const line = this.#starts.find(at + found);
        if (hits.length === 0 || hits.at(hits.length - 1) !== line) hits.push(line);
      }
    }
    return hits;
  }
}

/** @param {Uint8Array} bytes */
function lowered(bytes) {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] >= 65 && bytes[i] <= 90) bytes[i] |= 32;
  return bytes;
}

/** Files that the reader gave us, by path. @type {Map<string, File> | undefined} */
let givenFiles;

/** @param {Iterable<File>} files */
function takeFiles(files) {
  givenFiles = new Map();
  for (const file of files) {
    // the name of the chosen directory comes first
    const path = file.webkitRelativePath || file.name;
    givenFiles.set(path, file);
    givenFiles.set(path.slice(path.indexOf("/") + 1), file);
  }
}

/** The file at a place, if the reader gave it: also if the directory was one further in or out. @param {string[]} place */
function givenFile(place) {
  const base = isElsewhere() ? [] : (data.files ?? "").split("/").filter((part) => part !== "" && part !== ".").map(decodeURIComponent);
  const path = [...base, ...place];
  for (let from = 0; from <= base.length + 1; from++) {
    const found = givenFiles?.get(path.slice(from).join("/"));
    if (found) return found;
  }
}

/** Whether this page may read files that are beside it. */
function canFetch() {
  return /^https?:$/.test(location.protocol) && data.files !== null && !isElsewhere();
}

/** Whether files are on another server. */
function isElsewhere() {
  return /^https?:/.test(data.files ?? "");
}

/** @param {string} url @param {AbortSignal} signal */
async function fetchFile(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error("the server answers " + response.status);
  return await response.blob();
}

/** Unpacks a file that is compressed as browsers can. @param {Blob} blob */
async function unpacked(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  if (first !== 0x1f || second !== 0x8b) return blob;
  const stream = blob.stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).blob();
}
`;
