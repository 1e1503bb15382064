import { readFileSync } from 'node:fs'
import { EFFECTIVE_OUTCOMES, TASK_STATES } from '@afterspan/core/internal'
import { describe, expect, test } from 'vitest'
import { OPEN_STATES, TRANSITIONS } from '../src/task-state.ts'

const page = readFileSync(new URL('../../../docs/task-states.md', import.meta.url), 'utf8')
const contract = readFileSync(new URL('../../core/src/contracts/task.ts', import.meta.url), 'utf8')

test('the arrows of the diagram are the moves of TRANSITIONS, both ways', () => {
  const diagram = /```mermaid\n(.*?)```/s.exec(page)![1]!
  const arrows = [...diagram.matchAll(/^ +(\w+) --> (\w+)(?=:|$)/gm)].map(([, from, to]) => `${from} → ${to}`)
  const moves = Object.entries(TRANSITIONS).flatMap(([from, to]) => to.map((state) => `${from} → ${state}`))
  expect(arrows.sort()).toEqual(moves.sort())
  expect(arrows.length).toBeGreaterThan(20)
})

test('states from which nothing but an end leads are drawn as ends', () => {
  const ends: string[] = [...page.matchAll(/^ +(\w+) --> \[\*\]/gm)].map(([, state]) => state!)
  const settled: string[] = TASK_STATES.filter((state) => !OPEN_STATES.has(state) && state !== 'lost')
  expect(ends.sort()).toEqual(settled.sort())
})

test('the table of states names each, and says rightly which are open', () => {
  const rows = tableOf('States')
  expect(rows.map(([state]) => state).sort()).toEqual([...TASK_STATES].sort())
  for (const [state, kind] of rows) expect([state, kind === 'open']).toEqual([state, OPEN_STATES.has(state as never)])
})

describe('the contract and the page name the same', () => {
  test.for([
    ['Reasons', namesIn('TaskReason')],
    ['Evidence', namesIn('Evidence')],
    ['Flags', [...declaration('interface TaskFlags').matchAll(/readonly (\w+): boolean/g)].map(([, name]) => name!)],
    ['What a request counts as', [...EFFECTIVE_OUTCOMES]],
  ] as const)('%s', ([heading, names]) => {
    expect(names.length).toBeGreaterThan(4)
    expect(
      tableOf(heading)
        .map(([name]) => name)
        .sort(),
    ).toEqual([...names].sort())
  })

  test('each reason stands beside the state under which the contract has it', () => {
    const groups = declaration('type TaskReason').split('//')
    expect(groups.length).toBeGreaterThan(3)
    for (const [reason, state] of tableOf('Reasons')) {
      const after = groups[groups.findIndex((group) => group.includes(`'${reason}'`)) + 1] ?? ''
      expect([reason, /^ (\w+)/.exec(after)?.[1]]).toEqual([reason, state])
    }
  })
})

/** From the name of a type to the blank line, or the next export, behind it. */
function declaration(name: string): string {
  return new RegExp(`export ${name}\\b.*?(?=\\n\\n|\\nexport )`, 's').exec(contract)![0]
}

function namesIn(type: string): string[] {
  return [...declaration(`type ${type}`).matchAll(/'(\w+)'/g)].map(([, name]) => name!)
}

/** The cells of the table under a heading, row by row, without the backticks; its head is left out. */
function tableOf(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('| `'))
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}
