/** The page's script, part 2: rows, and which of them are shown in which order. */
import { FAILING, NO_RESULT, PASSED } from "./_statuses.ts";

/** As a literal of the page's script. */
const literal = (words: Iterable<string>) => JSON.stringify([...words]);

export const ROWS = String.raw`
/** @typedef {"good" | "bad" | "error" | "infra" | "warn" | "flaky" | "info" | "off"} Tone */

/**
 * @typedef {object} Row
 * @property {number} index
 * @property {number} place Among all, by name.
 * @property {string} platform
 * @property {string} name
 * @property {string} status
 * @property {Tone} tone
 * @property {boolean} waits It has not ended, or never will.
 * @property {boolean} flaky
 * @property {string} note
 * @property {PageFile[]} files
 * @property {string} system
 * @property {number | undefined} began
 * @property {number | undefined} ms
 * @property {number} attempt
 * @property {[status: string, note?: string][]} earlier
 * @property {PageSubtest[]} subtests
 * @property {number} leftOut
 * @property {string | undefined} change
 * @property {string | undefined} before
 * @property {string | undefined} text Everything, to search in; made when needed.
 * @property {boolean} unfolded
 */

/** Statuses from the worst to the best, and how they look. @type {Map<string, Tone>} */
const TONES = new Map([
  ["fail", "bad"], ["error", "error"], ["${NO_RESULT}", "error"], ["infra", "infra"], ["not stored", "infra"],
  ["not run", "infra"], ["warn", "warn"], ["running", "info"], ["queued", "off"], ["none", "off"], ["info", "info"],
  ["skip", "off"], ["pass", "good"], ["gone", "off"],
]);
const RANKS = new Map([...TONES.keys()].map((status, rank) => [status, rank]));
const PASSED = new Set(${literal(PASSED)});
const FAILING = new Set(${literal([...FAILING, "not stored", "not run"])});

/** How each change is called. */
const CHANGES = new Map([
  ["broken", "newly failing"], ["fixed", "fixed"], ["failing", "still failing"], ["changed", "changed"],
  ["new", "new"], ["gone", "gone"],
]);
/** @type {Map<string, Tone>} */
const CHANGE_TONES = new Map([
  ["broken", "bad"], ["fixed", "good"], ["failing", "error"], ["changed", "warn"], ["new", "info"], ["gone", "off"],
]);

/** @param {string} platform @param {string} name @param {string} status @returns {Row} */
function row(platform, name, status) {
  return {
    index: 0, place: 0, platform, name, status, tone: TONES.get(status) ?? "off", waits: false, flaky: false, note: "",
    files: [], system: "", began: undefined, ms: undefined, attempt: 1, earlier: [], subtests: [], leftOut: 0,
    change: undefined, before: undefined, text: undefined, unfolded: false,
  };
}

/** @returns {Row[]} */
function makeRows() {
  const rows = data.tests.map((known) => {
    const it = row(data.platforms[known.p], known.t, known.x ? "${NO_RESULT}" : known.s || "none");
    // absent means the usual
    if (known.n !== undefined) it.note = known.n;
    if (known.f !== undefined) it.files = known.f;
    if (known.r !== undefined) it.system = data.systems[known.r];
    if (known.a !== undefined) it.attempt = known.a;
    if (known.e !== undefined) it.earlier = known.e;
    if (known.u !== undefined) it.subtests = known.u;
    if (known.o !== undefined) it.leftOut = known.o;
    it.flaky = it.earlier.length > 0 && !FAILING.has(it.status);
    it.began = known.b;
    it.ms = known.d;
    it.change = known.c;
    it.before = known.w;
    return it;
  });
  for (const [platform, name, state, system = -1, since] of data.waiting) {
    const it = row(data.platforms[platform], name, state);
    rows.push(Object.assign(it, { waits: true, system: data.systems[system] ?? "", began: since }));
  }
  for (const [platform, name, before] of data.gone) {
    rows.push(Object.assign(row(platform, name, "gone"), { waits: true, change: "gone", before }));
  }
  rows.forEach((it, index) => it.index = index);
  [...rows].sort((a, b) => compareNames(a.name, b.name) || a.index - b.index).forEach((it, place) => it.place = place);
  return rows;
}

/** @param {PageFile} file */
function fileName(file) {
  return typeof file === "string" ? file : file[0];
}

/** All that a row shows, in small letters. @param {Row} it */
function textOf(it) {
  it.text ??= [
    it.status, it.name, it.platform, it.system, it.note, it.change ? CHANGES.get(it.change) : "",
    it.flaky ? "flaky" : "", it.files.map(fileName).join("\n"), it.earlier.map(([, note]) => note).join("\n"),
    it.subtests.map(([name, status, note, files]) =>
      [name, status, note, (files ?? []).map(fileName).join("\n")].join("\n")).join("\n"),
  ].join("\n").toLowerCase();
  return it.text;
}

/** What can stand before a colon in the filter. @type {Record<string, (it: Row) => string>} */
const FIELDS = {
  test: (it) => it.name,
  platform: (it) => it.platform,
  system: (it) => it.system,
  note: (it) => it.note,
  file: (it) => [...it.files, ...it.subtests.flatMap(([, , , files]) => files ?? [])].map(fileName).join("\n"),
  subtest: (it) => it.subtests.map(([name]) => name).join("\n"),
};

/** What can, and stands before one of several words. @type {Record<string, (it: Row, word: string) => boolean>} */
const WORDS = {
  status: (it, word) => it.status.toLowerCase() === word,
  change: (it, word) => it.change === word,
  is: (it, word) => word === "flaky" ? it.flaky : word === "failed" ? FAILING.has(it.status) : false,
};

/**
 * What is to be found in rows: words, texts in quotes, and either behind a name and a colon; a minus before it
 * means that it must not be there.
 *
 * @param {string} query
 */
function parseQuery(query) {
  const terms = query.matchAll(/(-?)(?:(\w+):)?(?:"([^"]*)"?|(\S+))/g);
  // a word that has only begun stops nothing
  return [...terms].filter(([all]) => !/^-?(\w+:|")?$/.test(all)).map(([all, not, key, quoted, word]) => {
    const known = key !== undefined && (Object.hasOwn(FIELDS, key) || Object.hasOwn(WORDS, key));
    const value = quoted ?? word;
    const text = (known || key === undefined ? value : key + ":" + value).toLowerCase();
    return { all, not: not === "-", key: known ? key : undefined, text };
  });
}

/** What would end a word, or be lost, in a list of words. */
const APART = /[,"%]|[^\S ]|^ | $| (?= )/g;

/** A word for a list of them. @param {string} word */
function encodeWord(word) {
  return word.replace(APART, encodeURIComponent).toLowerCase();
}

/** The words of a list. @param {string} text */
function wordsOf(text) {
  return text.split(",").map((word) => {
    try {
      return decodeURIComponent(word);
    } catch {
      return word; // a percent sign that somebody typed
    }
  });
}

/** @param {string} query @returns {(it: Row) => boolean} */
function matcher(query) {
  const tests = parseQuery(query).map(({ not, key, text }) => {
    /** @type {(it: Row) => boolean} */
    let test = (it) => textOf(it).includes(text);
    if (key !== undefined && Object.hasOwn(WORDS, key)) {
      const words = wordsOf(text);
      test = (it) => words.some((word) => WORDS[key](it, word));
    } else if (key !== undefined) test = (it) => FIELDS[key](it).toLowerCase().includes(text);
    return not ? (/** @type {Row} */ it) => !test(it) : test;
  });
  return (it) => tests.every((test) => test(it));
}

/** Whether a filter asks for a word. @param {string} query @param {string} key @param {string} word */
function asksFor(query, key, word) {
  return parseQuery(query).some((it) => it.key === key && !it.not && wordsOf(it.text).includes(word));
}

/** A filter that asks for a word, or does not any more. @param {string} query @param {string} key @param {string} word */
function toggled(query, key, word) {
  const own = parseQuery(query).find((it) => it.key === key && !it.not);
  const words = own ? wordsOf(own.text) : [];
  const next = (words.includes(word) ? words.filter((it) => it !== word) : [...words, word]).map(encodeWord);
  const term = next.length === 0 ? "" : key + ":" + (next.some((it) => /\s/.test(it)) ? '"' + next.join(",") + '"' : next.join(","));
  return (own ? query.replace(own.all, () => term) : query + " " + term).replace(/\s+/g, " ").trim();
}

const byNumber = new Intl.Collator("en", { numeric: true });
/** A collator is too slow for very many names. */
const compareNames = data.tests.length > 20000
  ? (/** @type {string} */ a, /** @type {string} */ b) => a < b ? -1 : a > b ? 1 : 0
  : byNumber.compare;

/** @param {Row} it */
function rankOf(it) {
  // tests that passed at another attempt come before those that just passed
  return (RANKS.get(it.status) ?? 9.5) - (it.flaky ? 0.5 : 0);
}

/** @type {Record<string, (a: Row, b: Row) => number>} */
const ORDERS = {
  status: (a, b) => rankOf(a) - rankOf(b),
  test: (a, b) => a.place - b.place,
  note: (a, b) => compareNames(b.note, a.note),
  platform: (a, b) => compareNames(a.platform, b.platform),
  system: (a, b) => compareNames(a.system, b.system),
  attempts: (a, b) => b.attempt - a.attempt,
  time: (a, b) => (b.ms ?? -1) - (a.ms ?? -1),
  began: (a, b) => (a.began ?? Infinity) - (b.began ?? Infinity),
  files: (a, b) => b.files.length - a.files.length,
  change: (a, b) => [...CHANGES.keys()].indexOf(a.change ?? "x") - [...CHANGES.keys()].indexOf(b.change ?? "x"),
};

/** @param {Row[]} rows @param {string} sort Name of a column, with a minus before it for the other way round. */
function sorted(rows, sort) {
  const down = sort.startsWith("-");
  const order = ORDERS[down ? sort.slice(1) : sort] ?? ORDERS.status;
  const way = down ? -1 : 1;
  return [...rows].sort((a, b) => way * order(a, b) || a.place - b.place);
}

/** Where the last part of a name begins. @param {string} name */
function lastPart(name) {
  return name.lastIndexOf("/", name.length - 2) + 1;
}
`;
