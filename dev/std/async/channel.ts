export class ChannelClosedError extends Error {
  declare readonly value?: unknown;

  constructor(message: string, ...rest: [value: unknown] | []) {
    super(message);
    this.name = "ChannelClosedError";
    if (rest.length > 0) {
      Object.defineProperty(this, "value", {
        value: rest[0],
        enumerable: true,
      });
    }
  }
}

export type ChannelReceiveResult<T> =
  | { state: "ok"; value: T }
  | { state: "empty" }
  | { state: "closed" };

export interface ChannelOptions {
  /** How many values wait without a receiver; 0 by default: each send meets a receive. */
  capacity?: number;
}

export interface ChannelSendOptions {
  signal?: AbortSignal;
}

export interface ChannelReceiveOptions {
  signal?: AbortSignal;
}

interface Waiter<T> {
  resolve(value: T): void;
  reject(reason: unknown): void;
}

/** Puts a waiter into `queue`; it leaves it when it is settled or `signal` aborts. */
function enqueue<T, W extends Waiter<T>>(
  queue: Set<W>,
  make: (waiter: Waiter<T>) => W,
  signal?: AbortSignal,
): Promise<T> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = () => waiter.reject(signal!.reason);
  const leave = () => {
    queue.delete(waiter);
    signal?.removeEventListener("abort", abort);
  };
  const waiter = make({
    resolve(value) {
      leave();
      resolve(value);
    },
    reject(reason) {
      leave();
      reject(reason);
    },
  });
  queue.add(waiter);
  signal?.addEventListener("abort", abort, { once: true });
  return promise;
}

export class Channel<T>
  implements AsyncIterable<T>, Disposable, AsyncDisposable {
  readonly #capacity: number;
  readonly #values: T[] = [];
  readonly #senders = new Set<Waiter<void> & { value: T }>();
  readonly #receivers = new Set<Waiter<T>>();
  #closed?: { reason?: unknown; given: boolean };

  constructor(options: ChannelOptions = {}) {
    const { capacity = 0 } = options;
    if (!Number.isInteger(capacity) || capacity < 0) {
      throw new RangeError(
        `Cannot create channel: capacity must be a non-negative integer, received ${capacity}`,
      );
    }
    this.#capacity = capacity;
  }

  send(value: T, options?: ChannelSendOptions): Promise<void> {
    if (this.#closed) return Promise.reject(unsent(value));
    if (this.trySend(value)) return Promise.resolve();
    return enqueue<void, Waiter<void> & { value: T }>(
      this.#senders,
      (waiter) => ({ ...waiter, value }),
      options?.signal,
    );
  }

  receive(options?: ChannelReceiveOptions): Promise<T> {
    const got = this.tryReceive();
    if (got.state === "ok") return Promise.resolve(got.value);
    if (got.state === "closed") return Promise.reject(this.#receiveError());
    return enqueue<T, Waiter<T>>(
      this.#receivers,
      (waiter) => waiter,
      options?.signal,
    );
  }

  trySend(value: T): boolean {
    if (this.#closed) return false;
    const [receiver] = this.#receivers;
    if (receiver) receiver.resolve(value);
    else if (this.#values.length < this.#capacity) this.#values.push(value);
    else return false;
    return true;
  }

  tryReceive(): ChannelReceiveResult<T> {
    const [sender] = this.#senders;
    if (this.#values.length > 0) {
      const value = this.#values.shift()!;
      if (sender) this.#values.push(sender.value);
      sender?.resolve();
      return { state: "ok", value };
    }
    if (sender) {
      sender.resolve();
      return { state: "ok", value: sender.value };
    }
    return { state: this.#closed ? "closed" : "empty" };
  }

  close(): void;
  close(reason: unknown): void;
  close(...args: [reason: unknown] | []): void {
    if (this.#closed) return;
    this.#closed = { reason: args[0], given: args.length > 0 };
    for (const sender of [...this.#senders]) {
      sender.reject(unsent(sender.value));
    }
    for (const receiver of [...this.#receivers]) {
      receiver.reject(this.#receiveError());
    }
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  get size(): number {
    return this.#values.length;
  }

  get capacity(): number {
    return this.#capacity;
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<T> {
    while (true) {
      let value: T;
      try {
        value = await this.receive();
      } catch (error) {
        if (error instanceof ChannelClosedError && !this.#closed?.given) return;
        throw error;
      }
      yield value;
    }
  }

  toReadableStream(): ReadableStream<T> {
    return ReadableStream.from(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #receiveError(): unknown {
    return this.#closed?.given
      ? this.#closed.reason
      : new ChannelClosedError("Cannot receive from a closed channel");
  }
}

const unsent = (value: unknown) =>
  new ChannelClosedError("Cannot send to a closed channel", value);
