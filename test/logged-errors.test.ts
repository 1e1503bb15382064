// Handlers that catch for themselves, log and answer 500: the request had no exception, though the app's log did.
import { bothFormats, get, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const TOLD = ['pino/itself', 'pino/field', 'child/after', 'winston/itself', 'winston/field', 'winston/behind']
const TOLD_TOO = ['bunyan/itself', 'bunyan/field', 'serialized/field', 'serialized/after']
/** No error of a 5xx that somebody logged. */
const UNTOLD = ['pino/warns/500', 'pino/text/500', 'winston/warns/500', 'bunyan/itself/404']

bothFormats(
  'an error that pino, winston or bunyan was given is the exception of the 5xx',
  { cjs: appFile('logged-errors.cjs'), mjs: appFile('logged-errors.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const service = startPreloaded({ app, node: node.path, sink, env: { OTEL_BSP_SCHEDULE_DELAY: '5' } })
    const url = await listening(service)
    const told = async (path: string): Promise<unknown> => {
      const traceId = traceIdOf(await get(`${url}/${path}`))
      await sink.waitFor(() => sink.trace(traceId).length > 0)
      const { attributes, events } = sink.trace(traceId)[0]!
      const exceptions = events.map((event) => [
        event.attributes['exception.type'],
        event.attributes['exception.message'],
        JSON.stringify(event.attributes['exception.stacktrace']).includes('logged-errors-app.cjs'),
      ])
      return [attributes['afterspan.exception.source'], exceptions]
    }
    for (const path of [...TOLD, ...TOLD_TOO])
      expect([path, await told(`${path}/500`)]).toEqual([path, ['log', [['TypeError', 'no such thing', true]]]])
    for (const path of UNTOLD) expect([path, await told(path)]).toEqual([path, [undefined, []]])
    expect(service.stderr).toBe('')
    await service.stop()
    await sink.close()
  },
)
