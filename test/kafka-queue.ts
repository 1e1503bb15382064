import type { QueueUnderTest } from './queue-conformance.ts'

/** By a client with a handler: Kafka gives a record out again until it is done. */
export const kafkaQueue = (topic: string): QueueUnderTest => ({
  system: 'kafka',
  destination: topic,
  hanging: /^record hangs$/,
  failing: {
    verdict: 'kept',
    tasks: [{ state: 'succeeded', attempts: [{ state: 'retrying', reason: 'rejected' }, { state: 'succeeded' }] }],
  },
  failingStates: ['retrying', 'succeeded'],
})
