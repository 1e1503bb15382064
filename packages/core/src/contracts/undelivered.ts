/** Export requests that no collector took before their process ended, on disk for whoever comes next. Nothing here may throw. */
export interface Undelivered {
  /** True: the bytes survive the process. False: there is no disk, or no room. */
  keep(request: Uint8Array, what: { readonly spans: number; readonly isErrors: boolean }): boolean
  /** What others have left, errors first, at most so many bytes of it. Each is ours alone until it is given back or removed. */
  take(mostBytes: number): readonly TakenExport[]
}

export interface TakenExport {
  readonly request: Uint8Array
  readonly spans: number
  readonly isErrors: boolean
  /** To whoever comes next. */
  giveBack(): void
  /** The collector has it, or will never take it. */
  remove(): void
}
