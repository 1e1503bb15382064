export interface PackageFile {
  /** `@hapi/hapi`. */
  readonly name: string
  /** The package's folder, as the path has it. */
  readonly basedir: string
  /** From there: `lib/client.js`. */
  readonly file: string
}

/** The installed package that a file belongs to, by its path or URL. */
export function packageFile(path: string, separator = '/'): PackageFile | undefined {
  const folder = `${separator}node_modules${separator}`
  const at = path.lastIndexOf(folder)
  if (at < 0) return undefined
  const start = at + folder.length
  let end = path.indexOf(separator, start)
  if (path[start] === '@' && end > 0) end = path.indexOf(separator, end + 1)
  if (end < 0) return undefined
  const name = path.slice(start, end)
  return {
    name: separator === '/' ? name : name.replaceAll(separator, '/'),
    basedir: path.slice(0, end),
    file: path.slice(end + 1),
  }
}
