// A provisioner of one's own: any object that fits the interface. Here, directories on this machine.
import { LocalConnection } from "jsr:@atex/atex/connections/local";
import { run } from "jsr:@atex/atex/connections/process";
import type {
  Provisioner,
  Remote,
} from "jsr:@atex/atex/provisioners/provisioner";

class Directory extends LocalConnection implements Remote {
  readonly attributes = {};
  readonly reusable = false;
  readonly lost = new Promise<Error>(() => {});
  constructor(readonly id: string) {
    super({ cwd: id });
  }
  async release() {
    await Deno.remove(this.id, { recursive: true });
  }
  override [Symbol.asyncDispose] = () => this.release();
}

class Directories implements Provisioner {
  readonly name = "directories";
  readonly maxRemotes = Infinity;
  start = () => Promise.resolve(this);
  provision() {}
  getRemote = async () => new Directory(await Deno.makeTempDir());
  clear() {}
  stop = () => Promise.resolve();
  [Symbol.asyncDispose] = this.stop;
}

await using pool = await new Directories().start();
await using directory = await pool.getRemote();
console.log(await run(directory, ["pwd"]));
