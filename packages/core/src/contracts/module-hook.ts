/** Something to do when a module is first loaded, by require or import. Called once per loaded copy, before the app gets its exports. */
export interface ModuleHook {
  /** For diagnostics and `afterspan_instrumentation`: 'pg', 'pg-boss', 'pg (health)'. */
  readonly name: string
  /** Bare package name, or 'node:…'. */
  readonly module: string
  /** Files of the package whose exports `patch` gets, one by one, in place of the package's own: 'lib/channel.js'. CommonJS only, also where the app imports it; an ES module too where `imports` names what stands for it. */
  readonly files?: readonly string[]
  /** The files may be ES modules, which the package imports itself: they are seen there too, and what they export can be replaced. */
  readonly hasModules?: true
  /** Further entries of the package that an app imports: 'hono/tiny'. Their files are among `files`. */
  readonly imports?: readonly string[]
  /** Semver range of what is supported; outside it: said once, left alone. '*' for builtins. */
  readonly versions: string
  /** A version outside of the range is left alone without a word: of what the app's own dependencies bring along nobody wants to hear. */
  readonly isQuiet?: true
  /** May mutate the exports, or return a replacement. A throw is counted and said; the app gets the exports as they were. */
  patch(
    exports: any,
    loaded: { readonly version: string; readonly baseDir?: string; readonly format: 'commonjs' | 'module' },
  ): unknown
}
