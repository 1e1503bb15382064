// What of everything that NODE_OPTIONS reaches is no app. Loaded by the guard: it must run on any Node that still has users.
import { sep } from 'node:path'
import { isPm2Container } from './config/pm2.ts'

/** Tools that start other programs, build or test them: they must stay as they are. By the name of what is run, or of the package that it is from. */
const TOOLS = new Set([
  '@babel/cli',
  '@biomejs/biome',
  '@nestjs/cli',
  '@playwright/test',
  '@swc/cli',
  'afterspan',
  'ava',
  'babel',
  'biome',
  'c8',
  'concurrently',
  'corepack',
  'cross-env',
  'cypress',
  'drizzle-kit',
  'esbuild',
  'eslint',
  'grunt',
  'gulp',
  'gulp-cli',
  'husky',
  'jest',
  'jest-cli',
  'lerna',
  'lint-staged',
  'mocha',
  'nest',
  'node-gyp',
  'nodemon',
  'npm',
  'npm-cli',
  'npm-run-all',
  'npx',
  'npx-cli',
  'nx',
  'nyc',
  'oxfmt',
  'oxlint',
  'parcel',
  'playwright',
  'pm2',
  'pm2-dev',
  'pm2-docker',
  'pm2-runtime',
  'pnpm',
  'pnpx',
  'prettier',
  'prisma',
  'rimraf',
  'rolldown',
  'rollup',
  'run-p',
  'run-s',
  'stylelint',
  'swc',
  'tap',
  'ts-node-dev',
  'tsc',
  'tsdown',
  'tsnd',
  'tsup',
  'tsx',
  'turbo',
  'typedoc',
  'typescript',
  'vitest',
  'vue-tsc',
  'wait-on',
  'webpack',
  'webpack-cli',
  'yarn',
  'yarnpkg',
])
/** Command lines of frameworks, which serve the app, too: they are tools where they are told to build or to look. */
const BUILDERS = new Set([
  '@react-router/dev',
  '@remix-run/dev',
  '@strapi/strapi',
  '@sveltejs/kit',
  'astro',
  'gatsby',
  'medusa',
  'next',
  'nuxi',
  'nuxt',
  'react-router',
  'remix',
  'strapi',
  'svelte-kit',
  'vite',
])
const BUILDS =
  /^(?:add|analyze|build|build-module|check|cleanup|export|generate|info|init|lint|optimize|prepare|reveal|routes|sync|telemetry|typecheck|typegen|upgrade|vite:build)$/
/** Packages whose files are the worker processes of tools; Next.js has a copy of one. */
const RUNNERS = ['ava', 'jest-worker', 'mocha', 'tinypool', 'vitest', 'workerpool']

/** `…/node_modules/.bin/jest`, `/usr/bin/npm`, `…/.yarn/releases/yarn-4.9.1.cjs`, `…/node_modules/next/dist/bin/next build`; not an app's own `turbo.js`. */
export function isTool(script: string, command: string): boolean {
  const parts = script.split(sep)
  const file = parts[parts.length - 1] || ''
  const name = file.replace(/\.[cm]?js$/, '')
  if (/^yarn-\d/.test(name)) return true
  const from = packageOf(parts)
  if (isPm2Container(script) || (from === 'ts-node-dev' && name === 'wrap')) return false // they run the app in their own process
  const isInstalled = from !== '' || parts[parts.length - 2] === 'bin'
  const is = (those: Set<string>): boolean =>
    (isInstalled && those.has(name)) || (from !== 'afterspan' && those.has(from))
  return is(TOOLS) || (is(BUILDERS) && BUILDS.test(command)) || isOfRunner(parts)
}

/** '' where it is nobody's; '.bin' for a link to the file. */
function packageOf(parts: readonly string[]): string {
  const at = parts.lastIndexOf('node_modules')
  const name = at < 0 ? '' : parts[at + 1] || ''
  return name[0] === '@' ? `${name}/${parts[at + 2] || ''}` : name
}

function isOfRunner(parts: readonly string[]): boolean {
  return parts.some(
    (part, i) => RUNNERS.includes(part) && (parts[i - 1] === 'node_modules' || parts[i - 1] === 'compiled'),
  )
}
