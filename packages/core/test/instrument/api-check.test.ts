import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { API_VERSION } from '../../src/instrument/api-check.ts'
import { repositoryRoot } from '../../../testing/src/repository.ts'

test('the version of the API that is named is the one that is bundled', () => {
  const { dependencies } = JSON.parse(readFileSync(join(repositoryRoot(), 'packages/core/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  expect(dependencies['@opentelemetry/api']).toBe(API_VERSION)
})
