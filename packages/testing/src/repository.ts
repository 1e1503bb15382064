import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The folder of the whole repository, found by walking up to pnpm-workspace.yaml: the same from src, from dist, and whatever the working directory is. */
export function repositoryRoot(): string {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return folder
    if (dirname(folder) === folder) throw new Error(`no pnpm-workspace.yaml above ${__dirname}`)
  }
}
