// What the sources of the packages must hold to, as functions of one file's path and text. architecture.test.ts applies them to the tree,
// and to planted violations. The parser is the one that vitest brings (oxc), so that strings, comments and templates are no code.
import { basename, dirname } from 'node:path/posix'
import { parseAst } from 'vitest/node'

export interface Source {
  /** From the repository's root: packages/core/src/clock.ts. */
  readonly path: string
  readonly text: string
}

interface Node {
  readonly end: number
  readonly start: number
  readonly type: string
  readonly [key: string]: unknown
}

export const MAX_FILE_LINES = 400
export const MAX_FUNCTION_LINES = 60

/** Who may import whom, and by which entries. A package that is not named here may not be imported. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  afterspan: ['core', 'health', 'async-tracker'],
  'async-tracker': ['core'],
  core: [],
  health: ['core'],
  testing: ['afterspan', 'core'],
}
const ENTRIES = ['', '/internal', '/preload-guard', '/register']
const NO_NOUNS = /^(utils?|helpers?|common|misc|managers?)$/
/** Words of others that contain one of those: OpenTelemetry's ContextManager. */
const NOUNS_OF_OTHERS = ['context-manager']

/** All that is wrong with one file, one sentence each; empty when nothing is. */
export function violations(source: Source): string[] {
  const nodes = [...walk(parse(source))]
  return [
    ...wrongName(source),
    ...tooLongFile(source),
    ...tooLongFunctions(source, nodes),
    ...wrongImports(source, nodes),
    ...environmentReads(source, nodes),
    ...starExports(source, nodes),
    ...namelessImports(source, nodes),
  ]
}

/** The files of ours that it imports by a path, from the repository's root; not what it loads later, by require() or import(). */
export function importsOf(source: Source): string[] {
  return [...walk(parse(source))].flatMap(({ node }) => {
    const wanted = /^(Import|Export\w+)Declaration$|^TSImportType$/.test(node.type) ? importedBy(node) : undefined
    return wanted?.startsWith('.') ? [targetOf(source.path, wanted)] : []
  })
}

function wrongName({ path }: Source): string[] {
  const parts = path.split('/').slice(2) // below packages/<name>
  const names = parts.map((part) => part.replace(/(\.gen)?\.ts$/, ''))
  return names
    .filter((name) => !NOUNS_OF_OTHERS.includes(name) && name.split(/[-.]/).some((word) => NO_NOUNS.test(word)))
    .map((name) => `${path}: "${name}" says nothing of what is in it`)
}

function tooLongFile({ path, text }: Source): string[] {
  const lines = text.trimEnd().split('\n').length
  return lines > MAX_FILE_LINES ? [`${path}: ${lines} lines, more than ${MAX_FILE_LINES}`] : []
}

function tooLongFunctions(source: Source, nodes: readonly Found[]): string[] {
  return nodes.flatMap(({ node, parent }) => {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) return []
    const lines = source.text.slice(node.start, node.end).split('\n').length
    if (lines <= MAX_FUNCTION_LINES) return []
    return [`${at(source, node)}: function ${nameOf(node, parent)} has ${lines} lines, more than ${MAX_FUNCTION_LINES}`]
  })
}

function wrongImports(source: Source, nodes: readonly Found[]): string[] {
  const from = packageOf(source.path)
  return nodes.flatMap(({ node }) => {
    const wanted = importedBy(node)
    if (wanted === undefined) return []
    const why = wanted.startsWith('.') ? leavesPackage(source.path, wanted) : wrongPackage(from, wanted)
    return why === undefined ? [] : [`${at(source, node)}: ${from} imports ${wanted}: ${why}`]
  })
}

function leavesPackage(path: string, wanted: string): string | undefined {
  const own = `packages/${packageOf(path)}/src/`
  // dist/bundle is made beside dist/register.js, so that ./bundle is inside for the built file
  return targetOf(path, wanted).startsWith(own) ? undefined : `a path out of ${own}`
}

function wrongPackage(from: string, wanted: string): string | undefined {
  const [, name, entry] = /^(?:@afterspan\/([^/]+)|afterspan(?=\/|$))(.*)$/.exec(wanted) ?? []
  if (entry === undefined) return undefined // of somebody else
  const to = name ?? 'afterspan'
  if (!MAY_IMPORT[from]?.includes(to))
    return `${from} may import ${MAY_IMPORT[from]?.join(', ') || 'no package of ours'}`
  return ENTRIES.includes(entry) ? undefined : `its entries are ${ENTRIES.slice(1).join(', ')}`
}

/** Of every form that an import has, also those of types. */
function importedBy(node: Node): string | undefined {
  const { type } = node
  if (
    /^(ImportDeclaration|ExportNamedDeclaration|ExportAllDeclaration|ImportExpression|TSImportType|TSExternalModuleReference)$/.test(
      type,
    )
  )
    return literal(node['source'] ?? node['expression'] ?? node['argument'])
  if (type !== 'CallExpression') return undefined
  const callee = node['callee'] as Node
  const isRequire =
    isName(callee, 'require') || (callee.type === 'MemberExpression' && isName(callee['object'], 'require'))
  return isRequire ? literal((node['arguments'] as Node[])[0]) : undefined
}

function environmentReads(source: Source, nodes: readonly Found[]): string[] {
  const { path } = source
  const isAllowed = /\/(config|cli)\//.test(path) || /^(options|preload-guard)\.ts$/.test(basename(path))
  if (isAllowed) return []
  return nodes
    .filter(({ node }) => readsEnvironment(node))
    .map(({ node }) => `${at(source, node)}: the environment is read in configuration alone`)
}

/** process.env, process['env'], const { env } = process, import { env } from 'node:process'. */
function readsEnvironment(node: Node): boolean {
  if (node.type === 'MemberExpression')
    return isProcess(node['object']) && (isName(node['property'], 'env') || literal(node['property']) === 'env')
  if (node.type === 'VariableDeclarator') return isProcess(node['init']) && namesEnv(node['id'], 'properties', 'key')
  if (node.type === 'ImportDeclaration')
    return /^(node:)?process$/.test(literal(node['source']) ?? '') && namesEnv(node, 'specifiers', 'imported')
  return false
}

function namesEnv(node: unknown, list: string, key: string): boolean {
  const items = ((node as Node)[list] ?? []) as Node[]
  return items.some((item) => isName(item[key], 'env'))
}

/** process, globalThis.process, and either behind a cast. */
function isProcess(value: unknown): boolean {
  if (!isNode(value)) return false
  if (/^TS(As|NonNull|Satisfies)\w*Expression$|^ParenthesizedExpression$/.test(value.type))
    return isProcess(value['expression'])
  return isName(value, 'process') || (value.type === 'MemberExpression' && isName(value['property'], 'process'))
}

function starExports(source: Source, nodes: readonly Found[]): string[] {
  return nodes
    .filter(({ node }) => node.type === 'ExportAllDeclaration')
    .map(({ node }) => `${at(source, node)}: export * hides which names are public`)
}

/** The build leaves out what nobody uses a name of. */
function namelessImports(source: Source, nodes: readonly Found[]): string[] {
  return nodes
    .filter(({ node }) => node.type === 'ImportDeclaration' && (node['specifiers'] as unknown[]).length === 0)
    .filter(({ node }) => importedBy(node)?.startsWith('.'))
    .map(({ node }) => `${at(source, node)}: an import without a name is left out of the bundles`)
}

// ---- the tree ----

interface Found {
  readonly node: Node
  readonly parent: Node | undefined
}

function parse({ path, text }: Source): Node {
  try {
    return parseAst(text, { lang: 'ts' }) as unknown as Node
  } catch (cause) {
    throw new Error(`${path} cannot be parsed`, { cause })
  }
}

function* walk(node: Node, parent?: Node): Generator<Found> {
  yield { node, parent }
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value])
      if (isNode(child)) yield* walk(child, node)
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
}

function isName(value: unknown, name: string): boolean {
  return isNode(value) && value.type === 'Identifier' && value['name'] === name
}

function literal(value: unknown): string | undefined {
  if (!isNode(value)) return undefined
  if (value.type === 'TSLiteralType') return literal(value['literal'])
  return value.type === 'Literal' && typeof value['value'] === 'string' ? value['value'] : undefined
}

function nameOf(node: Node, parent: Node | undefined): string {
  const named = [node['id'], parent?.['id'], parent?.['key']].find(
    (n): n is Node => isNode(n) && n.type === 'Identifier',
  )
  return (named?.['name'] as string | undefined) ?? '(unnamed)'
}

function targetOf(path: string, wanted: string): string {
  return new URL(wanted, `file:///${dirname(path)}/`).pathname.slice(1)
}

function packageOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function at({ path, text }: Source, node: Node): string {
  return `${path}:${text.slice(0, node.start).split('\n').length}`
}
