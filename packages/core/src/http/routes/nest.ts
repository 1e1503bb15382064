// Nest routes by the framework under it, which tells the route, but answers errors itself: they never come to that framework's own
// error handling. All of them pass its ExceptionsHandler, which it does not export; an app that is being made ready has one.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import type { RequestTeller } from './framework.ts'
import { watchEvents } from './nest-bodies.ts'

interface Application {
  readonly routesResolver?: {
    readonly routerExceptionsFilter?: object
    readonly routerExplorer?: { readonly executionContextCreator?: { readonly responseController?: object } }
  }
}
interface Host {
  getArgByIndex(index: number): { readonly raw?: object } | undefined
  getType?(): string
}

export function nestHook(teller: RequestTeller): ModuleHook {
  return {
    name: '@nestjs/core',
    module: '@nestjs/core',
    versions: '>=9.0.0 <13',
    patch(exports) {
      replaceMethod(
        exports.NestApplication.prototype,
        'init',
        (original) =>
          function (this: Application, ...args) {
            const { routerExceptionsFilter: filters, routerExplorer } = this.routesResolver ?? {}
            if (filters) watchFilters(Object.getPrototypeOf(filters) as object)
            const writer = routerExplorer?.executionContextCreator?.responseController
            if (writer) watchEvents(Object.getPrototypeOf(writer) as object, teller)
            return original.apply(this, args)
          },
      )
    },
  }

  function watchFilters(prototype: object): void {
    replaceMethod(
      prototype,
      'create',
      (original) =>
        function (...args) {
          const handler = original.apply(this, args) as object
          watchHandler(Object.getPrototypeOf(handler) as object)
          return handler
        },
    )
  }

  function watchHandler(prototype: object): void {
    replaceMethod(
      prototype,
      'next',
      (original) =>
        function (exception: unknown, host: Host | undefined, ...rest: unknown[]) {
          const request = host?.getArgByIndex(0)
          teller.recordError(request?.raw ?? request, exception)
          return original.call(this, exception, host, ...rest)
        },
    )
  }
}
