import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { TaskKit } from '@afterspan/core/internal'
import { createBag } from '../sending/bag.ts'

/** One run of a timetable: a task of its own, in a trace of its own, whatever request has made the timetable. */
export function runScheduled<R>(kit: TaskKit, system: string, name: string, run: () => R): R {
  const info = { system, destination: name, name, attempt: 1 }
  return context.with(ROOT_CONTEXT, () => kit.attempt(info, createBag(), run))
}
