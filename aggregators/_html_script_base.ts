/** The page's script, part 1: reading the data, and making elements and texts of it. */

/** Strings of the page never become markup: elements get them as text. */
export const BASE = String.raw`
/** @type {PageData} */
const data = JSON.parse(byId("data").textContent ?? "");

/** @param {string} id @returns {HTMLElement} */
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error("there is no " + id);
  return found;
}

/** @typedef {Node | string | false | null | undefined} Child */

/**
 * Makes an element. Functions among the attributes listen to the event of that name.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} attributes
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

/**
 * The same for an element of a drawing.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} attributes
 * @param {Child[]} children
 * @returns {SVGElement}
 */
function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, attributes, children);
  return /** @type {SVGElement} */ (element);
}

/** @param {Element} element @param {Record<string, unknown>} attributes @param {Child[]} children */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") {
      element.addEventListener(name, /** @type {EventListener} */ (value));
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child) element.append(child);
}

/** What would control instead of being seen: control characters, and marks of direction. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text of a test on one line. @param {string} text */
function clean(text) {
  return text.replace(UNSEEN, "\ufffd");
}

/** Text of a test on several lines. @param {string} text */
function cleanLines(text) {
  return text.replace(/\r\n/g, "\n").replace(UNSEEN, (it) => it === "\n" || it === "\t" ? it : "\ufffd");
}

/** A span of time. @param {number} ms */
function span(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return seconds.toFixed(1) + " s";
  const whole = Math.round(seconds);
  if (whole < 60) return whole + " s";
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return minutes + " min " + whole % 60 + " s";
  return Math.floor(minutes / 60) + " h " + minutes % 60 + " min";
}

/** A number of bytes. @param {number} bytes */
function size(bytes) {
  if (bytes < 1000) return bytes + " B";
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = "";
  while (value >= 999.5 && units.length > 0) {
    value /= 1000;
    unit = units.shift() ?? "";
  }
  return value.toFixed(value < 9.95 ? 1 : 0) + " " + unit;
}

/** A number of things. @param {number} n @param {string} noun */
function count(n, noun) {
  return n.toLocaleString("en") + " " + noun + (n === 1 ? "" : "s");
}

const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const timeOnly = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** A moment. @param {number} ms */
function moment(ms) {
  // a stored time may be any number
  return Math.abs(ms) < 8.64e15 ? dateAndTime.format(ms) : "?";
}

/**
 * The path that aggregators make of a name: it stays where it is.
 *
 * @param {string} name
 */
function normalise(name) {
  return name.replace(/[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}/gu, "_").split("/")
    .filter((part) => part !== "" && part !== "." && part !== "..");
}

/**
 * Where a file is below the directory of files; null if it can be nowhere.
 *
 * @param {Row} row @param {string | undefined} subtest @param {string} file
 */
function placeOf(row, subtest, file) {
  const parts = [row.platform, row.name, subtest ?? ""].map(normalise);
  const name = normalise(file);
  if (parts[0].length === 0 || parts[1].length === 0 || name.length === 0) return null;
  return parts.flat().concat(name);
}

/** A file as a URL, relative to the page; null if there is none. @param {string[] | null} place */
function linkTo(place) {
  if (place === null || data.files === null) return null;
  const base = data.files === "" || data.files.endsWith("/") ? data.files : data.files + "/";
  return base + place.map(encodeURIComponent).join("/");
}
`;
