import type { Provisioner } from "../provisioners/provisioner.ts";

/** A provisioner, and what is asked of it. */
export interface Supplier {
  readonly provisioner: Provisioner;
  /** Systems asked for that were not answered yet. */
  owed: number;
  /** Systems that may come: those that are owed, and those that were asked for, but are not needed any more. */
  coming: number;
  /** Reservations that failed. */
  failures: number;
  /** True if nothing more is asked of it. */
  dead: boolean;
  /** True while its next system is waited for. */
  taking: boolean;
  /** Why its last reservation failed. */
  error?: Error;
}

/** What is asked of all provisioners. */
export class Demand {
  readonly suppliers: readonly Supplier[];
  /** How many systems are owed. */
  owed = 0;
  /** How many suppliers are not dead. */
  living: number;
  readonly #maxFailures: number;
  #turn = -1;

  constructor(provisioners: readonly Provisioner[], maxFailures: number) {
    this.suppliers = provisioners.map((provisioner) => ({
      provisioner,
      owed: 0,
      coming: 0,
      failures: 0,
      dead: provisioner.maxRemotes <= 0,
      taking: false,
    }));
    this.living = this.suppliers.filter(({ dead }) => !dead).length;
    this.#maxFailures = maxFailures;
  }

  /** Notes a request. */
  add(supplier: Supplier, count: number): void {
    supplier.owed += count;
    supplier.coming += count;
    this.owed += count;
  }

  /** Notes an answer, which may be to a request that was dropped since. */
  answered(supplier: Supplier): void {
    supplier.coming--;
    if (supplier.owed === 0) return;
    supplier.owed--;
    this.owed--;
  }

  /** Notes a failed reservation; true if nothing more is asked of the supplier from now on. */
  failed(supplier: Supplier, error: Error, fatal: boolean): boolean {
    this.answered(supplier);
    supplier.error = error;
    supplier.failures++;
    if (supplier.dead) return false;
    if (!fatal && supplier.failures <= this.#maxFailures) return false;
    supplier.dead = true;
    this.living--;
    this.owed -= supplier.owed;
    supplier.owed = 0;
    return true;
  }

  /** Shares a request out among the living suppliers, in turn; there must be one. */
  share(count: number): Map<Supplier, number> {
    const shares = new Map<Supplier, number>();
    while (count > 0) {
      this.#turn = (this.#turn + 1) % this.suppliers.length;
      const supplier = this.suppliers[this.#turn];
      if (supplier.dead) continue;
      shares.set(supplier, (shares.get(supplier) ?? 0) + 1);
      count--;
    }
    return shares;
  }

  /** Those who owe systems. */
  owing(): Supplier[] {
    return this.suppliers.filter(({ owed }) => owed > 0);
  }

  /** Drops all demand. */
  clear(): void {
    for (const supplier of this.suppliers) supplier.owed = 0;
    this.owed = 0;
  }
}
