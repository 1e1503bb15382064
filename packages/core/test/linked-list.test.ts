import { expect, test } from 'vitest'
import { LinkedList, type Links } from '../src/linked-list.ts'

interface Entry extends Links<Entry> {
  readonly name: string
}
const entry = (name: string): Entry => ({ name, before: undefined, after: undefined, isIn: false })
const namesIn = (list: LinkedList<Entry>): string => {
  const forward = list.all().map(({ name }) => name)
  const backward: string[] = []
  for (let at = list.all().at(-1); at; at = at.before) backward.unshift(at.name)
  expect(backward).toEqual(forward)
  expect(list.size).toBe(forward.length)
  return forward.join('')
}

test('entries stand in the order in which they came, whichever is taken out', () => {
  const [a, b, c, d] = [entry('a'), entry('b'), entry('c'), entry('d')]
  const list = new LinkedList<Entry>()
  for (const each of [a, b, c, d]) list.add(each)
  expect(namesIn(list)).toBe('abcd')
  list.remove(b)
  expect(namesIn(list)).toBe('acd')
  list.remove(a)
  expect(list.first).toBe(c)
  list.remove(d)
  expect(namesIn(list)).toBe('c')
  list.add(b)
  expect(namesIn(list)).toBe('cb')
  list.remove(c)
  list.remove(b)
  expect([namesIn(list), list.first]).toEqual(['', undefined])
})

test('what is not in is taken out without harm', () => {
  const list = new LinkedList<Entry>()
  const [a, b] = [entry('a'), entry('b')]
  list.add(a)
  list.remove(b)
  list.remove(a)
  list.remove(a)
  expect(namesIn(list)).toBe('')
})
