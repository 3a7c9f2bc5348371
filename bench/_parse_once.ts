/** Reads and parses all metadata files below a directory and keeps nothing: the least that a discovery has to do. */
import { parse } from "@std/yaml/parse";
import { total } from "./_once.ts";

let files = 0;
function walk(directory: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) {
      if (!name.startsWith(".")) walk(path);
    } else if (name.endsWith(".fmf")) {
      parse(Deno.readTextFileSync(path));
      files++;
    }
  }
}
walk(Deno.args[0]);
console.log(JSON.stringify({ ...total(), check: files }));
