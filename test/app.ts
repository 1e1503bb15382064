import { join } from 'node:path'
import { repositoryRoot, type RunningApp } from '@afterspan/testing'

/** An app of test/apps. */
export function appFile(name: string): string {
  return join(repositoryRoot(), 'test/apps', name)
}

/** The address of an app that says `listening <port>`. */
export async function listening(app: RunningApp): Promise<string> {
  const [, port] = await app.waitForLine(/^listening (\d+)$/)
  return `http://127.0.0.1:${port}`
}
