import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { repositoryRoot } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { importCircles } from './import-circles.ts'
import { violations, type Source } from './source-rules.ts'

const root = repositoryRoot()

test('the sources of all packages hold to the rules', () => {
  const sources = allSources()
  expect(sources.length).toBeGreaterThan(50) // a glob that finds nothing proves nothing
  expect(sources.flatMap(violations)).toEqual([])
})

test('no files import each other in a circle', () => {
  expect(importCircles(allSources())).toEqual([])
})

test('generated files are fresh', () => {
  const done = spawnSync(process.execPath, ['scripts/gen.mjs', '--check'], { cwd: root, encoding: 'utf8' })
  expect(done).toMatchObject({ status: 0, stderr: '' })
})

describe('the rules find what is planted', () => {
  test.for([
    ['health', `import { patrol } from '@afterspan/async-tracker'`, 'health may import core'],
    ['async-tracker', `import type { Registry } from '@afterspan/health/internal'`, 'async-tracker may import core'],
    ['core', `export { run } from 'afterspan'`, 'core may import no package of ours'],
    ['core', `const later = () => import('@afterspan/health')`, 'core may import no package of ours'],
    ['core', `const now = require('@afterspan/health')`, 'core may import no package of ours'],
    ['core', `const path = require.resolve('@afterspan/health')`, 'core may import no package of ours'],
    ['core', `type A = import('@afterspan/health').A`, 'core may import no package of ours'],
    ['core', `import health = require('@afterspan/health')`, 'core may import no package of ours'],
    ['core', `import { x } from '../../health/src/x.ts'`, 'a path out of packages/core/src/'],
    ['afterspan', `import { runApp } from '@afterspan/testing'`, 'afterspan may import core, health, async-tracker'],
    ['testing', `import { health } from '@afterspan/health'`, 'testing may import afterspan, core'],
    ['health', `import { x } from '@afterspan/core/dist/x.js'`, 'its entries are /internal'],
    ['unheard-of', `import { x } from '@afterspan/core'`, 'may import no package of ours'],
  ] as const)('%s: %s', ([from, text, why]) => {
    expect(violations({ path: `packages/${from}/src/a.ts`, text })).toEqual([expect.stringContaining(why)])
  })

  test('what is allowed is no violation', () => {
    for (const [from, text] of [
      ['health', `import { say } from '@afterspan/core/internal'`],
      ['afterspan', `export { health } from '@afterspan/health'\nimport '@afterspan/core/preload-guard'`],
      ['testing', `import { sink } from 'afterspan/internal'`],
      [
        'core',
        `import b from './b.ts'\nimport c from '../src/c.ts'\nimport pg from 'pg'\nimport 'afterspan-of-others'`,
      ],
      ['core', `const text = "import '@afterspan/health'" // import '@afterspan/health'`],
    ] as const)
      expect(violations({ path: `packages/${from}/src/a.ts`, text })).toEqual([])
  })

  test.for([
    `const a = process.env.A`,
    `const a = process['env']`,
    `const a = process?.env`,
    `const { env } = process`,
    `const { env: mine } = globalThis.process`,
    `const a = (process as { env: object }).env`,
    `const a = globalThis.process!.env`,
    `import { env } from 'node:process'`,
    'const a = `${process.env.A}`',
  ])('the environment is read: %s', (text) => {
    const found = [expect.stringMatching(/:1: the environment is read in configuration alone$/)]
    expect(violations({ path: 'packages/core/src/a.ts', text })).toEqual(found)
    for (const allowed of ['config/load.ts', 'options.ts', 'preload-guard.ts', 'cli/main.ts', 'cli/commands/run.ts'])
      expect(violations({ path: `packages/core/src/${allowed}`, text })).toEqual([])
  })

  test('what only looks like it is no read of the environment', () => {
    const text = `// process.env\nconst a = 'process.env'; const b = process.pid; const c = options.env; const d = /process.env/`
    expect(violations({ path: 'packages/core/src/a.ts', text })).toEqual([])
  })

  test.for([
    ['declared', (body: string) => `function long() {${body}}`, 'long'],
    ['arrow', (body: string) => `const long = async () => {${body}}`, 'long'],
    ['method', (body: string) => `class A { long() {${body}} }`, 'long'],
    ['in an object', (body: string) => `const a = { long() {${body}} }`, 'long'],
    ['unnamed', (body: string) => `call(function () {${body}})`, '(unnamed)'],
  ] as const)('a function of 61 lines is too long, one of 60 is not: %s', ([, make, name]) => {
    const of = (lines: number) => ({ path: 'packages/core/src/a.ts', text: `// é }\n${make('\n'.repeat(lines - 1))}` })
    expect(violations(of(60))).toEqual([])
    expect(violations(of(61))).toEqual([`packages/core/src/a.ts:2: function ${name} has 61 lines, more than 60`])
  })

  test('a file of 401 lines is too long, one of 400 is not', () => {
    const of = (lines: number) => ({ path: 'packages/core/src/a.ts', text: 'a()\n'.repeat(lines) })
    expect(violations(of(400))).toEqual([])
    expect(violations(of(401))).toEqual(['packages/core/src/a.ts: 401 lines, more than 400'])
  })

  test('a file or folder is named by a noun', () => {
    const names = ['utils.ts', 'http-utils.ts', 'helpers/a.ts', 'common.ts', 'misc.ts', 'task-manager.ts', 'util.ts']
    for (const name of names)
      expect(violations({ path: `packages/core/src/${name}`, text: '' })).toEqual([
        expect.stringContaining('says nothing'),
      ])
    for (const name of ['context-manager.ts', 'command.ts', 'uncommon.ts'])
      expect(violations({ path: `packages/core/src/${name}`, text: '' })).toEqual([])
  })

  test('export * is found, named or not', () => {
    for (const text of [`export * from './b.ts'`, `export * as b from './b.ts'`])
      expect(violations({ path: 'packages/core/src/a.ts', text })).toEqual([expect.stringContaining('export *')])
  })

  test('an import for what it does when it is loaded is found', () => {
    expect(violations({ path: 'packages/core/src/a.ts', text: `import './b.ts'` })).toEqual([
      expect.stringContaining('without a name'),
    ])
  })

  test('a circle of imports is found once, also one of types', () => {
    const of = (texts: Readonly<Record<string, string>>) =>
      importCircles(Object.entries(texts).map(([name, text]) => ({ path: `packages/core/src/${name}.ts`, text })))
    const a = `import { b } from './b.ts'`
    expect(of({ a, b: `import type { A } from './in/c.ts'`, 'in/c': `export { type A } from '../a.ts'` })).toEqual([
      'packages/core/src/a.ts -> packages/core/src/b.ts -> packages/core/src/in/c.ts -> packages/core/src/a.ts',
    ])
    expect(of({ a, b: `type A = import('./a.ts').A` })).toHaveLength(1)
    expect(of({ a, b: `const a = () => import('./a.ts')`, c: `import './a.ts'\nimport './b.ts'` })).toEqual([])
  })

  test('a file that cannot be parsed is told', () => {
    expect(() => violations({ path: 'packages/core/src/a.ts', text: 'const = 1' })).toThrow('a.ts cannot be parsed')
  })
})

function allSources(): Source[] {
  return sourceFiles().map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

function sourceFiles(): string[] {
  const packages = join(root, 'packages')
  return readdirSync(packages)
    .map((name) => join(packages, name, 'src'))
    .filter((folder) => existsSync(folder))
    .flatMap(filesBelow)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => relative(root, file))
    .sort()
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
