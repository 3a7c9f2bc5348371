/** Reports of JUnit, read by parsers that take XML seriously. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { SaxesParser } from "saxes";

/** An element with its attributes, the elements in it, and its text. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

/** Parses XML; fails at the first thing that the standard does not allow. */
export function parseXml(xml: string): Element {
  const parser = new SaxesParser();
  const root: Element = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes }) => {
    const element = { name, attributes, children: [], text: "" };
    open.at(-1)!.children.push(element);
    open.push(element);
  });
  parser.on("text", (text) => {
    open.at(-1)!.text += text;
  });
  parser.on("closetag", () => void open.pop());
  parser.write(xml).close();
  strictEqual(root.children.length, 1);
  return root.children[0]!;
}

/** Parses a report, and adds up what it says in its totals. */
export function parseReport(path: string): Element {
  const bytes = Deno.readFileSync(path);
  const report = parseXml(
    new TextDecoder("utf-8", { fatal: true }).decode(bytes),
  );
  strictEqual(report.name, "testsuites");
  for (const suite of report.children) checkTotals(suite, suite.children);
  checkTotals(report, report.children.flatMap(({ children }) => children));
  return report;
}

function checkTotals({ attributes }: Element, cases: readonly Element[]): void {
  const count = (name: string) =>
    cases.filter(({ children }) =>
      children.some((child) => child.name === name)
    ).length;
  const { tests, failures, errors, skipped, time } = attributes;
  deepStrictEqual([tests, failures, errors, skipped].map(Number), [
    cases.length,
    count("failure"),
    count("error"),
    count("skipped"),
  ]);
  const sum = cases.reduce(
    (sum, { attributes }) => sum + Number(attributes.time),
    0,
  );
  // many numbers with fractions do not add up exactly
  ok(Math.abs(Number(time) - sum) <= 0.001 + 1e-9 * sum, `${time}, ${sum}`);
}

/** Has another parser read a report, and compare it with the schema. */
export function validate(path: string): void {
  const { success, stderr } = new Deno.Command("xmllint", {
    args: [
      "--noout",
      "--huge",
      "--nonet",
      "--schema",
      new URL("junit.xsd", import.meta.url).pathname,
      path,
    ],
    stdout: "null",
  }).outputSync();
  strictEqual(success, true, new TextDecoder().decode(stderr).slice(0, 2000));
}
