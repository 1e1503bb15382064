/* oxlint-disable vitest/expect-expect, vitest/valid-title -- both are the caller's */
// What every probe keeps, whatever it asks. A new probe calls this in its own test, with a client or server in each of the states.
import { getEventListeners } from 'node:events'
import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'
import { describe, expect, test } from 'vitest'
import { publicCode } from '../src/codes.ts'
import { safeResult } from '../src/probe-result.ts'

type Make = () => HealthProbe | Promise<HealthProbe>

export interface ProbeStates {
  /** What is asked is well. */
  readonly well: Make
  /** It refuses, or is not there. */
  readonly sick?: Make
  /** It never answers. */
  readonly silent?: Make
  /** What must not be told: host, user, password, database as they are in the states above. */
  readonly secrets?: readonly string[]
}

const SETTLES_WITHIN_MS = 5000

/** Adds the tests. `well` and the others make a new probe each time. */
export function probeConformance(name: string, { well, sick, silent, secrets = [] }: ProbeStates): void {
  describe(`${name} keeps what every probe keeps`, () => {
    test('its name and component can stand in a path and in a label', async () => {
      const probe = await well()
      expect(probe.name).toMatch(/^[A-Za-z0-9._-]{1,60}$/)
      expect(probe.component).toMatch(/^[a-z0-9._-]{1,40}$/)
      expect(['required', 'optional']).toContain(probe.criticality)
    })

    test('it passes where all is well, and nothing of its result is withheld', async () => {
      const result = await settles(await well())
      expect(result.status).toBe('pass')
      expect(safeResult(result)).toEqual(result)
    })

    test('it leaves nothing on the signal', async () => {
      const probe = await well()
      const { signal } = new AbortController()
      await probe.check(signal)
      await probe.check(signal)
      expect(getEventListeners(signal, 'abort')).toEqual([])
    })

    test('a signal that was aborted before is an answer, not a throw', async () => {
      await settles(await well(), AbortSignal.abort())
    })

    test.runIf(sick)('where it is sick it says why, by a code of the table', async () => {
      const result = await settles(await sick!())
      expect(result.status).not.toBe('pass')
      expect(publicCode(result.code)).toBe(result.code)
      expect(result.code).not.toBe('error')
      expectNoSecret(result, secrets)
    })

    test.runIf(silent)('where nothing answers it ends at the abort, and not by itself', async () => {
      const probe = await silent!()
      const controller = new AbortController()
      const answer = settles(probe, controller.signal)
      controller.abort()
      const result = await answer
      expect(result.status).not.toBe('pass')
      expect(getEventListeners(controller.signal, 'abort')).toEqual([])
      expectNoSecret(result, secrets)
    })
  })
}

/** The result as the engine takes it: a throw is a fail. Rejects where the check does not settle. */
async function settles(probe: HealthProbe, signal = new AbortController().signal): Promise<ProbeResult> {
  const answer = probe.check(signal).catch((): ProbeResult => ({ status: 'fail', code: 'timeout' }))
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${probe.name} did not settle`)), SETTLES_WITHIN_MS)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

function expectNoSecret(result: ProbeResult, secrets: readonly string[]): void {
  const told = JSON.stringify(safeResult(result))
  for (const secret of secrets) expect(told).not.toContain(secret)
}
