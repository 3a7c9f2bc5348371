/**
 * `deno task bench [NAME…] [OPTION…]`: runs the benchmarks of those names in `bench/`, or all of them, one after the
 * other, each with the options that follow. A benchmark prints one line of JSON;
 * those of single functions (`Deno.bench`) a table.
 */
const folder = new URL("../bench/", import.meta.url);
const all = [...Deno.readDirSync(folder)].map(({ name }) => name)
  .filter((name) => /^[^_].*\.ts$/.test(name))
  .map((name) => name.replace(/\.ts$/, "")).sort();

const firstOption = Deno.args.findIndex((arg) => arg.startsWith("-"));
const split = firstOption < 0 ? Deno.args.length : firstOption;
const names = Deno.args.slice(0, split);
const unknown = names.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(
    `no benchmark ${unknown.join(", ")}: there are ${all.join(", ")}`,
  );
  Deno.exit(2);
}

for (const name of names.length > 0 ? names : all) {
  const file = new URL(`${name}.ts`, folder);
  const micro = Deno.readTextFileSync(file).includes("Deno.bench(");
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: micro
      ? ["bench", "-qA", "--no-check", file.pathname]
      : ["run", "-qA", file.href, ...Deno.args.slice(split)],
    stdin: "null",
  }).spawn().status;
  if (!success) Deno.exitCode = 1;
}
