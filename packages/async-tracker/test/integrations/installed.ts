import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { repositoryRoot } from '../../../testing/src/repository.ts'

const own = createRequire(join(repositoryRoot(), 'test/package.json'))

/** What the black-box tests have installed: a package, or one of its files that it does not export. */
export function installed(name: string, file?: string): any {
  return file === undefined ? own(name) : own(join(folderOf(name), file))
}

function folderOf(name: string): string {
  const main = own.resolve(name)
  return (
    main.slice(0, main.lastIndexOf(join('node_modules', name)) + join('node_modules', name).length) || dirname(main)
  )
}
