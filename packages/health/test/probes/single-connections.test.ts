import { expect, test } from 'vitest'
import { judgeBeside, judgeSilent, SingleConnections, type Look } from '../../src/probes/single-connections.ts'

const IDLE: Look = { isIdle: true, isBusy: false, isWaitedFor: false, bytes: 0 }
const BUSY: Look = { ...IDLE, isIdle: false, isBusy: true }

let now = 0
function lines(): { readonly it: SingleConnections<{ look: Look }>; readonly all: { look: Look }[] } {
  const all = [{ look: BUSY }, { look: BUSY }]
  return {
    it: new SingleConnections(
      ({ look }) => look,
      () => now,
      0,
    ),
    all,
  }
}

test('connections are silent when each is at a statement, and next to nothing has come for 1.5 s', () => {
  const { it, all } = lines()
  expect(it.isSilent(all)).toBe(false)
  now += 1499
  expect(it.isSilent(all)).toBe(false)
  all[0]!.look = { ...BUSY, bytes: 64 } // byte by byte
  now += 1
  expect(it.isSilent(all)).toBe(true)
  all[1]!.look = { ...BUSY, bytes: 1 }
  expect(it.isSilent(all)).toBe(false)
  now += 1500
  expect(it.isSilent(all)).toBe(true)
  all[1]!.look = IDLE
  expect(it.isSilent(all)).toBe(false)
  expect(it.isSilent([])).toBe(false)
})

test('a connection beside them is made each five seconds at most', () => {
  const { it } = lines()
  expect([it.mayAskBeside(), it.mayAskBeside()]).toEqual([true, false])
  now += 5000
  expect(it.mayAskBeside()).toBe(true)
})

test('what is found beside them: a report, an answer that was lost, a server that is gone', () => {
  expect(judgeSilent('at work', {})).toMatchObject({ status: 'pass' })
  expect(judgeSilent('dead', {})).toMatchObject({ status: 'fail', code: 'connection_lost' })
  expect(judgeSilent('late', {})).toMatchObject({ status: 'fail', code: 'timeout', cause: 'dependency' })
  expect(judgeBeside({ status: 'fail', code: 'ECONNREFUSED' }, {})).toMatchObject({
    status: 'fail',
    code: 'ECONNREFUSED',
  })
  // That there is no room for one more says nothing of those that are there.
  for (const code of ['53300', 'auth_failed', 'error'])
    expect(judgeBeside({ status: 'fail', code }, {})).toMatchObject({ status: 'pass' })
})
