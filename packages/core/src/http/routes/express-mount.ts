// Where a router of Express 4 is mounted, read back from the layer's regular expression: an Express that was bundled into the app, or
// installed by another name, is not seen as it mounts them. What path-to-regexp 0.1 makes of a text is known; the app's own is not.

export interface RegexpLayer {
  readonly regexp?: RegExp & { readonly fast_slash?: boolean }
  readonly keys?: readonly { readonly name?: unknown }[]
}

/** The paths, as the app wrote them: one, or those of a list. A regular expression that is the app's own stays one. Undefined: it is no layer of Express 4. */
export function mountOf({ regexp, keys = [] }: RegexpLayer): readonly unknown[] | undefined {
  if (!(regexp instanceof RegExp)) return undefined
  if (regexp.fast_slash === true) return ['/']
  const names = keys.map(({ name }) => String(name))
  const paths = regexp.source.split(/(?<=\(\?=\\\/\|\$\))\|(?=\^)/).map((source) => {
    const body = /^\^(.*)\\\/\?\(\?=\\\/\|\$\)$/.exec(source)?.[1]
    return body === undefined ? undefined : textOf(body, names)
  })
  return paths.includes(undefined) ? [regexp] : paths
}

/** Takes the names that it uses. */
function textOf(body: string, names: string[]): string | undefined {
  let text = ''
  for (let at = 0; at < body.length; at++) {
    const char = body[at]!
    if (char === '\\') text += body[++at] ?? ''
    else if (char === '(') {
      const end = endOf(body, at)
      const parameter = end > 0 ? parameterOf(body.slice(at + 1, end), names) : undefined
      if (parameter === undefined) return undefined
      text += parameter
      at = end
      if (body[at + 1] === '?') text += body[++at]!
    } else if ('[]{}^$|*+?.'.includes(char)) return undefined
    else text += char
  }
  return text
}

function parameterOf(group: string, names: string[]): string | undefined {
  if (group === '.*') return names.shift() === undefined ? undefined : '*'
  if (!group.startsWith('?:')) return undefined
  const slash = group.startsWith(String.raw`\/`, 2) ? '/' : ''
  const capture = group.slice(slash ? 4 : 2)
  const name = names.shift()
  if (name === undefined || !capture.startsWith('(')) return undefined
  const isAny = /^\(\[\^\\?\/\]\+\?\)$|^\(\(\?:\(\?!/.test(capture)
  return `${slash}:${name}${isAny ? '' : capture}`
}

/** Where the group that begins here is closed; 0: nowhere. */
function endOf(body: string, start: number): number {
  let depth = 0
  for (let at = start; at < body.length; at++) {
    if (body[at] === '\\') at++
    else if (body[at] === '(') depth++
    else if (body[at] === ')' && --depth === 0) return at
  }
  return 0
}
