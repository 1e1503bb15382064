import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { testOptions } from './options.ts'
import type { NodeMajor } from './options.ts'
import { repositoryRoot } from './repository.ts'

export interface NodeUnderTest {
  readonly major: NodeMajor
  readonly path: string
  /** As `node --version` prints it. */
  readonly version: string
}

const known = new Map<NodeMajor, NodeUnderTest>()

/** The Node of this major version that the repository brings, never one of PATH; throws if the program there says that it is another. */
export function node(major: NodeMajor): NodeUnderTest {
  const found = known.get(major) ?? ask(major, join(repositoryRoot(), `test/nodes/node_modules/node${major}/bin/node`))
  known.set(major, found)
  return found
}

/** The versions that a scenario is run on: all, or those of AFTERSPAN_TEST_NODES. */
export function nodesUnderTest(): readonly NodeUnderTest[] {
  return testOptions().nodes.map(node)
}

/** Runs the program and believes only what it prints: package managers have linked the wrong Node under the right name. */
export function ask(major: NodeMajor, path: string): NodeUnderTest {
  const done = spawnSync(path, ['--version'], { encoding: 'utf8', env: {}, timeout: 20_000 })
  if (done.error) throw new Error(`Node ${major} is not at ${path}: run pnpm install`, { cause: done.error })
  const version = done.stdout.trim()
  if (!version.startsWith(`v${major}.`)) throw new Error(`${path} is Node ${version || '(silent)'}, not ${major}`)
  return { major, path, version }
}
