/* oxlint-disable vitest/expect-expect, vitest/valid-title -- both are the caller's */
import { describe, test } from 'vitest'
import type { TestContext } from 'vitest'
import { nodesUnderTest } from './nodes.ts'
import type { NodeUnderTest } from './nodes.ts'
import { testOptions } from './options.ts'

export interface FormatCase {
  /** The app's file in this format. */
  readonly app: string
  /** vitest's own, for skip(reason) and what else it has. */
  readonly context: TestContext
  readonly format: Format
  readonly node: NodeUnderTest
}

/** Tells the same scenario as tests: for CommonJS and for ESM, on each Node under test. One fails without the others. */
export function bothFormats(name: string, apps: Apps, run: Scenario): void {
  tell(name, apps, run, () => FORMATS)
}

/** The same for what neither loads nor patches modules in a way of its own: on each Node under test in one format, in turn. In both where AFTERSPAN_TEST_LONG=1. */
export function formatsInTurn(name: string, apps: Apps, run: Scenario): void {
  tell(name, apps, run, (i) => (testOptions().isLong ? FORMATS : [FORMATS[i % 2]!]))
}

type Format = 'cjs' | 'mjs'
type Apps = Readonly<Record<Format, string>>
type Scenario = (scenario: FormatCase) => Promise<void>

const FORMATS: readonly Format[] = ['cjs', 'mjs']

function tell(name: string, apps: Apps, run: Scenario, formatsOf: (i: number) => readonly Format[]): void {
  describe(name, () => {
    for (const [i, node] of nodesUnderTest().entries())
      for (const format of formatsOf(i))
        test(`${format === 'cjs' ? 'CommonJS' : 'ESM'} on Node ${node.major}`, (context) =>
          run({ app: apps[format], context, format, node }))
  })
}
