// dataloader. A batch is loaded as the first who asked, and answers all: each in the context in which it asked, or nobody's
// rejection would be taken for the first one's.
import { context, type Context } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { keepContext } from './kept-context.ts'

interface Batch {
  readonly callbacks: { reject: unknown }[]
  readonly cacheHits?: unknown[]
}
interface Loader {
  readonly _batch?: Batch | null
}

const firsts = new WeakMap<Batch, Context>()

export function patch(exports: { readonly prototype: object }): undefined {
  replaceMethod(
    exports.prototype,
    'load',
    (original) =>
      function (this: Loader, ...args) {
        const before = this._batch
        const [asked, hits] = [before?.callbacks.length, before?.cacheHits?.length]
        const result = original.apply(this, args)
        const batch = this._batch
        if (!batch?.callbacks) return result
        const first = firsts.get(batch)
        if (!first) firsts.set(batch, context.active())
        else if (first !== context.active()) keepAnswers(batch, asked ?? 0, hits ?? 0)
        return result
      },
  )
}

/** Those that this call has added. */
function keepAnswers({ callbacks, cacheHits = [] }: Batch, asked: number, hits: number): void {
  for (const answer of callbacks.slice(asked)) answer.reject = keepContext(answer.reject)
  for (let i = hits; i < cacheHits.length; i++) cacheHits[i] = keepContext(cacheHits[i])
}
