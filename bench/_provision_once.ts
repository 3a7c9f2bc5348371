/**
 * Runs a test on each of so many systems that have to be made, in a process of its own:
 *
 *     _provision_once.ts podman|pretended SYSTEMS
 *
 * prints when the first and the last of them began. No test ends before all have begun.
 */
import { Semaphore } from "@std/async/unstable-semaphore";
import { LocalConnection } from "../connections/local.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import type { Backend } from "../provisioners/_backend.ts";
import { Pool } from "../provisioners/_pool.ts";
import { PodmanProvisioner } from "../provisioners/podman.ts";
import type { ProvisionerEvent } from "../provisioners/events.ts";
import type { Provisioner } from "../provisioners/provisioner.ts";
import { imageName } from "../tests/_podman.ts";
import {
  PretendedAggregator,
  PretendedExecutor,
} from "../tests/orchestrators/_pretend.ts";
import { measure } from "./_once.ts";

const [kind, text] = Deno.args;
const count = Number(text);

/** Makes nothing, which takes its time. */
class Slow implements Backend {
  readonly #places = new Semaphore(4);
  #made = 0;

  async reserve({ identify }: Parameters<Backend["reserve"]>[0]) {
    using _place = await this.#places.acquire();
    const id = `slow:${++this.#made}`;
    identify(id);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const connection = await LocalConnection.open();
    return { id, attributes: {}, reusable: false, connection };
  }

  dispose = () => Promise.resolve();
}

/** Systems that were made so far. */
let made = 0;
const onEvent = ({ type }: ProvisionerEvent) =>
  void (made += Number(type === "ready"));

function slowProvisioner(): Provisioner {
  const pool = new Pool({
    name: "slow",
    maxRemotes: count,
    backend: new Slow(),
    onEvent,
  });
  return {
    name: "slow",
    maxRemotes: count,
    async start() {
      await pool.start();
      return this;
    },
    provision: (count) => pool.provision(count),
    getRemote: (options) => pool.getRemote(options),
    clear: () => pool.clear(),
    stop: () => pool.stop(),
    [Symbol.asyncDispose]: () => pool.stop(),
  };
}

const provisioner = kind === "podman"
  ? new PodmanProvisioner({
    image: imageName("tiny"),
    maxRemotes: count,
    onEvent,
  })
  : slowProvisioner();
await using pool = await provisioner.start();

const begun: number[] = [];
/** How many systems were there when the first test began. */
let there = 0;
const all = Promise.withResolvers<void>();
const cost = measure();
const start = performance.now();
const { passed } = await new AdHocOrchestrator({
  platform: "here",
  tests: Array.from({ length: count }, (_, n) => `/t${n}`),
  provisioners: [pool],
  executor: (remote) =>
    new PretendedExecutor(remote, async () => {
      begun.push(performance.now() - start);
      there ||= made;
      if (begun.length === count) all.resolve();
      await all.promise;
      return 0;
    }),
  aggregator: new PretendedAggregator(),
}).run().finished;
console.log(JSON.stringify({
  ...cost(),
  first_test_ms: begun[0],
  last_first_test_ms: begun.at(-1),
  systems_at_first_test: there,
  check: `${passed} passed`,
}));
