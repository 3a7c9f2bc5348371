/**
 * Trees of metadata for benchmarks.
 */
import { dirname } from "@std/path/posix/dirname";
import { join } from "@std/path/posix/join";

/** How the tests of a tree are spread over files. */
export type Shape = "flat" | "wide" | "adjust" | "deep";

/** All shapes. */
export const SHAPES: readonly Shape[] = ["flat", "wide", "adjust", "deep"];

/** The context in which the trees are adjusted. */
export const CONTEXT = {
  distro: "centos-stream-9",
  arch: "x86_64",
} as const;

const ROOT = `test: ./test.sh
framework: shell
duration: 5m
contact: Test Team <team@example.com>
tag: [base]
environment:
    COLOR: red
    LEVEL: "1"
    MODE: fast
require: [bash, coreutils, python3]
`;

const RULES = `adjust:
  - when: distro == centos-stream-9
    because: root rule one
    tag+: [el9]
  - when: distro < centos-stream-9 or distro == fedora
    because: root rule two
    enabled: false
  - when: arch == x86_64 and distro != rhel-8.6
    because: root rule three
    environment+:
        ARCH: x86_64
  - when: arch == s390x, ppc64le
    because: root rule four
    require+: [special]
  - when: distro is not defined
    because: root rule five
    duration: 1m
    continue: false
`;

const pad = (number: number, width: number) =>
  String(number).padStart(width, "0");

const indent = (text: string) => text.replace(/^(?=.)/gm, "    ");

function body(i: number): string {
  return `summary: Test number ${i}
description: |
    A longer text that describes the test ${i}
    and goes over two lines.
tag+: [t${i % 10}, g${i % 7}]
extra-id: id-${pad(i, 6)}
environment+:
    NUMBER: "${i}"
duration: ${1 + i % 60}m
`;
}

function rules(i: number): string {
  return `adjust+:
  - when: distro == centos-stream-9 and arch == x86_64
    duration: ${2 + i % 60}m
  - when: distro >= centos-stream-10
    enabled: false
`;
}

function virtual(i: number, more = ""): string {
  return `/t${pad(i, 6)}:\n${indent(body(i) + more)}`;
}

/** The tests `from` … `from + 99` of `count`, one after the other. */
function hundred(from: number, count: number, withRules = false): string {
  let text = "";
  for (let i = from; i < Math.min(from + 100, count); i++) {
    text += virtual(i, withRules ? rules(i) : "");
  }
  return text;
}

/** Path → content of the metadata files of a tree. */
export function* treeFiles(
  shape: Shape,
  count: number,
): Generator<[path: string, content: string]> {
  yield ["main.fmf", shape === "adjust" ? ROOT + RULES : ROOT];
  if (shape === "flat") {
    for (let i = 0; i < count; i++) {
      const directory = `t/${pad(Math.floor(i / 1000), 3)}/${pad(i, 6)}`;
      yield [`${directory}/main.fmf`, body(i)];
    }
    return;
  }
  for (let from = 0; from < count; from += 100) {
    const branch = from / 100;
    if (shape !== "deep") {
      yield [
        `d${pad(branch, 4)}/main.fmf`,
        hundred(from, count, shape === "adjust"),
      ];
      continue;
    }
    let directory = `c${pad(branch, 4)}`;
    yield [`${directory}/main.fmf`, `tag+: [c${branch}]\n`];
    for (let level = 1; level <= 10; level++) {
      directory += `/l${level}`;
      let text = `tag+: [l${level}]\n` +
        `environment+:\n    L${level}: "${branch}"\n` +
        `require+: [pkg${level}]\n`;
      const first = from + (level - 1) * 10;
      for (let i = first; i < Math.min(first + 10, count); i++) {
        text += virtual(i);
      }
      yield [`${directory}/main.fmf`, text];
    }
  }
}

/** Writes a tree into a directory, which is made. */
export function writeTree(
  directory: string,
  shape: Shape,
  count: number,
): void {
  Deno.mkdirSync(join(directory, ".fmf"), { recursive: true });
  Deno.writeTextFileSync(join(directory, ".fmf", "version"), "1\n");
  for (const [name, content] of treeFiles(shape, count)) {
    const path = join(directory, name);
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, content);
  }
}
