import type { Script } from 'node:vm'

/** V8's code of our bundles in this thread. Shared by all bundles in it, each of which has this file. */
export interface KeptCode {
  /** Node's flags, on which V8's code depends. */
  readonly flags: string
  readonly loaded: Map<string, object>
  /** What was compiled here and is not kept yet. */
  readonly unkept: Unkept[]
}
export interface Unkept {
  readonly place: string
  readonly script: Script
  readonly source: number
}
