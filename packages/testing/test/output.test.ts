import { expect, test } from 'vitest'
import { createOutput } from '../src/output.ts'

test('a line is found whole, in whatever pieces it comes, on either stream', async () => {
  const output = createOutput()
  const found = output.waitForLine(/^listening on (\d+)$/, 1_000)
  output.add('stderr', 'a warning\nlisten')
  output.add('stdout', 'other\n')
  output.add('stderr', 'ing on 80')
  output.add('stderr', '80\r\nmore')
  expect((await found)[1]).toBe('8080')
  expect([output.text('stdout'), output.text('stderr')]).toEqual(['other\n', 'a warning\nlistening on 8080\r\nmore'])
})

test('a line printed before is found, by a global pattern too and again', async () => {
  const output = createOutput()
  output.add('stdout', 'two\none\n')
  const pattern = /t\w+/g
  expect((await output.waitForLine(pattern, 10))[0]).toBe('two')
  expect((await output.waitForLine(pattern, 10))[0]).toBe('two')
})

test('at the end an unended line counts, and who waits gets both outputs', async () => {
  const output = createOutput()
  const wanted = output.waitForLine(/last/, 1_000)
  const unwanted = output.waitForLine(/never/, 1_000)
  output.add('stdout', 'last words')
  output.add('stderr', 'a reason\n')
  output.end('code 3')
  expect((await wanted).input).toBe('last words')
  await expect(unwanted).rejects.toThrow(
    /never\/: the process ended \(code 3\)\n-- stdout --\nlast words\n-- stderr --\na reason/,
  )
  await expect(output.waitForLine(/later/, 1_000)).rejects.toThrow('the process ended (code 3)')
})

test('at the deadline who waits gets what there is', async () => {
  const output = createOutput()
  output.add('stdout', 'so far\n')
  await expect(output.waitForLine(/more/, 5)).rejects.toThrow(/not within 5 ms\n-- stdout --\nso far/)
})
