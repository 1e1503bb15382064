import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ERROR_CODES } from '@afterspan/core'
import { repositoryRoot } from '@afterspan/testing'
import { expect, test } from 'vitest'

const root = repositoryRoot()
const tracked = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n')

test('docs/errors.md has a paragraph for each code, and no other', () => {
  const told = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^## (AFS_\w+)$/gm)].map(
    ([, code]) => code,
  )
  expect(told).toEqual(Object.keys(ERROR_CODES).sort())
})

test('docs/configuration.md is what the tables of options say', () => {
  expect(() =>
    execFileSync(process.execPath, [join(root, 'scripts/docs.mjs'), '--check'], { stdio: 'pipe' }),
  ).not.toThrow()
})

test.each(tracked)('the links of %s lead somewhere', (file) => {
  const links = [...readFileSync(join(root, file), 'utf8').matchAll(/\]\((?!https?:)([^)#\s]+)/g)].map(
    ([, link]) => link!,
  )
  expect(links.filter((link) => !existsSync(join(root, dirname(file), link)))).toEqual([])
})

test('docs/redaction.md lists every name whose value is withheld', async () => {
  const { SECRET_NAMES } = (await import('../packages/core/src/http/redact-query.ts')) as {
    SECRET_NAMES: readonly string[]
  }
  const told = readFileSync(join(root, 'docs/redaction.md'), 'utf8')
  expect(SECRET_NAMES.filter((name) => !new RegExp(`[ ,]${name}[,.]`).test(told))).toEqual([])
})
