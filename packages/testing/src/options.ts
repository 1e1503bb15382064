// The only place here that reads the environment of the runner.

/** The Node versions that stand in test/nodes, by their major number. */
export const NODE_MAJORS = [22, 24, 26] as const
export type NodeMajor = (typeof NODE_MAJORS)[number]

type Env = Readonly<Record<string, string | undefined>>

export interface TestOptions {
  /** AFTERSPAN_TEST_NODES=24,26: the versions that a scenario is run on. Default: all. */
  readonly nodes: readonly NodeMajor[]
  /** AFTERSPAN_TEST_REQUIRE_SERVICES=1: a server that is missing fails its tests; else they are skipped with the reason. */
  readonly isServiceRequired: boolean
  /** AFTERSPAN_TEST_LONG=1: everything, also what else stands for the rest. */
  readonly isLong: boolean
}

/** What the tests themselves can be told; throws on a value that names no Node version here. */
export function testOptions(env: Env = process.env): TestOptions {
  return {
    nodes: nodesFrom(env['AFTERSPAN_TEST_NODES']),
    isServiceRequired: env['AFTERSPAN_TEST_REQUIRE_SERVICES'] === '1',
    isLong: env['AFTERSPAN_TEST_LONG'] === '1',
  }
}

/** What a child process gets of the runner's environment: where programs and temporary files are, and nothing that would configure Node, OpenTelemetry or Afterspan. */
export function cleanEnvironment(env: Env = process.env): Record<string, string> {
  const kept: Record<string, string> = { LANG: 'C.UTF-8', PATH: env['PATH'] ?? '' }
  for (const name of ['TMPDIR', 'TZ']) {
    const value = env[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}

function nodesFrom(text: string | undefined): readonly NodeMajor[] {
  if (text === undefined || text.trim() === '') return NODE_MAJORS
  return text.split(',').map((part) => {
    const major = NODE_MAJORS.find((m) => String(m) === part.trim())
    if (major === undefined)
      throw new Error(`AFTERSPAN_TEST_NODES=${text}: "${part}" is none of ${NODE_MAJORS.join(', ')}`)
    return major
  })
}
