import { readFileSync, statSync } from 'node:fs'

const MOST_BYTES = 64 * 1024 * 1024
/** What bundlers leave in their output; of a minified one, that nobody writes such lines by hand. */
const MARKS = /__commonJS|__webpack_require__|webpackBootstrap|parcelRequire|__esmMin|^.{5000}/m

/** Which of the packages are inside of the script itself, where no hook can see them; undefined for a script that no bundler made. */
export function bundledIn(script: string | undefined, packages: readonly string[]): readonly string[] | undefined {
  const text = read(script)
  if (text === undefined) return undefined
  const inside = new Set<string>()
  for (const [, name] of text.matchAll(/node_modules\/(?!\.pnpm\/)((?:@[\w.-]+\/)?[\w.-]+)\//g)) inside.add(name!)
  const found = packages.filter((name) => inside.has(name))
  return found.length > 0 || MARKS.test(text) ? found : undefined
}

function read(script: string | undefined): string | undefined {
  try {
    return script && statSync(script).size < MOST_BYTES ? readFileSync(script, 'utf8') : undefined
  } catch {
    return undefined
  }
}
