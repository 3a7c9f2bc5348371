/** Suites that look like real ones: few large files of metadata, or many small ones among scripts. */
import { writeTree } from "./_trees.ts";

/** 475 tests in 55 files, or 277 tests in 962 files of metadata and 1 193 others. */
export function writeSuite(root: string, files: "few" | "many"): void {
  writeTree(root, "adjust", 0);
  if (files === "few") {
    // the root is one of the 55
    for (let file = 0; file < 54; file++) {
      const tests = file < 43 ? 9 : 8;
      write(`${root}/area-${file}`, "main.fmf", testsOf(file * 9, tests));
    }
    return;
  }
  for (let file = 0; file < 961; file++) {
    const directory = `${root}/area-${file % 31}/part-${file}`;
    const isTest = file % 961 < 277;
    write(
      directory,
      "main.fmf",
      isTest ? testOf(file) : `tag+: [part-${file}]\nenabled: false\n`,
    );
    write(directory, "test.sh", "#!/bin/bash\ntrue\n");
    if (file < 232) write(directory, "data.txt", "data\n");
  }
}

function write(directory: string, name: string, text: string): void {
  Deno.mkdirSync(directory, { recursive: true });
  Deno.writeTextFileSync(`${directory}/${name}`, text);
}

function testOf(n: number): string {
  return `summary: Checks number ${n} of what the system promises
description: |
    Installs what is needed, does what number ${n} tells,
    and looks whether that came of it.
duration: ${1 + n % 45}m
tag+: [tier${n % 3}]
require+: [package-${n % 20}]
extra-id: ${n}
adjust+:
  - when: distro < centos-stream-9 and arch == x86_64
    enabled: false
    because: "bug ${1_000_000 + n}"
`;
}

function testsOf(from: number, count: number): string {
  let text = "component: some\n";
  for (let n = from; n < from + count; n++) {
    text += `\n/case-${n}:\n${testOf(n).replace(/^(?=.)/gm, "    ")}`;
  }
  return text;
}
