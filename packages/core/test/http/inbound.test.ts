import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { createInbound, createPolicy, parseInboundRules } from '../../src/http/inbound.ts'
import { createPropagator } from '../../src/sdk/propagator.ts'

const DEFAULT = parseInboundRules('private=continue,*=link')!

test('one policy for all, or one for each kind of peer, or nothing that is allowed', () => {
  expect(parseInboundRules('ignore')).toEqual([{ peers: '*', policy: 'ignore' }])
  expect(parseInboundRules(' 10.1.0.0/16 = continue , 2001:db8::1=link, private=ignore,* =continue')).toEqual([
    { peers: '10.1.0.0/16', policy: 'continue' },
    { peers: '2001:db8::1', policy: 'link' },
    { peers: 'private', policy: 'ignore' },
    { peers: '*', policy: 'continue' },
  ])
  for (const text of ['', 'trust', 'private', '10.0.0.0/33=link', '10.0.0/8=link', 'a=b=c', '*=link,', 'host=link'])
    expect([text, parseInboundRules(text)]).toEqual([text, undefined])
})

test.each([
  ['127.0.0.1', 'continue'],
  ['::1', 'continue'],
  ['::ffff:10.2.3.4', 'continue'],
  ['172.31.255.255', 'continue'],
  ['172.32.0.0', 'link'],
  ['100.64.0.1', 'continue'],
  ['fe80::1%eth0', 'continue'],
  ['fd00::1', 'continue'],
  ['2001:db8::1', 'link'],
  ['203.0.113.9', 'link'],
  ['::ffff:203.0.113.9', 'link'],
  [undefined, 'continue'],
])('by default a peer at %s is a %s', (address, policy) => {
  expect(createPolicy(DEFAULT)(address)).toBe(policy)
})

test('the first rule that fits decides, and who fits none is linked', () => {
  const policyOf = createPolicy(parseInboundRules('10.1.0.0/16=ignore,private=continue')!)
  expect(['10.1.2.3', '10.2.2.3', '203.0.113.9'].map(policyOf)).toEqual(['ignore', 'continue', 'link'])
})

describe('of a request', () => {
  const traceId = '1'.repeat(32)
  const headers = { traceparent: `00-${traceId}-${'2'.repeat(16)}-00`, baggage: 'user=somebody' }
  const from = (
    remoteAddress: string,
    of: Record<string, string> = headers,
  ): Parameters<ReturnType<typeof createInbound>>[0] => ({ headers: of, socket: { remoteAddress } }) as never
  const inbound = createInbound(DEFAULT)

  beforeAll(() => void propagation.setGlobalPropagator(createPropagator(['tracecontext', 'baggage'])))
  afterAll(() => {
    propagation.disable()
  })

  test('a trusted peer the trace goes on', () => {
    const { context, links } = inbound(from('10.0.0.1'))
    expect(trace.getSpanContext(context)).toMatchObject({ traceId, traceFlags: 0 })
    expect(propagation.getBaggage(context)?.getEntry('user')?.value).toBe('somebody')
    expect(links).toEqual([])
  })
  test('an outsider neither trace nor flag nor baggage is taken, but a link is there', () => {
    const { context, links } = inbound(from('203.0.113.9'))
    expect(context).toBe(ROOT_CONTEXT)
    expect(links.map((link) => link.context.traceId)).toEqual([traceId])
    expect(inbound(from('203.0.113.9', { traceparent: 'x' })).links).toEqual([])
  })
  test('one that is ignored nothing is taken', () => {
    expect(createInbound(parseInboundRules('ignore')!)(from('10.0.0.1'))).toEqual({ context: ROOT_CONTEXT, links: [] })
  })
})
