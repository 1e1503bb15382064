// What becomes of the jobs that a connection has added: what the server says on it, until its transaction is over.
import type { PgClient } from './sql-client.ts'

export type Undo = 'committed' | 'rolled_back'

/** What adds more in one transaction is not followed any further. */
const MOST_OPEN = 1_000
const COMMIT = /^\s*(?:commit|end)\b/i
const SAVEPOINT = /\b(savepoint|rollback\s+(?:work\s+|transaction\s+)?to(?:\s+savepoint)?)\s+"?([\w$]+)"?/gi

export class Connection {
  /** Between transactions. */
  #isIdle = true
  /** How the last one ended: what was one statement is over when its answer is heard. */
  #last: Undo = 'committed'
  #tag: string | undefined
  #isCommitting = false
  #open: ((how: Undo) => void)[] = []
  /** Savepoints since the first of them: how many there were then. */
  #marks: { readonly name: string; readonly at: number }[] = []

  constructor({ connection }: PgClient) {
    connection?.prependListener?.('commandComplete', ({ text } = {}) => {
      if (text === 'COMMIT' || text === 'ROLLBACK') this.#tag = text
    })
    connection?.prependListener?.('readyForQuery', ({ status = 'I' } = {}) => {
      this.#isIdle = status === 'I'
      if (this.#isIdle) {
        this.#last = this.#tag === 'ROLLBACK' ? 'rolled_back' : 'committed'
        this.#end(this.#tag === 'COMMIT' ? 'committed' : 'rolled_back')
      }
      this.#tag = undefined
    })
    // Where it went while it was to be committed nobody knows; then nothing is claimed.
    connection?.prependListener?.('end', () => this.#end(this.#isCommitting ? 'committed' : 'rolled_back'))
  }

  get isOpen(): boolean {
    return this.#open.length > 0
  }

  /** Now, or when the transaction is over in which they were added. */
  added(): Promise<Undo> {
    const { promise, resolve } = Promise.withResolvers<Undo>()
    if (this.#isIdle) resolve(this.#last)
    else if (this.#open.length >= MOST_OPEN) resolve('committed')
    else this.#open.push(resolve)
    return promise
  }

  asked(text: string): void {
    this.#isCommitting ||= COMMIT.test(text)
  }

  /** A later statement of the same transaction went well. */
  done(text: string): void {
    if (!this.isOpen) return
    for (const [, verb = '', name = ''] of text.matchAll(SAVEPOINT))
      if (/^savepoint$/i.test(verb)) this.#marks.push({ name, at: this.#open.length })
      else this.#goBack(name)
  }

  /** A savepoint that was made before the first of them undoes all. */
  #goBack(name: string): void {
    const found = this.#marks.findLastIndex((mark) => mark.name === name)
    const at = this.#marks[found]?.at ?? 0
    this.#marks.length = found + 1
    for (const settle of this.#open.splice(at)) settle('rolled_back')
  }

  #end(how: Undo): void {
    this.#isCommitting = false
    this.#marks = []
    for (const settle of this.#open.splice(0)) settle(how)
  }
}
