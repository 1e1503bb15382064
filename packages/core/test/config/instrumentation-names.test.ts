// That the integrations of the async tracker may be named is asked by its versions.test.ts.
import { expect, test } from 'vitest'
import { INSTRUMENTATION_NAMES } from '../../src/config/instrumentation-names.ts'
import { watchFrameworks } from '../../src/http/frameworks.ts'
import { SHARED_QUEUES } from '../../src/queues/queue-hooks.ts'

test('a framework or queue could not be turned off by its name', () => {
  const hooks: string[] = []
  const add = ({ name }: { readonly name: string }): void => void hooks.push(name)
  const teller = { recordBroken() {}, recordError() {}, setRoute() {} }
  watchFrameworks(teller, { add, whenAsked() {}, status: { set() {} } as never }, () => {})
  const names = [...hooks, ...SHARED_QUEUES.map(({ name }) => name)].filter((name) => !/[ :]/.test(name))
  expect(names.length).toBeGreaterThan(20)
  expect(names.filter((name) => !INSTRUMENTATION_NAMES.includes(name))).toEqual([])
})
