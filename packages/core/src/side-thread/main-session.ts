// A session of the inspector with the main thread: what it asks is done at the next interrupt that V8 takes, also in the middle of a
// loop that never turns. In native code there is none, and then nothing is answered.
import type { Session as InspectorSession } from 'node:inspector'
import type { MainSession } from '../contracts/service.ts'
import type { SideGate } from './inspector-gate.ts'

const LOOK_MS = 5

/** Undefined where there is no inspector, another session is open, or the process is leaving. Never rejects. */
export async function inspectMain<T>(
  gate: SideGate,
  use: (session: MainSession) => Promise<T | undefined>,
): Promise<T | undefined> {
  if (!gate.open()) return undefined
  let session: InspectorSession | undefined
  let leaving: NodeJS.Timeout | undefined
  try {
    const { Session } = require('node:inspector') as typeof import('node:inspector')
    const own = new Session()
    session = own
    own.connectToMainThread()
    const left = new Promise<'left'>((resolve) => {
      leaving = setInterval(() => {
        if (gate.isLeaving()) resolve('left')
      }, LOOK_MS)
    })
    const post = (method: string, params?: object): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const settle = (error: Error | null, result?: unknown): void => {
          if (error) reject(error)
          else resolve(result)
        }
        ;(own.post as (name: string, given: unknown, then: typeof settle) => void)(method, params, settle)
      })
    const within = <T>(work: Promise<T>, ms: number): Promise<T | 'late' | 'left'> => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => {
          resolve('late')
        }, ms)
      })
      work.catch(() => {})
      return Promise.race([work, left, late]).finally(() => {
        clearTimeout(timer)
      })
    }
    return await use({ post, within })
  } catch {
    // built without the inspector, or forbidden by --permission
    return undefined
  } finally {
    clearInterval(leaving)
    session?.disconnect()
    gate.close()
  }
}
