// Which of the app's endpoints use a kind of server, as its real requests have shown.
import type { RequestRecord } from '@afterspan/core/internal'

/** Requests whose route is not known yet: it is, once they have been answered. */
const MOST_OPEN = 64
const MOST_ROUTES = 200
const MOST_TOLD = 20
/** An endpoint that did not use it for so long is affected no more. */
const FORGET_MS = 3_600_000

interface Use {
  count: number
  lastAt: number
}

export class Endpoints {
  readonly #open = new Set<RequestRecord>()
  readonly #uses = new Map<string, Use>()

  /** Called for every call: no more than it must be. */
  add(request: RequestRecord, now: number): void {
    this.#open.add(request)
    if (this.#open.size > MOST_OPEN) this.#settle(now)
  }

  /** URI templates (RFC 6570), those that are used most first. */
  told(now: number): string[] {
    this.#settle(now)
    for (const [route, { lastAt }] of this.#uses) if (now - lastAt > FORGET_MS) this.#uses.delete(route)
    const byUse = [...this.#uses].toSorted(([, a], [, b]) => b.count - a.count)
    return [...new Set(byUse.map(([route]) => template(route)))].slice(0, MOST_TOLD)
  }

  #settle(now: number): void {
    for (const request of this.#open) {
      if (!request.ended) continue
      this.#open.delete(request)
      if (request.route !== undefined) this.#count(request.route, now)
    }
    // What is never answered would stay for ever: the oldest go.
    for (const request of this.#open) {
      if (this.#open.size <= MOST_OPEN / 2) break
      this.#open.delete(request)
    }
  }

  #count(route: string, now: number): void {
    const use = this.#uses.get(route)
    if (use) {
      use.count++
      use.lastAt = now
    } else if (this.#uses.size < MOST_ROUTES) this.#uses.set(route, { count: 1, lastAt: now })
  }
}

/** `/orders/:id(\d+)?` is `/orders/{id}`. */
export function template(route: string): string {
  return route.replace(/:([A-Za-z_]\w*)(?:\([^)]*\))?[?*+]?/g, '{$1}')
}
