import { join } from 'node:path'
import { repositoryRoot, type Answer, type RunningApp } from '@afterspan/testing'

/** An app of test/apps. */
export function appFile(name: string): string {
  return join(repositoryRoot(), 'test/apps', name)
}

/** The address of an app that says `listening <port>`. */
export async function listening(app: RunningApp): Promise<string> {
  const [, port] = await app.waitForLine(/^listening (\d+)$/)
  return `http://127.0.0.1:${port}`
}

/** The trace that a response names. */
export function traceIdOf({ headers }: Answer): string {
  const found = /^00-([0-9a-f]{32})-/.exec(String(headers['traceresponse']))
  if (!found) throw new Error(`traceresponse is ${String(headers['traceresponse'])}`)
  return found[1]!
}
