import { delay } from "@std/async/delay";
import { type VirtHelper, VirtHelperError } from "./_virt_helper.ts";

/** Milliseconds in which a domain has to be off after it was told so. */
const SHUT_OFF = 60_000;
/** Milliseconds between two looks whether it is. */
const PAUSE = 100;

/** The elements of a domain that say which port of the host leads to which of it. */
const RANGES = "//devices/interface[backend/@type='passt']/portForward/range";

/** A domain that is reserved for us. */
export class VirtDomain {
  constructor(readonly helper: VirtHelper, readonly name: string) {}

  /** The port of the host that leads to its sshd, if there is one. */
  async sshPort(signal: AbortSignal): Promise<number | undefined> {
    const xml = await this.#virsh(
      ["dumpxml", this.name, "--xpath", RANGES],
      signal,
    );
    return portIn(xml);
  }

  /** Switches it off, however busy it is. */
  async shutOff(signal: AbortSignal): Promise<void> {
    if (await this.#isOff(signal)) return;
    const failure = await this.destroy(signal);
    const end = performance.now() + SHUT_OFF;
    while (!await this.#isOff(signal)) {
      if (performance.now() > end) {
        throw failure ??
          new Error(`it is not shut off after ${SHUT_OFF / 1000} s`);
      }
      await delay(PAUSE, { signal });
    }
  }

  /** Makes its disk a copy of the image. */
  async clone(pool: string, image: string, signal: AbortSignal): Promise<void> {
    await this.helper.copyVolume({
      pool,
      from: image,
      toDomain: this.name,
      signal,
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#virsh(["start", this.name], signal);
  }

  /** Gives why that was not possible. It is no failure if it is off already. */
  async destroy(signal?: AbortSignal): Promise<VirtHelperError | undefined> {
    try {
      await this.#virsh(["destroy", this.name], signal);
    } catch (error) {
      if (!(error instanceof VirtHelperError)) throw error;
      if (!/is not running/.test(error.reply)) return error;
    }
  }

  async #isOff(signal: AbortSignal): Promise<boolean> {
    return (await this.#virsh(["domstate", this.name], signal)).trim() ===
      "shut off";
  }

  #virsh(args: readonly string[], signal?: AbortSignal): Promise<string> {
    return this.helper.virsh(args, { signal });
  }
}

/** The port that leads to an sshd, in lines of elements; the first one if none says so. */
export function portIn(ranges: string): number | undefined {
  const attribute = (line: string, name: string) =>
    new RegExp(`\\b${name}=["'](\\d+)["']`).exec(line)?.[1];
  const lines = ranges.split("\n").filter((line) => attribute(line, "start"));
  const line = lines.find((line) => attribute(line, "to") === "22") ?? lines[0];
  return line === undefined ? undefined : Number(attribute(line, "start"));
}
