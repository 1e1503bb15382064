import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

// Most of the time of most tests is a wait, for a server or for a child process: on two cores three at once are no burden. Vitest would
// take one worker there, and run projects that differ in this one after the other.
const MOST_AT_ONCE = 3

const testing = fileURLToPath(new URL('packages/testing/src/index.ts', import.meta.url))

// Two kinds of tests: decisions, read from the sources in this process; and everything that patches modules or dies, in child
// processes against the built packages.
export default defineConfig({
  // From its sources: vitest cannot be required, so that the CommonJS build could not offer `bothFormats`.
  resolve: { alias: [{ find: /^@afterspan\/testing$/, replacement: testing }] },
  test: {
    // Built packages are taken as Node takes them. They would be rewritten like sources, since a workspace's links lead out of node_modules.
    server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          retry: process.env['CI'] ? 1 : 0, // integrations are tested on real servers here too
          testTimeout: 30_000, // SQLite on a busy disk
          hookTimeout: 60_000,
          maxWorkers: MOST_AT_ONCE,
          include: ['packages/*/test/**/*.test.ts'],
          exclude: excluded(),
        },
      },
      {
        extends: true,
        test: {
          name: 'black-box',
          include: ['test/**/*.test.ts'],
          exclude: excluded(),
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: MOST_AT_ONCE,
          // Two dozen servers and some thousand processes on two cores: who fails once there and then passes is named at the end, not hidden.
          retry: process.env['CI'] ? 1 : 0,
          globalSetup: ['test/setup.ts'],
        },
      },
    ],
  },
})

/** *.long.test.ts are for `pnpm test:all`. */
function excluded(): string[] {
  return [...configDefaults.exclude, ...(process.env['AFTERSPAN_TEST_LONG'] === '1' ? [] : ['**/*.long.test.ts'])]
}
