import { deferred } from './signals.ts'
import type { Deferred } from './signals.ts'

export type OutputName = 'stderr' | 'stdout'

/** What a process prints: both streams as text, and as lines that can be awaited. */
export interface Output {
  add(name: OutputName, text: string): void
  /** No more will come: a line without its end is a line now, and who still waits is told how the process ended. */
  end(how: string): void
  text(name: OutputName): string
  waitForLine(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>
}

interface Waiter {
  readonly found: Deferred<RegExpExecArray>
  readonly pattern: RegExp
}

export function createOutput(): Output {
  const texts = { stderr: '', stdout: '' }
  const unended = { stderr: '', stdout: '' }
  const lines: string[] = []
  const waiters = new Set<Waiter>()
  let ending: string | undefined

  return {
    add(name, text) {
      texts[name] += text
      const parts = (unended[name] + text).split('\n')
      unended[name] = parts.pop() ?? ''
      for (const part of parts) addLine(part)
    },
    end(how) {
      for (const name of ['stdout', 'stderr'] as const) if (unended[name] !== '') addLine(unended[name])
      unended.stderr = unended.stdout = ''
      ending = `the process ended (${how})`
      for (const waiter of waiters) waiter.found.reject(notFound(waiter.pattern, ending))
    },
    text: (name) => texts[name],
    waitForLine(pattern, timeoutMs) {
      const fresh = new RegExp(pattern) // a copy: a global pattern remembers where it was
      for (const line of lines) {
        const match = fresh.exec(line)
        if (match) return Promise.resolve(match)
      }
      if (ending !== undefined) return Promise.reject(notFound(fresh, ending))
      const waiter: Waiter = { found: deferred<RegExpExecArray>(), pattern: fresh }
      waiters.add(waiter)
      const deadline = setTimeout(() => waiter.found.reject(notFound(fresh, `not within ${timeoutMs} ms`)), timeoutMs)
      return waiter.found.promise.finally(() => {
        clearTimeout(deadline)
        waiters.delete(waiter)
      })
    },
  }

  function addLine(line: string): void {
    const text = line.replace(/\r$/, '')
    lines.push(text)
    for (const waiter of waiters) {
      const match = waiter.pattern.exec(text)
      if (match) waiter.found.resolve(match)
    }
  }

  function notFound(pattern: RegExp, why: string): Error {
    return new Error(`no line matches ${pattern}: ${why}\n-- stdout --\n${texts.stdout}\n-- stderr --\n${texts.stderr}`)
  }
}
