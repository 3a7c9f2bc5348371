/** How the page of an HTML report looks. */

/** The style sheet. */
export const STYLE = String.raw`
:root {
  color-scheme: light dark;
  --page: light-dark(#f4f5f7, #0d1117);
  --card: light-dark(#ffffff, #151b23);
  --sunken: light-dark(#f0f2f5, #0d1117);
  --line: light-dark(#d9dee5, #2b333d);
  --text: light-dark(#1c2128, #e6edf3);
  --soft: light-dark(#57606a, #9aa5b1);
  --accent: light-dark(#0b5fd0, #6cb0ff);
  --chosen: light-dark(#e3eefc, #1c2c43);
  --good: light-dark(#1a7f37, #3fb950);
  --bad: light-dark(#c7222e, #ff7b72);
  --error: light-dark(#a1258f, #f08de0);
  --infra: light-dark(#7045c9, #b794ff);
  --warn: light-dark(#8a5a00, #e0a526);
  --flaky: light-dark(#b34700, #f5924e);
  --info: light-dark(#0b62c4, #66abff);
  --off: light-dark(#626c77, #8d97a3);
  --passed: light-dark(#7cc492, #2a6b3c);
  --setup: light-dark(#9fb4cf, #3d5573);
  --release: light-dark(#c3cad3, #4a535f);
  --row: 34px;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
* { box-sizing: border-box; }
html { scroll-padding-top: 9rem; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1680px; margin: 0 auto; padding: 20px 24px 60px; }
h1, h2, h3 { margin: 0; line-height: 1.25; }
h2 { font-size: 14px; }
button, input { font: inherit; color: inherit; }
button {
  background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 3px 10px; cursor: pointer;
}
button:hover { border-color: var(--soft); }
button[aria-pressed="true"] { background: var(--chosen); border-color: var(--accent); }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
[hidden] { display: none !important; }
.soft { color: var(--soft); }
.name, .note, .value { unicode-bidi: isolate; overflow-wrap: anywhere; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin-bottom: 16px;
}
.good { --tone: var(--good); } .bad { --tone: var(--bad); } .error { --tone: var(--error); }
.infra { --tone: var(--infra); } .warn { --tone: var(--warn); } .flaky { --tone: var(--flaky); }
.info { --tone: var(--info); } .off { --tone: var(--off); }

/* What it is about, and how it went */
.head { padding: 18px 20px 16px; }
.head .title { font-size: 13px; font-weight: 600; color: var(--soft); }
.head h1 { font-size: 26px; letter-spacing: -0.01em; color: var(--tone, inherit); margin: 2px 0 6px; }
.head .facts { display: flex; flex-wrap: wrap; gap: 2px 18px; color: var(--soft); }
.head .facts b { color: var(--text); font-weight: 600; }
.share { display: flex; gap: 2px; height: 10px; margin-top: 14px; border-radius: 5px; overflow: hidden; }
.share span { background: var(--tone); min-width: 3px; }
.live { display: flex; gap: 12px; align-items: center; margin-top: 12px; color: var(--soft); }
.live::before {
  content: ""; width: 9px; height: 9px; border-radius: 50%; background: var(--info);
}

/* Filter */
.bar {
  position: sticky; top: 0; z-index: 5; background: var(--page); padding: 8px 0 10px;
  display: flex; flex-wrap: wrap; gap: 8px; align-items: center;
}
.bar .filter { position: relative; flex: 1 1 300px; max-width: 640px; }
.bar input {
  width: 100%; padding: 6px 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
}
.bar input::placeholder { color: var(--soft); }
.chips { display: flex; flex-wrap: wrap; gap: 6px; order: 1; flex: 1 0 100%; }
.chip { border-radius: 14px; padding: 2px 10px 2px 8px; display: inline-flex; gap: 6px; align-items: center; }
.chip::before { content: ""; width: 9px; height: 9px; border-radius: 3px; background: var(--tone, var(--off)); }
.chip b { font-variant-numeric: tabular-nums; }
.counted { color: var(--soft); margin-left: auto; font-variant-numeric: tabular-nums; }

/* Table */
.results { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; align-items: start; }
.results.open { grid-template-columns: minmax(0, 1fr) minmax(340px, 38%); }
.table { overflow: clip; margin: 0; --shown: var(--columns); }
.header, .row { display: grid; grid-template-columns: var(--shown); align-items: center; column-gap: 14px; padding: 0 14px 0 6px; }
.header { border-bottom: 1px solid var(--line); height: 32px; background: var(--sunken); }
.header button {
  border: 0; background: none; padding: 0; text-align: left; font-weight: 600; font-size: 12px; color: var(--soft);
}
.header button[data-sorted]::after { content: " \2191"; color: var(--accent); }
.header button[data-sorted="down"]::after { content: " \2193"; }
.header .right, .row .right { text-align: right; }
.body { position: relative; outline-offset: -2px; }
.row {
  position: absolute; left: 0; right: 0; top: 0; height: var(--row); border-bottom: 1px solid var(--line); cursor: default;
}
.row:hover { background: var(--sunken); }
.row[aria-selected="true"] { background: var(--chosen); }
.body:focus-visible .row[aria-selected="true"] { box-shadow: inset 3px 0 0 var(--accent); }
.row > * { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; min-width: 0; }
.row .fold { width: 22px; height: 22px; padding: 0; border: 0; background: none; color: var(--soft); }
.row .fold::before { content: "\25b8"; }
.row[aria-expanded="true"] .fold::before { content: "\25be"; }
.row .name b { font-weight: 600; }
.row .name .way { color: var(--soft); }
.row .parts { color: var(--soft); font-size: 12px; margin-left: 8px; }
.row .parts .failed { color: var(--bad); }
.row.part { background: var(--sunken); }
.row.part .name { padding-left: 22px; }
.row .note, .row .side { color: var(--soft); }
.row .number { font-variant-numeric: tabular-nums; }
.status { display: inline-flex; align-items: center; gap: 7px; color: var(--tone); font-weight: 600; }
.status::before { content: ""; flex: none; width: 10px; height: 10px; border-radius: 50%; background: var(--tone); }
.status.flaky::before { border-radius: 3px; }
.status.waiting::before { background: none; border: 2px solid var(--tone); }
.tag {
  font-size: 11px; font-weight: 600; color: var(--tone); border: 1px solid; border-radius: 4px; padding: 0 5px; margin-left: 8px;
}
.nothing { padding: 28px; text-align: center; color: var(--soft); }

/* One test */
.detail { position: sticky; top: 62px; max-height: calc(100vh - 78px); overflow: auto; margin: 0; padding: 16px 18px; }
.detail header { display: flex; gap: 10px; align-items: flex-start; }
.detail header h2 { font-size: 16px; flex: 1; overflow-wrap: anywhere; }
.detail header .way { font-weight: 400; color: var(--soft); }
.detail dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 14px; margin: 12px 0; }
.detail dt { color: var(--soft); }
.detail dd { margin: 0; overflow-wrap: anywhere; }
.detail h3 { font-size: 12px; color: var(--soft); margin: 16px 0 6px; }
.detail .said { white-space: pre-wrap; background: var(--sunken); border-radius: 6px; padding: 8px 10px; margin: 8px 0; max-height: 16em; overflow: auto; }
.detail ol, .detail ul { margin: 0; padding: 0; list-style: none; }
.detail li { padding: 3px 0; overflow-wrap: anywhere; }
.detail li + li { border-top: 1px solid var(--line); }
.file { border: 0; background: none; padding: 0; color: var(--accent); text-decoration: underline; text-align: left; }
.peek {
  font: 12px/1.5 var(--mono); background: var(--sunken); border-radius: 6px; padding: 8px 10px; margin: 6px 0 10px;
  max-height: 18em; overflow: auto; white-space: pre; tab-size: 8;
}
.close { flex: none; }

/* Timeline */
.when { padding: 12px 16px 12px; }
.when .tools { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; margin-bottom: 8px; }
.when .tools h2 { margin-right: 4px; }
.when .keys { display: flex; flex-wrap: wrap; gap: 2px 12px; font-size: 12px; color: var(--soft); }
.when .keys span { display: inline-flex; align-items: center; gap: 5px; }
.when .keys i { width: 14px; height: 10px; border-radius: 2px; background: var(--tone); }
.when .keys .setup { --tone: var(--setup); } .when .keys .release { --tone: var(--release); }
.when .keys .idle { height: 3px; --tone: var(--release); }
.when .keys .again { background: repeating-linear-gradient(135deg, var(--flaky) 0 2px, transparent 2px 5px); outline: 1px solid var(--flaky); outline-offset: -1px; }
.when .zoom { margin-left: auto; display: flex; gap: 6px; align-items: center; }
.when .chart { position: relative; max-height: 46vh; overflow-y: auto; overflow-x: hidden; }
.when svg { display: block; width: 100%; touch-action: pan-y; }
.when svg text { font-size: 12px; fill: var(--text); }
.when svg .axis { position: sticky; }
.when svg .tick { fill: var(--soft); font-size: 11px; }
.when svg .grid { stroke: var(--line); }
.when svg .alive { fill: var(--release); opacity: 0.55; }
.when svg .bar-setup { fill: var(--setup); } .when svg .bar-release { fill: var(--release); }
.when svg .bar-test { fill: var(--tone); }
.when svg .bar-test.good, .when .keys .good { --tone: var(--passed); }
.when svg .bar-test.again { fill: url(#hatch); stroke: var(--flaky); stroke-width: 1; }
.when svg .bar-test.waiting { fill: none; stroke: var(--info); stroke-dasharray: 3 2; }
.when svg .fault { fill: none; stroke: var(--bad); stroke-width: 1.5; }
.when svg .lit { stroke: var(--text); stroke-width: 2; }
.when svg .share-text { fill: var(--soft); font-size: 11px; }
.when svg .group { font-weight: 600; }
.when .end { color: var(--soft); margin-top: 6px; }
.when .end b { color: var(--text); }
.when details { margin-top: 6px; color: var(--soft); }
.when details li { overflow-wrap: anywhere; }
.tip {
  position: fixed; z-index: 20; max-width: 420px; pointer-events: none; padding: 6px 10px; border-radius: 6px;
  background: light-dark(#1c2128, #e6edf3); color: light-dark(#ffffff, #1c2128); font-size: 12px; white-space: pre-line;
  overflow-wrap: anywhere;
}

/* Dialogs */
dialog { border: 1px solid var(--line); border-radius: 10px; background: var(--card); color: inherit; padding: 0; }
dialog::backdrop { background: rgb(0 0 0 / 0.5); }
.help { padding: 18px 22px; max-width: 720px; }
.help dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 18px; margin: 12px 0; }
.help dd { margin: 0; }
kbd, code { font: 12px var(--mono); background: var(--sunken); border: 1px solid var(--line); border-radius: 4px; padding: 0 5px; }
.log { width: calc(100vw - 40px); height: calc(100vh - 40px); max-width: none; max-height: none; }
.log[open] { display: flex; flex-direction: column; }
.log .tools { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 10px 14px; border-bottom: 1px solid var(--line); }
.log .tools .name { font-weight: 600; flex: 1 1 200px; }
.log .tools input[type="search"] { padding: 3px 10px; border: 1px solid var(--line); border-radius: 6px; background: var(--sunken); width: 220px; }
.log .says { padding: 8px 14px; background: var(--chosen); border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: 6px 12px; align-items: center; }
.log .lines { flex: 1; overflow: auto; position: relative; font: 12px/18px var(--mono); outline-offset: -2px; contain: strict; }
.log .inner { position: relative; min-width: 100%; }
.log .line { position: absolute; left: 0; white-space: pre; height: 18px; padding-left: 76px; padding-right: 20px; tab-size: 8; min-width: 100%; unicode-bidi: isolate; direction: ltr; }
.log .line::before {
  content: attr(data-number); position: sticky; left: 0; display: inline-block; width: 64px; margin-left: -76px; margin-right: 12px; padding-right: 6px;
  text-align: right; color: var(--soft); background: var(--card); border-right: 1px solid var(--line); user-select: none;
}
.log .line.found { background: light-dark(#fff6d6, #3a2f0b); }
.log .line.current { background: light-dark(#ffe69c, #6b5200); }
.log mark { background: light-dark(#ffd33d, #bb8009); color: inherit; }
.log .picture { margin: auto; max-width: 100%; max-height: 100%; }
.b1 { font-weight: 700; }
.c1, .c9 { color: var(--bad); } .c2, .c10 { color: var(--good); } .c3, .c11 { color: var(--warn); } .c4, .c12 { color: var(--info); }
.c5, .c13 { color: var(--error); } .c6, .c14 { color: light-dark(#0b7285, #56d4dd); } .c0, .c8 { color: var(--soft); }

@media (min-width: 1101px) {
  .results.open .table { --shown: var(--narrow); }
  .results.open .spare { display: none; }
}
@media (max-width: 1100px) {
  .results.open { grid-template-columns: minmax(0, 1fr); }
  .detail { position: fixed; inset: auto 0 0 0; top: auto; max-height: 72vh; z-index: 10; border-radius: 14px 14px 0 0; box-shadow: 0 -8px 30px rgb(0 0 0 / 0.3); }
}
@media (max-width: 700px) {
  :root { --row: 58px; }
  main { padding: 10px 10px 40px; }
  .head h1 { font-size: 21px; }
  .bar .filter { flex-basis: 100%; max-width: none; }
  .bar input { font-size: 16px; }
  .chips { flex-wrap: nowrap; overflow-x: auto; max-width: 100%; padding-bottom: 2px; }
  .chip { flex: none; padding: 5px 12px 5px 10px; }
  .header { display: none; }
  .row { grid-template-columns: 26px minmax(0, 1fr) auto; grid-template-rows: 1fr 1fr; column-gap: 8px; padding: 6px 10px 6px 4px; }
  .row > .fold, .row > .nofold { grid-row: 1 / 3; }
  .row > .name { grid-column: 2 / 4; grid-row: 1; }
  .row > .state { grid-column: 2; grid-row: 2; }
  .row > .time { grid-column: 3; grid-row: 2; }
  .row > .side:not(.time), .row > .note { display: none; }
  .bar { position: static; }
  .share-text { display: none; }
  .log { width: 100vw; height: 100dvh; border: 0; border-radius: 0; }
  .log .line { padding-left: 52px; } .log .line::before { width: 44px; margin-left: -52px; margin-right: 8px; }
}
@media (prefers-reduced-motion: no-preference) {
  .live::before { animation: pulse 1.6s infinite; }
  @keyframes pulse { 50% { opacity: 0.25; } }
}
@media print {
  :root { color-scheme: light; }
  body { background: none; }
  .bar, .zoom, .detail, .live button { display: none; }
  .card { break-inside: avoid-page; } .table { break-inside: auto; }
  .row { position: static; transform: none !important; break-inside: avoid; }
  .body { height: auto !important; }
}
`;
