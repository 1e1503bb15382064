import type { EpochMs } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { addHealth, serveOnAll, type GrpcServer } from '../src/grpc-server.ts'
import { createGrpcServing, servingOf } from '../src/grpc-serving.ts'
import { CHECK, SERVING, WATCH } from '../src/grpc-wire.ts'
import type { CheckState, HealthSnapshot } from '../src/snapshot.ts'

const { serving, notServing } = SERVING
const OWN = new Set(['shop.Orders'])
function snapshot(checks: readonly Partial<CheckState>[], more: Partial<HealthSnapshot> = {}): HealthSnapshot {
  return {
    at: 0 as EpochMs,
    everyMs: 1000,
    started: true,
    checks: checks.map((check) => ({ name: 'db', component: 'db', required: true, abandoned: 0, ...check })),
    ...more,
  }
}

test('a name is the process, its own service, a check or a group', () => {
  const sick = snapshot([
    { status: 'fail', groups: ['checkout'] },
    { name: 'cache', required: false, status: 'fail' },
  ])
  const names = ['', 'shop.Orders', 'db', 'checkout', 'cache', 'shop.Other']
  const of = (its: HealthSnapshot) => names.map((name) => servingOf(its, name, OWN))
  expect(of(sick)).toEqual([notServing, notServing, notServing, notServing, serving, undefined])
  const well = snapshot([
    { status: 'pass', groups: ['checkout'] },
    { name: 'cache', status: 'warn' },
  ])
  expect(of(well)).toEqual([serving, serving, serving, serving, serving, undefined])
  const leaving = { ...well, draining: true }
  expect(of(leaving)).toEqual([notServing, notServing, notServing, notServing, notServing, undefined])
  expect(servingOf(snapshot([{}], { started: false }), '', OWN)).toBe(notServing)
})

interface FakeCall {
  readonly request: { readonly service: string }
  cancelled: boolean
  readonly told: number[]
  readonly listeners: Map<string, () => void>
}
function watcher(service = ''): FakeCall & { on(event: string, listener: () => void): void } {
  const told: number[] = []
  const listeners = new Map<string, () => void>()
  return {
    request: { service },
    cancelled: false,
    told,
    listeners,
    on: (event: string, listener: () => void) => void listeners.set(event, listener),
    write: (value: number) => told.push(value),
    end: () => told.push(-1),
    emit: (_event: string, { code }: { readonly code: number }) => told.push(-code),
  } as never
}
type Handlers = Map<string, { func(call: unknown, done?: (...args: unknown[]) => void): void }>

test('a watcher hears of changes alone, nothing once he has left, and is let go when the server shuts down', () => {
  let now = snapshot([{ status: 'pass' }])
  const source = createGrpcServing(
    () => now,
    () => {},
  )
  let isShutDown = false
  const server = { handlers: new Map(), tryShutdown: () => (isShutDown = true) } as unknown as GrpcServer
  addHealth(server, source)
  const { func } = (server.handlers as unknown as Handlers).get(WATCH)!
  const [first, second] = [watcher(), watcher()]
  func(first)
  func(second)
  source.tell()
  now = snapshot([{ status: 'fail' }])
  source.tell()
  first.listeners.get('cancelled')!()
  now = snapshot([{ status: 'pass' }])
  source.tell()
  server.tryShutdown(() => {})
  expect([first.told, second.told, isShutDown]).toEqual([[1, 2], [1, 2, 1, 2, -1], true])
})

test('more than a hundred watchers are turned away, and their places are free again when they leave', () => {
  const source = createGrpcServing(
    () => snapshot([]),
    () => {},
  )
  const server = { handlers: new Map(), tryShutdown() {} } as unknown as GrpcServer
  addHealth(server, source)
  const { func } = (server.handlers as unknown as Handlers).get(WATCH)!
  const all = Array.from({ length: 101 }, () => watcher())
  // Those of the test before are still there.
  for (const call of all) func(call)
  expect(all.at(-1)!.told).toEqual([-8])
  for (const call of all) call.listeners.get('close')?.()
  const next = watcher()
  func(next)
  next.listeners.get('close')!()
  expect(next.told).toEqual([1])
})

test('a health service of the app goes before ours, whenever it comes', () => {
  class Server {
    readonly handlers = new Map<string, unknown>()
    bindAsync(): void {}
    tryShutdown(): void {}
    register(path: string, func: unknown): boolean {
      if (this.handlers.has(path)) return false
      this.handlers.set(path, func)
      return true
    }
  }
  serveOnAll(
    { Server } as never,
    createGrpcServing(
      () => snapshot([]),
      () => {},
    ),
  )
  const later = new Server()
  later.bindAsync()
  expect([...later.handlers.keys()]).toHaveLength(3)
  expect(later.register(CHECK, 'own')).toBe(true)
  expect([...later.handlers]).toEqual([[CHECK, 'own']])
  later.bindAsync()
  expect(later.handlers.size).toBe(1)
})
