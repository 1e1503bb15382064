// React Router as a framework: what is asked for goes through its own matching, behind one handler.
import { formatsInTurn, get, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

type Told = readonly [status: number, route: unknown, exceptions: readonly unknown[]]

const ASKED: Readonly<Record<string, Told>> = {
  '/shop/items/1': [200, '/shop/items/:id', []],
  '/shop/items/1.data': [200, '/shop/items/:id', []],
  '/shop/items/throws': [500, '/shop/items/:id', ['loader']],
  '/shop/items/gone': [410, '/shop/items/:id', []],
  'POST /shop/items/2': [500, '/shop/items/:id', ['action']],
  '/shop/page': [500, '/shop/page', ['page']],
  '/shop/api/stock': [200, '/shop/api/:kind', []],
  '/shop/api/throws': [500, '/shop/api/:kind', ['resource']],
}

formatsInTurn(
  'a page of React Router had the route of what it was mounted on, and its error no exception',
  { cjs: appFile('react-router.cjs'), mjs: appFile('react-router.mjs') },
  async ({ app, format, node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_BSP_SCHEDULE_DELAY: '5', ...(format === 'mjs' ? { AS_FUNCTION: '1' } : {}) }
    const service = startPreloaded({ app, node: node.path, sink, env })
    const url = await listening(service)
    const told: Record<string, unknown> = {}
    for (const asked of Object.keys(ASKED)) {
      const [path = '', method = 'GET'] = asked.split(' ').toReversed()
      const traceId = traceIdOf(await get(url + path, { method }))
      const server = () => sink.trace(traceId).find(({ kind }) => kind === 'server')
      await sink.waitFor(() => server() !== undefined)
      const { attributes, events } = server()!
      const exceptions = events.map((event) => event.attributes['exception.message'])
      told[asked] = [attributes['http.response.status_code'], attributes['http.route'], exceptions]
    }
    expect(told).toEqual(ASKED)
    // The app's own are asked as before.
    expect(service.stdout.match(/^own$/gm)).toHaveLength(6)
    expect(new Set(service.stdout.match(/^told \w+$/gm))).toEqual(
      new Set(['told loader', 'told action', 'told page', 'told resource']),
    )
    await service.stop()
    expect(service.stderr).toBe('')
    await sink.close()
  },
)
