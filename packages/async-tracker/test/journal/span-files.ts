import type { SpanSpool } from '@afterspan/core/internal'
import { createSpanFiles, type SpanFileSettings } from '../../src/journal/span-file.ts'
import { WORKER } from '../sample-events.ts'

/** Span files of the worker in a folder. */
export function spoolIn(dir: string, more: Partial<SpanFileSettings> = {}): SpanSpool {
  return createSpanFiles({
    dir,
    key: WORKER,
    maxBytes: 1_000_000,
    isKnown: () => true,
    beforeGone: () => {},
    onDropped: () => {},
    ...more,
  })
}
