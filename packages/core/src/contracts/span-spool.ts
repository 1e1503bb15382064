/** Where encoded spans are kept on disk until a collector has them. Nothing here may throw, and all of it must be cheap. */
export interface SpanSpool {
  /** Of one export. Nothing is written before the first append. */
  begin(isErrors: boolean): SpoolFile
}

export interface SpoolFile {
  /** Whole export requests, one after the other. True: the bytes survive the process, and whoever patrols finds them if it dies. */
  append(request: Uint8Array): boolean
  /** Leaves the file, which holds so many spans, to the patrol. False: it could not be kept, and is gone. */
  keep(spans: number): boolean
  /** The collector has them; also after `keep`. */
  discard(): void
}
