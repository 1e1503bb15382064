// Whether the sources import each other in one direction. An import of a type counts too: a type that leads back stands in the wrong file.
import { importsOf, type Source } from './source-rules.ts'

/** One way round for each group of files that import each other: 'a.ts -> b.ts -> a.ts'. */
export function importCircles(sources: readonly Source[]): string[] {
  const imports = new Map(sources.map((source) => [source.path, importsOf(source)]))
  const done = new Set<string>()
  const circles: string[] = []
  const follow = (path: string, way: readonly string[]): void => {
    const back = way.indexOf(path)
    if (back >= 0) circles.push([...way.slice(back), path].join(' -> '))
    if (back >= 0 || done.has(path)) return
    for (const next of imports.get(path) ?? []) follow(next, [...way, path])
    done.add(path)
  }
  for (const { path } of sources) follow(path, [])
  return circles
}
