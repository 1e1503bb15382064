import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../../../testing/src/repository.ts'

const own = createRequire(join(repositoryRoot(), 'test/package.json'))

/** What the black-box tests have installed: a package, or one of its files that it does not export. */
export function installed(name: string, file?: string): any {
  return file === undefined ? own(name) : own(join(folderOf(name), file))
}

function folderOf(name: string): string {
  // Under an alias the package's own folder has another name.
  const link = join(repositoryRoot(), 'test/node_modules', name)
  if (existsSync(link)) return realpathSync(link)
  const main = own.resolve(name)
  return (
    main.slice(0, main.lastIndexOf(join('node_modules', name)) + join('node_modules', name).length) || dirname(main)
  )
}
