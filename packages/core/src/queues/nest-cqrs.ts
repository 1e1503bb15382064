// Handlers of events, and commands that sagas ask for: publish() has returned, and Nest catches what they throw and reject, logs it and
// tells its UnhandledExceptionBus. A command that the app executes is the app's: it gets the promise.
import { replaceMethod } from '../instrument/replace-method.ts'
import { runCaught } from './caught-work.ts'

interface Exports {
  readonly EventBus?: { readonly prototype: object }
}
interface Handler {
  handle(event: unknown): unknown
}
/** From version 11 on; before that a handler is given itself. */
interface HandlerWrapper {
  readonly instance: Handler
  isDependencyTreeStatic(): boolean
}
interface EventBus {
  readonly commandBus: { execute(command: object, ...rest: unknown[]): unknown }
  readonly moduleRef: { resolve(...args: unknown[]): Promise<Handler> }
  readonly unhandledExceptionBus?: { publish(info: Unhandled): unknown }
}
interface Unhandled {
  readonly cause: unknown
  readonly exception: unknown
}
type Saga = ((events: EventBus) => unknown) & { readonly name: string }

/** Each method binds what it reads from its bus once: it is called on one that has stand-ins for that, and is the real one otherwise. */
export function patch({ EventBus }: Exports): undefined {
  const prototype = EventBus?.prototype
  replaceMethod(
    prototype,
    'bind',
    (original) =>
      function (this: EventBus, handler: Handler | HandlerWrapper, ...rest) {
        const moduleRef = standIn(this.moduleRef, {
          resolve: async (...args: unknown[]) => followed(await this.moduleRef.resolve(...args)),
        })
        return original.call(
          standIn(this, { moduleRef }),
          isWrapper(handler) ? wrapped(handler) : followed(handler),
          ...rest,
        )
      },
  )
  replaceMethod(
    prototype,
    'registerSaga',
    (original) =>
      function (this: EventBus, saga: unknown, ...rest) {
        if (typeof saga !== 'function') return original.call(this, saga, ...rest)
        const run = Object.defineProperty(() => (saga as Saga)(this), 'name', { value: saga.name })
        return original.call(sagaBus(this, saga.name), run, ...rest)
      },
  )
}

function sagaBus(bus: EventBus, saga: string): EventBus {
  const { commandBus, unhandledExceptionBus } = bus
  const execute = (command: object, ...rest: unknown[]): unknown =>
    runCaught(nameOfClass(command), () => commandBus.execute(command, ...rest))
  const publish = (info: Unhandled): unknown => {
    // The saga itself has failed, and hears of no event any more.
    if (info.cause === saga) tellFailed(saga, info.exception)
    return unhandledExceptionBus?.publish(info)
  }
  return standIn(bus, {
    commandBus: standIn(commandBus, { execute }),
    ...(unhandledExceptionBus ? { unhandledExceptionBus: standIn(unhandledExceptionBus, { publish }) } : {}),
  })
}

/** Whose instance is asked for with each event. */
function wrapped(wrapper: HandlerWrapper): HandlerWrapper {
  return standIn(wrapper, {
    get instance() {
      return followed(wrapper.instance)
    },
  })
}

function followed(handler: Handler): Handler {
  return standIn(handler, {
    handle: (event: unknown) => runCaught(nameOfClass(handler), () => handler.handle(event)),
  })
}

function tellFailed(name: string, error: unknown): void {
  try {
    runCaught(name, () => {
      throw error
    })
  } catch {
    // told
  }
}

function isWrapper(handler: Handler | HandlerWrapper): handler is HandlerWrapper {
  return typeof (handler as Partial<HandlerWrapper>).isDependencyTreeStatic === 'function'
}

/** No object that has the real one for its prototype: V8 would call it otherwise on a stack from then on. */
function standIn<T extends object>(real: T, instead: { readonly [member: PropertyKey]: unknown }): T {
  return new Proxy(real, {
    get: (_, key): unknown => (Object.hasOwn(instead, key) ? instead[key] : Reflect.get(real, key)),
  })
}

function nameOfClass(instance: object): string {
  return (instance.constructor as { name?: string } | undefined)?.name || 'handler'
}
