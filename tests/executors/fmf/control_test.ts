import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { thrown } from "../../_thrown.ts";
import {
  BadControlError,
  BadReportJSONError,
  TestAbortedError,
} from "../../../executors/executor.ts";
import { ControlParser } from "../../../executors/fmf/control.ts";
import { bytesOf, concat, result } from "./_messages.ts";
import { observe } from "./_observed.ts";
import { splits, stream } from "./_streams.ts";

function includes(text: string, part: string): void {
  ok(text.includes(part), `"${part}" is not in "${text}"`);
}

/** The same for text in one piece. */
const parse = (text: string, nonce?: string) => observe([bytesOf(text)], nonce);

Deno.test("ControlParser sees the same however the stream is cut", () => {
  fc.assert(
    fc.property(stream, splits, fc.boolean(), (bytes, cut, marked) => {
      const nonce = marked ? "n0" : undefined;
      const whole = observe([bytes], nonce);
      deepStrictEqual(observe(cut(bytes), nonce), whole);
      deepStrictEqual(
        observe(Array.from(bytes, (byte) => new Uint8Array([byte])), nonce),
        whole,
      );
    }),
    { numRuns: 1500 },
  );
});

Deno.test("ControlParser reads results that follow each other as it reads single ones", () => {
  const announce = (json: string, length = bytesOf(json).length) =>
    `result ${length}\n${json}`;
  const rests = [
    result({ name: "é" }) + result({ note: "\u{1f600}" }),
    result({ name: "file", files: [{ name: "f", length: 3 }] }) + "é1" +
    result({ name: "after" }),
    announce('{"name": "numbers", "big": 12345678901234567890, "e": 1e400}'),
    announce('\ufeff{"name": "mark"}'),
    announce('{"name": "short"'),
    announce("[]"),
    'result 007\n{"a":1}noop x\n',
    'result +7\n{"a":1}',
    'result 7 \n{"a":1}',
    `result ${"0".repeat(4000)}7\n{"a":1}`,
    `result ${"0".repeat(5000)}7\n{"a":1}`,
    "result 0\n",
    "result 16777217\n",
    "result \n",
    "result",
    "result 1",
  ];
  const before = result({ name: "a" }) + result({ name: "b" });
  for (const rest of rests) {
    for (const tail of ["", result({ name: "z" }) + "exitcode 1\n"]) {
      const bytes = bytesOf(before + rest + tail);
      const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
      deepStrictEqual(observe([bytes]), observe(single), rest);
    }
  }
  const broken = concat([
    bytesOf(`${before}result 7\n`),
    Uint8Array.of(34, 255, 34, 32, 32, 32, 32),
  ]);
  const { seen, error } = observe([broken]);
  deepStrictEqual(seen.length, 2);
  includes(String(error), "it is not UTF-8");
});

Deno.test("ControlParser throws nothing but errors of the channel, whatever the bytes", () => {
  fc.assert(
    fc.property(
      fc.oneof(stream, fc.uint8Array({ maxLength: 200 })),
      splits,
      (bytes, cut) => {
        const parser = new ControlParser();
        try {
          for (const piece of cut(bytes)) Array.from(parser.feed(piece));
          parser.end();
        } catch (error) {
          ok(error instanceof BadControlError);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("ControlParser gives everything before a fault, and nothing after it", () => {
  const good = result({ name: "a" }) + "duration +1m\n";
  const whole = parse(good).seen;
  for (const fault of ["bogus\n", "\n", "result 0\n", result({ name: 1 })]) {
    const { seen, error } = parse(good + fault + good);
    deepStrictEqual(seen, whole);
    includes(String(error), "Bad");
  }
});

Deno.test("ControlParser ignores bytes after a fault", () => {
  const parser = new ControlParser();
  thrown(() => [...parser.feed(bytesOf("bogus\n"))], BadControlError);
  deepStrictEqual([...parser.feed(bytesOf("bogus\nexitcode 1\n"))], []);
  deepStrictEqual(parser.exitCode, undefined);
  deepStrictEqual(parser.end(), "");
});

Deno.test("ControlParser completes a result at its last byte", () => {
  const text = result({
    name: "s",
    files: [{ name: "e", length: 0 }, { name: "f", length: 3 }, {
      name: "g",
      length: "0",
    }],
  }) + "abc";
  const parser = new ControlParser();
  const types: string[] = [];
  for (const byte of bytesOf(text)) {
    ok(!types.includes("result"));
    for (const { type } of parser.feed(new Uint8Array([byte]))) {
      types.push(type);
    }
  }
  deepStrictEqual(types, [
    "upload", // e
    "upload", // f begins
    "upload",
    "upload",
    "upload",
    "upload", // g
    "result",
  ]);
});

Deno.test("ControlParser accepts lines of 4096 bytes and refuses longer ones at once", () => {
  deepStrictEqual(parse(`noop ${"x".repeat(4090)}\nexitcode 3\n`).exitCode, 3);
  includes(String(parse("x".repeat(4096)).error), "4096 bytes");
  deepStrictEqual(parse("x".repeat(4095)).line, "x".repeat(4095));
  includes(
    String(parse(`noop ${"x".repeat(4091)}\n`).error),
    "4096 bytes",
  );
});

Deno.test("ControlParser takes numbers as wc prints them, and no others", () => {
  const code = (text: string) => parse(`exitcode ${text}\n`).exitCode;
  deepStrictEqual(code("3"), 3);
  deepStrictEqual(code("\t +03 "), 3);
  deepStrictEqual(code("\v\f3\r"), 3);
  deepStrictEqual(parse('result \f8\r\n{"a": 1}').error, undefined);
  deepStrictEqual(code("-1"), -1);
  deepStrictEqual(code("-0"), 0);
  deepStrictEqual(code("9007199254740991"), 9007199254740991);
  for (
    const text of [
      "",
      " ",
      "1.0",
      "1e3",
      "0x1",
      "1_0",
      "٣",
      "+",
      "--1",
      "1 2",
      "9007199254740992",
      "3\u00a0",
    ]
  ) {
    includes(
      String(parse(`exitcode ${text}\n`).error),
      "BadControlError",
    );
  }
});

Deno.test("ControlParser limits the JSON of a result to 16 MiB", () => {
  const json = (length: number) => `{"n":"${"x".repeat(length - 8)}"}`;
  const most = 16 * 1024 * 1024;
  deepStrictEqual(parse(`result ${most}\n${json(most)}`).seen.length, 1);
  includes(String(parse(`result ${most + 1}\n`).error), "16777216");
  includes(
    String(parse(`result ${"9".repeat(400)}\n`).error),
    "BadControlError",
  );
});

Deno.test("ControlParser reads duration changes", () => {
  const change = (text: string) => {
    const { seen, error } = parse(`duration ${text}\n`);
    return error ? undefined : (seen[0] as { change: unknown }).change;
  };
  deepStrictEqual(change("15m"), { how: "set", ms: 900_000 });
  deepStrictEqual(change("0"), { how: "set", ms: 0 });
  deepStrictEqual(change("+60"), { how: "increment", ms: 60_000 });
  deepStrictEqual(change("-2d"), { how: "decrement", ms: 172_800_000 });
  deepStrictEqual(change("save"), { how: "save" });
  deepStrictEqual(change("restore"), { how: "restore" });
  for (
    const text of [
      "",
      " 5m",
      "5m ",
      "5 m",
      "1.5h",
      "5M",
      "1h30m",
      "+-1",
      "+",
      "m",
      "save now",
      "Save",
      "9".repeat(20),
    ]
  ) {
    deepStrictEqual(change(text), undefined);
  }
});

Deno.test("ControlParser stops at disconnect", () => {
  const { seen, disconnected, error, line } = parse(
    "disconnect please\nbogus\n" + result({}),
  );
  deepStrictEqual({ seen, disconnected, error, line }, {
    seen: [],
    disconnected: true,
    error: undefined,
    line: "",
  });
});

Deno.test("ControlParser drops what comes before the start mark", () => {
  const text = "Welcome\nnoop atex-start n1\nnoop atex-start \xff\n" +
    "noop atex-start n0\nexitcode 4\n";
  const { started, dropped, exitCode, ended } = parse(text, "n0");
  deepStrictEqual({ started, dropped, exitCode, ended }, {
    started: true,
    dropped: "Welcome\nnoop atex-start n1\nnoop atex-start \xff\n",
    exitCode: 4,
    ended: false,
  });
  // wherever it begins
  deepStrictEqual(parse("no newlinenoop atex-start n0\n", "n0").started, true);
});

Deno.test("ControlParser keeps what came instead of the start mark", () => {
  const { started, dropped, error, exitCode } = parse(
    "Permission denied\nexitcode 0\nnoop atex-start",
    "n0",
  );
  deepStrictEqual({ started, error, exitCode }, {
    started: false,
    error: undefined,
    exitCode: undefined,
  });
  includes(dropped, "Permission denied");
});

Deno.test("ControlParser gives up on the start mark after 64 KiB", () => {
  const mark = "noop atex-start n0\n";
  ok(parse("x".repeat(65536) + mark, "n0").started);
  const parser = new ControlParser({ nonce: "n0" });
  const error = thrown(
    () => [...parser.feed(bytesOf("x".repeat(65537) + mark))],
    TestAbortedError,
  );
  deepStrictEqual(error.reason, "wrapper");
  deepStrictEqual([...parser.feed(bytesOf(mark))], []);
  deepStrictEqual(parser.started, false);
});

Deno.test("ControlParser sees the end mark of its own nonce only", () => {
  const start = "noop atex-start n0\n";
  deepStrictEqual(parse(start + "noop atex-end n1\n", "n0").ended, false);
  deepStrictEqual(parse(start + "noop atex-end n0\n", "n0").ended, true);
  deepStrictEqual(parse("noop atex-end undefined\n").ended, false);
});

Deno.test("ControlParser hands on numbers that JavaScript would round", () => {
  const json =
    '{"a":12345678901234567890,"b":1e999,"c":[0.1,1e3,9007199254740991],' +
    '"d":"12345678901234567890","length":-2.0}';
  const parser = new ControlParser();
  const [event] = parser.feed(bytesOf(`result ${json.length}\n${json}`));
  ok(event?.type === "result");
  deepStrictEqual(
    JSON.stringify(event.report.values),
    json.replace("1e3", "1000"),
  );
});

Deno.test("ControlParser refuses what is nested too deeply for those who read it", () => {
  const nested = (depth: number) => {
    const json = `{"d":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    return parse(`result ${json.length}\n${json}`).error;
  };
  deepStrictEqual(nested(999), undefined);
  includes(String(nested(1000)), "BadReportJSONError");
  includes(String(nested(500_000)), "BadReportJSONError");
});

Deno.test("ControlParser takes keys of any name for what they are", () => {
  const json =
    '{"__proto__":{"partial":true},"toString":1,"constructor":null,"hasOwnProperty":3}';
  const [event] = new ControlParser().feed(
    bytesOf(`result ${json.length}\n${json}`),
  );
  ok(event?.type === "result");
  deepStrictEqual(event.report.partial, false);
  deepStrictEqual(JSON.stringify(event.report.values), json);
});

Deno.test("ControlParser checks a whole result before the first byte of its files", () => {
  const refused: unknown[] = [
    { files: [{ name: "a", length: 1 }, { name: "/b", length: 1 }] },
    { files: [{ name: "a", length: 1 }], testout: ".." },
    { files: [{ name: "a", length: 9007199254740992 }] },
    { files: [{ name: "a", length: "1.0" }] },
    { files: [{ name: "a", length: "" }] },
    { files: [{ name: "a", length: "٣" }] },
    { files: [null] },
    { name: "x".repeat(256), files: [{ name: "a", length: 1 }] },
    { name: "x".repeat(256), testout: "a" },
  ];
  for (const json of refused) {
    const parser = new ControlParser();
    thrown(
      () => [...parser.feed(bytesOf(`${result(json)}abc`))],
      BadReportJSONError,
      "Cannot use the JSON of a result",
    );
  }
  for (const length of ["2.0", "1e1", "-0", "0.0", "20e-1", "-1", "2.5"]) {
    const json = `{"files":[{"name":"a","l\\u0065ngth":${length}}]}`;
    includes(
      String(parse(`result ${json.length}\n${json}abc`).error),
      '"length" that is not a number of bytes',
    );
  }
  const accepted: unknown[] = [
    { name: "x".repeat(256) },
    { name: "x".repeat(256), files: [] },
    { name: "..", testout: "a" },
  ];
  for (const json of accepted) {
    deepStrictEqual(parse(result(json)).error, undefined);
  }
});

Deno.test("ControlParser tells what is missing when the stream ends inside a result", () => {
  const text = `${result({ files: [{ name: "some/log", length: 2 }] })}x`;
  includes(String(parse(text).error), '"some/log"');
  includes(String(parse("result 5\n{").error), "JSON");
  includes(String(parse("result 5\n").error), "JSON");
  deepStrictEqual(parse("exitcode 4\nnoo").line, "noo");
});

Deno.test("ControlParser finds every line at any distance from the end of a block", () => {
  const text = concat(
    Array.from({ length: 50 }, (_, i) => bytesOf(`exitcode ${i}\nnoop\n`)),
  );
  for (let size = 1; size < 40; size++) {
    const parser = new ControlParser();
    for (let at = 0; at < text.length; at += size) {
      Array.from(parser.feed(text.subarray(at, at + size)));
    }
    deepStrictEqual(parser.exitCode, 49);
  }
});
