// A clock that the app puts in place of Node's timers, as its tests do, is not for what we wait for: it would stand still, or run
// everything at once, and find timers in it that are none of the app's. Nor is a `process` that it puts in place of Node's, which may
// be any object. `performance` is got by a getter, which is a third of what a look at the clock costs. The build puts these names in
// place of the globals of each bundle; they are taken when the first one is loaded, which is the preload.
import { globalState } from './global-state.ts'

const own = (globalState().globals ??= {
  process: globalThis.process,
  setTimeout: globalThis.setTimeout,
  setInterval: globalThis.setInterval,
  setImmediate: globalThis.setImmediate,
  clearTimeout: globalThis.clearTimeout,
  clearInterval: globalThis.clearInterval,
  clearImmediate: globalThis.clearImmediate,
  queueMicrotask: globalThis.queueMicrotask,
  performance: globalThis.performance,
})
export const {
  process,
  setTimeout,
  setInterval,
  setImmediate,
  clearTimeout,
  clearInterval,
  clearImmediate,
  queueMicrotask,
  performance,
} = own
