/** What is in the page of an HTML report. */
import { ok } from "node:assert/strict";
import type { PageData } from "../../aggregators/_html_data.ts";

/** The data of a page. */
export function dataOf(page: string): PageData {
  const found = /<script type="application\/json" id="data">(.*?)<\/script>/s
    .exec(page);
  ok(found, "there is no data in the page");
  return JSON.parse(found[1]!);
}

/** The data of the page in a file, which must be whole. */
export async function readPage(path: string): Promise<PageData> {
  const text = await Deno.readTextFile(path);
  ok(text.startsWith("<!DOCTYPE html>\n") && text.endsWith("</html>\n"));
  return dataOf(text);
}
