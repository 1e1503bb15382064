import { expect, test } from 'vitest'
import { fileDescriptorProbe, judgeDescriptors, sampleDescriptors } from '../../src/probes/file-descriptors.ts'
import { probeConformance } from '../probe-conformance.ts'

test.for([
  [{ open: 20, limit: 1024 }, 'pass', undefined],
  [{ open: 921, limit: 1024 }, 'pass', undefined],
  [{ open: 922, limit: 1024 }, 'warn', 'descriptors_near_limit'],
  ['exhausted', 'fail', 'EMFILE'],
  [undefined, 'pass', undefined],
] as const)('%j is %s', ([sample, status, code]) => {
  const result = judgeDescriptors(sample)
  expect([result.status, result.code]).toEqual([status, code])
})

test('at the limit the count itself fails, and that is the verdict', () => {
  const refuse = (code: string) => (): never => {
    throw Object.assign(new Error(code), { code })
  }
  expect(sampleDescriptors(refuse('EMFILE'))).toBe('exhausted')
  expect(sampleDescriptors(refuse('ENOENT'))).toBeUndefined() // no /proc
  expect(
    sampleDescriptors(
      () => ['0', '1', '2', '3'],
      () => 'Max open files            unlimited            unlimited            files\n',
    ),
  ).toBeUndefined()
})

test.runIf(process.platform === 'linux')('it counts those of this process', () => {
  const sample = sampleDescriptors()
  expect(sample).toMatchObject({ open: expect.any(Number), limit: expect.any(Number) })
})

probeConformance('file-descriptors', {
  well: () => fileDescriptorProbe(() => ({ open: 20, limit: 1024 })),
  sick: () => fileDescriptorProbe(() => 'exhausted'),
})
