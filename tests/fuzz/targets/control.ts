/** What a test says while it runs. */
import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { observe } from "../../executors/fmf/_observed.ts";
import { play } from "../../executors/fmf/_reported.ts";
import { stream } from "../../executors/fmf/_streams.ts";
import { casesOf } from "../corpus.ts";
import { mutated } from "../mutation.ts";
import { bytesOf, cut, cuts, latin1, target, utf8 } from "../target.ts";

interface Step {
  text?: string;
  base64?: string;
}

const seeds = ["framing", "files", "json", "partial", "paths", "words"]
  .flatMap((name) => casesOf(`control/${name}`))
  .map(({ stream }: { stream: Step[] }) =>
    stream.map(({ text, base64 }) =>
      text !== undefined ? utf8(text) : base64 ? atob(base64) : ""
    ).join("")
  ).filter((text) => text.length < 2000);

const tokens = [
  "result 18\n",
  'result 18\n{"status": "pass"}',
  "exitcode 1\n",
  "duration +5m\n",
  "disconnect\n",
  "noop atex-start n0\n",
  "noop atex-end n0\n",
  '"partial": true',
  '"files": [{"name": "f", "length": 3}]',
  '"name": "../../x"',
  '"length": -1',
  "\n",
];

const inputs = fc.record({
  /** A character for each byte. */
  stream: fc.oneof(
    stream.map(latin1),
    mutated(seeds, tokens.map(utf8)).map((text) =>
      // whatever was inserted is no byte
      text.replaceAll(/[^\0-\xff]/g, "?")
    ),
  ),
  cuts,
  marked: fc.boolean(),
});

const FAULTS =
  /^(BadControlError|BadReportJSONError|TestAbortedError): Cannot /;

export const control = target({
  name: "control",
  oracle:
    "the same is seen however the stream is cut, and errors are those of the channel",
  inputs,
  check({ stream, cuts, marked }) {
    const bytes = bytesOf(stream);
    const nonce = marked ? "n0" : undefined;
    const whole = observe([bytes], nonce);
    const { error } = whole;
    ok(error === undefined || FAULTS.test(`${error}`), `${error}`);
    const pieces = cut(
      bytes,
      cuts,
      (bytes, start, end) => bytes.subarray(start, end),
    );
    deepStrictEqual(observe(pieces, nonce), whole);
    if (bytes.length > 500) return;
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    deepStrictEqual(observe(single, nonce), whole);
  },
});

export const reporter = target({
  name: "reporter",
  oracle:
    "a stream makes the same artifacts however it is cut; they can be read, each file is there, and nothing is outside",
  inputs,
  cost: 20,
  async check({ stream, cuts }) {
    const bytes = bytesOf(stream);
    const pieces = cut(
      bytes,
      cuts,
      (bytes, start, end) => bytes.subarray(start, end),
    );
    deepStrictEqual(await play(pieces), await play([bytes]));
  },
});
