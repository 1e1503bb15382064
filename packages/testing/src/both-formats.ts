/* oxlint-disable vitest/expect-expect, vitest/valid-title -- both are the caller's */
import { describe, test } from 'vitest'
import type { TestContext } from 'vitest'
import { nodesUnderTest } from './nodes.ts'
import type { NodeUnderTest } from './nodes.ts'

export interface FormatCase {
  /** The app's file in this format. */
  readonly app: string
  /** vitest's own, for skip(reason) and what else it has. */
  readonly context: TestContext
  readonly format: 'cjs' | 'mjs'
  readonly node: NodeUnderTest
}

/** Tells the same scenario as tests: for CommonJS and for ESM, on each Node under test. One fails without the others. */
export function bothFormats(
  name: string,
  apps: { readonly cjs: string; readonly mjs: string },
  run: (scenario: FormatCase) => Promise<void>,
): void {
  describe(name, () => {
    for (const node of nodesUnderTest())
      for (const format of ['cjs', 'mjs'] as const)
        test(`${format === 'cjs' ? 'CommonJS' : 'ESM'} on Node ${node.major}`, (context) =>
          run({ app: apps[format], context, format, node }))
  })
}
