// What an integration says of versions, against those that the tests run it with: the newest one installed, and the oldest under an alias.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { INSTRUMENTATION_NAMES } from '../../../core/src/config/instrumentation-names.ts'
import { inRange } from '../../../core/src/instrument/version-range.ts'
import { repositoryRoot } from '../../../testing/src/repository.ts'
import { integrations } from '../../src/integrations/index.gen.ts'

const { dependencies } = JSON.parse(readFileSync(join(repositoryRoot(), 'test/package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>
}
/** What a module is brought by, where no test asks for it by its own name. */
const BROUGHT_BY: Readonly<Record<string, string>> = { '@redis/client': 'redis' }
/** What a run of its own brings: test/confluent-kafka.test.ts. */
const BROUGHT_BY_HAND: Readonly<Record<string, string>> = { '@confluentinc/kafka-javascript': '1.10.1' }
/** Clients that only the health asks have an oldest one too. */
const OLDEST = Object.entries(dependencies).filter(([alias]) =>
  integrations.some(({ name }) => alias === `${name}-oldest`),
)

describe('the versions that an integration takes', () => {
  test.for(integrations)('of $name: the newest that is tested is one of them', ({ module, versions }) => {
    const newest = dependencies[BROUGHT_BY[module] ?? module] ?? BROUGHT_BY_HAND[module] ?? ''
    expect(inRange(newest, versions)).toBe(true)
  })
  test.for(OLDEST)('%s is the first of them', ([alias, version]) => {
    const { module, versions } = integrations.find(({ name }) => `${name}-oldest` === alias)!
    const [, oldest] = /^>=(\S+)/.exec(versions) ?? []
    expect(version).toBe(`npm:${module}@${oldest}`)
  })
})

test.for(integrations)('$name may be turned off by its name', ({ name }) => {
  expect(INSTRUMENTATION_NAMES).toContain(name)
})
