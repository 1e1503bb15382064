// Transactions that an app has begun by a MULTI of its own, and not in a pipeline, which is sent in one go. What is sent by such a client
// becomes a part of it: whatever is not the app's has to wait until it is over.
import type { Client } from './shapes.ts'

interface Open {
  readonly over: Promise<void>
  end(): void
}

export class Begun {
  readonly #open = new WeakMap<Client, Open>()

  begin(client: Client): void {
    if (this.#open.has(client)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#open.set(client, { over: promise, end: resolve })
  }
  /** What is sent from now on is no part of it. */
  end(client: Client): void {
    this.#open.get(client)?.end()
    this.#open.delete(client)
  }
  isOpen(client: Client): boolean {
    return this.#open.has(client)
  }
  /** Whether what is sent next on the same connection stands by itself. `unit`: what the app's command is written with. */
  isAlone(client: Client, unit: object): boolean {
    return unit === client && !this.#open.has(client)
  }
  /** Calls it now, or as soon as what it sends is no part of a transaction. */
  async outside<R>(client: Client, ask: () => Promise<R>): Promise<R> {
    const open = this.#open.get(client)
    return open ? open.over.then(() => this.outside(client, ask)) : ask()
  }
}
