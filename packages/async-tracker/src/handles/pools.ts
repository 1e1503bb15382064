// A pool starts its threads and child processes when the first request needs one, and keeps them for all that follow: they are work of
// none. What a request has them do is told by what the pool returns.

/** Libraries that keep what they start. */
const POOLS =
  /[\\/]node_modules[\\/](bull|bullmq|esbuild|jest-worker|piscina|poolifier|@prisma|sass-embedded|synckit|threads|thread-stream|tinypool|worker-farm|workerpool)[\\/]/
/** Whose pool only runs jobs that are followed as such. */
const QUEUES: ReadonlySet<string | undefined> = new Set(['bull', 'bullmq'])
/** Node's own way from a library's call to a new handle, and ours. */
const DEEPEST = 24

/** Whether such a library is what starts the handle that is being made right now: 'queue' where it is that of a queue. A job that starts one itself is no pool. */
export function poolThatStarts(): 'pool' | 'queue' | undefined {
  const before = Error.stackTraceLimit
  try {
    Reflect.set(Error, 'stackTraceLimit', DEEPEST) // not where intrinsics are frozen
    const { stack } = new Error('who starts it')
    if (typeof stack !== 'string') return undefined
    const frames = stack.split('\n').slice(1)
    const ours = frames.findLastIndex((frame) => frame.includes('diagnostics_channel'))
    const starter = frames.slice(ours + 1).find((frame) => !/[( ](?:node:|<anonymous>|native)/.test(frame))
    const pool = starter && POOLS.exec(starter)
    if (!pool) return undefined
    return QUEUES.has(pool[1]) ? 'queue' : 'pool'
  } catch {
    return undefined
  } finally {
    Reflect.set(Error, 'stackTraceLimit', before)
  }
}
