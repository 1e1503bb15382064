import { defineConfig } from 'vitest/config'

// Two kinds of tests: decisions, read from the sources in this process; and everything that patches modules or dies, in child
// processes against the built packages.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'] } },
      {
        test: {
          name: 'black-box',
          include: ['test/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          globalSetup: ['test/setup.ts'],
        },
      },
    ],
  },
})
