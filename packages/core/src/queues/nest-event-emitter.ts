// Listeners by @OnEvent(): Nest catches what they throw and reject, and logs it. Where the app has it not do so, the error is the emitter's.
import { replaceMethod } from '../instrument/replace-method.ts'
import { nameOfMethod, runCaught } from './caught-work.ts'

interface Exports {
  readonly EventSubscribersLoader?: { readonly prototype: object }
}
type Instance = Record<PropertyKey, (...args: unknown[]) => unknown>

export function patch({ EventSubscribersLoader }: Exports): undefined {
  replaceMethod(
    EventSubscribersLoader?.prototype,
    'wrapFunctionInTryCatchBlocks',
    (original) =>
      function (
        instance: Instance,
        method: PropertyKey,
        args: unknown,
        options: { suppressErrors?: boolean },
        ...rest
      ) {
        if (!(options?.suppressErrors ?? true)) return original.call(this, instance, method, args, options, ...rest)
        const listener = {
          [method]: (...given: unknown[]) =>
            runCaught(nameOfMethod(instance, method), () => instance[method]!(...given)),
        }
        return original.call(this, listener, method, args, options, ...rest)
      },
  )
}
